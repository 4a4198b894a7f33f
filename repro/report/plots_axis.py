"""What curves need: cells along a number, ticks at their places, medians of neighbours, labels kept apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro import compare
from repro.report.plots_page import Cell, number, place, text_width, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REACH = 4  # neighbours to each side that a median is taken of
MOST_TICKS = 12


def reading(cell: Cell | None) -> float | None:
    """The reproduced value, where there is one to show: of diverged seeds, the mean of the others is none."""
    return None if verdict(cell) == compare.DIVERGED else number(cell, "reproduced")


def increasing(cells: Sequence[Cell]) -> list[Cell]:
    """Cells by column, one for each."""
    found = {x: cell for cell in cells if (x := place(cell)) is not None}
    return [found[x] for x in sorted(found)]


def medians(values: Sequence[float]) -> list[float]:
    """Each value in the median of its neighbours; gaps stay gaps. Unlike a mean it keeps the steps that drops of
    the learning rate make; as many to either side at the start, or its steep rise would be lost."""
    found = []
    for index, value in enumerate(values):
        reach = min(REACH, index)
        near = [near for near in values[index - reach : index + reach + 1] if not math.isnan(near)]
        found.append(value if math.isnan(value) else statistics.median(near))
    return found


def spaced(wanted: Sequence[float], gap: float, height: float) -> list[float]:
    """Places for labels as near as can be to the wanted ones, ``gap`` apart and between 0 and ``height``; closer
    where the height asks for it."""
    gap = min(gap, height / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    pools: list[list[float]] = []  # less its share of the gaps, a label moves together with those it would hit
    for rank, index in enumerate(order):
        pools.append([wanted[index] - rank * gap])
        while len(pools) > 1 and statistics.fmean(pools[-2]) > statistics.fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = [statistics.fmean(pool) for pool in pools for _ in pool]
    top = height - gap * (len(wanted) - 1)
    found = {index: min(max(level[rank], 0.0), top) + rank * gap for rank, index in enumerate(order)}
    return [found[index] for index in range(len(wanted))]


def number_ticks(axes: Axes, xs: Sequence[float], width: float, *, above_all: float | None = None) -> None:
    """Ticks where the values stand, if they are few, with numbers at as many (``above_all`` at one of them) as
    have room on an axis of ``width`` inches."""
    from matplotlib.ticker import MaxNLocator

    few, (low, high) = sorted(set(xs)), (min(xs), max(xs))
    room = (0.04 if len(few) <= MOST_TICKS else 0.012) * (high - low) or 0.5
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == round(value) else f"{value:g}")
    if len(few) > MOST_TICKS:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        return
    inches = width / (high - low + 2 * room)
    kept: list[float] = []
    for x in [*([] if above_all is None else [above_all]), *few]:
        needed = text_width(f"{x:,.0f}", 8.5) + 0.12
        if all(abs(x - other) * inches >= needed for other in kept):
            kept.append(x)
    axes.set_xticks(few, minor=True)
    axes.set_xticks(kept)
