"""Draw values along numeric columns: Fig. 4 and 6 (PPR), Fig. 5 (memorization), the batch probe."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from repro import cells as compare
from repro.artifacts.drawing import Curves
from repro.cells import Cell
from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures.heat import spanning
from repro.report.figures.look import BLUE, FAINT, INK, MUTED, PALE, VERMILION
from repro.report.figures.sheet import AWAY, MARGIN, Sheet, number_ticks, of_nothing, text_width, value_axis
from repro.report.numbers import fixed
from repro.report.tables import grouped, ordered

REACH = 4  # neighbours to each side that a median is taken of
MANY = 60  # a curve of more points is drawn thin, under the medians of neighbours
MARKS = 20  # points of a curve that say their value, at most
Look = Mapping[str, Any]
# Shape and dashes differ as well: the curves are told apart without colour.
LOOKS: Sequence[Look] = (
    {"color": VERMILION, "marker": "s", "linestyle": "-"},
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": "#00795C", "marker": "^", "linestyle": (0, (6, 2))},
    {"color": "#8A3F7B", "marker": "D", "linestyle": (0, (3, 1.5))},
    {"color": "#6B5500", "marker": "v", "linestyle": (0, (1.5, 1.2))},
)
DENSE: Look = {"color": MUTED, "marker": "", "linestyle": (0, (4, 2))}
LEVEL: Look = {"linewidth": 0.9, "linestyle": (0, (1, 2))}
RING: Look = {"linestyle": "", "marker": "D", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK}
HOLLOW: Look = {"linestyle": "", "markerfacecolor": "white", "markeredgecolor": MUTED, "markeredgewidth": 1.3}


@dataclass(frozen=True)
class Curve:
    """Cells over a number, in increasing order. A cell without a value is a gap."""

    name: str
    look: Look
    cells: Sequence[Cell]
    levelled: bool = False

    @property
    def xs(self) -> list[float]:
        """Return the columns as numbers."""
        return [cell.x or 0.0 for cell in self.cells]

    @property
    def values(self) -> list[float]:
        """Return the heights, NaN in gaps."""
        return [math.nan if (value := cell.shown) is None else value for cell in self.cells]

    @property
    def level(self) -> float | None:
        """Return the mean over the later half of the columns; None where one of them is missing."""
        xs = self.xs
        half = [value for x, value in zip(xs, self.values, strict=True) if x >= xs[-1] / 2]
        return (
            statistics.fmean(half) if self.levelled and len(half) > 1 and not any(map(math.isnan, half)) else None
        )

    @property
    def gaps(self) -> str:
        """Say what was not run or diverged; empty where all is there."""
        empty = [read.without_value(cell) for cell in self.cells if cell.shown is None]
        if empty.count("not run") == len(self.cells):
            return f"{self.name}: not run"
        words = [
            f"{empty.count(word)} of {len(self.cells)} {word}" for word in ("not run", "diverged") if word in empty
        ]
        return f"{self.name}: {', '.join(words)}" if words else ""


def draw(document: Document, drawing: Curves) -> Sheet:
    """Draw a panel for each row or series, curves over the columns."""
    cells = [cell for cell in document.cells if cell.x is not None]
    if not cells:
        return of_nothing(document)
    panels = panels_of(document, drawing, cells)
    across = min(len(panels), 2)
    deep = -(-len(panels) // across)
    wide, high = (6.6, 3.6) if across == 1 else (4.0, 3.3 if deep == 1 else 2.5)
    names = max(text_width(curve.name, 8.5, "bold") for curves in panels.values() for curve in curves) + 0.35
    judged = document.comparable and any(cell.band is not None for cell in cells)
    sheet = Sheet(2 * MARGIN + across * (0.7 + wide + names), deep * (high + 0.7))
    sheet.note(document.unit, read.tally(cells, judged), read.seeds(cells), read.unprinted(document))
    sheet.note(_printed_words(document, drawing, cells))
    every = sheet.subplots(deep, across, squeeze=False).flatten()
    for axes in every[len(panels) :]:
        axes.remove()
    for axes, (title, curves) in zip(every, panels.items(), strict=False):
        axes.set(title=title, xlabel=document.long_axes[1], ylabel=document.unit)
        own = [cell for curve in curves for cell in curve.cells if cell.published is not None]
        beside = sorted(own, key=lambda cell: cell.band or 0.0) if document.comparable else []
        printed = increasing(beside)  # of each column one, the one with the widest band
        axes.set_ylim(*_limits(sheet, curves, printed, title if len(panels) > 1 else ""))
        value_axis(axes)
        number_ticks(axes, [x for curve in curves for x in curve.xs], wide)
        for cell in printed:
            _printed(sheet, axes, cell, document, drawing)
        for curve in curves:
            _curve(sheet, axes, curve, document)
        _names(sheet, axes, curves, high, document.digits)
    return sheet


def panels_of(document: Document, drawing: Curves, cells: Sequence[Cell]) -> dict[str, list[Curve]]:
    """Return curves by the title of their panel, a curve of the same name in the same look in each."""
    line = "series" if drawing.panel == "row" else "row"
    plain = [name for name in ordered(getattr(cell, line) for cell in cells) if not _dense(name)]
    order = list(dict.fromkeys((*drawing.order, *plain)))
    found: dict[str, list[Curve]] = {}
    groups = grouped(cells, drawing.panel)
    for (panel,), own in groups.items():
        letter = f"({chr(ord('a') + len(found))})  " if len(groups) > 1 else ""
        title = letter + read.network(panel, document) if drawing.panel == "row" or letter else ""
        for label in ordered(getattr(cell, line) for cell in own):
            look = DENSE if _dense(label) else LOOKS[order.index(label) % len(LOOKS)]
            points = increasing([cell for cell in own if getattr(cell, line) == label])
            called = drawing.name(label)
            if called == label and line == "row" and label.isdecimal():
                called = f"{document.long_axes[0]} {label}"
            curve = Curve(read.pretty(called), look, points, drawing.levels and look is not DENSE)
            found.setdefault(title, []).append(curve)
    return found


def increasing(cells: Sequence[Cell]) -> list[Cell]:
    """Return cells by column, one for each."""
    found = {x: cell for cell in cells if (x := cell.x) is not None}
    return [found[x] for x in sorted(found)]


def medians(values: Sequence[float]) -> list[float]:
    """Return each value in the median of its neighbours; gaps stay gaps.

    Unlike a mean, a median keeps the steps at drops of the learning rate. The window shrinks at the start, or the
    steep rise there would be lost.
    """
    found = []
    for index, value in enumerate(values):
        reach = min(REACH, index)
        near = [near for near in values[index - reach : index + reach + 1] if not math.isnan(near)]
        found.append(value if math.isnan(value) else statistics.median(near))
    return found


def spaced(wanted: Sequence[float], gap: float, height: float) -> list[float]:
    """Shift label positions as little as possible so that they are ``gap`` apart within [0, ``height``].

    If they do not fit, the gap is smaller.
    """
    gap = min(gap, height / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    pools: list[list[float]] = []  # labels that would overlap move together
    for rank, index in enumerate(order):
        pools.append([wanted[index] - rank * gap])
        while len(pools) > 1 and statistics.fmean(pools[-2]) > statistics.fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = [statistics.fmean(pool) for pool in pools for _ in pool]
    top = height - gap * (len(wanted) - 1)
    found = {index: min(max(level[rank], 0.0), top) + rank * gap for rank, index in enumerate(order)}
    return [found[index] for index in range(len(wanted))]


def _dense(name: str) -> bool:
    return name.endswith(("baseline", "dense"))


def _limits(sheet: Sheet, curves: Sequence[Curve], printed: Sequence[Cell], title: str) -> tuple[float, float]:
    """Return limits that hold curves and bands, but for far outliers among many values; note what is missing."""
    values = [value for curve in curves for value in curve.values if not math.isnan(value)]
    lowest = spanning(values).low if len(values) > MANY else -math.inf
    if values and max(values) - min(values) < 1.3 * (max(values) - lowest):
        lowest = -math.inf  # so little would be gained that nothing has to be left out
    reproduced = [(cell, "sd", v) for c in curves for cell in c.cells if (v := cell.shown) is not None]
    published = [(cell, "band", v) for cell in printed if (v := cell.value("published")) is not None]
    spans = [(value, getattr(cell, spread) or 0.0) for cell, spread, value in reproduced + published]
    ends = [value + side * reach for value, reach in spans if value >= lowest for side in (-1, 1)]
    room = 0.06 * (max(ends) - min(ends)) or 0.5 if ends else 0.0
    low, high = (min(ends) - room, max(ends) + room) if ends else (0.0, 1.0)
    words = [curve.gaps for curve in curves if curve.gaps and values]  # else the panel itself says so
    if beyond := [value for value in values if value < low]:
        many = "1 value lies" if len(beyond) == 1 else f"{len(beyond)} values lie"
        words.append(f"{many} below the axis, down to {min(beyond):.1f}")
    sheet.note("; ".join([title, *words] if title and words else words))
    return low, high


def _curve(sheet: Sheet, axes: Axes, curve: Curve, document: Document) -> None:
    colour, xs, values = curve.look["color"], curve.xs, curve.values
    shown = medians(values) if len(xs) > MANY else values
    if any(cell.sd is not None for cell in curve.cells):
        reach = [cell.sd or 0.0 for cell in curve.cells]
        low, high = ([document.capped(v + s * r) for v, r in zip(values, reach, strict=True)] for s in (-1, 1))
        axes.fill_between(xs, low, high, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
        sheet.key("± sd over the seeds", Patch(facecolor=MUTED, alpha=0.25))
    if shown is not values and not all(map(math.isnan, values)):
        axes.plot(xs, values, color=colour, linewidth=0.6, alpha=0.45, zorder=2)
        unit = document.axes[1]
        sheet.key(f"every {unit}", Line2D([], [], color=MUTED, linewidth=0.6))
        sheet.key(f"median of {2 * REACH + 1} {unit}s", Line2D([], [], color=MUTED, linewidth=1.7))
    axes.plot(xs, shown, color=colour, linestyle=curve.look["linestyle"], linewidth=1.7, zorder=3)
    for index, (x, cell) in enumerate(zip(xs, curve.cells, strict=True)):
        title = read.told(cell, document, [curve.name, *read.where(cell, document)[:1]])
        style: dict[str, Any] = {"linestyle": "", "color": colour, "zorder": 3.5}
        if cell.verdict == compare.DIVERGED:
            (cross,) = axes.plot(
                x, 0.025, marker="x", markersize=4.5, transform=axes.get_xaxis_transform(), **style
            )
            sheet.mark(cross, title)
            sheet.key("diverged", Line2D([], [], linestyle="", marker="x", color=MUTED, markersize=4.5))
        if cell.verdict == compare.OUTSIDE:
            axes.plot(x, values[index], zorder=4, **RING)
            sheet.key("outside the band", Line2D([], [], **RING))
        alone = all(not 0 <= near < len(xs) or math.isnan(values[near]) for near in (index - 1, index + 1))
        if math.isnan(values[index]) or (index % -(-len(xs) // MARKS) and not alone):
            continue
        visible = bool(curve.look["marker"]) or alone  # a mark that is not can be pointed at all the same
        (point,) = axes.plot(
            x, shown[index], marker=curve.look["marker"] or "x", markersize=4.6, markerfacecolor="white",
            markeredgewidth=1.3, alpha=float(visible), **style,
        )  # fmt: skip
        smooth = f"; median around it {fixed(shown[index], document.digits)}"
        sheet.mark(point, title + (smooth if shown is not values else ""))
    if curve.level is not None:
        axes.axhline(curve.level, color=colour, zorder=2.5, **LEVEL)
        sheet.key("mean of the later half of the epochs", Line2D([], [], color=MUTED, **LEVEL))


def _printed(sheet: Sheet, axes: Axes, cell: Cell, document: Document, drawing: Curves) -> None:
    """Draw the paper's number, pale behind it the band of a repetition."""
    x, value, band = cell.x or 0.0, cell.published or 0.0, cell.band
    (point,) = axes.plot(x, value, marker="o", markersize=8, zorder=2.8, **HOLLOW)
    sheet.mark(point, read.told(cell, document))
    sheet.key(f"Published, {drawing.source}" if drawing.source else "Published", point)
    if band is not None:
        ends = [document.capped(value - band), document.capped(value + band)]
        axes.plot([x, x], ends, color=PALE, linewidth=16, solid_capstyle="butt", zorder=1)
        sheet.key("95 % band of a repetition", Patch(facecolor=PALE))


