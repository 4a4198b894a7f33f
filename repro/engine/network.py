"""A network whose weights, gradients, momentum, mask and BatchNorm statistics are one flat tensor each.

One update of all weights is then six operations instead of six per layer, and one multiplication applies the mask
at every step (`Network.update`). Convolution weights are channels_last. Networks that train side by side are rows
of common tensors, on which the fused kernels work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from repro import nets
from repro.config.recipe import Recipe
from repro.errors import UsageError
from repro.pruning import MASK, Masks, prunable_names, prune_further

MOMENTUM = "momentum/"
KINDS = ("weights", "gradients", "momentum", "mask")
ALIGNED = 64  # rows are padded to a multiple of so many numbers, the alignment that cuDNN and vector units want


class Trainable(Protocol):
    """A network in training: `Network`, which describes the methods, or any other (ticket/trainer.py)."""

    @property
    def prunable(self) -> Sequence[str]: ...
    @property
    def is_finite(self) -> bool: ...
    def prunable_weights(self) -> dict[str, Tensor]: ...
    def layer_weights(self) -> dict[str, Tensor]: ...
    def prune(self, sparsity: float) -> None: ...
    def apply_masks(self, masks: Masks) -> None: ...
    def load(self, tensors: dict[str, Tensor]) -> None: ...
    def checkpoint(self) -> dict[str, Tensor]: ...
    def snapshot(self) -> Callable[[], dict[str, Tensor]]: ...


class FlatParameters(NamedTuple):
    """The tensors of K equal networks, a row each: weights, gradients, momentum and mask float32 [K, weights],
    BatchNorm statistics float32 [K, statistics]. A single network's have one dimension less."""

    weights: Tensor
    gradients: Tensor
    momentum: Tensor
    mask: Tensor
    statistics: Tensor


