"""Draw values along numeric columns: Fig. 2 (layers), 4 and 6 (PPR), 5 (memorization), the batch probe."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from repro.artifacts.drawing import Curves
from repro.cells import DIVERGED, NOT_RUN, OUTSIDE, Cell
from repro.report import reading as read
from repro.report.figures import BLUE, FAINT, HOLLOW, INK, MUTED, RING, VERMILION, Picture
from repro.report.figures.heat import scale, without_outliers
from repro.report.numbers import fixed
from repro.report.tables import grouped, ordered

REACH = 4  # neighbours to each side that a median is taken of
MANY = 60  # a curve of more points is drawn thin, under the medians of neighbours
MARKS = 20  # points of a curve that say their value, at most
Look = Mapping[str, Any]
Values = NDArray[numpy.float64]
# Shape and dashes differ as well: the curves are told apart without colour.
LOOKS: Sequence[Look] = (
    {"color": VERMILION, "marker": "s", "linestyle": "-"},
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": "#00795C", "marker": "^", "linestyle": (0, (6, 2))},
    {"color": "#8A3F7B", "marker": "D", "linestyle": (0, (3, 1.5))},
    {"color": "#6B5500", "marker": "v", "linestyle": (0, (1.5, 1.2))},
)
BASELINE = re.compile("(dense|baseline|dense baseline)$")  # ends the name of the dense network's curve
DENSE: Look = {"color": MUTED, "marker": ".", "linestyle": (0, (4, 2))}
POINT: Look = {"markersize": 4.6, "markerfacecolor": "white", "markeredgewidth": 1.3}
CROSS: Look = {"linestyle": "", "marker": "x", "markersize": 4.5}
LEVEL: Look = {"linewidth": 0.9, "linestyle": (0, (1, 2))}
PREDICTED: Look = {"color": INK, "linewidth": 0.75, "linestyle": (0, (4, 3))}


def draw(sheet: Picture[Curves]) -> None:
    """Draw a panel for each row or series, curves over the columns."""
    document, drawing = sheet.document, sheet.drawing
    cells = sorted((cell for cell in document.cells if cell.x is not None), key=lambda cell: cell.x or 0.0)
    label, axis = ("series", "") if drawing.panel == "row" else ("row", document.long_axes[0])
    panels = {
        panel: grouped([cell for cell in cells if getattr(cell, drawing.panel) == panel], label)
        for panel in drawing.titles or ordered(getattr(cell, drawing.panel) for cell in document.cells)
    }
    names = ordered(name for curves in panels.values() for (name,) in curves)
    plain = [name for name in dict.fromkeys((*drawing.order, *names)) if not BASELINE.search(name)]
    many, order = len(plain) > len(LOOKS), scale("viridis", 0, 0.92, 1, len(names))
    across, deep = min(len(panels), 2), -(-len(panels) // 2)
    sheet.set_size_inches(8.6 if across == 1 else 12.2, 4.3 if deep == 1 else 3.2 * deep)
    for index, (panel, curves) in enumerate(panels.items()):
        axes = sheet.add_subplot(deep, across, index + 1)
        letter = f"({chr(ord('a') + index)})  " if len(panels) > 1 else ""
        title = drawing.titles.get(panel, read.network(panel, document) if letter or not axis else "")
        axes.set(title=letter + title, xlabel=document.long_axes[1])
        axes.set_ylabel(drawing.units.get(panel, document.unit))
        own = [cell for curve in curves.values() for cell in curve]
        drawn = ("reproduced", "published") if document.comparable else ("reproduced",)
        values = [value for cell in own for field in drawn if (value := cell.value(field)) is not None]
        if not values:
            axes.set(xticks=[], yticks=[])
            why = ", ".join(sorted({cell.verdict for cell in own})) or NOT_RUN
            axes.text(0.5, 0.5, why, transform=axes.transAxes, size=11, ha="center", va="center", color=MUTED)
            continue
        _set_scales(axes, own, panel == drawing.log)
        # The curve that ends highest comes first, in the legend too.
        for (name,), curve in sorted(curves.items(), key=lambda item: item[1][-1].shown or 0.0, reverse=True):
            if many:
                number = names.index(name) + 1
                partial = drawing.partial and not all((name,) in every for every in panels.values())
                colour = FAINT if partial else cast(Any, order).to_rgba(number)
                _thin_curve(sheet, axes, curve, f"{document.axes[0]} {number}, {name}", colour)
            else:
                told = BASELINE.sub("dense baseline", drawing.name(name))
                look = LOOKS[plain.index(name)] if name in plain else DENSE
                _curve(sheet, axes, curve, read.placed(axis, told), look)
        for curve in grouped(document.of(f"{panel} predicted"), "row").values():
            axes.plot(*_points(curve), zorder=3, **PREDICTED)
            sheet.key(f"{drawing.predicted} (epoch {curve[0].col})", **PREDICTED)
        if not many:
            axes.legend(labelcolor="mec", labelspacing=1.0, loc="center left", bbox_to_anchor=(1, 0.5))
            _cut(sheet, axes, values, f"{title}: " if letter else "")
    if many:
        _explain_colours(sheet, order, len(names))


def _set_scales(axes: Axes, cells: Sequence[Cell], log: bool) -> None:
    """Choose ticks: whole numbers along the columns of ``cells``, and the vertical axis logarithmic if ``log``."""
    xs = sorted({cell.x or 0.0 for cell in cells})
    axes.margins(x=0.02)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xticks(xs if len(xs) <= 12 else [], minor=True)
    if log:
        axes.set_yscale("log", subs=[])
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8)))
        axes.yaxis.set_major_formatter("{x:.3g}")


def _thin_curve(sheet: Picture[Curves], axes: Axes, cells: Sequence[Cell], name: str, colour: Any) -> None:
    """Draw one of many curves, whose title has the values at both ends."""
    document = sheet.document
    (line,) = axes.plot(*_points(cells), color=colour, linewidth=1.2)
    ends = [read.told(cell, document, read.where(cell, document)[:1]) for cell in (cells[0], cells[-1])]
    sheet.mark(line, "\n".join([name, *ends]))


def _explain_colours(sheet: Picture[Curves], order: ScalarMappable, count: int) -> None:
    """Draw a colour bar for ``count`` curves in their ``order``, and say what grey ones are."""
    rows, _ = sheet.document.axes
    if sheet.drawing.partial:
        sheet.key(sheet.drawing.partial, color=FAINT)
    bar = sheet.colorbar(
        order, ax=sheet.axes, fraction=0.02, aspect=28, pad=0.01,
        ticks=MaxNLocator(integer=True), label=f"{rows}, in order",
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar.ax.invert_yaxis()
    sheet.notes.append(f"{count} {rows}s")


def medians(values: Values) -> Values:
    """Return each value in the median of its neighbours; gaps (NaN) stay gaps.

    Unlike a mean, a median keeps the steps at drops of the learning rate. The window shrinks at the start, or the
    steep rise there would be lost.
    """
    found = values.copy()
    for index in numpy.flatnonzero(~numpy.isnan(values)).tolist():
        reach = min(REACH, index)
        found[index] = numpy.nanmedian(values[index - reach : index + reach + 1])
    return found


def _points(cells: Sequence[Cell]) -> tuple[Values, Values]:
    """Return columns and values, NaN where there is none."""
    return numpy.array([cell.x for cell in cells], float), numpy.array([cell.shown for cell in cells], float)


def _curve(sheet: Picture[Curves], axes: Axes, cells: Sequence[Cell], name: str, look: Look) -> None:
    """Draw one of few curves: spread, level, a title for each point, and what was not run or diverged."""
    document, drawing = sheet.document, sheet.drawing
    colour, label, (xs, values) = look["color"], name, _points(cells)
    line = medians(values) if len(cells) > MANY else values
    if any(cell.sd for cell in cells):
        spread = (document.around(value, cell.sd or 0.0) for value, cell in zip(values, cells, strict=True))
        low, high = zip(*spread, strict=True)
        axes.fill_between(xs, low, high, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
        sheet.key("± sd over the seeds", Patch(facecolor=MUTED, alpha=0.25))
    if line is not values:
        axes.plot(xs, values, color=colour, linewidth=0.6, alpha=0.45, zorder=2)
        sheet.key(f"every {document.axes[1]}", linewidth=0.6)
        sheet.key(f"median of {2 * REACH + 1} {document.axes[1]}s", linewidth=1.7)
    late = values[xs >= xs[-1] / 2]
    if drawing.levels and look is not DENSE and len(late) > 1 and not numpy.isnan(late).any():
        axes.axhline(late.mean(), color=colour, zorder=2.5, **LEVEL)
        sheet.key("mean of the later half of the epochs", **LEVEL)
        label += f"\nlater half {fixed(late.mean(), document.digits)}"
    gaps = Counter(cell.verdict for cell in cells if cell.shown is None)
    label += "".join(f"\n{count} of {len(cells)} {why}" for why, count in gaps.items())
    axes.plot(xs, line, label=label, markevery=[], linewidth=1.7, zorder=3, **look, **POINT)
    known = numpy.flatnonzero(~numpy.isnan(values)).tolist()
    marked = known[:: -(-len(known) // MARKS) or 1]
    for index, cell in enumerate(cells):
        x, told = xs[index], read.told(cell, document, [name, *read.where(cell, document)[:1]])
        if cell.published is not None and document.comparable:
            (point,) = axes.plot(x, cell.published, markersize=8, zorder=2.8, linestyle="", **HOLLOW)
            sheet.mark(point, read.told(cell, document))
            sheet.key(f"Published, {drawing.source}" if drawing.source else "Published", point)
            if cell.band:
                sheet.band(axes, [x, x], document.around(cell.published, cell.band), 16)
        if cell.verdict == DIVERGED:
            (cross,) = axes.plot(x, 0.025, color=colour, transform=axes.get_xaxis_transform(), **CROSS)
            sheet.mark(cross, told)
            sheet.key("diverged", **CROSS)
        if cell.verdict == OUTSIDE:
            (ring,) = axes.plot(x, values[index], zorder=4, marker="D", **RING)
            sheet.key("outside the band", ring)
        if index in marked:
            (point,) = axes.plot(x, line[index], color=colour, marker=look["marker"], zorder=3.5, **POINT)
            smooth = "" if line is values else f"; median around it {fixed(line[index], document.digits)}"
            sheet.mark(point, told + smooth)


def _cut(sheet: Picture[Curves], axes: Axes, values: Sequence[float], where: str) -> None:
    """Leave far outliers among many values below the axis, and say so."""
    low, top = without_outliers(values)[0], axes.get_ylim()[1]
    low -= 0.06 * (top - low)
    if len(values) > MANY and min(values) < low:
        axes.set_ylim(low, top)
        sheet.notes.append(f"{where}values down to {min(values):.1f} lie below the axis")
