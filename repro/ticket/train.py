"""Train one Run of a search."""

from __future__ import annotations

import time
from collections.abc import Callable

from repro.engine.events import EpochReport
from repro.engine.run_progress import RunProgress, resume_or_start
from repro.errors import RunFailed
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import Store
from repro.ticket.trainer import Setup, Trainer

Stop = Callable[[int, Trainer], bool]
"""Called with the number of epochs trained and their network, before every epoch and at the end."""


def train(
    run: Run,
    setup: Setup,
    store: Store,
    keep: set[int],
    epoch_done: Callable[[EpochReport], object],
    stop: Stop | None = None,
) -> Record:
    """Train ``run`` from its last saved state, and return its Record, which is stored if the Run ended.

    The network is kept at the epochs ``keep``. If ``stop`` returns True, training ends early: the Record so far is
    returned, and the state stays. Every epoch is on disk before ``epoch_done`` is called. Raises `RunFailed` if
    the loss is not finite, `CheckpointGone` if a parent's checkpoint is missing.
    """
    trainer = Trainer(setup)
    progress = RunProgress(run, trainer, store, keep, resume_or_start(run, trainer, store, setup))
    while not (stop and stop(progress.epoch, trainer)):
        if progress.over:
            record = progress.record()
            store.finish(run, record)
            return record
        began = time.perf_counter()
        totals = trainer.epoch(run, progress.epoch)
        progress.finish_epoch(totals, trainer.evaluate)
        if "diverged_at" in progress.history:
            rate = learning_rate(run.recipe, progress.epoch)
            raise RunFailed(
                f"{run.experiment}: the loss is not finite in epoch {progress.epoch + 1} at a learning rate of "
                f"{rate:g}; a smaller recipe.lr may help"
            )
        seconds = time.perf_counter() - began
        progress.history["wall_s"] += seconds
        progress.save()
        epoch_done(EpochReport(run, progress.epoch, totals.seen, seconds, *progress.latest))
    return progress.record()
