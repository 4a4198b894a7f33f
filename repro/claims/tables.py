"""Cell values, one table a seed, named as the paper names them: epochs count out of its 200, or 90 on ImageNet.

An artifact's cells carry the profile's own epochs; here they are scaled, so that one statistic reads the paper's
tables and a regenerated one alike. A cell that the profile has but that carries no value is *missing*; one that
the profile does not have (a smaller index, by design) is simply absent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from repro import published
from repro.artifacts import IMPLEMENTED, PAPER
from repro.artifacts.base import Results
from repro.cells import DIVERGED
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS, Recipe
from repro.experiments import Study, paper_epochs

Key = published.Key
Cell = tuple[str, str, str, str]
"""(artifact, series, row, column)."""

PAPER_EPOCHS = paper_epochs(CIFAR_ARCHS[0])
IMAGENET_EPOCHS = paper_epochs(IMAGENET_ARCHS[0])
PAPER_FALL = 120.0  # the first fall of the learning rate, appendix A.1

TEXT = "text"  # the artifact of the numbers that only the text has
COUNTS = "calibration"  # a series whose columns are numbers of examples


@dataclass(frozen=True)
class Setting:
    """What the tables of CIFAR-10 were made with: Eq. 5 and the learning rate follow from it."""

    recipe: Recipe
    images: int
    arch: str = "resnet20"
    """The network of Fig. 1, whose rows do not name it."""

    def own_epoch(self, epoch: int) -> int:
        """Return the profile's epoch at the paper's ``epoch``."""
        return epoch * self.recipe.epochs // PAPER_EPOCHS


@dataclass(frozen=True)
class SeedTable:
    """The values of one seed, or those that the paper printed (``setting`` None)."""

    values: Mapping[str, Mapping[Key, float]]
    missing: Mapping[str, Sequence[Key]] = field(default_factory=dict)
    setting: Setting | None = None
    seed: int | None = None
    diverged: frozenset[Cell] = frozenset()
    """Those of the missing cells whose training ended without a result."""

    def value(self, cell: Cell) -> float | None:
        """Return the value of ``cell``; None where it is missing or absent."""
        return self.values.get(cell[0], {}).get(cell[1:])


class MissingCells(Exception):
    """A statistic needs a group of cells of which the grid has none; the message names it."""


@dataclass(frozen=True)
class CellIndex:
    """Which cells there are, without their values: a statistic's expression cannot depend on what was measured."""

    keys: Mapping[str, Mapping[Key, None]]
    setting: Setting | None

    @classmethod
    def of(cls, tables: Sequence[SeedTable]) -> CellIndex:
        """Return the cells that any of ``tables`` has, missing ones included."""
        keys: dict[str, dict[Key, None]] = {}
        for table in tables:
            for group in (table.values, table.missing):
                for artifact, found in group.items():
                    keys.setdefault(artifact, {}).update(dict.fromkeys(found))
        return cls(keys, tables[0].setting)

    @property
    def printed(self) -> bool:
        """Whether these are the paper's own tables."""
        return self.setting is None

    @property
    def fall(self) -> float:
        """The paper's epoch at which the learning rate first falls."""
        if self.setting is None:
            return PAPER_FALL
        recipe = self.setting.recipe
        return min(recipe.milestones, default=recipe.epochs) * PAPER_EPOCHS / recipe.epochs

    def untouched(self, artifact: str) -> bool:
        """Return whether nothing of the artifact was run, so that even its grid is unknown (Fig. 2's layers)."""
        keys = self.keys.get(artifact)
        return bool(keys) and not any(row for _, row, _ in keys or ())

    def has(self, *cell: str) -> bool:
        """Return whether there is a cell (artifact, series, row, column)."""
        return cell[1:] in self.keys.get(cell[0], ())

    def rows(self, artifact: str, series: str) -> list[str]:
        """Return the rows of a series, in the artifact's order."""
        found = dict.fromkeys(row for name, row, _ in self.keys.get(artifact, ()) if name == series and row)
        return list(found)

    def columns(self, artifact: str, series: str, row: str | None = None) -> list[str]:
        """Return the columns of a series (of one of its rows), in the artifact's order."""
        keys = self.keys.get(artifact, ())
        return list(dict.fromkeys(c for name, r, c in keys if name == series and c and row in (None, r)))

    def epochs(self, artifact: str, series: str, row: str | None = None) -> list[int]:
        """Return the `columns` that are whole numbers, increasing."""
        return sorted(int(column) for column in self.columns(artifact, series, row) if column.isdigit())


