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
from repro.report.figures import BLUE, INK, MUTED, VERMILION
from repro.report.figures.heat import without_outliers
from repro.report.figures.sheet import Sheet, band, number_ticks, of_nothing, said, text_width, value_axis
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
DENSE: Look = {"color": MUTED, "marker": ".", "linestyle": (0, (4, 2))}
POINT: Look = {"markersize": 4.6, "markerfacecolor": "white", "markeredgewidth": 1.3}
LEVEL: Look = {"linewidth": 0.9, "linestyle": (0, (1, 2))}
RING: Look = {"linestyle": "", "marker": "D", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK}
HOLLOW: Look = {"linestyle": "", "markerfacecolor": "white", "markeredgecolor": MUTED, "markeredgewidth": 1.3}


@dataclass(frozen=True)
class Curve:
    """Cells over a number, in increasing order. A cell without a value is a gap."""

    name: str
    look: Look
    cells: Sequence[Cell]
    levelled: bool

    @property
    def xs(self) -> list[float]:
        """Return the columns as numbers."""
        return [cell.x or 0.0 for cell in self.cells]

    @property
    def values(self) -> list[float]:
        """Return the heights, NaN in gaps."""
        return [math.nan if (value := cell.shown) is None else value for cell in self.cells]

    @property
    def line(self) -> list[float]:
        """Return the heights at which the curve is drawn: of many values, medians of neighbours."""
        return medians(self.values) if len(self.cells) > MANY else self.values

    @property
    def level(self) -> float | None:
        """Return the mean over the later half of the columns; None where one is missing, or none is drawn."""
        half = [cell.shown for cell in self.cells if (cell.x or 0.0) >= self.xs[-1] / 2]
        known = [value for value in half if value is not None]
        return statistics.fmean(known) if self.levelled and len(known) == len(half) > 1 else None

    @property
    def gaps(self) -> str:
        """Say what was not run or diverged; empty where all is there."""
        empty = [read.without_value(cell) for cell in self.cells if cell.shown is None]
        if empty.count(compare.NOT_RUN) == len(self.cells):
            return compare.NOT_RUN
        parts = [(word, empty.count(word)) for word in (compare.NOT_RUN, compare.DIVERGED)]
        return ", ".join(f"{count} of {len(self.cells)} {word}" for word, count in parts if count)


