"""Table 2: one-shot and gradual pruning at 80 %, then retraining, on CIFAR-10."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro import published
from repro.artifacts.base import Artifact, Results, accuracy_cell
from repro.compare import Cell
from repro.experiments import Study
from repro.run import Run

Place = tuple[str, str, str]


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Every cell's Runs. One-shot at s is the ticket (s, s): Fig. 1's diagonal, trained once for both."""
    return [run for _, _, found in _table(study, seeds) for run in found]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Series ``one-shot`` and ``gradual``, row = network, col = epoch or window."""
    printed = published.lookup("table2")
    return [
        accuracy_cell(study, results, found, place, printed.get((*place[:2], counterpart or "")))
        for place, counterpart, found in _table(study, seeds)
    ]


def _table(study: Study, seeds: Sequence[int]) -> Iterator[tuple[Place, str | None, list[Run]]]:
    """(place of the cell, its column in the paper, its Runs)."""
    for arch, row in study.settings.profile.table2.items():
        for s in row.one_shot:
            found = [study.ticket(arch, seed, s, s) for seed in seeds]
            yield ("one-shot", arch, str(s)), study.published_epoch(s), found
    for arch, row in study.settings.profile.table2.items():
        for first, last in row.windows:
            a, b = study.published_epoch(first), study.published_epoch(last)
            found = [study.gradual(arch, seed, first, last) for seed in seeds]
            yield ("gradual", arch, f"{first}-{last}"), f"{a}-{b}" if a and b else None, found


ARTIFACT = Artifact(
    name="table2",
    title="One-shot and gradual pruning for ResNet20 and ResNet56 on CIFAR-10",
    runs=runs,
    cells=cells,
    assumptions=("ticket", "gradual_steps", "gradual_momentum", "batch_size", "augmentation", "initialisation",
                 "shortcut", "weight_decay", "last_batch", "prunable", "result"),
)  # fmt: skip
