"""Tables on the terminal: each fits it, and gives up what can be spared before it cuts a number or a verdict."""

from __future__ import annotations

import itertools
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.text import Text

from repro.options import placed
from repro.report import reading
from repro.report.document import Document
from repro.report.tables import grids

UNBOUNDED = 100_000  # columns
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


def console(stderr: bool = False) -> Console:
    """Return a console.

    Without a terminal it neither wraps nor cuts, unless ``$COLUMNS`` sets a width. It has no styles if
    ``$NO_COLOR`` is set. Of many ranks only the first prints.
    """
    settings: dict[str, Any] = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    found = Console(stderr=stderr, highlight=False, quiet=placed().rank > 0, **settings)
    if not found.is_terminal:
        asked = os.environ.get("COLUMNS", "")
        found.width = int(asked) if asked.isdecimal() and int(asked) else UNBOUNDED
    return found


def show(document: Document, to: Console) -> None:
    """Print the artifact's tables, and how it compares with the paper."""
    to.print(f"\n[bold]{document.artifact}[/bold]  {escape(document.title)}")
    for heading, header, rows in grids(document):
        to.print(Grid(header, rows, heading))
    brackets = " Published numbers in brackets." if document.printed else ""
    to.print(reading.standing(document) + brackets, markup=False)


@dataclass(frozen=True)
class Grid:
    """``rows`` under a ``header``, the first ``left`` columns to the left, the others to the right.

    Where the terminal is too narrow, columns named in ``folds`` wrap at words (they hold sentences, and are to the
    left), then those of ``spare`` are left out, the first first. What is still too wide is stacked: blocks of
    columns, each after the left ones again.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str | None = None
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
        while (room := width - _across(block := self._least(kept, COMFORT if spare else 0))) < 0 and spare:
            kept.remove(spare.pop(0))
        if room < 0:
            return self._stacked(block, width)
        more = {index: max(map(cell_len, self._column(index))) - own for index, own in block.items()}
        for served, index in enumerate(sorted(more, key=lambda index: more[index])):
            share = min(more[index], room // (len(more) - served))  # who needs less leaves room to others
            block[index] += share
            room -= share
        return [block]

    def _least(self, kept: Sequence[int], comfort: int) -> Block:
        """Return how narrow columns may be: sentences wrap, and so do headings of columns to the right."""
        found = {}
        for index in kept:
            heading, *cells = self._column(index)
            if self.header[index] in self.folds:
                words = [word for text in (heading, *cells) for word in WORD.split(text)]
                comfortable = min(comfort, max(map(cell_len, (heading, *cells))))
                found[index] = max(*map(cell_len, words), comfortable)
            else:
                found[index] = max(
                    map(cell_len, [*cells, *([heading] if index < self.left else heading.split())]), default=0
                )
        return found

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
                style = "bold" if cells is self.header else STYLES.get(cells[index])
                line.append("" if left else room).append(text, style).append(room if left else "").append(
                    " " * GAP
                )
            line.rstrip()
            yield line


def _across(block: Block) -> int:
    return sum(block.values()) + GAP * (len(block) - 1)


table = Grid


def duration(seconds: float) -> str:
    """Format seconds: ``40 s``, ``12 min``, ``3.4 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def speed(value: float) -> str:
    """Format images a second, with a decimal where they are few."""
    return f"{value:,.0f} images/s" if value >= 10 else f"{value:.2g} images/s"


def size(count: float) -> str:
    """Format bytes: ``1.1 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