def draw(document: Document, drawing: Curves) -> Sheet:
    """Draw a panel for each row or series, curves over the columns."""
    cells = [cell for cell in document.cells if cell.x is not None]
    if not cells:
        return of_nothing(document)
    panels = panels_of(document, drawing, cells)
    across = min(len(panels), 2)
    deep = -(-len(panels) // across)
    wide, high = (6.6, 4.2) if across == 1 else (4.0, 4.0 if deep == 1 else 3.2)
    names = max(text_width(curve.name) for curves in panels.values() for curve in curves) + 0.5
    sheet = Sheet(across * (0.7 + wide + names), deep * high)
    every = sheet.subplots(deep, across, squeeze=False).flatten()
    for axes in every[len(panels) :]:
        axes.remove()
    for axes, (title, curves) in zip(every, panels.items(), strict=False):
        axes.set(title=title, xlabel=document.long_axes[1], ylabel=document.unit)
        value_axis(axes)
        number_ticks(axes, [x for curve in curves for x in curve.xs])
        own = [cell for curve in curves for cell in curve.cells if cell.published is not None]
        for cell in increasing(sorted(own, key=lambda cell: cell.band or 0.0)) if document.comparable else ():
            _printed(sheet, axes, cell, document, drawing)  # of each column one, the one with the widest band
        for curve in curves:
            _curve(sheet, axes, curve, document)
        _name(axes, curves, document.digits)
        _cut(sheet, axes, curves, f"{title}: " if len(panels) > 1 else "")
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
            name = drawing.name(label)
            if name == label and line == "row" and label.isdecimal():
                name = f"{document.long_axes[0]} {label}"
            found.setdefault(title, []).append(
                Curve(read.pretty(name), look, points, drawing.levels and look is not DENSE)
            )
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


def _dense(name: str) -> bool:
    return name.endswith(("baseline", "dense"))


def _curve(sheet: Sheet, axes: Axes, curve: Curve, document: Document) -> None:
    colour, xs, values, line = curve.look["color"], curve.xs, curve.values, curve.line
    if any(cell.sd is not None for cell in curve.cells):
        reach = [cell.sd or 0.0 for cell in curve.cells]
        low, high = ([document.capped(v + s * r) for v, r in zip(values, reach, strict=True)] for s in (-1, 1))
        axes.fill_between(xs, low, high, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
        sheet.key("± sd over the seeds", Patch(facecolor=MUTED, alpha=0.25))
    if line != values and any(cell.shown is not None for cell in curve.cells):
        axes.plot(xs, values, color=colour, linewidth=0.6, alpha=0.45, zorder=2)
        unit = document.axes[1]
        sheet.key(f"every {unit}", Line2D([], [], color=MUTED, linewidth=0.6))
        sheet.key(f"median of {2 * REACH + 1} {unit}s", Line2D([], [], color=MUTED, linewidth=1.7))
    axes.plot(xs, line, color=colour, linestyle=curve.look["linestyle"], linewidth=1.7, zorder=3)
    known = [index for index, cell in enumerate(curve.cells) if cell.shown is not None]
    marked = known[:: -(-len(known) // MARKS) or 1]
    for index, (x, cell) in enumerate(zip(xs, curve.cells, strict=True)):
        title = read.told(cell, document, [curve.name, *read.where(cell, document)[:1]])
        if cell.verdict == compare.DIVERGED:
            style: Look = {"linestyle": "", "marker": "x", "markersize": 4.5}
            (cross,) = axes.plot(x, 0.025, color=colour, transform=axes.get_xaxis_transform(), **style)
            sheet.mark(cross, title)
            sheet.key("diverged", Line2D([], [], color=MUTED, **style))
        if cell.verdict == compare.OUTSIDE:
            axes.plot(x, values[index], zorder=4, **RING)
            sheet.key("outside the band", Line2D([], [], **RING))
        if index in marked:
            (point,) = axes.plot(x, line[index], color=colour, marker=curve.look["marker"], zorder=3.5, **POINT)
            smooth = f"; median around it {fixed(line[index], document.digits)}" if len(xs) > MANY else ""
            sheet.mark(point, title + smooth)
    if curve.level is not None:
        axes.axhline(curve.level, color=colour, zorder=2.5, **LEVEL)
        sheet.key("mean of the later half of the epochs", Line2D([], [], color=MUTED, **LEVEL))


def _printed(sheet: Sheet, axes: Axes, cell: Cell, document: Document, drawing: Curves) -> None:
    """Draw the paper's number, pale behind it the band of a repetition."""
    x, value = cell.x or 0.0, cell.published or 0.0
    (point,) = axes.plot(x, value, marker="o", markersize=8, zorder=2.8, **HOLLOW)
    sheet.mark(point, read.told(cell, document))
    sheet.key(f"Published, {drawing.source}" if drawing.source else "Published", point)
    if cell.band is not None:
        ends = [document.capped(value - cell.band), document.capped(value + cell.band)]
        band(sheet, axes, [x, x], ends, 16)


def _name(axes: Axes, curves: Sequence[Curve], digits: int) -> None:
    """Name the curves beside the axes, the one that ends highest first, with level and gaps."""
    ends = {id(curve): [value for value in curve.line if not math.isnan(value)] for curve in curves}
    if not any(ends.values()):
        said(axes, "diverged" if any(curve.gaps != compare.NOT_RUN for curve in curves) else "not run")
        return
    handles, labels = [], []
    ranked = sorted(curves, key=lambda curve: ends[id(curve)][-1:], reverse=True)
    for curve in ranked:
        handles.append(Line2D([], [], linewidth=1.7, **curve.look, **POINT))
        level = "" if curve.level is None else f"later half {fixed(curve.level, digits)}"
        labels.append("\n".join(filter(None, [curve.name, level, curve.gaps])))
    axes.legend(
        handles, labels, labelcolor=[curve.look["color"] for curve in ranked], labelspacing=1.0,
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False,
    )  # fmt: skip


def _cut(sheet: Sheet, axes: Axes, curves: Sequence[Curve], where: str) -> None:
    """Leave far outliers among many values below the axis, and say so."""
    values = [value for curve in curves for value in curve.values if not math.isnan(value)]
    if len(values) <= MANY:
        return
    low, top = without_outliers(values)[0], axes.get_ylim()[1]
    low -= 0.06 * (top - low)
    if beyond := [value for value in values if value < low]:
        axes.set_ylim(low, top)
        many = "1 value lies" if len(beyond) == 1 else f"{len(beyond)} values lie"
        sheet.note(f"{where}{many} below the axis, down to {min(beyond):.1f}")