def _names(sheet: Sheet, axes: Axes, curves: Sequence[Curve], high: float, digits: int) -> None:
    """Write every curve's name to the right of its end, with the level that it settles at."""
    (low, top), (first, last), ends = axes.get_ylim(), axes.get_xlim(), []
    drawn = [curve for curve in curves if not all(map(math.isnan, curve.values))]
    for curve in drawn:
        shown = medians(curve.values) if len(curve.cells) > MANY else curve.values
        x, y = [(x, y) for x, y in zip(curve.xs, shown, strict=True) if not math.isnan(y)][-1]
        ends.append(((x - first) / (last - first), min(max((y - low) / (top - low), 0.0), 1.0)))
    gap = 0.37 if any(curve.level is not None for curve in drawn) else 0.21
    places = spaced([y * high for _, y in ends], gap, high)
    for curve, (x, y), at in zip(drawn, ends, places, strict=True):
        leader: dict[str, Any] = {"color": FAINT, "linewidth": 0.7, "clip_on": False, "zorder": 2}
        axes.plot([x, 1.01, 1.035], [y, y, at / high], transform=axes.transAxes, **leader)
        style: dict[str, Any] = {"xycoords": axes.transAxes, "textcoords": "offset points", "va": "center"}
        words: dict[str, Any] = {"size": 8.5, "weight": "bold", "color": curve.look["color"], **style}
        axes.annotate(curve.name, (1.035, at / high), (2, 0), **words)
        if curve.level is not None:
            level = f"later half {fixed(curve.level, digits)}"
            axes.annotate(level, (1.035, at / high), (2, -11), size=7.5, color=MUTED, **style)
    if not drawn:
        axes.set_yticks([])
        lost = any(cell.verdict == compare.DIVERGED for curve in curves for cell in curve.cells)
        axes.text(0.5, 0.5, "diverged" if lost else "not run", transform=axes.transAxes, size=11, **AWAY)


def _printed_words(document: Document, drawing: Curves, cells: Sequence[Cell]) -> str:
    """Say which numbers the paper prints, where they are not drawn."""
    found = {document.in_paper(cell.col): cell.published for cell in cells}
    digits = document.digits_of("published")
    words = [f"{fixed(value, digits)} at {col}" for col, value in found.items() if value is not None]
    source = f" ({drawing.source})" if drawing.source else ""
    return f"published{source}: {', '.join(words)}" if words and not document.comparable else ""
