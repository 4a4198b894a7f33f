"""Goes through a plan: waves in order, images onto the device, results into the store."""

from __future__ import annotations

import contextlib
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

TIMING = 0.2  # share of a time budget, after which no further strategy is timed
MARGIN = 1.3  # an epoch is begun only if the budget holds this many times what the last one took


@dataclass(frozen=True)
class SessionOptions:
    """``deadline`` is on `time.monotonic`'s clock, ``strategy`` and ``wave``, the number of Runs at a
    time (0: automatic), say how small images are trained on. After ``time_until``,
    on the same clock, no strategy is timed that was not timed yet (default: after a fifth of what is left)."""

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
    """Train what is missing, all ranks of ``group`` together.

    Raises `BudgetSpent` at the deadline, `RunFailed` after the last wave if a Run diverged, `MissingInput`
    for data that is not there or not the data that the plan was made for.
    """
    group = group or ranks.single_process(device.torch)
    for precision in {run.precision for run in plan.missing}:
        resolve_precision(precision, device)  # refuses now what the device does not have
    with store.lock() if group.is_main else contextlib.nullcontext():
        observer.started(plan, device.name)
        try:
            _Session(plan, store, device, group, observer, options).go_through(folders)
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
        grown = f"; {words.blocked(blocked)}" if blocked else ""
        raise RunFailed(f"{words.not_finite(failed)}{grown}")


class _Session:
    """Holds one data source at a time, the one that the next wave needs."""

    def __init__(
        self, plan: Plan, store: Store, device: Device, group: Ranks, observer: Observer, options: SessionOptions
    ) -> None:
        self._plan, self._store, self._device, self._group = plan, store, device, group
        self._observer, self._options = observer, options
        self._left = len(plan.missing)
        self._source: InMemoryData | StreamedData | None = None
        self._source_of: object = None
        self._waves: Waves | None = None

    def go_through(self, folders: Sequence[Path]) -> None:
        store = self._store
        try:
            for planned in self._plan.waves:
                ready = [run for run in planned if store.can_continue(run)]
                wave: list[Run] = self._group.broadcast_object(ready)
                self._left -= len(planned) - len(wave)
                if not wave:
                    continue
                source = self._source_for(wave[0].data, folders)
                if isinstance(source, StreamedData):
                    self._train_photographs(wave, source)
                else:
                    for finished in self._wave(wave):
                        self._finish(finished)
        finally:
            if self._source:
                self._source.close()

    def _source_for(self, wanted: Data, folders: Sequence[Path]) -> InMemoryData | StreamedData:
        of = wanted if isinstance(wanted, Photos) else (wanted.name, wanted.fingerprint)
        if self._source is None or of != self._source_of:
            if self._source:
                self._source.close()
            device, options = self._device, self._options
            self._source = open_data(wanted, folders, self._store.runs_dir, device, self._group)
            self._source_of = of
            self._waves = None
            if isinstance(self._source, InMemoryData):
                keep, observer = self._plan.keep, self._observer
                self._waves = Waves(self._source, self._store, keep, observer, self._has_time, options.deadline)
        return self._source

    def _wave(self, runs: list[Run]) -> Iterator[Finished]:
        """As many at a time as this device is fastest with, or as end within the time budget."""
        assert self._waves is not None
        options, store = self._options, self._store
        choice = self._choice(runs)
        lanes = options.wave or choice.lanes
        if lanes > 1:  # what is begun first, then the longest, so that the last to end end together
            left = {run.key: cost([run], store).images for run in runs}
            runs = sorted(runs, key=lambda run: (not store.progress(run), -left[run.key]))
            if not options.wave:
                speed = choice.speed_of if choice.speeds else None
                lanes = lanes_for([left[run.key] for run in runs], lanes, speed, self._seconds_left())
        lanes = min(lanes, len(runs))
        names = choice.names_at(lanes) if options.strategy == "auto" else [options.strategy]
        return self._waves.train(runs, names, lanes)

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
        """Of the time budget; None without one."""
        return None if self._options.deadline is None else self._options.deadline - time.monotonic()

    def _train_photographs(self, runs: list[Run], source: StreamedData) -> None:
        """One after another, each lock held by rank 0: a worker that outlived its driver may still train it. A
        signal ends a Run once its state or Record is kept."""
        from repro.engine.train import train  # seconds of imports, only for those who need them

        store = self._store
        for run in runs:
            self._observer.run_started(run)
            known = store.record(run)  # trained again for its checkpoints
            lock = store.run_lock(run, self._options.deadline) if self._group.is_main else contextlib.nullcontext()
            with lock, signals.deferred() as pending:
                record = store.record(run) if self._group.count == 1 and not known else None
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
