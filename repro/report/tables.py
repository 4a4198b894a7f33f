"""Cells by row and column, and tables as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from repro.cells import OUTSIDE, Cell

if TYPE_CHECKING:
    from repro.report.document import Document

MOST_COLUMNS, THINNED = 16, 11


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Return each label once: by value where all are whole numbers, else in order of appearance."""
    once = list(dict.fromkeys(labels))
    return tuple(sorted(once, key=int) if all(label.isdecimal() for label in once) else once)


def pivot(cells: Iterable[Cell]) -> tuple[tuple[str, ...], tuple[str, ...], dict[tuple[str, str], Cell]]:
    """Return the labels of rows and of columns, and the cells by both. A place may have none."""
    placed = {(cell.row, cell.col): cell for cell in cells}
    return ordered(row for row, _ in placed), ordered(col for _, col in placed), placed


def grouped(cells: Iterable[Cell], *fields: str) -> dict[tuple[str, ...], list[Cell]]:
    """Return cells by some of their fields, in order of appearance."""
    found: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(getattr(cell, field) for field in fields), []).append(cell)
    return found


def tables(document: Document) -> list[tuple[str, list[str], list[tuple[str, list[Cell | None]]]]]:
    """Return (caption, labels of columns, rows of a label and cells) of each series; of many columns every few."""

    def named(label: str) -> str:
        """``1 (10)``: the profile's epoch and, in brackets as its numbers are, the paper's."""
        return f"{label} ({document.paper_epochs[label]})" if label in document.paper_epochs else label

    found = []
    for (series,), cells in grouped(document.cells, "series").items():
        names, cols, placed = pivot(cells)
        step = -(-len(cols) // THINNED) if len(cols) > MOST_COLUMNS else 1
        rows = [(named(name), [placed.get((name, col)) for col in cols[::step]]) for name in names]
        more = f" (every {step}th column; all are in the CSV)" if step > 1 else ""
        found.append((series + more, [*map(named, cols[::step])], rows))
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
