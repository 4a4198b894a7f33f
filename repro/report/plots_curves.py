"""Curves: Fig. 4 and 6 (accuracy of a pruned network after one epoch, from every epoch), Fig. 5 (memorization),
the batch probe (how far a mask has moved)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from repro import compare
from repro.report.plots_axis import REACH, increasing, medians, number_ticks, reading, spaced
from repro.report.plots_heat import spanning
from repro.report.plots_lines import network
from repro.report.plots_page import (
    BLUE,
    FAINT,
    INK,
    LINE,
    MARGIN,
    MUTED,
    VERMILION,
    Cell,
    Document,
    Page,
    cells_of,
    comparable,
    legend_room,
    number,
    ordered,
    papers,
    place,
    seeds,
    tally,
    text_width,
    verdict,
    wrapped,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Look = Mapping[str, Any]

BASELINE = "baseline"
UNPRINTED = "the paper draws these curves, without numbers"
# Shape and dashes differ as well: the curves are told apart without colour.
LOOKS: Sequence[Look] = (
    {"color": VERMILION, "marker": "s", "linestyle": "-"},
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": "#00795C", "marker": "^", "linestyle": (0, (6, 2))},
    {"color": "#8A3F7B", "marker": "D", "linestyle": (0, (3, 1.5))},
    {"color": "#6B5500", "marker": "v", "linestyle": (0, (1.5, 1.2))},
)
DENSE: Look = {"color": MUTED, "marker": "", "linestyle": (0, (4, 2))}
BAND = "#e8eaed"
OUTSIDE: Look = {
    "linestyle": "", "marker": "D", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK,
}  # fmt: skip
MANY = 60  # a curve of more points is drawn thin, under the medians of neighbours


@dataclass(frozen=True)
class Curve:
    """Cells over a number, in increasing order. A cell without a value is a gap."""

    name: str
    look: Look
    cells: Sequence[Cell]
    levelled: bool = False  # whether the mean over the later half is drawn with it

    @property
    def xs(self) -> list[float]:
        """The columns as numbers."""
        return [place(cell) or 0.0 for cell in self.cells]

    @property
    def values(self) -> list[float]:
        """The heights, NaN in gaps."""
        return [math.nan if (value := reading(cell)) is None else value for cell in self.cells]

    @property
    def shown(self) -> list[float]:
        """The heights as a bold line draws them: of many points, each in the median of its neighbours."""
        return medians(self.values) if len(self.cells) > MANY else self.values

    @property
    def level(self) -> float | None:
        """The mean over the later half of the columns; None where one of them is missing."""
        half = [reading(cell) for x, cell in zip(self.xs, self.cells, strict=True) if x >= self.xs[-1] / 2]
        known = [value for value in half if value is not None]
        return statistics.fmean(known) if self.levelled and len(known) == len(half) > 1 else None

    @property
    def gaps(self) -> str:
        """What was not run or diverged, in words; empty where all is there."""
        empty = [verdict(cell) for cell in self.cells if reading(cell) is None]
        diverged = empty.count(compare.DIVERGED)
        if len(empty) == len(self.cells) and not diverged:
            return f"{self.name}: not run"
        counts = ((len(empty) - diverged, "not run (gaps)"), (diverged, "diverged"))
        found = [f"{count} of {len(self.cells)} {word}" for count, word in counts if count]
        return f"{self.name}: {', '.join(found)}" if found else ""


@dataclass(frozen=True)
class Panel:
    """Curves on common axes."""

    title: str
    curves: Sequence[Curve]
    x_name: str
    y_name: str
    printed: Sequence[Cell] = ()  # whose published numbers stand among the curves, with their bands
    limits: tuple[float, float] = field(init=False)
    beyond: Sequence[float] = field(init=False)  # values too far below the others to be shown

    def __post_init__(self) -> None:
        values = [value for curve in self.curves for value in curve.values if not math.isnan(value)]
        lowest = spanning(values).low if len(values) > MANY else -math.inf
        if values and max(values) - min(values) < 1.3 * (max(values) - lowest):
            lowest = -math.inf  # so little would be gained that nothing has to be left out
        ends = []
        for cell in (cell for curve in self.curves for cell in curve.cells):
            if (value := reading(cell)) is not None and value >= lowest:
                spread = number(cell, "sd") or 0.0
                ends += [value - spread, value + spread]
        for cell in self.printed:
            value, band = number(cell, "published") or 0.0, number(cell, "band") or 0.0
            ends += [value - band, value + band]
        room = 0.06 * (max(ends) - min(ends)) or 0.5 if ends else 0.0
        limits = (min(ends) - room, max(ends) + room) if ends else (0.0, 1.0)
        object.__setattr__(self, "limits", limits)
        object.__setattr__(self, "beyond", [value for value in values if value < limits[0]])

    @property
    def notes(self) -> str:
        """Gaps, and what lies below the axis."""
        parts = [curve.gaps for curve in self.curves if curve.gaps]
        if self.beyond:
            many = "1 value lies" if len(self.beyond) == 1 else f"{len(self.beyond)} values lie"
            parts.append(f"{many} below the axis, down to {min(self.beyond):.1f}")
        return "; ".join(parts)


def ppr(document: Document) -> Figure:
    """Fig. 4 and 6: a panel for each network, its curves against the epoch of the dense training."""
    cells = [cell for cell in cells_of(document) if place(cell) is not None]
    panels = []
    rows = ordered(str(cell.get("row", "")) for cell in cells)
    for index, row in enumerate(rows):
        own = [cell for cell in cells if str(cell.get("row", "")) == row]
        curves: list[Curve] = []
        for series in ordered(str(cell.get("series", "")) for cell in own):
            points = [cell for cell in own if str(cell.get("series", "")) == series]
            looks = LOOKS[1:] if len({cell.get("series") for cell in own} - {BASELINE}) == 1 else LOOKS
            look = DENSE if series == BASELINE else looks[len(curves) % len(looks)]
            name = "dense baseline" if series == BASELINE else series.replace("ppr ", "PPR, rate ")
            curves.append(Curve(name, look, increasing(points), series != BASELINE))
        letter = f"({chr(ord('a') + index)})  " if len(rows) > 1 else ""
        y_name = str(document.get("unit") or "")
        panels.append(Panel(letter + network(row, document), curves, "epoch of the dense training", y_name))
    return _figure(document, panels, cells, 3.5)


def fig5(document: Document) -> Figure:
    """A curve for every pruning epoch, against the number of examples."""
    cells = [cell for cell in cells_of(document) if place(cell) is not None]
    curves = []
    for index, row in enumerate(ordered(str(cell.get("row", "")) for cell in cells)):
        name = f"pruned at epoch {row}" if row.isdecimal() else row
        points = increasing([cell for cell in cells if str(cell.get("row", "")) == row])
        curves.append(Curve(name, LOOKS[index % len(LOOKS)], points))
    y_name = str(document.get("unit") or "")
    return _figure(
        document, [Panel("", curves, "examples with random labels", y_name)] if curves else [], cells, 3.7
    )


def probe(document: Document) -> Figure:
    """A curve for every batch size, against the epoch, and what Fig. 3 prints there."""
    cells = [cell for cell in cells_of(document) if place(cell) is not None]
    curves = []
    for index, row in enumerate(ordered(str(cell.get("row", "")) for cell in cells)):
        look = {**DENSE, "marker": "x"} if row.endswith("dense") else LOOKS[index % len(LOOKS)]
        curves.append(Curve(row, look, increasing([cell for cell in cells if str(cell.get("row", "")) == row])))
    beside = [cell for cell in cells if number(cell, "published") is not None]
    printed = increasing(sorted(beside, key=lambda cell: number(cell, "band") or 0.0))  # of each epoch one
    told = [f"{number(cell, 'published'):g} at epoch {papers(str(cell.get('col')), document)}" for cell in printed]
    summary = f"Fig. 3 prints {' and '.join(told)}" if told else ""
    x_name, y_name = "epoch of the dense schedule", str(document.get("unit") or "")
    panels = [Panel("", curves, x_name, y_name, printed if comparable(document) else ())] if curves else []
    return _figure(document, panels, cells, 3.7, summary)


# ---- the picture -------------------------------------------------------------------------------------------


def _figure(
    document: Document, panels: Sequence[Panel], cells: Sequence[Cell], high: float, last: str = UNPRINTED
) -> Figure:
    against_paper = any(panel.printed for panel in panels)
    about = [str(document.get("unit") or "value"), tally(cells, against_paper), seeds(cells), last]
    summary = "  ·  ".join(part for part in about if part)
    if not panels:
        return Page(document, 9.0, 2.0, summary).nothing()
    across = 1 if len(panels) == 1 else 2
    width = 6.9 if across == 1 else 4.1
    high = high if len(panels) <= 2 else 2.4
    notes = 0.2 if any(panel.notes for panel in panels) else 0.0
    left, foot, above = 0.8, 0.62, 0.24 + notes + (0.24 if any(panel.title for panel in panels) else 0.0)
    names = max(text_width(c.name, 8.5, "bold") for panel in panels for c in panel.curves) + 0.35
    pitch, deep = left + width + names, math.ceil(len(panels) / across)
    keys = _keys(panels)
    room = legend_room(keys, across * pitch + MARGIN)
    page = Page(document, across * pitch + MARGIN, room + deep * (foot + high + above), summary)
    for index, panel in enumerate(panels):
        x = (index % across) * pitch + left
        y = room + foot + (deep - 1 - index // across) * (foot + high + above)
        _panel(page, panel, (x, y, width, high), y + high + 0.14 + notes)
    page.legend(keys)
    return page.figure


def _panel(page: Page, panel: Panel, box: tuple[float, float, float, float], title: float) -> None:
    from matplotlib.ticker import MaxNLocator

    x, y, width, high = box
    axes = page.axes(*box)
    axes.set_ylim(*panel.limits)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    number_ticks(axes, [x for curve in panel.curves for x in curve.xs], width)
    axes.set_xlabel(panel.x_name, size=9)
    axes.set_ylabel(panel.y_name, size=9, parse_math=False)
    for line in wrapped(panel.title, width, 10, "bold", lines=1):
        page.text(x, title, line, size=10, weight="bold")
    for line in wrapped(panel.notes, page.width - x - MARGIN if width > 5 else width, 8, lines=1):
        page.text(x, y + high + 0.14, line, size=8, color=MUTED)
    drawn = [curve for curve in panel.curves if any(not math.isnan(value) for value in curve.values)]
    if not drawn:
        axes.set_yticks([])
        lost = any(verdict(cell) == compare.DIVERGED for curve in panel.curves for cell in curve.cells)
        word = "diverged" if lost else "not run"
        axes.text(0.5, 0.5, word, transform=axes.transAxes, ha="center", va="center", color=MUTED, size=11)
    for cell in panel.printed:
        _printed(axes, cell)
    for curve in panel.curves:
        _curve(axes, curve)
    _names(axes, panel, drawn, (width, high))


def _curve(axes: Axes, curve: Curve) -> None:
    colour, many = curve.look["color"], len(curve.cells) > MANY
    values, spreads = curve.values, [number(cell, "sd") for cell in curve.cells]
    if any(spread is not None for spread in spreads):
        reach = [spread or 0.0 for spread in spreads]
        ends = [[v + sign * r for v, r in zip(values, reach, strict=True)] for sign in (-1, 1)]
        if "%" in axes.get_ylabel():
            ends[1] = [min(end, 100.0) for end in ends[1]]
        axes.fill_between(curve.xs, ends[0], ends[1], color=colour, alpha=0.16, linewidth=0, zorder=1.5)
    if many:
        axes.plot(curve.xs, values, color=colour, linewidth=0.6, alpha=0.45, zorder=2)
    last = max(len(curve.cells) - 1, 1)
    often = max(1, round(last / 12)) if len(curve.cells) > 24 else 1
    axes.plot(curve.xs, curve.shown, linewidth=1.7, markersize=4.6, markevery=often, markerfacecolor="white",
              markeredgewidth=1.3, zorder=3, **curve.look)  # fmt: skip
    padded = [math.nan, *curve.shown, math.nan]  # a value between two gaps makes no line
    alone = [i for i in range(len(values)) if math.isnan(padded[i]) and math.isnan(padded[i + 2])]
    if often > 1 or not curve.look["marker"]:
        axes.plot([curve.xs[i] for i in alone], [values[i] for i in alone], ".", color=colour, zorder=3)
    outside = [i for i, cell in enumerate(curve.cells) if verdict(cell) == compare.OUTSIDE]
    axes.plot([curve.xs[i] for i in outside], [values[i] for i in outside], zorder=4, **OUTSIDE)
    if curve.level is not None:
        axes.axhline(curve.level, color=colour, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2.5)
    lost = [x for x, cell in zip(curve.xs, curve.cells, strict=True) if verdict(cell) == compare.DIVERGED]
    axes.plot(lost, [0.025] * len(lost), "x", color=colour, markersize=4.5, transform=axes.get_xaxis_transform())


def _printed(axes: Axes, cell: Cell) -> None:
    """The paper's number, pale behind it the band of a repetition."""
    x, value, band = place(cell) or 0.0, number(cell, "published") or 0.0, number(cell, "band")
    if band is not None:
        axes.plot([x, x], [value - band, value + band], color=BAND, linewidth=16, solid_capstyle="butt", zorder=1)
    axes.plot(x, value, "o", markerfacecolor="white", markeredgecolor=MUTED, markersize=8, markeredgewidth=1.3,
              zorder=2.8)  # fmt: skip


