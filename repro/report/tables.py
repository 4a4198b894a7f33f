"""Cells by row and column; and a `Table` of texts, which terminal, Markdown and page show alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from repro.cells import OUTSIDE, Cell

if TYPE_CHECKING:
    from repro.report.document import Document

MOST_COLUMNS, THINNED = 16, 11
COMFORT = 24  # a column of sentences is not narrower while another column can be spared
GAP = 2  # between columns
WORD = re.compile(r"\s+|(?<=[a-z]-)(?=[a-z])")
STYLES = {
    "holds": "green", "within": "green",
    "fails": "red", "outside": "red", "diverged": "red",
    "undecided": "yellow",
    "not run": "dim", "not comparable": "dim", "unpublished": "dim",
}  # fmt: skip
"""Of the cells that are a verdict."""


@dataclass(frozen=True)
class Table:
    """``rows`` under a ``header``, the first ``left`` columns to the left, the others to the right.

    Where the terminal is too narrow, columns named in ``folds`` wrap at words (they hold sentences, and are to the
    left), then those of ``spare`` are left out, the first first. What is still too wide is stacked: blocks of
    columns, each after the left ones again.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    left: int = 1
    folds: Sequence[str] = ()
    spare: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="italic")
        width, columns, spare = options.max_width, [*range(len(self.header))], [*self.spare]
        while spare and self._least(columns, COMFORT) > width:
            columns.remove(self.header.index(spare.pop(0)))
        for number, part in enumerate(self._parts(columns, width)):
            if number:
                yield Text()
            yield self._grid(part, width)

    def _parts(self, columns: list[int], width: int) -> list[list[int]]:
        """Divide columns that are too wide. Each part has the left ones, as far as these take half the width."""
        if self._least(columns) <= width:
            return [columns]
        heads = [index for index in columns if index < self.left]
        while len(heads) > 1 and self._least(heads) > width // 2:
            heads.pop()
        parts: list[list[int]] = []
        for index in (index for index in columns if index not in heads):
            if not parts or self._least([*parts[-1], index]) > width:
                parts.append([*heads])
            parts[-1].append(index)
        return parts or [heads]

    def _least(self, columns: Sequence[int], comfort: int = 0) -> int:
        """Return how many characters columns take at least, with the gaps between them."""
        return sum(self._narrowest(index, comfort) for index in columns) + GAP * (len(columns) - 1)

    def _narrowest(self, index: int, comfort: int = 0) -> int:
        """Return how narrow a column may be: sentences wrap, and so do headings of columns to the right."""
        heading, *cells = column = self._column(index)
        if heading in self.folds:
            words = WORD.split(" ".join(column))
            return max(*map(cell_len, words), min(comfort, max(map(cell_len, column))))
        return max(map(cell_len, [*cells, *([heading] if index < self.left else heading.split())]), default=0)

    def _column(self, index: int) -> list[str]:
        return [self.header[index], *(row[index] for row in self.rows)]

    def _grid(self, columns: Sequence[int], width: int) -> Grid:
        """Return columns side by side. Where they are too wide, those of sentences share what the others leave;
        a part that is too wide still consists of left columns and one other, which wraps."""
        grid = Grid(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
        fits = sum(max(map(cell_len, self._column(index))) + GAP for index in columns) - GAP <= width
        last = columns[-1] if self._least(columns) > width else None
        for index in columns:
            folds = self.header[index] in self.folds
            grid.add_column(
                Text(self.header[index]),
                justify="left" if index < self.left or folds else "right",
                overflow="fold",
                width=None if fits or folds or index == last else self._narrowest(index),
            )
        for row in self.rows:
            grid.add_row(*(Text(row[index], STYLES.get(row[index], "")) for index in columns))
        return grid


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


Pivot = tuple[str, list[str], list[tuple[str, list[Cell | None]]]]
"""Caption, labels of columns, rows of a label and cells."""


def pivots(document: Document) -> list[Pivot]:
    """Return the cells of each series; of many columns every few."""

    def named(label: str) -> str:
        """``1 (10)``: the profile's epoch and, in brackets as its numbers are, the paper's."""
        return f"{label} ({document.paper_epochs[label]})" if label in document.paper_epochs else label

    found: list[Pivot] = []
    for (series,), cells in grouped(document.cells, "series").items():
        names, cols, placed = pivot(cells)
        step = -(-len(cols) // THINNED) if len(cols) > MOST_COLUMNS else 1
        rows = [(named(name), [placed.get((name, col)) for col in cols[::step]]) for name in names]
        more = f" (every {step}th column; all are in the CSV)" if step > 1 else ""
        found.append((series + more, [*map(named, cols[::step])], rows))
    return found


def tables(document: Document) -> list[Table]:
    """Return the cells of each series as texts."""
    corner = " \\ ".join(filter(None, document.axes))
    return [
        Table(
            [corner, *columns],
            [[row, *(_shown(cell, document) for cell in cells)] for row, cells in rows],
            caption,
        )
        for caption, columns, rows in pivots(document)
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
