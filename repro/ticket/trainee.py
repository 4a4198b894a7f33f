"""A copy of the user's network in training: any nn.Module under a mask, with Eq. 1 of the paper as its optimizer.

torch's SGD with momentum and weight decay is Eq. 1. The engine's flat Network (repro/engine/network.py) is faster
and knows this project's networks only; here any module will do.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repro.config.params import Recipe
from repro.data.batches import EpochOrder
from repro.engine.lanes import forward, loss_and_logits
from repro.engine.network import MASK, MOMENTUM, masks_of
from repro.pruning import Masks, magnitude_masks
from repro.ticket.batching import Batch
from repro.ticket.prunable import weights_of
from repro.ticket.randomness import seed_all
from repro.ticket.samples import Samples


@dataclass(frozen=True)
class Subject:
    """What all trainings of a search share: the network as given, what of it is pruned, and where it trains."""

    model: nn.Module
    prunable: tuple[str, ...]
    device: torch.device
    precision: torch.dtype
    layout: torch.memory_format
    recipe: Recipe

    @property
    def cuda(self) -> bool:
        """Whether it trains on a CUDA device."""
        return self.device.type == "cuda"

    def copy(self) -> nn.Module:
        """A fresh copy of the network on the device."""
        return place(copied(self.model), self.device, self.layout)


class Trainee:
    """One training of a copy of the network; the given one stays as it is."""

    def __init__(self, subject: Subject) -> None:
        self.subject, recipe = subject, subject.recipe
        self.model = subject.copy()
        self.trainable = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.SGD(
            self.trainable.values(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.masks: Masks | None = None
        self._masked: list[tuple[Tensor, Tensor]] = []  # (weight, where it is pruned) on the device

    def epoch(self, samples: Samples, recipe: Recipe, rate: float, stream: str, epoch: int) -> tuple[float, float]:
        """Train 0-based ``epoch`` at learning ``rate``; returns mean loss and training top-1 in %.

        The order of the data, augmentation and global generators follow from ``stream`` and ``epoch`` alone. The
        loss returned is infinite or NaN where the network diverged.
        """
        names = f"ticket {stream} {epoch}"
        seed_all(self.subject.cuda, names)
        self.optimizer.param_groups[0]["lr"] = rate
        self.model.train()
        order = EpochOrder.draw(stream, epoch, len(samples), recipe.augment)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.subject.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.subject.device)
        for inputs, labels in self._placed(samples.drawn(order, recipe.augment, recipe.batch_size, names)):
            self.optimizer.zero_grad()
            loss, logits = loss_and_logits(self.model, inputs, labels, self.subject.precision)
            loss.backward()
            self.optimizer.step()
            self._hold()
            loss_sum += loss.detach() * len(labels)
            correct += (logits.detach().argmax(1) == labels).sum()
        finite = all(bool(torch.isfinite(p).all()) for p in self.trainable.values())
        loss_mean = float(loss_sum) / len(samples)
        return (loss_mean if finite else math.nan), 100 * int(correct) / len(samples)

    def evaluate(self, samples: Samples) -> float:
        """Top-1 accuracy in %, the network in eval mode."""
        seed_all(self.subject.cuda, "ticket evaluation")
        self.model.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.subject.device)
        with torch.inference_mode():
            for inputs, labels in self._placed(samples.plain(self.subject.recipe.batch_size)):
                logits = forward(self.model, inputs, self.subject.precision)
                correct += (logits.argmax(1) == labels).sum()
        return 100 * int(correct) / len(samples)

    def prune(self, sparsity: float) -> None:
        """Global magnitude pruning to ``sparsity``, counted exactly; what is pruned already stays so."""
        weights = {name: w.detach() for name, w in weights_of(self.model, self.subject.prunable).items()}
        if self.masks:  # a weight that stays and happens to be zero still ranks above the pruned ones
            tiny = torch.finfo(torch.float32).tiny
            weights = {
                name: torch.where(self.masks[name].to(w.device), w.abs().float().clamp_min(tiny), 0)
                for name, w in weights.items()
            }
        self.apply_masks(magnitude_masks(weights, sparsity))

    def apply_masks(self, masks: Masks) -> None:
        """From now on these weights are zero at every step; bool tensors by name, True where a weight stays."""
        weights = weights_of(self.model, self.subject.prunable)
        self.masks = {name: masks[name] for name in weights}  # a file has an order of its own
        self._masked = [(weight, ~self.masks[name].to(weight.device)) for name, weight in weights.items()]
        self._hold()

    def tensors(self) -> dict[str, Tensor]:
        """Parameters, buffers and masks, on the CPU, contiguous."""
        found = {name: tensor.detach() for name, tensor in _named(self.model)}
        found |= {MASK + name: mask for name, mask in (self.masks or {}).items()}
        return {name: tensor.cpu().contiguous().clone() for name, tensor in found.items()}

    def state(self) -> dict[str, Tensor]:
        """`tensors` and the momentum: all that going on needs."""
        found = self.tensors()
        for name, parameter in self.trainable.items():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                found[MOMENTUM + name] = momentum.detach().cpu().contiguous().clone()
        return found

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over `tensors` or a `state`; without momentum in it, momentum starts at zero."""
        fill(self.model, tensors)
        self.optimizer.state.clear()
        for name, parameter in self.trainable.items():
            if MOMENTUM + name in tensors:
                momentum = torch.empty_like(parameter).copy_(tensors[MOMENTUM + name])
                self.optimizer.state[parameter]["momentum_buffer"] = momentum
        masks = masks_of(tensors)
        if masks:
            self.apply_masks(masks)

    def _hold(self) -> None:
        """Pruned weights are zero, and so is their momentum: neither it nor weight decay can move them."""
        with torch.no_grad():
            for weight, pruned in self._masked:
                weight.masked_fill_(pruned, 0)
                momentum = self.optimizer.state[weight].get("momentum_buffer") if weight.requires_grad else None
                if momentum is not None:
                    momentum.masked_fill_(pruned, 0)

    def _placed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for inputs, labels in batches:
            yield laid_out(inputs, self.subject.layout), labels


def fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Set the network's parameters and buffers to ``tensors``."""
    with torch.no_grad():
        for name, tensor in _named(model):
            tensor.copy_(tensors[name])


def copied(model: nn.Module) -> nn.Module:
    """A copy; a weight that a module computes from others before it runs (weight_norm) is one by value."""
    held = [value for module in model.modules() for value in vars(module).values()]
    computed = [value for value in held if isinstance(value, Tensor) and not value.is_leaf]
    return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in computed})


def place(model: nn.Module, device: torch.device, layout: torch.memory_format) -> nn.Module:
    """``model`` moved to the device, its convolution weights in ``layout``."""
    if layout == torch.contiguous_format:
        return model.to(device)
    placed: nn.Module = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    return placed


def laid_out(inputs: Tensor, layout: torch.memory_format) -> Tensor:
    """Images [B, C, H, W] in ``layout``; anything else contiguous."""
    return inputs.contiguous(memory_format=layout if inputs.dim() == 4 else torch.contiguous_format)


def _named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    # Buffers that state_dict leaves out (persistent=False) change in training as well.
    yield from model.named_parameters()
    yield from model.named_buffers()
