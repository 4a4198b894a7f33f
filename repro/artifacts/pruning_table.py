"""What Tables 2 and 3 share: one-shot and gradual pruning at 80 %, then retraining (section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from repro import published
from repro.artifacts.base import Artifact, Results, accuracy_cell
from repro.artifacts.drawing import Dots
from repro.cells import Cell
from repro.config.profile import PruningRow
from repro.experiments import Study
from repro.run import Run

Place = tuple[str, str, str]
Rows = Mapping[str, PruningRow]


def artifact(name: str, title: str, assumptions: tuple[str, ...]) -> Artifact:
    """Return the artifact whose networks, epochs and windows are under ``name`` in the profile."""

    def rows(study: Study) -> Rows:
        found: Rows = getattr(study.settings.profile, name)
        return found

    return Artifact(
        name=name,
        title=title,
        runs=lambda study, seeds: [run for _, _, found in _table(study, seeds, rows(study)) for run in found],
        cells=lambda study, results, seeds: _cells(study, results, seeds, name, rows(study)),
        assumptions=("ticket", "gradual_steps", "gradual_momentum", *assumptions),
        axes=("network", "pruned at"),
        columns="pruned at epoch",
        epochs=("column",),
        drawing=Dots(series={"gradual": "pruned over epochs"}),
    )


def _cells(study: Study, results: Results, seeds: Sequence[int], name: str, rows: Rows) -> list[Cell]:
    """Return the series ``one-shot`` and ``gradual``, row = network, col = epoch or window."""
    printed = published.lookup(name)
    return [
        accuracy_cell(study, results, found, place, printed.get((*place[:2], counterpart or "")))
        for place, counterpart, found in _table(study, seeds, rows)
    ]


def _table(study: Study, seeds: Sequence[int], rows: Rows) -> Iterator[tuple[Place, str | None, list[Run]]]:
    """Yield (place of the cell, its column in the paper, its Runs).

    One-shot at s is the ticket (s, s): on ResNet20 Fig. 1's diagonal, trained once for both.
    """
    for arch, row in rows.items():
        for s in row.one_shot:
            found = [study.ticket(arch, seed, s, s) for seed in seeds]
            yield ("one-shot", arch, str(s)), study.published_epoch(s, arch), found
    for arch, row in rows.items():
        for first, last in row.windows:
            a, b = study.published_epoch(first, arch), study.published_epoch(last, arch)
            found = [study.gradual(arch, seed, first, last) for seed in seeds]
            yield ("gradual", arch, f"{first}-{last}"), f"{a}-{b}" if a and b else None, found
