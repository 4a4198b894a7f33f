"""One update of one network: forward, backward, Eq. 1. Eager, or captured once in a CUDA graph and replayed.

Both go through the same function on the same static tensors, with the position in the epoch and the
learning rate on the device, so that a replay needs nothing from Python.
"""

from __future__ import annotations

import warnings
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from repro.data.batches import DeviceImages, EpochOrder
from repro.engine.network import Network
from repro.params import Recipe

WARM_UP_STEPS = 3  # cuDNN and cuBLAS set themselves up before a capture


class Stepper(Protocol):
    """Trains one epoch; the network's flat tensors hold the outcome."""

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

    def update(self, size: int) -> None:
        """One update on the next ``size`` images. Device work only."""
        here = self.position + self._offsets[:size]
        index, top, left, flip = (values[here] for values in self.order)
        images, labels = self.images.gather(index, top, left, flip), self.images.labels[index]
        logits = forward(self.network, images, self.precision)
        loss = F.cross_entropy(logits, labels)
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
        for static, value in zip(statics, before, strict=True):
            static.copy_(value)
        return graph


def make_stepper(batches: Batches) -> EagerStepper | GraphStepper:
    """CUDA graphs on CUDA, checked against eager steps on the spot; eager elsewhere.

    Where the capture fails or its first steps disagree with eager ones, that is said and eager is taken.
    """
    if batches.images.images.device.type != "cuda":
        return EagerStepper(batches)
    graph = GraphStepper(batches)
    try:
        difference = _disagreement(batches, graph)
    except RuntimeError as error:
        warnings.warn(f"CUDA graph capture failed, training eagerly instead: {error}", stacklevel=2)
        return EagerStepper(batches)
    if difference > 1e-2:
        warnings.warn(
            f"CUDA graph steps differ from eager ones by {difference:.1e}: training eagerly", stacklevel=2
        )
        return EagerStepper(batches)
    return graph


def forward(network: Network, images: Tensor, precision: torch.dtype) -> Tensor:
    """Logits float32 [N, classes]; convolutions in ``precision``, weights stay float32."""
    # Without the cast cache: a graph must cast anew at every replay, and a weight is used once a step.
    with torch.autocast(images.device.type, torch.bfloat16, precision == torch.bfloat16, cache_enabled=False):
        logits: Tensor = network.model(images).float()
    return logits


def _disagreement(batches: Batches, graph: GraphStepper, steps: int = 2) -> float:
    """Largest relative difference of the weights after a few steps, eager against graph; leaves no trace."""
    network, size = batches.network, len(batches._offsets)
    statics = [network.weights, network.momentum, network.gradients, batches.position, batches.loss_sum]
    statics += [batches.correct, batches.rate, *batches.order, *network.model.buffers()]
    before = [static.clone() for static in statics]
    ends = []
    for step in (graph.step, batches.update):
        for static, value in zip(statics, before, strict=True):
            static.copy_(value)
        batches.rate.fill_(0.01)
        for _ in range(steps):
            batches.position.zero_()
            step(size)
        ends.append(network.weights.clone())
    for static, value in zip(statics, before, strict=True):
        static.copy_(value)
    return float((ends[0] - ends[1]).norm() / (ends[1] - before[0]).norm().clamp_min(1e-12))
