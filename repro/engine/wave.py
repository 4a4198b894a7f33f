"""Trains a wave: Runs that share network, data and schedule, and do not grow from one another.

At present one after another. A Run's result does not depend on the wave that it ran in, so a strategy that
trains them side by side may take this place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from repro.engine.train import Bench, EpochReport, train
from repro.record import Record
from repro.run import Run
from repro.store import Store


def train_wave(
    runs: Sequence[Run],
    bench: Bench,
    store: Store,
    keep: dict[str, set[int]],
    on_start: Callable[[Run], None],
    on_epoch: Callable[[EpochReport], None],
    has_time: Callable[[float], bool],
) -> Iterator[tuple[Run, Record]]:
    """Each Run with its Record as soon as it ends. Raises `OutOfTime` as `train` does."""
    for run in runs:
        on_start(run)
        yield run, train(run, bench, store, keep.get(run.key, set()), on_epoch, has_time)