def _names(axes: Axes, panel: Panel, drawn: Sequence[Curve], size: tuple[float, float]) -> None:
    """Every curve's name to the right of its end, with the level that it settles at."""
    width, high = size
    low, top = panel.limits
    (first, last), ends = axes.get_xlim(), []
    for curve in drawn:
        x, y = [(x, y) for x, y in zip(curve.xs, curve.shown, strict=True) if not math.isnan(y)][-1]
        ends.append(((x - first) / (last - first), min(max((y - low) / (top - low), 0.0), 1.0)))
    gap = 0.37 if any(curve.level is not None for curve in drawn) else 0.21
    places = spaced([y * high for _, y in ends], gap, high)
    for curve, (x, y), place_ in zip(drawn, ends, places, strict=True):
        label, named = 1 + 0.16 / width, place_ / high
        axes.plot([x, 1 + 0.02 / width, label - 0.03 / width], [y, y, named],
                  color=FAINT, linewidth=0.7, transform=axes.transAxes, clip_on=False, zorder=2)  # fmt: skip
        style: dict[str, Any] = {"transform": axes.transAxes, "ha": "left", "parse_math": False}
        text = axes.text(label, named, curve.name, size=8.5, weight="bold", va="center", **style)
        text.set_color(curve.look["color"])
        if curve.level is not None:
            axes.text(label, named - 0.16 / high, f"later half {curve.level:.2f}", size=7.5, color=MUTED,
                      va="center", **style)  # fmt: skip


