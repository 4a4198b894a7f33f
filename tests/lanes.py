"""Small waves that several test modules train: a few lanes on synthetic images, on a CPU or on CUDA."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.config import params
from repro.config.recipe import Recipe
from repro.data import synthetic
from repro.data.images import Images
from repro.engine import device as devices
from repro.engine.data_source import InMemoryData
from repro.engine.events import EpochReport, Observer, StepReport
from repro.engine.lanes import Lanes
from repro.engine.strategies import Strategy
from repro.engine.wave import Waves
from repro.experiments import Study
from repro.record import Record
from repro.run import Data, Run
from repro.store import Store

ROOT = Path(__file__).resolve().parent.parent
FAST = devices.fast_bfloat16(devices.Device(torch.device("cpu"), "the processor"))
BOTH_PRECISIONS = pytest.mark.parametrize(
    "precision",
    [torch.float32, pytest.param(torch.bfloat16, marks=() if FAST else pytest.mark.slow)],
)
"""bfloat16 on demand where the processor emulates it, ten times slower."""
QUIET = Observer()
SIZES = [(256, "true"), (192, "true"), (64, "random-1"), (100, "random-2")]
"""What the lanes of `started` train on: images and labels. On true ones they are tested on `TESTED` others."""
TESTED = 40


class Reports(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.epochs: list[EpochReport] = []
        self.steps: list[StepReport] = []

    def epoch_done(self, report: EpochReport) -> None:
        self.epochs.append(report)

    def step_done(self, report: StepReport) -> None:
        self.steps.append(report)


@functools.cache
def images() -> Images:
    return synthetic.generate()


@functools.cache
def bench(device: str = "cpu") -> InMemoryData:
    return InMemoryData(images(), devices.choose(device))


def study(changes: dict[str, Any] | None = None) -> Study:
    """The smoke profile with dotted ``changes``; in float32 and batches of 32 unless otherwise asked."""
    changed = {"precision": "float32", "recipe.batch_size": 32} | (changes or {})
    return Study(params.settings(ROOT / "params.yaml", "smoke", changed), synthetic.FINGERPRINT)


def recipe() -> Recipe:
    """That of `study`."""
    return study().settings.profile.recipe


def started(count: int, precision: torch.dtype = torch.float32, device: str = "cpu", rate: float = 0.05) -> Lanes:
    """``count`` lanes at the start of an epoch: networks of different seeds, every second one pruned, on different
    numbers of images and labels."""
    lanes = Lanes("resnet20", count, bench(device), recipe(), precision)
    for lane, (size, labels) in zip(lanes.all, SIZES, strict=False):
        subset = bench(device).subset(Data("synthetic", size, size if labels != "true" else TESTED, "", labels))
        lane.network.reset(lane.number)
        if lane.number % 2:
            lane.network.prune(0.8)
        lane.enter(subset)
        lane.start_epoch(subset.draw_epoch(f"test {lane.number}", 0, True), rate)
    return lanes


def data(size: int, labels: str = "true") -> Data:
    """``size`` synthetic images to train on, and to be tested on."""
    return Data("synthetic", size, size, "", labels)


def trained(
    strategy: type[Strategy], count: int, steps: int, precision: torch.dtype, device: str = "cpu"
) -> Tensor:
    """The lanes' weights after ``steps`` updates on 32 images, float32 [count, weights]."""
    lanes = started(count, precision, device, rate=0.01)
    strategy(lanes).train(lanes.all, steps, 32)  # type: ignore[call-arg]
    return lanes.rows.weights.clone()


def apart(first: Tensor, second: Tensor, start: Tensor) -> list[float]:
    """How far two ends are apart, relative to the way from ``start``, lane by lane."""
    ways = zip((first - second).unbind(), (second - start).unbind(), strict=True)
    return [float(difference.norm() / way.norm()) for difference, way in ways]


def train_all(
    runs: Sequence[Run],
    store: Store,
    count: int = 1,
    names: Sequence[str] = ("eager",),
    device: str = "cpu",
    keep: dict[str, set[int]] | None = None,
    observer: Observer = QUIET,
    has_time: object = lambda seconds: True,
) -> dict[str, Record]:
    """Train ``runs`` in waves of ``count`` and keep what they come to in ``store``; Records by label."""
    waves = Waves(bench(device), store, keep or {}, observer, has_time)  # type: ignore[arg-type]
    found: dict[str, Record] = {}
    for finished in waves.train(runs, names, count):
        store.finish(finished)
        found |= {run.label: record for run, record in finished}
    return found


def outcome(record: Record) -> tuple[object, ...]:
    """What a Run came to, without where and when."""
    return (
        record.status,
        record.top1,
        record.best_top1,
        record.curve,
        record.start,
        record.probe,
        record.checkpoints,
    )
