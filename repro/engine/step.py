"""One update of one network: forward, backward, Eq. 1. Eager, compiled (CPU), or replayed as a CUDA graph.

All go through the same function on the same static tensors, with the position in the epoch and the
learning rate on the device, so that a replay needs nothing from Python.
"""

from __future__ import annotations

import functools
import os
import shutil
import warnings
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.data.batches import DeviceImages, EpochOrder
from repro.engine.network import Network
from repro.params import Recipe

LossOf = Callable[[nn.Module, Tensor, Tensor, torch.dtype], tuple[Tensor, Tensor]]
COMPILE_FROM = 1_000_000  # images that a Run trains in all
# What rounding explains over two steps (measured: docs/performance.md), with room.
TOLERANCE = {torch.float32: 1e-2, torch.bfloat16: 0.25}
_trusted: set[tuple[object, ...]] = set()
WARM_UP_STEPS = 3  # cuDNN and cuBLAS set themselves up before a capture


class Stepper(Protocol):
    """Trains step by step; the network's flat tensors hold the outcome."""

    name: str

    def step(self, size: int) -> None:
        """One update on the next ``size`` images of the epoch."""


class Batches:
    """The static tensors that a step reads and writes: the epoch's order, the position in it, rate, sums."""

    def __init__(self, network: Network, images: DeviceImages, recipe: Recipe, precision: torch.dtype) -> None:
        device = images.images.device
        self.network, self.images, self.recipe, self.precision = network, images, recipe, precision
        self.order = [torch.zeros(len(images), dtype=torch.long, device=device) for _ in range(4)]
        self.position = torch.zeros((), dtype=torch.long, device=device)
        self.rate = torch.zeros((), device=device)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.long, device=device)
        self._offsets = torch.arange(min(recipe.batch_size, len(images)), device=device)

    def start_epoch(self, order: EpochOrder, rate: float) -> None:
        """Fill the static tensors for a new epoch."""
        for static, fresh in zip(self.order, order.tensors(), strict=True):
            static.copy_(fresh)
        self.rate.fill_(rate)
        for counter in (self.position, self.loss_sum, self.correct):
            counter.zero_()

    def update(self, size: int, loss_of: LossOf | None = None) -> None:
        """One update on the next ``size`` images, through `loss_and_logits` or an equivalent. Device work only."""
        here = self.position + self._offsets[:size]
        index, top, left, flip = (values[here] for values in self.order)
        images, labels = self.images.gather(index, top, left, flip), self.images.labels[index]
        loss, logits = (loss_of or loss_and_logits)(self.network.model, images, labels, self.precision)
        loss.backward()
        self.network.update(self.recipe, self.rate)
        with torch.no_grad():
            self.loss_sum += loss.detach() * size
            self.correct += (logits.detach().argmax(1) == labels).sum()
            self.position += size


class EagerStepper:
    """Every operation launched from Python: any device."""

    name = "eager"

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def step(self, size: int) -> None:
        self._batches.update(size)


class CompiledStepper:
    """Forward and backward through torch.compile, which fuses BatchNorm, ReLU and addition: a CPU with bfloat16.

    Only the full batch: one smaller batch an epoch is not worth compiling a second time.
    """

    name = "compiled"

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def step(self, size: int) -> None:
        full = size == self._batches.recipe.batch_size
        self._batches.update(size, _compiled_loss() if full else None)


class GraphStepper:
    """The whole update as one CUDA graph per batch size (a full batch, and the smaller last one)."""

    name = "cuda graph"

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._masked = batches.network.masked

    def step(self, size: int) -> None:
        if self._batches.network.masked != self._masked:  # a first pruning adds operations to the update
            self._graphs, self._masked = {}, self._batches.network.masked
        if size not in self._graphs:
            self._graphs[size] = self._capture(size)
        self._graphs[size].replay()

    def _capture(self, size: int) -> torch.cuda.CUDAGraph:
        """Warm up and capture without leaving a trace in weights, momentum, BatchNorm or sums."""
        batches = self._batches
        statics = [batches.network.weights, batches.network.momentum, batches.network.gradients]
        statics += [batches.position, batches.loss_sum, batches.correct, *batches.network.model.buffers()]
        before = [static.clone() for static in statics]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                batches.position.zero_()
                batches.update(size)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            batches.update(size)
        _restore(statics, before)
        return graph


