"""Global magnitude pruning (paper section 3): masks, per-layer rates, Hamming distance.

Masks are a dict from the name of a prunable weight to a bool tensor of its shape, True where the weight stays.
Prunable is every convolution but the first; the last linear layer, biases and BatchNorm are not.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

MASK = "mask/"
"""The prefix of a mask's name in a checkpoint, before the name of its weight."""

Weights = Mapping[str, Tensor]
Masks = dict[str, Tensor]


def prunable_names(model: nn.Module) -> list[str]:
    """Return the names of the weights to prune, in the network's order (appendix A: not first, not last)."""
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    return [f"{name}.weight" for name in convolutions[1:]]


def magnitude_masks(weights: Weights | nn.Module, sparsity: float) -> Masks:
    """Rank the magnitudes of all ``weights`` together, and mask exactly the ``round(sparsity * total)`` smallest.

    Among equal magnitudes the earlier one (order of ``weights``, then row-major) is removed first, so the same
    weights always give the same masks.

    Args:
        weights: tensors by name, or a network, of which the `prunable_names` are ranked.
        sparsity: the share of weights to remove, from 0 to 1.

    Returns:
        Bool tensors on the CPU by name, True where a weight stays.

    Raises:
        ValueError: ``sparsity`` is out of range, a weight is not finite, there is nothing to prune, or biases or
            BatchNorm are among the weights (a state_dict).
    """
    if isinstance(weights, nn.Module):
        weights = {name: weights.get_parameter(name) for name in prunable_names(weights)}
    if not weights:
        raise ValueError("nothing to prune: pass weights by name, or a network with more than one Conv2d")
    if len({w.dim() > 1 for w in weights.values()}) > 1:
        name = next(name for name, w in weights.items() if w.dim() < 2)
        raise ValueError(f"{name} is a bias or of BatchNorm, and no weight to prune: pass the module itself")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity {sparsity} is not in [0, 1]")
    magnitudes = torch.cat([w.detach().abs().float().cpu().reshape(-1) for w in weights.values()])
    if not torch.isfinite(magnitudes).all():
        raise ValueError("a weight is not finite: nothing can be ranked")
    keep = torch.ones(magnitudes.numel(), dtype=torch.bool)
    removed = round(sparsity * magnitudes.numel())
    if removed:  # selecting one magnitude is several times faster than sorting ResNet50's 23 million
        threshold = torch.kthvalue(magnitudes, removed).values
        keep = magnitudes >= threshold
        ties = torch.nonzero(magnitudes == threshold).view(-1)
        keep[ties[: removed - int((~keep).sum())]] = False
    parts = keep.split([w.numel() for w in weights.values()])
    return {name: part.view(w.shape) for (name, w), part in zip(weights.items(), parts, strict=True)}


def prune_further(weights: Weights, masks: Masks | None, sparsity: float) -> Masks:
    """Return `magnitude_masks` of a network under ``masks`` (None if it is dense); pruned weights stay pruned.

    A remaining weight that happens to be zero still ranks above those that ``masks`` removed.
    """
    if masks:
        tiny = torch.finfo(torch.float32).tiny
        ranks = {name: w.detach().abs().float().cpu().clamp_min(tiny) for name, w in weights.items()}
        weights = {name: torch.where(masks[name].cpu(), rank, 0) for name, rank in ranks.items()}
    pruned = magnitude_masks(weights, sparsity)  # of less than is pruned already, it would restore some
    return {name: mask & masks[name].cpu() for name, mask in pruned.items()} if masks else pruned


def sparsity_of(masks: Masks) -> float:
    """Return the share of weights removed over all layers together, from 0 to 1."""
    total = sum(mask.numel() for mask in masks.values())
    return 1 - sum(int(mask.sum()) for mask in masks.values()) / total


def layer_rates(masks: Masks) -> dict[str, float]:
    """Return the share of weights removed in each layer, from 0 to 1 (Fig. 2b)."""
    return {name: 1 - int(mask.sum()) / mask.numel() for name, mask in masks.items()}


def hamming_distance(first: Masks, second: Masks) -> float:
    """Return the share of positions at which two networks' masks differ, over all layers together (Fig. 3).

    Raises ValueError if the masks do not have the same names in the same order.
    """
    if list(first) != list(second):
        raise ValueError("the two masks are not of the same network")
    differing = sum(int((first[name] != second[name]).sum()) for name in first)
    return differing / sum(mask.numel() for mask in first.values())


def weight_std(weights: Weights) -> dict[str, float]:
    """Return W_std, the standard deviation (over n, not n - 1) of each layer's weights (Fig. 2a)."""
    return {name: float(w.detach().double().std(correction=0)) for name, w in weights.items()}
