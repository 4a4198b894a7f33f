"""A table that fits its terminal: it gives up what can be spared before it cuts a number, a name or a verdict."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

WORD = re.compile(r"\s+|(?<=[a-z]-)(?=[a-z])")
COMFORT = 24  # a column of sentences is not narrower while another column can be spared
GAP = 2  # between columns
STYLES = {
    "holds": "green", "within": "green",
    "fails": "red", "outside": "red", "diverged": "red",
    "undecided": "yellow",
    "not run": "dim", "not comparable": "dim", "unpublished": "dim",
}  # fmt: skip
"""Of the cells that are a verdict."""

Block = list[tuple[int, int]]
"""Columns that stand beside one another, each with its width."""


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
            yield from self._lines(self.header, block, "bold")
            for row in self.rows:
                yield from self._lines(row, block)

    def _blocks(self, width: int) -> list[Block]:
        """Return the blocks of columns for a terminal of ``width``: one, if all that are not spared fit."""
        kept = list(range(len(self.header)))
        spare = [self.header.index(name) for name in self.spare if name in self.header]
        while not (widths := self._fitting(kept, width, COMFORT if spare else 0)) and spare:
            kept.remove(spare.pop(0))
        return [list(zip(kept, widths, strict=True))] if widths else self._stacked(kept, width)

    def _fitting(self, kept: Sequence[int], width: int, comfort: int) -> list[int] | None:
        """Return the columns' widths if they fit beside one another; folding columns share the room that others
        leave."""
        natural = [self._natural(index) for index in kept]
        room = width - GAP * (len(kept) - 1)
        found = [self._least(index, comfort) for index in kept]
        if sum(found) > room:
            return None
        by_need = sorted(range(len(kept)), key=lambda place: natural[place] - found[place])
        for served, place in enumerate(by_need):
            share = (room - sum(found)) // (len(kept) - served)
            found[place] = min(natural[place], found[place] + share)
        return found

    def _stacked(self, kept: Sequence[int], width: int) -> list[Block]:
        def across(block: Block) -> int:
            return sum(own for _, own in block) + GAP * (len(block) - 1)

        heads = [(index, self._least(index)) for index in kept if index < self.left]
        while len(heads) > 1 and across(heads) > width // 2:
            heads.pop()
        blocks: list[Block] = []
        for index in [index for index in kept if index not in dict(heads)]:
            own = (index, min(self._least(index), max(width - across(heads) - GAP, 1)))
            if not blocks or across([*blocks[-1], own]) > width:
                blocks.append([*heads])
            blocks[-1].append(own)
        return blocks or [heads]

    def _natural(self, index: int) -> int:
        return max(cell_len(text) for text in self._column(index))

    def _least(self, index: int, comfort: int = 0) -> int:
        """Return how narrow the column may be: sentences wrap, and so do headings of columns to the right."""
        heading, *cells = self._column(index)
        if self.header[index] in self.folds:
            words = [word for text in (heading, *cells) for word in WORD.split(text)]
            return max(*map(cell_len, words), min(comfort, self._natural(index)))
        return max(map(cell_len, [*cells, *([heading] if index < self.left else heading.split())]), default=0)

    def _column(self, index: int) -> list[str]:
        return [self.header[index], *(row[index] for row in self.rows)]

    def _lines(self, cells: Sequence[str], block: Block, style: str = "") -> Iterator[Text]:
        """Yield the lines of one row, as many as its highest cell has."""
        wrapped = [
            [cells[index]] if cell_len(cells[index]) <= width else textwrap.wrap(cells[index], width) or [""]
            for index, width in block
        ]
        for parts in itertools.zip_longest(*wrapped, fillvalue=""):
            line = Text()
            for (index, width), text in zip(block, parts, strict=True):
                left = index < self.left or self.header[index] in self.folds
                room = " " * (width - cell_len(text))
                line.append(" " * GAP if index != block[0][0] else "")
                line.append("" if left else room)
                line.append(text, style or STYLES.get(cells[index]))
                line.append(room if left else "")
            line.rstrip()
            yield line