def make_stepper(batches: Batches, images: int) -> Stepper:
    """The strategy for a Run that trains ``images`` images in all: CUDA graphs on CUDA, compiled on a CPU where
    that pays, else eager. It follows from the Run and the device, never from what ran before.

    A strategy that fails, or whose first steps disagree with eager ones, is refused aloud and eager taken.
    """
    strategy = _strategy(batches, images)
    if strategy is EagerStepper:
        return EagerStepper(batches)
    stepper = strategy(batches)
    known = (strategy.name, type(batches.network.model), len(batches.network.weights), batches.precision)
    if known in _trusted:
        return stepper
    try:
        difference = _disagreement(batches, stepper)
    except (RuntimeError, torch._dynamo.exc.TorchDynamoException) as error:
        why = str(error).partition("\n")[0]
        warnings.warn(f"strategy '{strategy.name}' failed, training eagerly instead: {why}", stacklevel=2)
        return EagerStepper(batches)
    if not difference < TOLERANCE[batches.precision]:
        warnings.warn(
            f"strategy '{strategy.name}' differs from eager steps by {difference:.1e}: training eagerly",
            stacklevel=2,
        )
        return EagerStepper(batches)
    _trusted.add(known)
    return stepper


def _strategy(batches: Batches, images: int) -> type[EagerStepper] | type[CompiledStepper] | type[GraphStepper]:
    if batches.images.images.device.type == "cuda":
        return GraphStepper
    # Compiling takes up to a minute a process, and wins nothing in float32 (docs/performance.md).
    pays = images >= COMPILE_FROM and batches.precision == torch.bfloat16
    return CompiledStepper if pays and shutil.which(os.environ.get("CXX", "g++")) else EagerStepper


def loss_and_logits(
    model: nn.Module, images: Tensor, labels: Tensor, precision: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Mean cross entropy (scalar) and logits float32 [N, classes]."""
    logits = forward(model, images, precision)
    return F.cross_entropy(logits, labels), logits


@functools.cache
def _compiled_loss() -> LossOf:
    # One compiled function for all Runs of a process: a network's tensors are its arguments, so the next Run's
    # fit as well.
    return torch.compile(loss_and_logits, dynamic=False)


def forward(model: nn.Module, images: Tensor, precision: torch.dtype) -> Tensor:
    """Logits float32 [N, classes]; convolutions in ``precision``, weights stay float32."""
    # Without the cast cache: a graph must cast anew at every replay, and a weight is used once a step.
    with torch.autocast(images.device.type, torch.bfloat16, precision == torch.bfloat16, cache_enabled=False):
        logits: Tensor = model(images).float()
    return logits


def _disagreement(batches: Batches, stepper: Stepper, steps: int = 2) -> float:
    """How far the weights end apart after a few steps, relative to the way they went; leaves no trace."""
    network, size = batches.network, len(batches._offsets)
    statics = [network.weights, network.momentum, network.gradients, batches.position, batches.loss_sum]
    statics += [batches.correct, batches.rate, *batches.order, *network.model.buffers()]
    before = [static.clone() for static in statics]
    ends = []
    try:
        for step in (stepper.step, batches.update):
            _restore(statics, before)
            batches.rate.fill_(0.01)
            for _ in range(steps):
                batches.position.zero_()
                step(size)
            ends.append(network.weights.clone())
    finally:  # also where a strategy fails on the way: training goes on eagerly from where it stood
        _restore(statics, before)
    return float((ends[0] - ends[1]).norm() / (ends[1] - before[0]).norm().clamp_min(1e-12))


def _restore(statics: list[Tensor], values: list[Tensor]) -> None:
    with torch.no_grad():
        for static, value in zip(statics, values, strict=True):
            static.copy_(value)
