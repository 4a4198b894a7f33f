"""Tables 2 and 3: one-shot and gradual pruning at 80 %, then retraining (section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from repro import published
from repro.artifacts.base import CIFAR10, IMAGENET, Artifact, Results, accuracy_cell
from repro.artifacts.drawing import Dots
from repro.cells import Cell
from repro.config.profile import PruningRow
from repro.experiments import Study
from repro.run import Run

Place = tuple[str, str, str]


def _artifact(name: str, title: str, assumptions: tuple[str, ...]) -> Artifact:
    """Return the artifact whose networks, epochs and windows are under ``name`` in the profile."""
    return Artifact(
        name=name,
        title=title,
        runs=lambda study, seeds: [run for _, _, found in _table(study, seeds, name) for run in found],
        cells=lambda study, results, seeds: _cells(study, results, seeds, name),
        assumptions=("ticket", "gradual_steps", "gradual_momentum", *assumptions),
        axes=("network", "pruned at"),
        columns="pruned at epoch",
        epochs=("column",),
        drawing=Dots(series={"gradual": "pruned over epochs"}),
    )


def _cells(study: Study, results: Results, seeds: Sequence[int], name: str) -> list[Cell]:
    """Return the series ``one-shot`` and ``gradual``, row = network, col = epoch or window."""
    printed = published.lookup(name)
    return [
        accuracy_cell(study, results, found, place, printed.get((*place[:2], counterpart or "")))
        for place, counterpart, found in _table(study, seeds, name)
    ]


def _table(study: Study, seeds: Sequence[int], name: str) -> Iterator[tuple[Place, str | None, list[Run]]]:
    """Yield (place of the cell, its column in the paper, its Runs).

    One-shot at s is the ticket (s, s): on ResNet20 Fig. 1's diagonal, trained once for both.
    """
    rows: Mapping[str, PruningRow] = getattr(study.settings.profile, name)
    for arch, row in rows.items():
        for s in row.one_shot:
            found = [study.ticket(arch, seed, s, s) for seed in seeds]
            yield ("one-shot", arch, str(s)), study.published_epoch(s, arch), found
    for arch, row in rows.items():
        for first, last in row.windows:
            a, b = study.published_epoch(first, arch), study.published_epoch(last, arch)
            found = [study.gradual(arch, seed, first, last) for seed in seeds]
            yield ("gradual", arch, f"{first}-{last}"), f"{a}-{b}" if a and b else None, found


TABLE2 = _artifact(
    "table2", "One-shot and gradual pruning for ResNet20 and ResNet56 on CIFAR-10", (*CIFAR10, "result")
)
TABLE3 = _artifact(
    "table3", "One-shot and gradual pruning for ResNet18 and ResNet50 on ImageNet", (*IMAGENET, "result")
)
