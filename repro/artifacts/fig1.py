"""Fig. 1: accuracy of tickets whose structure comes from epoch s (columns) and whose weights from v (rows)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.artifacts.base import CIFAR10, Artifact, Entry
from repro.artifacts.drawing import Heat
from repro.config.recipe import CifarArch, Epochs
from repro.experiments import Study
from repro.record import Record


@dataclass(frozen=True)
class Grid:
    """Structures from epochs ``s`` (columns), rewound to epochs ``v`` (rows)."""

    arch: CifarArch
    s: Epochs
    v: Epochs


def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
    """Yield the baseline row (the dense network's accuracy at epoch s), then the grid row by row."""
    grid = study.block("fig1", Grid)
    # At a rate of 0.1 the dense accuracy moves by points from epoch to epoch: no replicate noise is known.
    fall = max(study.settings.profile.recipe.milestones, default=0)
    dense = [study.dense(grid.arch, seed) for seed in seeds]
    for s in grid.s:
        accuracy = functools.partial(Record.top1_at, epoch=s)
        yield Entry("baseline", "baseline", str(s), dense, accuracy, noise="" if s >= fall else None)
    for v in grid.v:
        for s in grid.s:
            tickets = [study.ticket(grid.arch, seed, s, v) for seed in seeds]
            yield Entry("tickets", str(v), str(s), tickets)


ARTIFACT = Artifact(
    name="fig1",
    title="Extended lottery ticket experiments: structure from epoch s, weights from epoch v",
    place="Fig. 1, Section 3.1",
    table=table,
    settings=Grid,
    assumptions=("ticket", *CIFAR10, "result"),
    axes=("v", "s"),
    rows="weights from epoch v",
    columns="structure from epoch s",
    epochs=("row", "column"),
    drawing=Heat(apart={"baseline": "dense\nbaseline"}, relative=True),
)
