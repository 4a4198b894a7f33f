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
from repro.engine.ranks import ALONE, Ranks, process_group
from repro.engine.speeds import Choice
from repro.engine.wave import Finished, Waves
from repro.errors import UsageError
from repro.options import Options
from repro.plan import Plan, budget_spent, check_trained, cost, lanes_for
from repro.run import Photos, Run
from repro.store import Store
from repro.words import counted

MARGIN = 1.3  # an epoch starts only if this many times the last one's time is left


@contextlib.contextmanager
def trainer(
    store: Store, folders: Sequence[Path], options: Options, observer: Callable[[], Observer]
) -> Iterator[Callable[[Plan | None], bool]]:
    """Yield a function that trains a plan in this process, together with its other ranks, and returns False where
    rank 0 has none. It raises what `Session.execute` raises, and `UsageError` for Runs of one process.

    ``folders`` are where data sets are looked for; ``observer`` makes an observer for each plan.
    """
    chosen = choose(options.device)
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
            how = (options.deadline, options.strategy, options.wave)
            Session(store, folders, chosen, observer(), *how, group=group).execute(plan)
            return True

        yield train


@dataclass
class Session:
    """Trains plans on ``device``, all ranks of ``group`` together. Times are on `time.monotonic`'s clock.

    Args:
        deadline: when the time budget ends.
        strategy: for small images, or ``auto``.
        wave: Runs on small images at a time, 0 for the fastest number.
        timing: fraction of the time left in which strategies may be timed, before a wave.
    """

    store: Store
    folders: Sequence[Path]
    device: Device
    observer: Observer
    deadline: float = math.inf
    strategy: str = "auto"
    wave: int = 0
    timing: float = 0.2
    group: Ranks = ALONE

    def execute(self, plan: Plan) -> None:
        """Train the missing Runs of ``plan``.

        Raises `BudgetSpent` at the deadline, `RunFailed` after the last wave if a Run diverged, `MissingInput` if
        data is absent or has changed since the plan was made.
        """
        for precision in {run.precision for run in plan.missing}:
            resolve_precision(precision, self.device)  # raises before anything is trained
        self._plan, self._left = plan, len(plan.missing)  # Runs that are not finished
        with self.store.lock() if self.group.is_main else contextlib.nullcontext():
            self.observer.started(plan, self.device.name)
            try:
                self._train()
            except OutOfTime:
                raise budget_spent(plan, self.store) from None
            finally:
                self.observer.ended()
        if self.group.is_main:
            check_trained(plan, self.store, {})

    def _train(self) -> None:
        opened: dict[tuple[str, str], Waves] = {}
        for wave in self._plan.waves:
            ready = self.group.broadcast_object([run for run in wave if self.store.can_continue(run)])
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
                opened[key] = Waves(images, self.store, keep, self.observer, self._has_time, self.deadline)
            self._train_wave(ready, opened[key])

    def _train_wave(self, runs: list[Run], waves: Waves) -> None:
        """Train as many ``runs`` at a time as this device is fastest with, or as end within the time budget."""
        store, choice = self.store, Choice()
        if self.strategy == "auto" or not self.wave:
            first = max(runs, key=lambda run: run.epochs * run.data.train)
            left = cost([run for run in self._plan.missing if run.arch == first.arch], store).images
            cache, now = store.runs_dir / calibration.CACHE, time.monotonic()
            until = now + self.timing * (self.deadline - now)
            choice = calibration.choose(first, self.device, cache, left, self.observer.measuring, until)
        lanes = min(self.wave or choice.lanes, len(runs))
        if lanes > 1:  # first those that were begun, then the longest, so that the last ones end together
            images = {run.key: cost([run], store).images for run in runs}
            runs = sorted(runs, key=lambda run: (not store.progress(run), -images[run.key]))
            if self.deadline < math.inf and not self.wave and choice.speeds:
                most = [images[run.key] for run in runs]
                lanes = lanes_for(most, lanes, choice.speed_of, self.deadline - time.monotonic())
        names = choice.names_at(lanes) if self.strategy == "auto" else [self.strategy]
        for finished in waves.train(runs, names, lanes):
            self._finish(finished)

    def _train_photographs(self, runs: list[Run], data: Photos) -> None:
        """Train ``runs`` one after another. A signal takes effect once the Run's state or Record is saved."""
        from repro.engine.photo_trainer import train  # seconds of imports, only for those who need them

        store = self.store
        source = open_photos(data, self.folders, store.runs_dir, self.device, self.group)
        for run in runs:
            self.observer.run_started(run)
            lock = store.run_lock(run, self.deadline) if self.group.is_main else contextlib.nullcontext()
            with lock as found, signals.deferred() as pending:
                keep = self._plan.keep.get(run.key, set())
                record = self.group.broadcast_object(found) or train(
                    run, source, store, keep, self.observer, self._has_time, pending
                )
                self._finish([(run, record)])

    def _finish(self, finished: Finished) -> None:
        if self.group.is_main:
            self.store.finish(finished)
        for run, record in finished:
            self._left -= 1
            self.observer.run_done(run, record, self._left)

    def _has_time(self, seconds: float) -> bool:
        return MARGIN * seconds < self.deadline - time.monotonic()
