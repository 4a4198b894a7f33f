"""Trains one Run on photographs, epoch by epoch, on one rank or many; `photo_trainer.py` shows an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

from repro.engine import device as devices
from repro.engine.data_source import StreamedData
from repro.engine.events import EpochReport, EpochTotals, Observer, OutOfTime, StoppedMidEpoch
from repro.engine.network import Network
from repro.engine.photo_trainer import PhotoTrainer
from repro.engine.run_progress import RunProgress, resume_or_start
from repro.errors import Interrupted
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.signals import NEVER, Pending
from repro.store import Store

LEAST_SAVING = 1.0  # seconds that saving a state within an epoch is expected to take at least


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
    ranks = data.ranks
    network = Network(run.arch, run.seed, data.device.torch)
    begun = resume_or_start(run, network, store, data.device, data.source) if ranks.is_main else None
    point = ranks.broadcast_object(begun)
    ranks.broadcast(network.weights, network.momentum, network.mask, network.statistics)
    network.masked = point.masked
    progress = RunProgress(run, network, store, keep, point, ranks.is_main)
    if progress.over:
        return progress.record()
    # A Run that resumes on another device keeps the precision that it began with.
    precision = devices.resolve_precision(progress.history["provenance"]["precision"], data.device)
    devices.use_tf32(precision)
    trainer = PhotoTrainer(run, network, data, devices.dtype_of(precision), observer)
    progress.history["provenance"]["strategy"] = trainer.model.strategy
    partial, saving = point.partial_epoch, LEAST_SAVING

    def stop() -> bool:
        return bool(pending) or not has_time(saving)

    while not progress.over:
        start = time.perf_counter()
        try:
            totals = trainer.epoch(progress.epoch, learning_rate(run.recipe, progress.epoch), partial, stop)
        except StoppedMidEpoch as stopped:
            trainer.average_batchnorm_stats()
            progress.history["wall_s"] += time.perf_counter() - start
            progress.save(stopped.totals)
            raise (Interrupted if ranks.any(bool(pending)) else OutOfTime) from None
        trainer.average_batchnorm_stats()
        progress.finish_epoch(totals, trainer.top1)
        if "diverged_at" in progress.history:
            break
        progress.history["provenance"] |= trainer.provenance()
        partial, seconds = EpochTotals(), time.perf_counter() - start
        progress.history["wall_s"] += seconds
        if not progress.over:
            start = time.perf_counter()
            progress.save()
            saving = max(LEAST_SAVING, time.perf_counter() - start)
        observer.epoch_done(EpochReport(run, progress.epoch, totals.seen, seconds, *progress.latest))
        if not progress.over and ranks.any(bool(pending)):
            raise Interrupted
    return progress.record()