def make_rows(arch: str, count: int, device: torch.device) -> FlatParameters:
    """Make the tensors for ``count`` networks: all zeros, masks all ones."""
    model = nets.shapes(arch)
    size, buffers = (sum(t.numel() for t in ts) for ts in (model.parameters(), model.buffers()))

    def room(numbers: int, value: float) -> Tensor:
        padded = -(-numbers // ALIGNED) * ALIGNED
        return torch.full((count, padded), value, dtype=torch.float32, device=device)[:, :numbers]

    return FlatParameters(room(size, 0), room(size, 0), room(size, 0), room(size, 1), room(buffers, 0))


class Network:
    """``model``, whose parameters are views of one row, with Eq. 1 of the paper as its optimizer (`update`)."""

    def __init__(
        self, arch: str, seed: int, device: torch.device, rows: FlatParameters | None = None, number: int = 0
    ) -> None:
        """Initialise from ``seed``, in row ``number`` of ``rows`` or in new tensors."""
        own = (tensor[number] for tensor in rows or make_rows(arch, 1, device))
        self.weights, self.gradients, self.momentum, self.mask, self.statistics = own
        self.arch = arch
        self.model = nets.build(arch, seed).to(device)
        self.prunable = prunable_names(self.model)
        self.masked = False
        parameters = dict(self.model.named_parameters())
        self._views = {kind: dict(named(parameters.items(), getattr(self, kind))) for kind in KINDS}
        self.gradient_views = list(self._views["gradients"].values())
        for name, parameter in parameters.items():
            view = self._views["weights"][name]
            view.copy_(parameter.detach())
            parameter.data = view
            parameter.grad = self._views["gradients"][name]
        buffers = dict(self.model.named_buffers())  # BatchNorm's running means and variances
        for name, view in named(buffers.items(), self.statistics):
            view.copy_(buffers[name])
            module, _, attribute = name.rpartition(".")
            setattr(self.model.get_submodule(module), attribute, view)

    def update(self, recipe: Recipe, rate: Tensor) -> None:
        """Apply Eq. 1, v <- m v + (lambda w + g), w <- w - eta v, and the mask. ``rate``: a scalar on the device.

        Clears the gradients. Only in-place operations on fixed tensors, so that a CUDA graph can hold it. A dense
        network's mask is all ones: multiplying by one changes nothing, and all networks share their operations.
        """
        with torch.no_grad():
            self.gradients.add_(self.weights, alpha=recipe.weight_decay)
            self.momentum.mul_(recipe.momentum).add_(self.gradients)
            self.weights.sub_(self.momentum * rate)
            self.weights.mul_(self.mask)
            self.momentum.mul_(self.mask)
            self.gradients.zero_()

    def reset(self, seed: int) -> None:
        """Initialise again from ``seed``: no momentum, no mask."""
        self.load(nets.build(self.arch, seed).state_dict())

    def prunable_weights(self) -> dict[str, Tensor]:
        """Return the weights that pruning ranks, by name, as views."""
        return {name: self._views["weights"][name] for name in self.prunable}

    def layer_weights(self) -> dict[str, Tensor]:
        """Return the weights of every convolution and linear layer, in the network's order, as views."""
        return {name: view for name, view in self._views["weights"].items() if view.dim() > 1}

    def apply_masks(self, masks: Masks) -> None:
        """Keep the weights outside ``masks`` at zero from now on."""
        with torch.no_grad():
            for name, mask in masks.items():
                self._views["mask"][name].copy_(mask)
            self.weights.mul_(self.mask)
            self.momentum.mul_(self.mask)
        self.masked = True

    def prune(self, sparsity: float) -> None:
        """Prune the current weights globally by magnitude; pruned weights stay pruned."""
        self.apply_masks(prune_further(self.prunable_weights(), self.masks(), sparsity))

    @property
    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return bool(torch.isfinite(self.weights).all())

    def masks(self) -> Masks | None:
        """Return the current masks, bool on the CPU; None for a dense network."""
        views = self._views["mask"]
        return {name: views[name].cpu().bool().contiguous() for name in self.prunable} if self.masked else None

    def snapshot(self) -> Callable[[], dict[str, Tensor]]:
        """Copy the network to the CPU, and return a function that makes its state of the copy: `checkpoint` and
        momentum, all that resuming needs. Any thread may call it. Waits for the device."""
        # Naming the tensors takes longer than copying them, and can wait until the device has work.
        flat = (self.weights, self.statistics, self.mask, self.momentum)
        weights, statistics, mask, momentum = (tensor.to("cpu", copy=True) for tensor in flat)
        model, masked, prunable = nets.shapes(self.arch), self.masked, self.prunable

        def state() -> dict[str, Tensor]:
            parameters = dict(model.named_parameters())
            tensors = dict(named(parameters.items(), weights)) | dict(named(model.named_buffers(), statistics))
            tensors = {name: tensors[name] for name in model.state_dict()}
            if masked:
                masks = dict(named(parameters.items(), mask))
                tensors |= {MASK + name: masks[name].bool() for name in prunable}
            tensors |= {MOMENTUM + name: view for name, view in named(parameters.items(), momentum)}
            # Contiguous copies, as safetensors needs them.
            return {name: view.clone(memory_format=torch.contiguous_format) for name, view in tensors.items()}

        return state

    def checkpoint(self) -> dict[str, Tensor]:
        """Return weights, BatchNorm statistics and masks, contiguous, on the CPU."""
        return {name: tensor for name, tensor in self.snapshot()().items() if not name.startswith(MOMENTUM)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Load a `checkpoint` or a `snapshot`'s state. Without momentum in it, momentum starts at zero."""
        masks = masks_of(tensors)
        given = {name: t for name, t in tensors.items() if not name.startswith((MASK, MOMENTUM))}
        views = self.model.state_dict()
        if different := set(views) ^ set(given):
            raise UsageError(f"a checkpoint of another network: it differs in {', '.join(sorted(different))}")
        with torch.no_grad():
            for name, view in views.items():
                view.copy_(given[name])
            self.momentum.zero_()
            for name, view in self._views["momentum"].items():
                if MOMENTUM + name in tensors:
                    view.copy_(tensors[MOMENTUM + name])
        self.masked = False
        self.mask.fill_(1)
        if masks:
            self.apply_masks(masks)


def masks_of(tensors: dict[str, Tensor]) -> Masks | None:
    """Return the masks in a checkpoint, or None."""
    return {name.removeprefix(MASK): t for name, t in tensors.items() if name.startswith(MASK)} or None


def named(tensors: Iterable[tuple[str, Tensor]], flat: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield views of consecutive pieces of ``flat`` [..., n], with the names and shapes [..., *shape] of
    ``tensors``; convolution weights are channels_last."""
    start = 0
    for name, like in tensors:
        piece = flat[..., start : start + like.numel()]
        if like.dim() == 4:
            yield name, piece.unflatten(-1, like.permute(0, 2, 3, 1).shape).movedim(-1, -3)
        else:
            yield name, piece.unflatten(-1, like.shape)
        start += like.numel()
