"""Trains one Run on photographs from where it stands to its end, on one rank or many."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from repro.engine import device as devices
from repro.engine.data_source import StreamedData
from repro.engine.events import EpochReport, EpochTotals, Observer, OutOfTime, StoppedMidEpoch
from repro.engine.network import Network
from repro.engine.photo_trainer import PhotoTrainer
from repro.engine.resume import resume_or_start
from repro.engine.run_progress import RunProgress
from repro.errors import Interrupted
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.signals import NEVER, Pending
from repro.store import Store

LEAST_SAVING = 1.0  # seconds that keeping a state in the middle of an epoch is taken to need at least


def train(
    run: Run,
    data: StreamedData,
    store: Store,
    keep: set[int],
    observer: Observer,
    has_time: Callable[[float], bool],
    pending: Pending = NEVER,
) -> Record:
    """Train ``run`` to its end, resuming where a state is kept, and return its Record (not yet stored).

    Args:
        keep: epochs whose checkpoints other Runs need.
        has_time: whether so many seconds are left; on a no, raises `OutOfTime`.
        pending: true once a signal asks to end; raises `Interrupted`, unless the Run ends with this epoch.

    Both are asked within an epoch as well, and the Run saves its state there before it raises. A loss that is not
    finite ends the Run as ``diverged``. All ranks return the same Record.
    """
    network = Network(run.arch, run.seed, data.device.torch)
    point = resume_or_start(run, network, store, data) if data.ranks.is_main else None
    point = data.ranks.broadcast_object(point)
    assert point is not None
    network.copy_over(data.ranks.broadcast, masked=point.masked)
    progress = RunProgress(run, network, store, keep, point, data.ranks.is_main)
    if progress.over:
        return progress.record()
    return _Training(progress, network, data, observer, has_time, pending).to_the_end(point.begun)


@dataclass
class _Training:
    progress: RunProgress
    network: Network
    data: StreamedData
    observer: Observer
    has_time: Callable[[float], bool]
    pending: Pending
    saving: float = LEAST_SAVING

    def to_the_end(self, begun: EpochTotals) -> Record:
        progress, run, data = self.progress, self.progress.run, self.data
        # A Run resumed elsewhere goes on in the precision that it began with.
        precision = devices.resolve_precision(progress.history["provenance"]["precision"], data.device)
        devices.use_tf32(precision)
        trainer = PhotoTrainer(run, self.network, data, devices.dtype_of(precision), self.observer)
        progress.history["provenance"]["strategy"] = trainer.strategy
        while not progress.over:
            start = time.perf_counter()
            sums = self._epoch(trainer, begun)
            trainer.average_batchnorm_stats()
            progress.take(sums, trainer.top1)
            if "diverged_at" in progress.history:
                break
            progress.history["provenance"] |= trainer.facts()
            begun, seconds = EpochTotals(), time.perf_counter() - start
            progress.history["wall_s"] += seconds
            if not progress.over:
                self._save()
            self.observer.epoch_done(EpochReport(run, progress.epoch, sums.seen, seconds, *progress.latest))
            if not progress.over and data.ranks.any(bool(self.pending)):
                raise Interrupted
        return progress.record()

    def _epoch(self, trainer: PhotoTrainer, begun: EpochTotals) -> EpochTotals:
        """One epoch, or the rest of it. Asked to stop within, keeps the state before it raises."""
        progress, start = self.progress, time.perf_counter()
        try:
            return trainer.epoch(
                progress.epoch, learning_rate(progress.run.recipe, progress.epoch), begun,
                lambda: bool(self.pending) or not self.has_time(self.saving),
            )  # fmt: skip
        except StoppedMidEpoch as stopped:
            trainer.average_batchnorm_stats()
            progress.history["wall_s"] += time.perf_counter() - start
            self._save(stopped.totals)
            raise (Interrupted if self.data.ranks.any(bool(self.pending)) else OutOfTime) from None

    def _save(self, begun: EpochTotals | None = None) -> None:
        start = time.perf_counter()
        if begun is None:
            self.progress.save()
        else:
            self.progress.save(self.progress.history | {"begun": asdict(begun)}, begun.batches)
        self.saving = max(LEAST_SAVING, time.perf_counter() - start)
