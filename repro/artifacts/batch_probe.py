"""The batch probe, which the paper does not have: at which batch size do masks move as far as its Fig. 3 prints?

The paper never states its batch size. The dense network of an epoch goes on at several (docs/batch-size.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.artifacts.base import Artifact, Results
from repro.artifacts.drawing import Curves
from repro.artifacts.fig3 import distance_cell
from repro.cells import Cell
from repro.experiments import Study
from repro.run import Run


@dataclass(frozen=True)
class _Place:
    """A cell: how far the mask of ``epochs[0]`` has moved by ``epochs[1]``, with its Runs, one a seed. ``own``
    where the batch size is the profile's: at another one it is another hypothesis, which Fig. 3 does not judge."""

    arch: str
    row: str
    epochs: tuple[int, int]
    trained: list[Run]
    observed: list[Run]
    own: bool


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return every network that is trained on, and for every cell a Run without epochs, which observes the
    distance."""
    return [run for place in _places(study, seeds) for run in (*place.trained, *place.observed)]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the cells: row = batch size, col = epoch; then the dense network itself, where Fig. 3 looks at it."""
    found = []
    for place in _places(study, seeds):
        values = [record.mask_distance for record in results.done(place.observed)]
        at, diverged = (place.row, str(place.epochs[1])), results.diverged(place.trained)
        found.append(distance_cell(study, place.arch, place.epochs, values, at, diverged, place.own))
    return found


def _places(study: Study, seeds: Sequence[int]) -> Iterator[_Place]:
    profile = study.settings.profile
    for arch, asked in profile.batch_probe.items():
        of = f"{arch}, " if len(profile.batch_probe) > 1 else ""
        dense = [study.dense(arch, seed) for seed in seeds]
        own = profile.recipe_of(arch).batch_size
        for size in asked.batch_sizes:
            branches = [study.branch(arch, seed, asked.start, asked.epochs[-1], size) for seed in seeds]
            for epoch in asked.epochs:
                moved = [study.moved(branch, epoch) for branch in branches]
                yield _Place(arch, f"{of}batch {size}", (asked.start, epoch), branches, moved, size == own)
        fig3 = profile.fig3.s if profile.fig3.arch == arch else ()
        for epoch in asked.epochs:
            if asked.start in fig3 and epoch in fig3:
                apart = [study.mask_distance(arch, seed, asked.start, epoch) for seed in seeds]
                yield _Place(arch, f"{of}dense", (asked.start, epoch), dense, apart, own=True)


def _name(row: str) -> str:
    return f"{row} baseline" if row.endswith("dense") else row


ARTIFACT = Artifact(
    name="batch-probe",
    title="How far the mask moves at one batch size and at another",
    runs=runs,
    cells=cells,
    assumptions=(
        "batch_probe", "batch_size", "last_batch", "augmentation", "initialisation", "shortcut", "weight_decay",
        "prunable",
    ),
    unit="share of weights on which two masks differ",
    digits=4,
    axes=("trained at", "epoch"),
    columns="epoch of the dense schedule",
    epochs=("column",),
    drawing=Curves(panel="series", name=_name, source="Fig. 3"),
)  # fmt: skip
