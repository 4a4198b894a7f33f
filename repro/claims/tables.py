"""Cell values, one table a seed, named as the paper names them: epochs count out of its 200, or 90 on ImageNet.

An artifact's cells carry the profile's own epochs; here they are scaled, so that one statistic reads the paper's
tables and a regenerated one alike. A cell that the profile has but that carries no value is *missing* (None); one
that the profile does not have (a smaller index, by design) is simply absent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from repro import published
from repro.artifacts import IMPLEMENTED, PAPER
from repro.artifacts.base import Results
from repro.artifacts.fig1 import Grid
from repro.cells import DIVERGED
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS, Recipe
from repro.experiments import Study, paper_epochs

Cell = tuple[str, str, str, str]
"""(artifact, series, row, column)."""

PAPER_EPOCHS = paper_epochs(CIFAR_ARCHS[0])
COUNTS = "calibration"  # a series whose columns are numbers of examples


@dataclass(frozen=True)
class Setting:
    """What the tables of CIFAR-10 were made with: Eq. 5 and the learning rate follow from it."""

    recipe: Recipe
    images: int
    arch: str = "resnet20"
    """The network of Fig. 1, whose rows do not name it."""

    @property
    def fall(self) -> float:
        """The paper's epoch at which the learning rate first falls."""
        return min(self.recipe.milestones, default=self.recipe.epochs) * PAPER_EPOCHS / self.recipe.epochs

    def own_epoch(self, epoch: int) -> int:
        """Return the profile's epoch at the paper's ``epoch``."""
        return epoch * self.recipe.epochs // PAPER_EPOCHS


@dataclass(frozen=True)
class SeedTable:
    """The cells of one seed, or those that the paper printed (``setting`` None); None where a value is missing."""

    cells: Mapping[Cell, float | None]
    setting: Setting | None = None
    seed: int = 0
    diverged: frozenset[Cell] = frozenset()
    """Those of the missing cells whose training ended without a result."""


def published_tables() -> SeedTable:
    """Return the numbers that the paper printed."""
    return SeedTable({(cell.artifact, *cell.key): cell.value for cell in published.load()})


def tables_of(study: Study, results: Results, seeds: Sequence[int]) -> list[SeedTable]:
    """Return one table a seed from finished Runs.

    The dense networks' final accuracies, which the paper gives in its text, are in ``text`` as there: (accuracy,
    network, baseline).
    """
    return [_table(study, results, seed, PAPER) for seed in seeds]


def made_anew(table: SeedTable, study: Study, results: Results, names: Collection[str]) -> SeedTable:
    """Replace the artifacts ``names`` and the text of a seed's ``table`` by those of other ``results``."""
    made = _table(study, results, table.seed, names)
    kept = {cell: value for cell, value in table.cells.items() if cell[0] in PAPER and cell[0] not in names}
    return replace(made, cells=kept | dict(made.cells), diverged=made.diverged | (table.diverged & kept.keys()))


def _table(study: Study, results: Results, seed: int, names: Collection[str]) -> SeedTable:
    cells: dict[Cell, float | None] = {}
    diverged: set[Cell] = set()
    networks: dict[str, None] = {}
    for name in PAPER:
        artifact = IMPLEMENTED[name]
        networks |= dict.fromkeys(run.arch for run in artifact.runs(study, [seed]))
        for found in artifact.cells(study, results, [seed]) if name in names else ():
            arch = found.row if found.row in IMAGENET_ARCHS else CIFAR_ARCHS[0]  # other rows are CIFAR-10's
            row = study.published_epochs(found.row, arch) if "row" in artifact.epochs else found.row
            counts_epochs = "column" in artifact.epochs and found.series != COUNTS
            column = study.published_epochs(found.col, arch) if counts_epochs else found.col
            if row is None or column is None:  # no whole epoch of the paper's schedule
                continue
            cells[name, found.series, row, column] = found.reproduced
            if found.verdict == DIVERGED:
                diverged.add((name, found.series, row, column))
    for arch in networks:
        run = study.dense(arch, seed)
        done, cell = results.done([run]), ("text", "accuracy", arch, "baseline")
        cells[cell] = done[0].top1 if done else None
        diverged |= {cell} if results.diverged([run]) else set()
    profile = study.settings.profile
    setting = Setting(profile.recipe, profile.data.train, study.block("fig1", Grid).arch)
    return SeedTable(cells, setting, seed, frozenset(diverged))
