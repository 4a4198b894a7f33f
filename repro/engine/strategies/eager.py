"""Lanes one after another, every operation launched from Python: works on any device."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence

import torch

from repro.engine.lanes import Lane, Lanes, LossOf, loss_and_logits


class Eager:
    """The plain loop, with which every other strategy is compared."""

    name = "eager"

    def __init__(self, lanes: Lanes) -> None:
        pass

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        for lane in group:
            for _ in range(steps):
                lane.update(size)

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        for lane in group:
            lane.evaluate_batch(size)


class EagerFloat32(Eager):
    """Eager steps in float32, whatever the lanes' precision, by which the rounding of others is judged."""

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        with contextlib.ExitStack() as stack:
            for lane in group:
                stack.enter_context(lane.in_float32())
            super().train(group, steps, size)


class Compiled(Eager):
    """Forward and backward by torch.compile, which fuses BatchNorm, ReLU and addition.

    Only for whole batches: one smaller batch an epoch is not worth a second compilation.
    """

    name = "compiled"

    def __init__(self, lanes: Lanes) -> None:
        self._full = lanes.recipe.batch_size

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        for lane in group:
            for _ in range(steps):
                lane.update(size, compiled(loss_and_logits) if size == self._full else None)


@functools.cache
def compiled(function: LossOf) -> LossOf:
    """``function`` compiled once for all lanes, since a network's tensors are its arguments."""
    return torch.compile(function, dynamic=False)