def _keys(panels: Sequence[Panel]) -> list[Artist]:
    """What is drawn beside the curves themselves, which bear their names."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    curves = [curve for panel in panels for curve in panel.curves]
    cells = [cell for curve in curves for cell in curve.cells]
    found: list[Artist] = []
    if any(len(curve.cells) > MANY and any(not math.isnan(v) for v in curve.values) for curve in curves):
        found.append(Line2D([], [], color=MUTED, linewidth=0.6, label="every epoch"))
        found.append(Line2D([], [], color=MUTED, linewidth=1.7, label=f"median of {2 * REACH + 1} epochs"))
    if any(number(cell, "sd") is not None for cell in cells):
        found.append(Patch(facecolor=MUTED, alpha=0.25, label="± sd over the seeds"))
    if any(curve.level is not None for curve in curves):
        dotted: Look = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (1, 2))}
        found.append(Line2D([], [], label="mean of the later half of the epochs", **dotted))
    printed = [cell for panel in panels for cell in panel.printed]
    if printed:
        hollow: Look = {"markerfacecolor": "white", "color": MUTED, "markeredgewidth": 1.3, "linestyle": ""}
        found.append(Line2D([], [], marker="o", markersize=8, label="published, Fig. 3", **hollow))
    if any(number(cell, "band") is not None for cell in printed):
        found.append(Patch(facecolor=BAND, label="95 % band of a repetition"))
    if any(verdict(cell) == compare.OUTSIDE for cell in cells):
        found.append(Line2D([], [], label="outside the band", **OUTSIDE))
    if any(verdict(cell) == compare.DIVERGED for cell in cells):
        found.append(Line2D([], [], linestyle="", marker="x", color=MUTED, markersize=4.5, label="diverged"))
    return found