def published_tables() -> SeedTable:
    """Return the numbers that the paper printed."""
    values: dict[str, dict[Key, float]] = {}
    for cell in published.load():
        values.setdefault(cell.artifact, {})[cell.key] = cell.value
    return SeedTable(values)


def tables_of(study: Study, results: Results, seeds: Sequence[int]) -> list[SeedTable]:
    """Return one table a seed from finished Runs.

    The dense networks' final accuracies, which the paper gives in its text, are in ``text`` as there: (accuracy,
    network, baseline).
    """
    return [_tables(study, results, seed, PAPER) for seed in seeds]


def made_anew(tables: SeedTable, study: Study, results: Results, names: Collection[str]) -> SeedTable:
    """Replace the artifacts ``names`` and the text of a seed's ``tables`` by those of other ``results``."""
    assert tables.seed is not None
    made = _tables(study, results, tables.seed, names)
    kept = [name for name in PAPER if name not in names]
    return replace(
        made,
        values={**{name: tables.values[name] for name in kept if name in tables.values}, **made.values},
        missing={**{name: tables.missing[name] for name in kept if name in tables.missing}, **made.missing},
        diverged=made.diverged | {cell for cell in tables.diverged if cell[0] in kept},
    )


def _tables(study: Study, results: Results, seed: int, names: Collection[str]) -> SeedTable:
    values: dict[str, dict[Key, float]] = {}
    missing: dict[str, list[Key]] = {}
    diverged: set[Cell] = set()
    networks: dict[str, None] = {}
    scale = functools.cache(study.published_epochs)

    def add(artifact: str, key: Key, value: float | None, failed: bool = False) -> None:
        if value is not None:
            values.setdefault(artifact, {})[key] = value
            return
        missing.setdefault(artifact, []).append(key)
        if failed:
            diverged.add((artifact, *key))

    for name in PAPER:
        artifact = IMPLEMENTED[name]
        networks |= dict.fromkeys(run.arch for run in artifact.runs(study, [seed]))
        for found in artifact.cells(study, results, [seed]) if name in names else ():
            key = _scaled(scale, name, (found.series, found.row, found.col))
            if key is not None:
                add(name, key, found.reproduced, found.verdict == DIVERGED)
    for arch in networks:
        run = study.dense(arch, seed)
        done = results.done([run])
        add(TEXT, ("accuracy", arch, "baseline"), done[0].top1 if done else None, results.diverged([run]))
    profile = study.settings.profile
    setting = Setting(profile.recipe, profile.data.train, profile.fig1.arch)
    return SeedTable(values, missing, setting, seed, frozenset(diverged))


def _scaled(scale: Callable[[str, str], str | None], artifact: str, key: Key) -> Key | None:
    """Return the key with the paper's epochs; None if one of them is no whole epoch of its schedule."""
    series, row, col = key
    counts_epochs = IMPLEMENTED[artifact].epochs
    by_row = "row" in counts_epochs
    by_column = "column" in counts_epochs and series != COUNTS
    arch = row if row in IMAGENET_ARCHS else CIFAR_ARCHS[0]  # rows that name no network are CIFAR-10's
    new_row = scale(row, arch) if by_row else row
    new_col = scale(col, arch) if by_column else col
    return None if new_row is None or new_col is None else (series, new_row, new_col)
