"""Which cells there are, and what carries the noise of each (see noise.py)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from repro.claims.expressions import Linear, Quantity, mean
from repro.claims.noise import NoiseSource
from repro.claims.tables import PAPER_EPOCHS, Cell, SeedTable, Setting
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.experiments import paper_epochs

T = TypeVar("T")

TENTHS = 10
DENSE = "dense_early"  # dense accuracy while the rate is still at its first value
FALL = 120  # the first fall of the paper's learning rate, appendix A.1
LARGE_RATE = 0.1  # section 3.3: "the large retraining learning rate (= 0.1)"


class MissingCells(Exception):
    """A statistic needs a group of cells of which the grid has none; the message names it."""


def required(found: Sequence[T], what: str) -> Sequence[T]:
    """Return ``found``, unless it is empty. Raises `MissingCells` with ``what``."""
    if not found:
        raise MissingCells(f"there is no {what}")
    return found


@dataclass(frozen=True)
class CellIndex:
    """Which cells there are, without their values: a statistic's expression cannot depend on what was measured."""

    series: Mapping[tuple[str, str], Mapping[tuple[str, str], None]]
    """Rows and columns by artifact and series, in the artifact's order."""
    setting: Setting | None
    """None: these are the paper's own tables."""

    @classmethod
    def of(cls, tables: Sequence[SeedTable]) -> CellIndex:
        """Return the cells that any of ``tables`` has, missing ones included."""
        series: dict[tuple[str, str], dict[tuple[str, str], None]] = defaultdict(dict)
        for table in tables:
            for artifact, name, row, column in table.cells:
                series[artifact, name][row, column] = None
        return cls(dict(series), tables[0].setting)

    @property
    def printed(self) -> bool:
        """Whether these are the paper's own tables."""
        return self.setting is None

    def untouched(self, artifact: str) -> bool:
        """Return whether nothing of the artifact was run, so that even its grid is unknown (Fig. 2's layers)."""
        rows = [row for (name, _), found in self.series.items() if name == artifact for row, _ in found]
        return bool(rows) and not any(rows)

    def has(self, artifact: str, series: str, row: object, column: object) -> bool:
        """Return whether there is a cell."""
        return (str(row), str(column)) in self.series.get((artifact, series), ())

    def cell(self, artifact: str, series: str, row: object, column: object) -> Cell:
        """Return the cell. Raises `MissingCells` if there is none."""
        if not self.has(artifact, series, row, column):
            known = any(name == artifact for name, _ in self.series)
            raise MissingCells(
                f"{artifact} has no cell {series}, {row}, {column}" if known else f"there is no {artifact}"
            )
        return artifact, series, str(row), str(column)

    def rows(self, artifact: str, series: str) -> list[str]:
        """Return the rows of a series, in the artifact's order. Raises `MissingCells` if there is none."""
        found = dict.fromkeys(row for row, _ in self.series.get((artifact, series), ()) if row)
        if not found:
            raise MissingCells(f"{artifact} has no {series}")
        return list(found)

    def epochs(self, artifact: str, series: str, row: str | None = None) -> list[int]:
        """Return the columns of a series (of one of its rows), increasing: epochs, or numbers of examples."""
        found = self.series.get((artifact, series), ())
        return sorted({int(column) for r, column in found if column and row in (None, r)})

    def term(self, artifact: str, series: str, row: object, column: object) -> Linear:
        """Return a cell, with its noise: its own, and what it shares with other cells. Raises `MissingCells`."""
        cell = self.cell(artifact, series, row, column)
        return Linear({Quantity((cell,)): 1.0}, self._units(cell))

    def average(self, artifact: str, series: str, row: str, first: int = 0, last: int = PAPER_EPOCHS) -> Linear:
        """Return the mean of a row's columns from ``first`` to ``last`` (of windows, those that start there).

        Raises `MissingCells` if there is none.
        """
        columns = [column for r, column in self.series.get((artifact, series), ()) if r == row]
        found = sorted((start, c) for c in columns if first <= (start := int(c.split("-")[0])) <= last)
        at = "that starts at" if series == "gradual" else "at"
        required(found, f"{series} {row} in {artifact} {at} epochs {first} to {last}")
        return mean(self.term(artifact, series, row, column) for _, column in found)

    def _units(self, cell: Cell) -> dict[NoiseSource, float]:
        """Return what carries a cell's noise; nothing for numbers that are counted, or stated in the text."""
        artifact, series, row, column = cell
        arch = row  # but in Figs. 1, 3 and 5, whose rows are epochs
        if artifact == "fig1":
            arch = self.setting.arch if self.setting else CIFAR_ARCHS[0]
        children = ("children", arch)
        own: Hashable
        match artifact, series:
            case "fig1", "tickets":
                return {_ticket(arch, int(row), int(column)): 1.0}
            case "table2" | "table3", "one-shot":
                return {_ticket(arch, int(column), int(column)): 1.0}
            case "table2" | "table3", "gradual":
                return {NoiseSource(arch, ("gradual", arch, column), children): 1.0}
            case "fig1" | "fig4", "baseline":
                fall = self.setting.fall if self.setting else FALL
                return {_dense(arch, int(column), DENSE if int(column) < fall else arch): 1.0}
            case "text", "accuracy":
                return {_dense(arch, PAPER_EPOCHS, arch): 1.0}
            case "fig4" | "fig6", _:
                # PPR scatters far more at the large rate than at the small one.
                kind = "ppr" if float(series.removeprefix("ppr ")) >= LARGE_RATE else "ppr_small"
                own = ("structure", arch, int(column))
                tenth = decile(int(column), arch)
                return {NoiseSource(kind, cell, children, own, tenth, weights=own): 1.0}
            case "table4", _ if column == "accuracy delta":
                # The difference to the dense network has the noise of both.
                own = chosen(arch)[1:] if series == "GP + EWT" else ("iterative", arch)
                return {NoiseSource(arch, own, children): 1.0, _dense(arch, PAPER_EPOCHS, arch): -1.0}
            case "fig3", _:
                return {NoiseSource("hamming", cell, "dense"): 1.0}
            case "fig5", _:
                structure, labels = ("structure", arch), ("labels", column)
                return {NoiseSource("memorization", cell, "dense", structure, decile(int(arch)), labels): 1.0}
            case "table1", _:
                # After pruning in steps the columns are one training.
                own, lineage = ("structure", series, column), cell if series == "1-shot" else ("steps",)
                return {NoiseSource("memorization", cell, "dense", own, lineage, weights=own): 1.0}
        return {}


def _ticket(arch: str, v: int, s: int) -> NoiseSource:
    """Return what carries the noise of the ticket with structure from epoch ``s`` and weights from epoch ``v``."""
    own, structure, weights = ("ticket", arch, v, s), ("structure", arch, s), ("weights", arch, v)
    return NoiseSource(arch, own, ("children", arch), structure, decile(s, arch), weights)


def _dense(arch: str, epoch: int, kind: str) -> NoiseSource:
    return NoiseSource(kind, ("dense", arch, epoch), ("dense", arch), decile=decile(epoch))


def decile(epoch: int, arch: str = CIFAR_ARCHS[0]) -> Hashable:
    """Return the tenth of the network's schedule in which ``epoch`` lies; it ends with its last epoch."""
    return "decile", arch, max(1, math.ceil(epoch * TENTHS / paper_epochs(arch)))


def chosen(arch: str) -> tuple[str, str, str, str]:
    """Return the cell from which Table 4 takes its gradual pruning: the window that the paper chose."""
    return (
        ("table3", "gradual", arch, "40-70") if arch in IMAGENET_ARCHS else ("table2", "gradual", arch, "100-150")
    )
