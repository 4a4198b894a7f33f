"""Lanes: each holds one Run's network and its position in the epoch, on the device. `Lane.update` is one step.

All that a step reads and writes is in tensors that never move: the epoch's order, the position in it, rate, sums.
So a step needs no numbers from Python, a CUDA graph can hold it, and another Run can take over the lane. The same
tensor of all lanes is stacked, a row for each.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.config.recipe import Recipe
from repro.data.batches import PAD
from repro.engine.data_source import InMemoryData, Subset
from repro.engine.network import Network, make_rows, named

LossOf = Callable[[nn.Module, Tensor, Tensor, torch.dtype], tuple[Tensor, Tensor]]
EVAL_BATCH = 1000  # images that are evaluated at a time


def loss_and_logits(
    model: nn.Module, images: Tensor, labels: Tensor, precision: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return mean cross entropy (scalar) and logits float32 [N, classes]."""
    logits = forward(model, images, precision)
    return F.cross_entropy(logits, labels), logits


def forward(model: nn.Module, images: Tensor, precision: torch.dtype) -> Tensor:
    """Return logits float32 [N, classes], with convolutions in ``precision``, whatever that of the weights is."""
    # No cast cache: a CUDA graph must cast again at every replay, and each weight is used once a step.
    with torch.autocast(images.device.type, torch.bfloat16, precision == torch.bfloat16, cache_enabled=False):
        logits: Tensor = model(images).float()
    return logits


class Lanes:
    """``count`` lanes for Runs on ``data`` with the same architecture, batch size, momentum and weight decay.
    Learning rate, labels, number of images and everything else may differ."""

    def __init__(self, arch: str, count: int, data: InMemoryData, recipe: Recipe, precision: torch.dtype) -> None:
        images = data.images
        device, capacity = images.images.device, len(images)
        self.arch, self.images, self.recipe, self.precision, self.device = arch, images, recipe, precision, device
        self.rows = make_rows(arch, count, device)
        self.order = torch.zeros(4, count, capacity, dtype=torch.long, device=device)  # index, top, left, flip
        self.eval_indices = torch.zeros(count, capacity, dtype=torch.long, device=device)
        self.labels = torch.zeros(count, capacity, dtype=torch.long, device=device)
        self.position, self.correct, self.eval_position, self.eval_correct = torch.zeros(
            4, count, dtype=torch.long, device=device
        )
        self.rate = torch.zeros(count, 1, device=device)
        self.loss_sum = torch.zeros(count, dtype=torch.float64, device=device)
        self.offsets = torch.arange(max(recipe.batch_size, EVAL_BATCH), device=device)
        self.all = [Lane(self, number) for number in range(count)]

    def __len__(self) -> int:
        return len(self.all)


