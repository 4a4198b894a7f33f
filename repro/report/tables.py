"""Cells by row and column, and tables as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.cells import OUTSIDE, Cell
from repro.report.numbers import fixed

if TYPE_CHECKING:
    from repro.report.document import Document

MOST_COLUMNS, THINNED = 16, 11


@dataclass(frozen=True)
class Table:
    """Cells by row and column, epochs in increasing order. A place may have none."""

    cells: Mapping[tuple[str, str], Cell]

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> Table:
        """Arrange ``cells``."""
        return cls({(cell.row, cell.col): cell for cell in cells})

    @property
    def rows(self) -> tuple[str, ...]:
        """The labels of the rows."""
        return ordered(row for row, _ in self.cells)

    @property
    def cols(self) -> tuple[str, ...]:
        """The labels of the columns."""
        return ordered(col for _, col in self.cells)

    @property
    def step(self) -> int:
        """Show every how many columns, where there are many."""
        return -(-len(self.cols) // THINNED) if len(self.cols) > MOST_COLUMNS else 1


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Return each label once: by value where all are whole numbers, else in order of appearance."""
    once = list(dict.fromkeys(labels))
    return tuple(sorted(once, key=int) if all(label.isdecimal() for label in once) else once)


def grouped(cells: Iterable[Cell], *fields: str) -> dict[tuple[str, ...], list[Cell]]:
    """Return cells by some of their fields, in order of appearance."""
    found: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(getattr(cell, field) for field in fields), []).append(cell)
    return found


def tables(document: Document) -> dict[str, Table]:
    """Return a table for each series."""
    return {series: Table.of(cells) for (series,), cells in grouped(document.cells, "series").items()}


def grids(document: Document) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return (heading, header, rows) for each series, for a terminal and for Markdown."""
    corner, found = " \\ ".join(filter(None, document.axes)), []
    for series, table in tables(document).items():
        cols = table.cols[:: table.step]
        rows = [
            [document.both(row), *(_shown(table.cells.get((row, col)), document) for col in cols)]
            for row in table.rows
        ]
        more = " (some epochs; all are in the CSV)" if table.step > 1 else ""
        found.append((series + more, [corner, *map(document.both, cols)], rows))
    return found


def _shown(cell: Cell | None, document: Document) -> str:
    """Return ``91.32 (91.54)``: reproduced, the published number in brackets, and ``!`` outside the band."""
    if cell is None:
        return ""
    digits = document.digits_of(column=cell.col)
    value = cell.verdict
    if cell.shown is not None:
        value = fixed(cell.shown, digits) + (f" ± {fixed(cell.sd, digits)}" if cell.sd is not None else "")
    if cell.published is not None:
        value += f" ({fixed(cell.published, document.digits_of('published', cell.col))})"
    return value + (" !" if cell.verdict == OUTSIDE else "")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, its columns aligned: the same bytes with and without tabulate, which bare GPU
    machines do not have."""
    try:
        from tabulate import tabulate
    except ImportError:
        widths = [max(len(head) + 2, *map(len, cells)) for head, *cells in zip(header, *rows, strict=True)]
        lines = [header, ["-" * (width + 2) for width in widths], *rows]
        pad = [[f" {cell:<{width}} " for cell, width in zip(line, widths, strict=True)] for line in lines]
        pad[1] = list(lines[1])
        return "\n".join(f"|{'|'.join(line)}|" for line in pad)
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)
