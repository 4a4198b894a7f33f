"""Ways to take all lanes of a wave through steps. Nobody can say beforehand which is fastest; `calibration.py`
measures.

A strategy that fails, or whose first steps disagree with the plain loop's, is refused aloud and the next taken.
"""

from __future__ import annotations

import functools
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from repro.engine.lanes import EVAL_BATCH, Lane, Lanes
from repro.engine.strategies.batched import Batched
from repro.engine.strategies.eager import Compiled, Eager, EagerFloat32
from repro.engine.strategies.fused import Fused
from repro.engine.strategies.graphs import Streams, restore
from repro.errors import ReproError, one_line

# What rounding explains over two steps (measured: docs/performance.md), with room.
TOLERANCE = {torch.float32: 5e-2, torch.bfloat16: 0.25}
# How much farther than eager steps in bfloat16 others may be from float32: deep networks round to more than that.
AS_GOOD = 1.3
CHECKED = 2  # steps
_trusted: set[tuple[object, ...]] = set()


class Strategy(Protocol):
    """Trains lanes; their tensors hold the outcome. May return before the device is done."""

    name: str

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        """``steps`` updates of each lane of ``group``, on ``size`` images each."""

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        """`Lane.evaluate_batch` for each lane of ``group``."""


STRATEGIES: dict[str, Callable[[Lanes], Strategy]] = {
    "eager": Eager,
    "compiled": Compiled,
    "batched": Batched,
    "batched, compiled": functools.partial(Batched, fused=True),
    "streams": Streams,
    "streams, compiled": functools.partial(Streams, fused=True),
    "fused": Fused,
}
"""By name."""
ONE_BY_ONE = (Eager.name, Compiled.name)
"""Strategies that take one lane after another: more lanes are as fast as one."""


def available(device: torch.device, compiled: bool) -> list[str]:
    """The strategies that can be tried on ``device``, simplest first; ``compiled`` ones only where asked for and
    where there is a C++ compiler, since they take a minute to begin."""
    names = ["streams", "batched", "fused"] if device.type == "cuda" else ["eager", "batched"]
    if compiled and shutil.which(os.environ.get("CXX", "g++")):
        names += ["streams, compiled", "batched, compiled"] if device.type == "cuda" else ["compiled"]
    return names


def first_valid(names: Sequence[str], lanes: Lanes, group: Sequence[Lane]) -> Strategy:
    """The first of ``names`` that agrees with the plain loop, or that loop. ``group``'s epochs have begun."""
    for name in names:
        if name == Eager.name:
            break
        known = (name, lanes.arch, len(lanes), lanes.precision, lanes.recipe.batch_size, lanes.device)
        try:
            strategy = STRATEGIES[name](lanes)
            why = "" if known in _trusted else compare_with_eager(strategy, lanes, group)
        except ReproError:
            raise
        except Exception as error:  # from torch.compile anything: a cache that cannot be written is an assertion
            why = f"failed: {one_line(error)}"
        if not why:
            _trusted.add(known)
            return strategy
        warnings.warn(f"strategy '{name}' {why}; the next is taken", stacklevel=2)
    return Eager(lanes)


def compare_with_eager(strategy: Strategy, lanes: Lanes, group: Sequence[Lane]) -> str:
    """What speaks against ``strategy``, or nothing: how far the weights end apart after a few steps, relative to
    the way they went, and whether it counts right answers as the plain loop does. Where they end farther apart
    than rounding explains in a shallow network, float32 steps decide: in bfloat16 a strategy may be as far from
    these as eager steps are, and a little. Leaves no trace."""
    size, evaluated = lanes.recipe.batch_size, min(EVAL_BATCH, *(lane.eval_size for lane in group))
    size = min(size, *(lane.epoch_size for lane in group))
    touched = [tensor for lane in group for tensor in (*lane.touched(), lane.rate)]
    before = [tensor.clone() for tensor in touched]
    start = lanes.rows.weights.clone()

    def steps(one: Strategy) -> tuple[Tensor, list[int]]:
        restore(touched, before)
        for lane in group:
            lane.rate.fill_(0.01)
        for _ in range(CHECKED):
            for lane in group:
                lane.position.zero_()
            one.train(group, 1, size)
        for lane in group:
            lane.start_evaluation()
        end = lanes.rows.weights.clone()
        one.evaluate_batch(group, evaluated)
        return end, [int(lane.eval_correct) for lane in group]

    def apart(a: Tensor, b: Tensor) -> list[float]:
        """Of each lane of ``group``, relative to the way to ``b``."""
        ways = zip((a - b).unbind(), (b - start).unbind(), strict=True)
        far = [float(difference.norm() / way.norm().clamp_min(1e-12)) for difference, way in ways]
        return [far[lane.number] for lane in group]

    tolerance = TOLERANCE[lanes.precision]
    try:
        (ours, counts), (eager, eager_counts) = steps(strategy), steps(Eager(lanes))
        if not (off := max(apart(ours, eager))) < tolerance:
            said = f"differs from eager steps by {off:.1e}"
            if lanes.precision == torch.float32:
                return said
            exact, _ = steps(EagerFloat32(lanes))
            pairs = list(zip(apart(ours, exact), apart(eager, exact), strict=True))
            if not all(mine < AS_GOOD * theirs for mine, theirs in pairs):
                mine, theirs = max(pairs, key=lambda pair: pair[0] / pair[1])
                return f"{said}, and from float32 steps by {mine:.1e}, where eager ones do by {theirs:.1e}"
    finally:  # also where a strategy fails on the way: the next goes on from where it stood
        restore(touched, before)
    wrong = max(abs(a - b) for a, b in zip(counts, eager_counts, strict=True)) / evaluated
    return f"evaluates {wrong:.0%} of the images otherwise than eager" if wrong > tolerance else ""
