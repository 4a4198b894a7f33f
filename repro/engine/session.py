"""Trains a plan in this process: its waves in order, their results into the store."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repro import signals
from repro.engine import calibration
from repro.engine.data_source import open_images, open_photos
from repro.engine.device import Device, choose, resolve_precision
from repro.engine.events import Observer, OutOfTime
from repro.engine.ranks import Ranks, process_group
from repro.engine.speeds import Choice
from repro.engine.wave import Finished, Waves
from repro.errors import UsageError
from repro.plan import Plan, budget_spent, check_trained, cost, lanes_for
from repro.run import Photos, Run
from repro.store import Store
from repro.words import counted

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
    rank 0 has none. It raises what `Session.execute` raises, and `UsageError` for Runs of one process.

    Args:
        folders: where data sets are looked for.
        device: ``auto``, ``cpu`` or ``cuda``.
        observer: makes an observer for each plan.
    """
    chosen = choose(device)
    with process_group(chosen) as group:

        def train(plan: Plan | None) -> bool:
            plan = group.broadcast_object(plan)  # another rank may have read the store while it was written to
            if plan is None:
                return False
            small = [run.label for run in plan.missing if not isinstance(run.data, Photos)]
            if small and group.count > 1:
                others = f" and {counted(len(small) - 1, 'other')}" if small[1:] else ""
                raise UsageError(
                    f"{small[0]}{others} train on one GPU: run the same command without torchrun first"
                )
            Session(store, folders, chosen, observer(), options, group).execute(plan)
            return True

        yield train


@dataclass
class Session:
    """Trains plans on ``device``, all ranks of ``group`` (default: one process) together."""

    store: Store
    folders: Sequence[Path]
    device: Device
    observer: Observer
    options: SessionOptions
    group: Ranks | None = None

    def execute(self, plan: Plan) -> None:
        """Train the missing Runs of ``plan``.

        Raises `BudgetSpent` at the deadline, `RunFailed` after the last wave if a Run diverged, `MissingInput` if
        data is absent or has changed since the plan was made.
        """
        for precision in {run.precision for run in plan.missing}:
            resolve_precision(precision, self.device)  # raises before anything is trained
        store, self._group = self.store, self.group or Ranks(self.device.torch)
        self._plan, self._left = plan, len(plan.missing)  # Runs that are not finished
        with store.lock() if self._group.is_main else contextlib.nullcontext():
            self.observer.started(plan, self.device.name)
            try:
                self._train()
            except OutOfTime:
                raise budget_spent(plan, store) from None
            finally:
                self.observer.ended()
        if self._group.is_main:
            check_trained(plan, store, {})

    def _train(self) -> None:
        opened: dict[tuple[str, str], Waves] = {}
        for wave in self._plan.waves:
            ready = self._group.broadcast_object([run for run in wave if self.store.can_continue(run)])
            self._left -= len(wave) - len(ready)
            if not ready:
                continue
            data = wave[0].data
            if isinstance(data, Photos):
                opened.clear()  # frees the device's memory
                self._train_photographs(ready, data)
                continue
            key = (data.name, data.fingerprint)
            if key not in opened:
                images, keep = open_images(data, self.folders, self.device), self._plan.keep
                opened[key] = Waves(images, self.store, keep, self.observer, self._has_time, self.options.deadline)
            self._train_wave(ready, opened[key])

    def _train_wave(self, runs: list[Run], waves: Waves) -> None:
        """Train as many ``runs`` at a time as this device is fastest with, or as end within the time budget."""
        options, store = self.options, self.store
        choice = Choice()
        if options.strategy == "auto" or not options.wave:
            first = max(runs, key=lambda run: run.epochs * run.data.train)
            left = cost([run for run in self._plan.missing if run.arch == first.arch], store).images
            cache, until = store.runs_dir / calibration.CACHE, options.time_until
            if until is None:
                until = time.monotonic() + TIMING * self._seconds_left()
            choice = calibration.choose(first, self.device, cache, left, self.observer.measuring, until)
        lanes = min(options.wave or choice.lanes, len(runs))
        if lanes > 1:  # first those that were begun, then the longest, so that the last ones end together
            images = {run.key: cost([run], store).images for run in runs}
            runs = sorted(runs, key=lambda run: (not store.progress(run), -images[run.key]))
            if options.deadline and not options.wave and choice.speeds:
                most = [images[run.key] for run in runs]
                lanes = lanes_for(most, lanes, choice.speed_of, self._seconds_left())
        names = choice.names_at(lanes) if options.strategy == "auto" else [options.strategy]
        for finished in waves.train(runs, names, lanes):
            self._finish(finished)

    def _seconds_left(self) -> float:
        """Return what is left of the time budget; infinite without one."""
        return math.inf if self.options.deadline is None else self.options.deadline - time.monotonic()

    def _train_photographs(self, runs: list[Run], data: Photos) -> None:
        """Train ``runs`` one after another. A signal takes effect once the Run's state or Record is saved."""
        from repro.engine.photo_trainer import train  # seconds of imports, only for those who need them

        store = self.store
        source = open_photos(data, self.folders, store.runs_dir, self.device, self._group)
        for run in runs:
            self.observer.run_started(run)
            before = store.record(run)  # trained again for its checkpoints
            lock = store.run_lock(run, self.options.deadline) if self._group.is_main else contextlib.nullcontext()
            with lock, signals.deferred() as pending:
                # By now a worker that outlived its driver may have trained it.
                record = store.record(run) if self._group.count == 1 and not before else None
                keep = self._plan.keep.get(run.key, set())
                record = record or train(run, source, store, keep, self.observer, self._has_time, pending)
                self._finish([(run, record)])

    def _finish(self, finished: Finished) -> None:
        if self._group.is_main:
            self.store.finish(finished)
        for run, record in finished:
            self._left -= 1
            self.observer.run_done(run, record, self._left)

    def _has_time(self, seconds: float) -> bool:
        return MARGIN * seconds < self._seconds_left()
