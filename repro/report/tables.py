"""Cells by row and column, and tables as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.cells import OUTSIDE, Cell

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


def tables(document: Document) -> list[tuple[str, list[str], list[tuple[str, list[Cell | None]]]]]:
    """Return (caption, labels of columns, rows of a label and cells) of each series; of many columns every few."""
    found = []
    for (series,), cells in grouped(document.cells, "series").items():
        table = Table.of(cells)
        step = -(-len(table.cols) // THINNED) if len(table.cols) > MOST_COLUMNS else 1
        cols = table.cols[::step]
        rows = [(document.both(row), [table.cells.get((row, col)) for col in cols]) for row in table.rows]
        more = f" (every {step}th column; all are in the CSV)" if step > 1 else ""
        found.append((series + more, [document.both(col) for col in cols], rows))
    return found


def grids(document: Document) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return (heading, header, rows) for each series, for a terminal and for Markdown."""
    corner = " \\ ".join(filter(None, document.axes))
    return [
        (caption, [corner, *columns], [[row, *(_shown(cell, document) for cell in cells)] for row, cells in rows])
        for caption, columns, rows in tables(document)
    ]


def _shown(cell: Cell | None, document: Document) -> str:
    """Return ``91.32 (91.54)``: reproduced, the published number in brackets, and ``!`` outside the band."""
    if cell is None:
        return ""
    value = cell.verdict
    if cell.shown is not None:
        spread = document.number(cell, "sd")
        value = document.number(cell, "shown") + (f" ± {spread}" if spread else "")
    if cell.published is not None:
        value += f" ({document.number(cell, 'published')})"
    return value + (" !" if cell.verdict == OUTSIDE else "")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, its columns aligned: the same bytes with and without tabulate, which bare GPU
    machines do not have."""
    try:
        from tabulate import tabulate
    except ImportError:
        widths = [max(len(head) + 2, *map(len, cells)) for head, *cells in zip(header, *rows, strict=True)]
        lines = [
            "|".join(f" {cell:<{width}} " for cell, width in zip(line, widths, strict=True))
            for line in (header, *rows)
        ]
        rule = "|".join("-" * (width + 2) for width in widths)
        return "\n".join(f"|{line}|" for line in (lines[0], rule, *lines[1:]))
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)
