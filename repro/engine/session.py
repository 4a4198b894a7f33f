"""Goes through a plan: waves in order, images onto the device, results into the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from repro import data
from repro.data.batches import DeviceImages, random_labels
from repro.data.images import Images
from repro.engine.device import Device
from repro.engine.train import Bench, EpochReport, OutOfTime
from repro.engine.wave import train_wave
from repro.errors import BudgetSpent, MissingInput, RunFailed
from repro.plan import Plan, cost, diverged
from repro.record import Record
from repro.run import Data, Run
from repro.store import Store

MARGIN = 1.3  # an epoch is begun only if the budget holds this many times what the last one took


class Observer(Protocol):
    """Hears how the work goes; the engine itself prints nothing."""

    def started(self, plan: Plan, device: str) -> None:
        """Before the first wave."""

    def run_started(self, run: Run) -> None:
        """Before the first epoch of every Run."""

    def epoch_done(self, report: EpochReport) -> None:
        """After every epoch."""

    def run_done(self, run: Run, record: Record, left: int) -> None:
        """After every Run; ``left`` Runs remain."""

    def ended(self) -> None:
        """When nothing more comes, whatever the reason."""


def execute(
    plan: Plan,
    store: Store,
    folders: Sequence[Path],
    device: Device,
    observer: Observer,
    deadline: float | None,
) -> None:
    """Train what is missing. ``deadline`` is on `time.monotonic`'s clock.

    Raises `BudgetSpent` at the deadline, `RunFailed` after the last wave if a Run diverged, `MissingInput`
    for data that is not there or not the data that the plan was made for.
    """
    left = len(plan.missing)
    bench, bench_of = None, None  # of one data set at a time: memorization needs many

    def has_time(last_epoch: float) -> bool:
        return deadline is None or time.monotonic() + MARGIN * last_epoch < deadline

    with store.lock():
        observer.started(plan, device.name)
        try:
            for planned in plan.waves:
                wave = [run for run in planned if all(store.has_checkpoint(p.run, p.epoch) for p in run.parents)]
                left -= len(planned) - len(wave)
                if not wave:
                    continue
                wanted = wave[0].data
                if bench is None or wanted != bench_of:
                    bench, bench_of = _bench(wanted, folders, device), wanted
                for run, record in train_wave(
                    wave, bench, store, plan.keep, observer.run_started, observer.epoch_done, has_time
                ):
                    left -= 1
                    store.finish(run, record)
                    observer.run_done(run, record, left)
        except OutOfTime:
            rest = cost([run for run in plan.missing if store.record(run) is None], store)
            raise BudgetSpent(
                f"time budget spent: {left} Runs ({rest.epochs:,} epochs) are left; the same command goes on"
            ) from None
        finally:
            observer.ended()
    failed = [run.label for run in plan.runs if diverged(store, run)]
    if failed:
        blocked = sum(store.record(run) is None for run in (*plan.missing, *plan.blocked))
        grown = f"; {blocked} Runs that grow from them could not be trained" if blocked else ""
        raise RunFailed(f"the loss of {len(failed)} Runs was not finite: {', '.join(failed)}{grown}")


def _bench(wanted: Data, folders: Sequence[Path], device: Device) -> Bench:
    images = data.load(wanted.name, folders)
    if images.fingerprint != wanted.fingerprint:
        raise MissingInput(f"{images.source} changed while planning: its fingerprint is {images.fingerprint}")
    return make_bench(images, wanted, device)


def make_bench(images: Images, wanted: Data, device: Device) -> Bench:
    """The part of ``images`` that ``wanted`` asks for, on the device. With random labels both splits are one."""
    place = device.torch
    if wanted.labels != "true":
        examples = images.train.first(wanted.train)
        labels = random_labels(wanted.labels, wanted.train)
        shown = DeviceImages(examples, images.statistics, place, labels)
        return Bench(device, shown, shown, f"{images.source}, labels {wanted.labels}")
    parts = (images.train.first(wanted.train), images.test.first(wanted.test))
    train, test = (DeviceImages(part, images.statistics, place) for part in parts)
    return Bench(device, train, test, images.source)
