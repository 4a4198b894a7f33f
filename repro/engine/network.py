"""A network whose weights, gradients, momentum, mask and BatchNorm statistics each lie in one flat tensor.

One update of all weights is then a handful of operations instead of one per layer, and a mask holds at
every step by one multiplication. The layout inside is channels_last.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from repro import nets
from repro.errors import UsageError
from repro.params import Recipe
from repro.pruning import Masks, magnitude_masks, prunable_names

MASK, MOMENTUM = "mask/", "momentum/"


class Network:
    """``model`` in training form on ``device``, with Eq. 1 of the paper as its optimizer."""

    def __init__(self, arch: str, seed: int, device: torch.device) -> None:
        self.model = nets.build(arch, seed).to(device)
        self.prunable = prunable_names(self.model)
        parameters = dict(self.model.named_parameters())
        total = sum(p.numel() for p in parameters.values())
        self.weights = torch.zeros(total, device=device)
        self.gradients = torch.zeros_like(self.weights)
        self.momentum = torch.zeros_like(self.weights)
        self.mask = torch.ones_like(self.weights)
        self.masked = False
        self._views: dict[str, dict[str, Tensor]] = {"weights": {}, "momentum": {}, "mask": {}}
        start = 0
        for name, parameter in parameters.items():
            stop = start + parameter.numel()
            view = _view(self.weights[start:stop], parameter)
            view.copy_(parameter.detach())
            parameter.data = view
            parameter.grad = _view(self.gradients[start:stop], parameter)
            self._views["weights"][name] = view
            self._views["momentum"][name] = _view(self.momentum[start:stop], parameter)
            self._views["mask"][name] = _view(self.mask[start:stop], parameter)
            start = stop
        self.statistics = _flat_buffers(self.model, device)

    def update(self, recipe: Recipe, rate: Tensor) -> None:
        """Eq. 1: v <- m v + (lambda w + g), w <- w - eta v; then the mask. ``rate`` is a scalar on the device.

        Clears the gradients. Only in-place operations on fixed tensors, so that a CUDA graph can hold it.
        """
        with torch.no_grad():
            self.gradients.add_(self.weights, alpha=recipe.weight_decay)
            self.momentum.mul_(recipe.momentum).add_(self.gradients)
            self.weights.sub_(self.momentum * rate)
            if self.masked:
                self.weights.mul_(self.mask)
                self.momentum.mul_(self.mask)
            self.gradients.zero_()

    def prunable_weights(self) -> dict[str, Tensor]:
        """The weights that pruning ranks, by name, as views."""
        return {name: self._views["weights"][name] for name in self.prunable}

    def layer_weights(self) -> dict[str, Tensor]:
        """The weights of every convolution and linear layer, in the network's order, as views."""
        return {name: view for name, view in self._views["weights"].items() if view.dim() > 1}

    def apply_masks(self, masks: Masks) -> None:
        """From now on these weights are zero at every step."""
        with torch.no_grad():
            for name, mask in masks.items():
                self._views["mask"][name].copy_(mask)
            self.weights.mul_(self.mask)
            self.momentum.mul_(self.mask)
        self.masked = True

    def prune(self, sparsity: float) -> None:
        """Global magnitude pruning of the weights as they are; what is pruned already stays so."""
        masks = magnitude_masks(self.prunable_weights(), sparsity)
        for name, old in (self.masks() or {}).items():
            masks[name] &= old
        self.apply_masks(masks)

    def masks(self) -> Masks | None:
        """The masks in force, bool on the CPU, or None for a dense network."""
        if not self.masked:
            return None
        return {name: self._views["mask"][name].bool().cpu().contiguous() for name in self.prunable}

    def checkpoint(self) -> dict[str, Tensor]:
        """Weights, BatchNorm statistics and masks, on the CPU, contiguous."""
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.model.state_dict().items()}
        for name, mask in (self.masks() or {}).items():
            tensors[MASK + name] = mask
        return {name: tensor.clone() for name, tensor in tensors.items()}

    def state(self) -> dict[str, Tensor]:
        """`checkpoint` and the momentum: all that going on needs."""
        momentum = {
            MOMENTUM + n: v.detach().cpu().contiguous().clone() for n, v in self._views["momentum"].items()
        }
        return self.checkpoint() | momentum

    def copy_over(self, copy: Callable[..., None], masked: bool) -> None:
        """Take over another rank's network by ``copy``, which replaces tensors in place; ``masked`` as it is."""
        copy(self.weights, self.momentum, self.mask, self.statistics)
        self.masked = masked

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over a `checkpoint` or a `state`; without momentum in it, momentum starts at zero."""
        masks = masks_of(tensors)
        model = {n: t for n, t in tensors.items() if not n.startswith((MASK, MOMENTUM))}
        own = self.model.state_dict()
        if set(own) != set(model):
            raise UsageError(
                f"a checkpoint of another network: it differs in {', '.join(sorted(set(own) ^ set(model)))}"
            )
        with torch.no_grad():
            for name, tensor in own.items():  # views of the flat tensor, so that this fills it
                tensor.copy_(model[name])
            self.momentum.zero_()
            for name, view in self._views["momentum"].items():
                if MOMENTUM + name in tensors:
                    view.copy_(tensors[MOMENTUM + name])
        self.masked = False
        self.mask.fill_(1)
        if masks:
            self.apply_masks(masks)


def masks_of(tensors: dict[str, Tensor]) -> Masks | None:
    """The masks in a checkpoint, or None."""
    found = {name.removeprefix(MASK): t for name, t in tensors.items() if name.startswith(MASK)}
    return found or None


def prunable_of(arch: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a checkpoint that pruning ranks, by name, in the network's order."""
    with torch.device("meta"):
        model: nn.Module = nets.BUILDERS[arch]()
    return {name: tensors[name] for name in prunable_names(model)}


def _flat_buffers(model: nn.Module, device: torch.device) -> Tensor:
    """The model's buffers (BatchNorm's running means and variances) as views of one tensor, which is returned."""
    buffers = list(model.named_buffers())
    flat = torch.zeros(sum(buffer.numel() for _, buffer in buffers), device=device)
    start = 0
    for name, buffer in buffers:
        view = flat[start : start + buffer.numel()].view(buffer.shape)
        view.copy_(buffer)
        owner, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(owner), own_name, view)
        start += buffer.numel()
    return flat


def _view(flat: Tensor, like: Tensor) -> Tensor:
    """A piece of a flat tensor in the shape of ``like``, convolution weights channels_last."""
    if like.dim() == 4:
        outputs, inputs, height, width = like.shape
        return flat.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
    return flat.view(like.shape)
