"""Trains a plan in this process: its waves in order, their results into the store."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repro import signals, words
from repro.engine import calibration, ranks
from repro.engine.data_source import InMemoryData, StreamedData, open_data
from repro.engine.device import Device, choose, resolve_precision
from repro.engine.events import Observer, OutOfTime
from repro.engine.ranks import Ranks
from repro.engine.speeds import Choice
from repro.engine.wave import Finished, Waves
from repro.errors import BudgetSpent, RunFailed, UsageError
from repro.plan import Plan, cost, diverged, lanes_for
from repro.run import Data, Photos, Run
from repro.store import Store

TIMING = 0.2  # fraction of a time budget in which strategies may be timed
MARGIN = 1.3  # an epoch starts only if this many times the last one's time is left


@dataclass(frozen=True)
class SessionOptions:
    """How to train; times are on `time.monotonic`'s clock.

    Args:
        deadline: when the time budget ends.
        strategy: for small images, or ``auto``.
        wave: Runs on small images at a time, 0 for the fastest number.
        time_until: when no measurement of strategies begins any more (default: after a fifth of the budget).
    """

    deadline: float | None = None
    strategy: str = "auto"
    wave: int = 0
    time_until: float | None = None


@contextlib.contextmanager
def trainer(
    store: Store, folders: Sequence[Path], device: str, observer: Callable[[], Observer], options: SessionOptions
) -> Iterator[Callable[[Plan | None], bool]]:
    """Yield a function that trains a plan in this process, together with its other ranks, and returns False where
    rank 0 has none. It raises what `execute` raises, and `UsageError` for Runs that only one process can train.

    Args:
        folders: where data sets are looked for.
        device: ``auto``, ``cpu`` or ``cuda``.
        observer: makes an observer for each plan.
    """
    chosen = choose(device)
    with ranks.process_group(chosen) as group:

        def train(plan: Plan | None) -> bool:
            if plan := _broadcast(plan, group):
                execute(plan, store, folders, chosen, observer(), options, group)
            return plan is not None

        yield train


def execute(
    plan: Plan,
    store: Store,
    folders: Sequence[Path],
    device: Device,
    observer: Observer,
    options: SessionOptions,
    group: Ranks | None = None,
) -> None:
    """Train the missing Runs of ``plan``, all ranks of ``group`` together.

    Raises `BudgetSpent` at the deadline, `RunFailed` after the last wave if a Run diverged, `MissingInput` if data
    is absent or has changed since the plan was made.
    """
    group = group or ranks.single_process(device.torch)
    for precision in {run.precision for run in plan.missing}:
        resolve_precision(precision, device)  # raises before anything is trained
    with store.lock() if group.is_main else contextlib.nullcontext():
        observer.started(plan, device.name)
        try:
            _Session(plan, store, device, group, observer, options).train(folders)
        except OutOfTime:
            missing = [run for run in plan.missing if store.record(run) is None]
            rest = cost(missing, store)
            raise BudgetSpent(words.budget_spent(rest.runs, rest.epochs)) from None
        finally:
            observer.ended()
    if not group.is_main:
        return
    failed = [run.label for run in plan.runs if diverged(store, run)]
    if failed:
        blocked = sum(store.record(run) is None for run in (*plan.missing, *plan.blocked))
        raise RunFailed(words.not_finite(failed) + (f"; {words.blocked(blocked)}" if blocked else ""))


class _Session:
    def __init__(
        self, plan: Plan, store: Store, device: Device, group: Ranks, observer: Observer, options: SessionOptions
    ) -> None:
        self._plan, self._store, self._device, self._group = plan, store, device, group
        self._observer, self._options = observer, options
        self._left = len(plan.missing)

    def train(self, folders: Sequence[Path]) -> None:
        """Train the waves in order; those that share a data set, one after another, open it once."""
        for _, planned in itertools.groupby(self._plan.waves, lambda wave: _source_of(wave[0].data)):
            source: InMemoryData | StreamedData | None = None
            for wave in planned:
                ready = self._group.broadcast_object([run for run in wave if self._store.can_continue(run)])
                self._left -= len(wave) - len(ready)
                if not ready:
                    continue
                if source is None:
                    source = open_data(wave[0].data, folders, self._store.runs_dir, self._device, self._group)
                    waves = self._waves_on(source) if isinstance(source, InMemoryData) else None
                if isinstance(source, StreamedData):
                    self._train_photographs(ready, source)
                elif waves:
                    self._train_wave(ready, waves)

    def _waves_on(self, source: InMemoryData) -> Waves:
        keep, observer, deadline = self._plan.keep, self._observer, self._options.deadline
        return Waves(source, self._store, keep, observer, self._has_time, deadline)

    def _train_wave(self, runs: list[Run], waves: Waves) -> None:
        """Train as many ``runs`` at a time as this device is fastest with, or as end within the time budget."""
        options, store = self._options, self._store
        choice = self._choice(runs)
        lanes = options.wave or choice.lanes
        if lanes > 1:  # first those that were begun, then the longest, so that the last ones end together
            left = {run.key: cost([run], store).images for run in runs}
            runs = sorted(runs, key=lambda run: (not store.progress(run), -left[run.key]))
            seconds = self._seconds_left()
            if not options.wave and choice.speeds and seconds is not None:
                images = [left[run.key] for run in runs]
                lanes = lanes_for(images, min(lanes, len(runs)), choice.speed_of, seconds)
        lanes = min(lanes, len(runs))
        names = choice.names_at(lanes) if options.strategy == "auto" else [options.strategy]
        for finished in waves.train(runs, names, lanes):
            self._finish(finished)

    def _choice(self, runs: list[Run]) -> Choice:
        if self._options.strategy != "auto" and self._options.wave:
            return Choice()
        first = max(runs, key=lambda run: run.epochs * run.data.train)
        images = cost([run for run in self._plan.missing if run.arch == first.arch], self._store).images
        cache = self._store.runs_dir / calibration.CACHE
        until, seconds = self._options.time_until, self._seconds_left()
        if until is None:
            until = math.inf if seconds is None else time.monotonic() + TIMING * seconds
        return calibration.choose(first, self._device, cache, images, self._observer.measuring, until)

    def _seconds_left(self) -> float | None:
        """What is left of the time budget; None without one."""
        return None if self._options.deadline is None else self._options.deadline - time.monotonic()

    def _train_photographs(self, runs: list[Run], source: StreamedData) -> None:
        """Train ``runs`` one after another. A signal takes effect once the Run's state or Record is saved."""
        from repro.engine.train import train  # seconds of imports, only for those who need them

        store = self._store
        for run in runs:
            self._observer.run_started(run)
            before = store.record(run)  # trained again for its checkpoints
            lock = store.run_lock(run, self._options.deadline) if self._group.is_main else contextlib.nullcontext()
            with lock, signals.deferred() as pending:
                # By now a worker that outlived its driver may have trained it.
                record = store.record(run) if self._group.count == 1 and not before else None
                keep = self._plan.keep.get(run.key, set())
                record = record or train(run, source, store, keep, self._observer, self._has_time, pending)
                self._finish([(run, record)])

    def _finish(self, finished: Finished) -> None:
        if self._group.is_main:
            self._store.finish_all(finished)
        for run, record in finished:
            self._left -= 1
            self._observer.run_done(run, record, self._left)

    def _has_time(self, seconds: float) -> bool:
        deadline = self._options.deadline
        return deadline is None or time.monotonic() + MARGIN * seconds < deadline


def _broadcast(plan: Plan | None, group: Ranks) -> Plan | None:
    """Rank 0's plan on all ranks: another rank may have read the store while it was written to.

    Raises `UsageError` for Runs that only one process can train.
    """
    plan = group.broadcast_object(plan)
    if plan is not None and group.count > 1:
        small = [run.label for run in plan.missing if not isinstance(run.data, Photos)]
        if small:
            others = f" and {len(small) - 1} others" if small[1:] else ""
            raise UsageError(f"{small[0]}{others} train on one GPU: run the same command without torchrun first")
    return plan


def _source_of(data: Data) -> object:
    """What two Runs have to agree in to share a data source."""
    return data if isinstance(data, Photos) else (data.name, data.fingerprint)
