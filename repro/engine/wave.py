"""Trains a wave: Runs that share network, data and schedule, and do not grow from one another.

At present one after another. A Run's result does not depend on the wave that it ran in, so a strategy that
trains them side by side may take this place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from repro.engine.bench import Bench, PhotoBench
from repro.engine.train import Listener, train
from repro.record import Record
from repro.run import Run
from repro.store import Store


def train_wave(
    runs: Sequence[Run],
    bench: Bench | PhotoBench,
    store: Store,
    keep: dict[str, set[int]],
    on_start: Callable[[Run], None],
    listener: Listener,
    has_time: Callable[[float], bool],
    deadline: float | None,
) -> Iterator[tuple[Run, Record]]:
    """Each Run with its Record as soon as it ends, its lock held by rank 0 meanwhile: a worker that outlived its
    driver may still be at it. Raises `OutOfTime` as `train` does, `BudgetSpent` where waiting for a lock took the
    time until ``deadline``."""
    for run in runs:
        on_start(run)
        known = store.record(run)  # trained again for its checkpoints
        with store.run_lock(run, deadline) if bench.ranks.chief else contextlib.nullcontext():
            finished = store.record(run) if bench.ranks.count == 1 and not known else None
            yield run, finished or train(run, bench, store, keep.get(run.key, set()), listener, has_time)
