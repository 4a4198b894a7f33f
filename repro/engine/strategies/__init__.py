"""Strategies: ways to take steps in all lanes of a wave; `calibration.py` measures which is fastest.

A strategy that fails, or whose first steps differ from eager ones, is rejected with a warning, and the next used.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from repro.engine.lanes import EVAL_BATCH, Lane, Lanes
from repro.engine.speeds import EAGER
from repro.engine.strategies.fused import Fused
from repro.engine.strategies.lane_by_lane import Eager, Streams, restore
from repro.errors import ReproError, one_line

# Differences over two steps that rounding explains (measured: docs/performance.md), with a margin.
TOLERANCE = {torch.float32: 5e-2, torch.bfloat16: 0.25}
# How many times farther from float32 steps than eager bfloat16 steps are: for deep networks, which exceed that.
AS_GOOD = 1.3
CHECKED = 2  # steps
_trusted: set[tuple[object, ...]] = set()


class Strategy(Protocol):
    """Trains lanes; the result is in their tensors. Calls may return before the device is done."""

    name: str

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        """Take ``steps`` steps in each lane of ``group``, on ``size`` images each."""

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        """Call `Lane.evaluate_batch` for each lane of ``group``."""


STRATEGIES: dict[str, Callable[[Lanes], Strategy]] = {
    "eager": Eager,
    "compiled": functools.partial(Eager, compiled=True),
    "streams": Streams,
    "streams, compiled": functools.partial(Streams, compiled=True),
    "fused": Fused,
}
"""By name."""
ONE_BY_ONE = ("eager", "compiled")
"""Strategies that step one lane after another, so that more lanes are no faster."""


def available(device: torch.device, compiled: bool) -> list[str]:
    """Return the strategies for ``device``, simplest first. Those with torch.compile, which take a minute to
    start, only if ``compiled`` and if there is a C++ compiler."""
    names = ["streams", "fused"] if device.type == "cuda" else ["eager"]
    if compiled and shutil.which(os.environ.get("CXX", "g++")):
        names += ["streams, compiled"] if device.type == "cuda" else ["compiled"]
    return names


def first_valid(names: Sequence[str], lanes: Lanes, group: Sequence[Lane]) -> Strategy:
    """Return the first strategy of ``names`` that is valid (`checked`), else eager; a warning names each other."""
    for name in names:
        try:
            return checked(name, lanes, group)
        except RuntimeError as error:
            warnings.warn(f"{error}; the next one is used", stacklevel=2)
    return Eager(lanes)


def checked(name: str, lanes: Lanes, group: Sequence[Lane]) -> Strategy:
    """Return the strategy ``name``. Raises `RuntimeError` if it fails or its first steps differ from eager ones.
    The lanes of ``group`` are at the start of an epoch."""
    known = (name, lanes.arch, len(lanes), lanes.precision, lanes.recipe.batch_size, lanes.device)
    try:
        strategy = STRATEGIES[name](lanes)
        why = "" if name == EAGER or known in _trusted else compare_with_eager(strategy, lanes, group)
    except ReproError:
        raise
    except Exception as error:  # from torch.compile anything: a cache that cannot be written is an assertion
        why = f"failed: {one_line(error)}"
    if why:
        raise RuntimeError(f"strategy '{name}' {why}")
    _trusted.add(known)
    return strategy


def compare_with_eager(strategy: Strategy, lanes: Lanes, group: Sequence[Lane]) -> str:
    """Return why ``strategy`` is rejected, or an empty string. Leaves all tensors as they were.

    Compares the weights after two steps, by their distance relative to the length of the eager steps, and the
    correct answers of an evaluation. If in bfloat16 the distance exceeds `TOLERANCE`, float32 steps decide: the
    strategy may be `AS_GOOD` times as far from them as eager steps are.
    """
    size = min(lanes.recipe.batch_size, *(lane.epoch_size for lane in group))
    evaluated = min(EVAL_BATCH, *(lane.eval_size for lane in group))
    touched = [tensor for lane in group for tensor in (*lane.touched(), lane.rate)]
    before = [tensor.clone() for tensor in touched]
    start, numbers = lanes.rows.weights.clone(), [lane.number for lane in group]

    def weights_and_correct(tried: Strategy) -> tuple[Tensor, Tensor]:
        restore(touched, before)
        for lane in group:
            lane.rate.fill_(0.01)
        for _ in range(CHECKED):
            for lane in group:
                lane.position.zero_()
            tried.train(group, 1, size)
        for lane in group:
            lane.start_evaluation()
        end = lanes.rows.weights.clone()
        tried.evaluate_batch(group, evaluated)
        return end, lanes.eval_correct[numbers]

    def distances(a: Tensor, b: Tensor) -> Tensor:
        """Of each lane of ``group``, relative to the distance from the start to ``b``."""
        relative: Tensor = (a - b).norm(dim=1) / (b - start).norm(dim=1).clamp_min(1e-12)
        return relative[numbers]

    tolerance = TOLERANCE[lanes.precision]
    try:
        (ours, counts), (eager, eager_counts) = weights_and_correct(strategy), weights_and_correct(Eager(lanes))
        if not (off := distances(ours, eager).max()) < tolerance:
            why = f"differs from eager steps by {off:.1e}"
            if lanes.precision == torch.float32:
                return why
            with contextlib.ExitStack() as stack:
                for lane in group:
                    stack.enter_context(lane.in_float32())
                exact, _ = weights_and_correct(Eager(lanes))
            mine, theirs = distances(ours, exact), distances(eager, exact)
            if not (mine < AS_GOOD * theirs).all():
                worst = int((mine / theirs).argmax())
                own, other = float(mine[worst]), float(theirs[worst])
                return f"{why}, and from float32 steps by {own:.1e}, where eager ones do by {other:.1e}"
    finally:  # also if the strategy fails: the next one starts from the same tensors
        restore(touched, before)
    wrong = float((counts - eager_counts).abs().max()) / evaluated
    return f"evaluates {wrong:.0%} of the images otherwise than eager" if wrong > tolerance else ""
