"""Cells by row and column; and a `Table` of texts, which terminal, Markdown and page show alike."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
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
Block = dict[int, int]
"""The widths of columns that stand beside one another, by index."""


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
        for number, block in enumerate(self._blocks(options.max_width)):
            if number:
                yield Text()
            for row in (self.header, *self.rows):
                yield from self._lines(row, block)

    def _blocks(self, width: int) -> list[Block]:
        """Return the columns for a terminal of ``width``: one block, if all that are not spared fit."""
        spare = [self.header.index(name) for name in self.spare if name in self.header]
        kept = [*range(len(self.header))]
        while True:
            block = {index: self._least(index, COMFORT if spare else 0) for index in kept}
            room = width - _across(block)
            if room >= 0 or not spare:
                break
            kept.remove(spare.pop(0))
        if room < 0:
            return self._stacked(block, width)
        more = {index: max(map(cell_len, self._column(index))) - own for index, own in block.items()}
        for served, index in enumerate(sorted(more, key=lambda index: more[index])):
            share = min(more[index], room // (len(more) - served))  # who needs less leaves room to others
            block[index] += share
            room -= share
        return [block]

    def _least(self, index: int, comfort: int) -> int:
        """Return how narrow a column may be: sentences wrap, and so do headings of columns to the right."""
        heading, *cells = column = self._column(index)
        if heading in self.folds:
            words = [word for text in column for word in WORD.split(text)]
            return max(*map(cell_len, words), min(comfort, max(map(cell_len, column))))
        return max(map(cell_len, [*cells, *([heading] if index < self.left else heading.split())]), default=0)

    def _stacked(self, block: Block, width: int) -> list[Block]:
        """Divide a block that is too wide. Each part has the left columns, as far as these take half the width."""
        heads = {index: own for index, own in block.items() if index < self.left}
        while len(heads) > 1 and _across(heads) > width // 2:
            heads.popitem()
        blocks: list[Block] = []
        for index in [index for index in block if index not in heads]:
            own = min(block[index], max(width - _across(heads) - GAP, 1))
            if not blocks or _across(blocks[-1]) + GAP + own > width:
                blocks.append({**heads})
            blocks[-1][index] = own
        return blocks or [heads]

    def _column(self, index: int) -> list[str]:
        return [self.header[index], *(row[index] for row in self.rows)]

    def _lines(self, cells: Sequence[str], block: Block) -> Iterator[Text]:
        """Yield the lines of one row, as many as its highest cell has."""
        wrapped = [
            [cells[index]] if cell_len(cells[index]) <= width else textwrap.wrap(cells[index], width) or [""]
            for index, width in block.items()
        ]
        for parts in itertools.zip_longest(*wrapped, fillvalue=""):
            line = Text()
            for (index, width), text in zip(block.items(), parts, strict=True):
                left, room = index < self.left or self.header[index] in self.folds, " " * (width - cell_len(text))
                before, behind = ("", room) if left else (room, "")
                style = "bold" if cells is self.header else STYLES.get(cells[index])
                line.append(before).append(text, style).append(behind + " " * GAP)
            line.rstrip()
            yield line


def _across(block: Block) -> int:
    return sum(block.values()) + GAP * (len(block) - 1)


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