class Lane:
    """One of `Lanes`, as views."""

    def __init__(self, lanes: Lanes, number: int) -> None:
        self.number, self._lanes, self.recipe, self.precision = number, lanes, lanes.recipe, lanes.precision
        self.network = Network(lanes.arch, 0, lanes.device, lanes.rows, number)
        self.leaves = ForwardModel(self.network, lanes.precision)
        self.epoch_size = self.eval_size = 0  # images
        self.labels, self.rate = lanes.labels[number], lanes.rate[number, 0]
        self.position, self.loss_sum, self.correct = (
            tensor[number] for tensor in (lanes.position, lanes.loss_sum, lanes.correct)
        )
        self.eval_indices, self.eval_position, self.eval_correct = (
            tensor[number] for tensor in (lanes.eval_indices, lanes.eval_position, lanes.eval_correct)
        )
        self._order = lanes.order[:, number]

    def enter(self, subset: Subset) -> None:
        """Set the lane's tensors for a Run on ``subset``."""
        self.subset = subset
        self.labels.copy_(subset.labels)
        self.epoch_size, self.eval_size = len(subset.train), len(subset.test)
        self.eval_indices[: len(subset.test)].copy_(subset.test)

    def start_epoch(self, indices: Tensor, rate: float) -> None:
        """Set the lane's tensors for an epoch over ``indices`` (`Subset.draw_epoch`) at learning ``rate``."""
        self._order[:, : indices.shape[1]].copy_(indices)
        self.rate.fill_(rate)
        for counter in (self.position, self.loss_sum, self.correct):
            counter.zero_()

    def update(self, size: int, loss_of: LossOf = loss_and_logits) -> None:
        """Take one step on the next ``size`` images of the epoch: gather them, forward, backward, Eq. 1 and mask,
        counters. ``loss_of`` is equivalent to `loss_and_logits`. Only work on the device."""
        here = self.position + self._lanes.offsets[:size]
        index, top, left, flip = self._order.index_select(1, here)
        images, labels = self._lanes.images.gather(index, top, left, flip), self.labels[index]
        self.leaves.refresh()
        loss, logits = loss_of(self.leaves.model, images, labels, self.precision)
        gradients = torch.autograd.grad(loss, self.leaves.tensors)
        with torch.no_grad():
            torch._foreach_copy_(self.network.gradient_views, gradients)
            self.network.update(self.recipe, self.rate)
            self.loss_sum += loss.detach() * size
            self.correct += (logits.detach().argmax(1) == labels).sum()
            self.position += size

    @contextlib.contextmanager
    def in_float32(self) -> Iterator[None]:
        """Within this block steps are in float32, whatever the lane's precision."""
        before = self.precision, self.leaves
        self.precision, self.leaves = torch.float32, ForwardModel(self.network, torch.float32)
        try:
            yield
        finally:
            self.precision, self.leaves = before

    def start_evaluation(self) -> None:
        """Start an evaluation from the first image."""
        self.eval_position.zero_()
        self.eval_correct.zero_()

    def evaluate_batch(self, size: int) -> None:
        """Count correct answers among the next ``size`` test images. Only work on the device."""
        index = self.eval_indices[self.eval_position + self._lanes.offsets[:size]]
        middle = torch.full_like(index, PAD)
        with torch.no_grad():
            self.leaves.refresh()
            images = self._lanes.images.gather(index, middle, middle, torch.zeros_like(index))
            self.leaves.model.eval()
            logits = forward(self.leaves.model, images, self.precision)
            self.leaves.model.train()
            self.eval_correct += (logits.argmax(1) == self.labels[index]).sum()
            self.eval_position += size

    def touched(self) -> list[Tensor]:
        """Return all tensors that `update` and `evaluate_batch` write."""
        net = self.network
        counters = [self.position, self.loss_sum, self.correct, self.eval_position, self.eval_correct]
        return [net.weights, net.momentum, net.gradients, net.statistics, *counters]


class ForwardModel:
    """The ``model`` of forward and backward, with weights in ``precision``; ``tensors`` are autograd's leaves.

    In float32 it is the network's own model. In bfloat16 it is a copy whose weights `refresh` casts from the
    network's, all in one operation; BatchNorm's parameters and statistics stay the network's, float32.
    """

    def __init__(self, network: Network, precision: torch.dtype) -> None:
        self.model, self._weights = network.model.train(), network.weights
        self._low: Tensor | None = None
        if precision != torch.float32:
            self._low, self.model = network.weights.to(precision), copy.deepcopy(network.model)
            full, low = (dict(named(network.model.named_parameters(), f)) for f in (network.weights, self._low))
            for name, module in self.model.named_modules():
                views = full if isinstance(module, nn.BatchNorm2d) else low
                for attribute in [attribute for attribute, _ in module.named_parameters(recurse=False)]:
                    setattr(module, attribute, nn.Parameter(views[f"{name}.{attribute}"]))
                for attribute in [attribute for attribute, _ in module.named_buffers(recurse=False)]:
                    setattr(module, attribute, network.model.get_buffer(f"{name}.{attribute}"))
        self.tensors = list(self.model.parameters())

    def refresh(self) -> None:
        """Cast the network's current weights."""
        if self._low is not None:
            self._low.copy_(self._weights)
