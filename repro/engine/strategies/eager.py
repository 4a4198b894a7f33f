"""Lanes one after another, every operation launched from Python: works on any device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch

from repro.engine.lanes import Lane, Lanes, LossOf, loss_and_logits


class Eager:
    """The plain loop, with which every other strategy is compared. ``fused`` as in `step_of`."""

    def __init__(self, lanes: Lanes, fused: bool = False) -> None:
        self.name = "compiled" if fused else "eager"
        self._step = step_of(lanes, fused)

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        for lane in group:
            for _ in range(steps):
                self._step(lane, size)

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        for lane in group:
            lane.evaluate_batch(size)


def step_of(lanes: Lanes, fused: bool) -> Callable[[Lane, int], None]:
    """One step of a lane on so many images. With ``fused``, forward and backward are by torch.compile, which fuses
    BatchNorm, ReLU and addition, in whole batches: a smaller one an epoch is not worth another compilation."""
    full = lanes.recipe.batch_size

    def step(lane: Lane, size: int) -> None:
        lane.update(size, compiled(loss_and_logits) if fused and size == full else None)

    return step


@functools.cache
def compiled(function: LossOf) -> LossOf:
    """``function`` compiled once for all lanes, since a network's tensors are its arguments."""
    return torch.compile(function, dynamic=False)
