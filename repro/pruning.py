"""Global magnitude pruning (paper section 3): masks, per-layer rates, Hamming distance.

A mask is a dict from the name of a prunable weight to a bool tensor of its shape, True where the weight
stays. Prunable is every convolution but the first; the last linear, biases and BatchNorm are not.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

MASK = "mask/"
"""What the name of a weight's mask begins with in a checkpoint, where it stands beside the weight itself."""

Weights = Mapping[str, Tensor]
Masks = dict[str, Tensor]


def prunable_names(model: nn.Module) -> list[str]:
    """Names of the weights that may be pruned, in the network's order (appendix A: not first, not last)."""
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    return [f"{name}.weight" for name in convolutions[1:]]


def magnitude_masks(weights: Weights | nn.Module, sparsity: float) -> Masks:
    """Masks that remove the ``round(sparsity * total)`` smallest magnitudes over all ``weights`` together; of a
    module, over its `prunable_names`.

    The count is exact. Among equal magnitudes the earlier one (order of ``weights``, then row-major) goes
    first, so the same weights always give the same masks. Raises ValueError for a sparsity outside [0, 1],
    a weight that is not finite, nothing to prune, or biases and BatchNorm among the weights (a state_dict).
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
    """`magnitude_masks` of a network under ``masks`` (None if it is dense): pruned weights stay pruned.

    A remaining weight that happens to be zero still ranks above those that ``masks`` removed.
    """
    if masks:
        tiny = torch.finfo(torch.float32).tiny
        ranks = {name: w.detach().abs().float().cpu().clamp_min(tiny) for name, w in weights.items()}
        weights = {name: torch.where(masks[name].cpu(), rank, 0) for name, rank in ranks.items()}
    pruned = magnitude_masks(weights, sparsity)  # of less than is pruned already, it would restore some
    return {name: mask & masks[name].cpu() for name, mask in pruned.items()} if masks else pruned


def sparsity_of(masks: Masks) -> float:
    """Share of weights removed, over all layers together."""
    total = sum(mask.numel() for mask in masks.values())
    return 1 - sum(int(mask.sum()) for mask in masks.values()) / total


def layer_rates(masks: Masks) -> dict[str, float]:
    """Pruning rate of each layer: the share of its weights that is removed (Fig. 2b)."""
    return {name: 1 - int(mask.sum()) / mask.numel() for name, mask in masks.items()}


def hamming_distance(first: Masks, second: Masks) -> float:
    """Share of positions at which two masks differ, over all layers together (Fig. 3)."""
    if list(first) != list(second):
        raise ValueError("the two masks are not of the same network")
    differing = sum(int((first[name] != second[name]).sum()) for name in first)
    return differing / sum(mask.numel() for mask in first.values())


def weight_std(weights: Weights) -> dict[str, float]:
    """W_std: standard deviation (over n, not n - 1) of each layer's weights (Fig. 2a)."""
    return {name: float(w.detach().double().std(correction=0)) for name, w in weights.items()}
