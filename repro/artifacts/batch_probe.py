"""The batch probe, which the paper does not have: at which batch size do masks move as far as its Fig. 3 prints?

The paper never states its batch size. The dense network of an epoch goes on at several (docs/batch-size.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.artifacts.base import Artifact, Results
from repro.artifacts.drawing import Curves
from repro.artifacts.fig3 import distance_cell
from repro.cells import Cell
from repro.experiments import Study
from repro.run import Run

Place = tuple[str, str, tuple[int, int]]
"""Network, row, and the two epochs whose masks are compared."""


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return every network that is trained on, and for every cell a Run without epochs, which observes the
    distance."""
    return [run for _, trained, observed, _ in _table(study, seeds) for run in (*trained, *observed)]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the cells: row = batch size, col = epoch; then the dense network itself, where Fig. 3 looks at it."""
    found = []
    for (arch, row, epochs), trained, observed, own in _table(study, seeds):
        values = [record.mask_distance for record in results.done(observed)]
        at = (row, str(epochs[1]))
        found.append(distance_cell(study, arch, epochs, values, at, results.diverged(trained), own))
    return found


def _table(study: Study, seeds: Sequence[int]) -> Iterator[tuple[Place, list[Run], list[Run], bool]]:
    """Yield (place of the cell, the networks trained on, the Runs that observe the distance, whether Fig. 3 judges
    it: at a batch size that is not the profile's it is another hypothesis)."""
    profile = study.settings.profile
    for arch, asked in profile.batch_probe.items():
        of = f"{arch}, " if len(profile.batch_probe) > 1 else ""
        dense = [study.dense(arch, seed) for seed in seeds]
        own = profile.recipe_of(arch).batch_size
        for size in asked.batch_sizes:
            branches = [study.branch(arch, seed, asked.start, asked.epochs[-1], size) for seed in seeds]
            for epoch in asked.epochs:
                moved = [study.moved(branch, epoch) for branch in branches]
                yield (arch, f"{of}batch {size}", (asked.start, epoch)), branches, moved, size == own
        fig3 = profile.fig3.s if profile.fig3.arch == arch else ()
        for epoch in asked.epochs:
            if asked.start in fig3 and epoch in fig3:
                apart = [study.mask_distance(arch, seed, asked.start, epoch) for seed in seeds]
                yield (arch, f"{of}dense", (asked.start, epoch)), dense, apart, True


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
