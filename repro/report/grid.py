"""A table that fits its terminal: it gives up what can be spared before it cuts a number, a name or a verdict."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

WORD = re.compile(r"\s+|(?<=[a-z]-)(?=[a-z])")
COMFORT = 24  # a column of sentences is not narrower while another column can be spared
GAPS = (2, 1)  # between columns, the second before anything is stacked
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
        gap, blocks = self.laid_out(options.max_width)
        for number, block in enumerate(blocks):
            if number:
                yield Text()
            yield from self._lines(self.header, block, gap, "bold")
            for row in self.rows:
                yield from self._lines(row, block, gap)

    def laid_out(self, width: int) -> tuple[int, list[Block]]:
        """Return the gap between columns, and the blocks of columns for a terminal of ``width``."""
        for gap in GAPS:
            kept = list(range(len(self.header)))
            spare = [self.header.index(name) for name in self.spare if name in self.header]
            while not (widths := self._fitting(kept, width, gap, COMFORT if spare else 0)) and spare:
                kept.remove(spare.pop(0))
            if widths:
                return gap, [list(zip(kept, widths, strict=True))]
        return GAPS[0], self._stacked(kept, width, GAPS[0])

    def _fitting(self, kept: Sequence[int], width: int, gap: int, comfort: int) -> list[int] | None:
        """Return the columns' widths if they fit beside one another; folding columns share the room that others
        leave."""
        natural = [self._natural(index) for index in kept]
        room = width - gap * (len(kept) - 1)
        if sum(natural) <= room:
            return natural
        found = [self._least(index, comfort) for index in kept]
        if sum(found) > room:
            return None
        by_need = sorted(range(len(kept)), key=lambda place: natural[place] - found[place])
        for served, place in enumerate(by_need):
            share = (room - sum(found)) // (len(kept) - served)
            found[place] = min(natural[place], found[place] + share)
        return found

    def _stacked(self, kept: Sequence[int], width: int, gap: int) -> list[Block]:
        def across(block: Block) -> int:
            return sum(own for _, own in block) + gap * (len(block) - 1)

        heads = [(index, self._least(index)) for index in kept if index < self.left]
        while len(heads) > 1 and across(heads) > width // 2:
            heads.pop()
        blocks: list[Block] = []
        for index in [index for index in kept if index not in dict(heads)]:
            own = (index, min(self._least(index), max(width - across(heads) - gap, 1)))
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

    def _lines(self, cells: Sequence[str], block: Block, gap: int, style: str = "") -> Iterator[Text]:
        """Yield the lines of one row, as many as its highest cell has."""
        wrapped = [
            [cells[index]] if cell_len(cells[index]) <= width else textwrap.wrap(cells[index], width) or [""]
            for index, width in block
        ]
        for number in range(max(map(len, wrapped))):
            line = Text()
            for (index, width), lines in zip(block, wrapped, strict=True):
                text = lines[number] if number < len(lines) else ""
                room = " " * (width - cell_len(text))
                line.append(" " * gap if index != block[0][0] else "")
                line.append("" if self._to_the_left(index) else room)
                line.append(text, style or STYLES.get(cells[index]))
                line.append(room if self._to_the_left(index) else "")
            line.rstrip()
            yield line

    def _to_the_left(self, index: int) -> bool:
        return index < self.left or self.header[index] in self.folds
