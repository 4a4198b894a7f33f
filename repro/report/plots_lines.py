"""Curves and dots: Fig. 2 (weights while the dense network trains) and tables by epoch or window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from repro import compare
from repro.report.plots_page import (
    BLUE,
    FAINT,
    INK,
    LINE,
    MUTED,
    VERMILION,
    Cell,
    Document,
    Grid,
    Page,
    cells_of,
    comparable,
    grid,
    label,
    legend_room,
    number,
    seeds,
    tally,
    verdict,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

MOST_PREDICTIONS = 24
PREDICTED: dict[str, Any] = {"color": INK, "linewidth": 0.75, "linestyle": (0, (4, 3))}
DROP: dict[str, Any] = {"color": FAINT, "linewidth": 1.0, "linestyle": (0, (1, 2))}
PER_ROW = 4


# ---- Fig. 2 ------------------------------------------------------------------------------------------------


def fig2(document: Document) -> Figure:
    """(a) W_std of every layer with Eq. 5's prediction, (b) per-layer rates of a pruning that is not done."""
    measured, expected, rates = (
        grid(cell for cell in cells_of(document, name) if _drawable(cell))
        for name in ("w_std", "w_std predicted", "layer pruning rate")
    )
    layers, summary = measured.rows or rates.rows, _about(measured, rates)
    if not layers:
        return Page(document, 9.0, 2.0, summary).nothing()
    shown = expected.rows if len(expected.rows) <= MOST_PREDICTIONS else spread(expected.rows, 12)
    keys = _curve_keys(measured, rates, expected, shown)
    left, width, height, apart = 0.9, 4.9, 3.4, 0.95
    below = legend_room(keys, 12.6) + 0.55
    page = Page(document, 12.6, below + height + 0.42, summary)

    never = frozenset(layers) - frozenset(rates.rows) if rates.rows else frozenset()
    depth = _depth([FAINT if layer in never else None for layer in layers])
    a, b = (page.axes(left + shift, below, width, height) for shift in (0.0, width + apart))
    for axes, curves, title in (
        (a, measured, "(a)  Standard deviation of each layer's weights, log scale"),
        (b, rates, "(b)  Pseudo per-layer pruning rate: nothing is pruned"),
    ):
        axes.set_title(title, loc="left", size=10, weight="bold", pad=9)
        _epochs(axes, (measured, rates, expected))
        for row in curves.rows:
            colour = depth.cmap(layers.index(row)) if row in layers else FAINT
            _curve(axes, curves, row, color=colour, linewidth=1.4 if len(layers) <= 24 else 0.9)
        if not curves.rows:
            axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        if expected.cols:
            axes.axvline(int(expected.cols[0]), zorder=0.5, **DROP)
    for row in shown:
        _curve(a, expected, row, zorder=3, **PREDICTED)
    a.set_ylabel(r"$W_{std}$", size=9.5)
    b.set_ylabel("share of the layer's weights removed", size=9)
    _log_axis(a, measured)
    _percent_axis(b, rates)
    _depth_bar(page, depth, len(layers), left + 2 * width + apart + 0.2, below, height)
    page.legend(keys)
    return page.figure


def _drawable(cell: Cell) -> bool:
    return number(cell, "reproduced") is not None and str(cell.get("col")).isdecimal()


def spread(rows: Sequence[str], most: int) -> tuple[str, ...]:
    """At most ``most`` of ``rows``, evenly spread, the first and the last among them."""
    if len(rows) <= most or most < 2:
        return tuple(rows[: max(most, 0)])
    return tuple(rows[round(index * (len(rows) - 1) / (most - 1))] for index in range(most))


def _about(measured: Grid, rates: Grid) -> str:
    layers = len(measured.rows or rates.rows)
    if not layers:
        return "no layer measured"
    cells = [*measured.cells.values(), *rates.cells.values()]
    return f"{layers} layers, {seeds(cells)}; the paper draws these curves and prints no numbers"


def _curve(axes: Axes, curves: Grid, row: str, **style: Any) -> None:
    values = [curves.number(row, col, "reproduced") for col in curves.cols]
    heights = [math.nan if value is None else value for value in values]
    alone = sum(value is not None for value in values) == 1
    axes.plot([int(col) for col in curves.cols], heights, marker="o" if alone else None, markersize=3, **style)


def _epochs(axes: Axes, grids: Sequence[Grid]) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [int(col) for curves in grids for col in curves.cols]
    if epochs and min(epochs) < max(epochs):
        axes.set_xlim(min(epochs), max(epochs))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.set_xlabel("epoch", size=9)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)


def _log_axis(axes: Axes, curves: Grid) -> None:
    """A log scale, on which the parallel movement that Eq. 5 predicts is parallel, with plain tick labels."""
    from matplotlib.ticker import FixedLocator, NullLocator

    values = [v for cell in curves.cells.values() if (v := number(cell, "reproduced")) is not None]
    if not values or min(values) <= 0:
        return
    axes.set_yscale("log")
    low, high = min(values) / 1.06, max(values) * 1.06
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [t for d in decades for m in (1, 1.5, 2, 3, 4, 6, 8) if low <= (t := m * 10.0**d) <= high]
    if len(ticks) < 3:
        ticks = [low + (high - low) * step / 4 for step in range(5)]
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")


def _percent_axis(axes: Axes, curves: Grid) -> None:
    from matplotlib.ticker import PercentFormatter

    if curves.rows:
        low, high = axes.get_ylim()
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if high - low > 0.08 else 1, symbol=" %"))
        axes.set_ylim(max(0.0, low), min(1.0, high))


def _depth(given: Sequence[str | None]) -> ScalarMappable:
    """Colours by depth, from the input on, where none is ``given``: viridis without its pale end."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    layers = len(given)
    by_depth = [colormaps["viridis"](0.92 * index / max(layers - 1, 1)) for index in range(layers)]
    colours = [colour or by_depth[index] for index, colour in enumerate(given)]
    return ScalarMappable(
        BoundaryNorm([index + 0.5 for index in range(layers + 1)], layers), ListedColormap(colours)
    )


def _depth_bar(page: Page, depth: ScalarMappable, layers: int, x: float, y: float, height: float) -> None:
    axes = page.axes(x, y, 0.13, height)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 10**9) if layers / step <= 12)
    ticks = sorted({1, layers, *range(step, layers - step // 2, step)})
    bar = page.figure.colorbar(depth, cax=axes, ticks=ticks, spacing="uniform")
    bar.outline.set_visible(False)
    bar.minorticks_off()
    axes.invert_yaxis()
    axes.tick_params(labelsize=7.5, length=2)
    axes.set_ylabel("layer, counted from the input", size=8.5)


def _curve_keys(measured: Grid, rates: Grid, expected: Grid, shown: Sequence[str]) -> list[Artist]:
    from matplotlib.lines import Line2D

    found: list[Artist] = []
    if expected.rows:
        some = "" if len(shown) == len(expected.rows) else f", {len(shown)} of {len(expected.rows)} layers"
        text = f"Eq. 5, from the first drop of the learning rate on{some}"
        found.append(Line2D([], [], label=text, **PREDICTED))
        text = f"first drop of the learning rate (epoch {expected.cols[0]})"
        found.append(Line2D([], [], label=text, **DROP))
    if rates.rows and set(measured.rows) - set(rates.rows):
        text = "layers that are never pruned (first, last)"
        found.append(Line2D([], [], color=FAINT, linewidth=1.4, label=text))
    return found


# ---- Table 2, and any table whose columns are epochs -------------------------------------------------------


def dots(document: Document) -> Figure:
    """A panel for every series and row, in the table's order; published and reproduced at every column."""
    cells, against_paper = cells_of(document), comparable(document)
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((str(cell.get("series", "")), str(cell.get("row", ""))), []).append(cell)
    summary = f"{document.get('unit') or 'value'}  ·  {tally(cells, against_paper)}"
    if not groups:
        page = Page(document, 9.0, 2.0, summary)
        return page.nothing()

    across = min(len(groups), PER_ROW)
    left, apart, above, foot = 0.8, 0.35, 0.42, 0.6
    longest = max(len(str(cell.get("col", ""))) for cell in cells)
    most = max(len(group) for group in groups.values())
    width = max(2.0, min(7.0, most * max(0.42, 0.095 * longest)), (9.0 - left) / across - apart)
    # Without a common scale the published numbers get a strip of their own above the reproduced ones.
    strip = 0.0 if against_paper or not _limits(cells, "published") else 1.05
    high = 2.7 + (strip + 0.18 if strip else 0.0)
    deep = math.ceil(len(groups) / across)
    pitch = high + above + foot
    keys = _dot_keys(document, cells, against_paper)
    room = legend_room(keys, left + across * (width + apart))
    page = Page(document, left + across * (width + apart), room + deep * pitch, summary)
    limits = _limits(cells, "reproduced", *(("published",) if against_paper else ()))
    for index, ((series, row), group) in enumerate(groups.items()):
        x = left + (index % across) * (width + apart)
        y = room + foot + (deep - 1 - index // across) * pitch
        first = index % across == 0
        axes = page.axes(x, y, width, high - (strip + 0.18 if strip else 0.0))
        _dots(axes, group, limits, published=against_paper)
        axes.set_xlabel({"one-shot": "pruned at epoch", "gradual": "pruned over epochs"}.get(series, ""), size=8.5)
        _only_first(axes, first, "reproduced" if strip else str(document.get("unit") or ""))
        if strip:
            upper = page.axes(x, y + high - strip, width, strip)
            _dots(upper, group, _limits(cells, "published"), published=True, reproduced=False)
            upper.tick_params(labelbottom=False)
            _only_first(upper, first, "published")
        title = wrapped(",  ".join(part for part in (pretty(row), series) if part), width, 10, "bold", lines=1)
        page.text(x, y + high + 0.12, "".join(title), size=10, weight="bold")
    page.legend(keys)
    return page.figure


def pretty(name: str) -> str:
    """``resnet20`` -> ``ResNet20``."""
    return name.replace("resnet", "ResNet")


def _limits(cells: Sequence[Cell], *fields: str) -> tuple[float, float] | None:
    """Limits that hold the fields with error bars and bands; None where there is nothing."""
    ends = []
    for cell in cells:
        for field in fields:
            if (value := number(cell, field)) is not None:
                # A band stands around a published number, where it counts; an sd around a reproduced one.
                extra = {"reproduced": "sd", "published": "band" if len(fields) > 1 else ""}[field]
                reach = number(cell, extra) or 0.0
                ends += [value - reach, value + reach]
    if not ends:
        return None
    room = 0.08 * (max(ends) - min(ends)) or 0.5
    return min(ends) - room, max(ends) + room


def _dots(
    axes: Axes,
    cells: Sequence[Cell],
    limits: tuple[float, float] | None,
    *,
    published: bool,
    reproduced: bool = True,
) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = limits or (0.0, 1.0)
    axes.set(ylim=(low, high), xlim=(-0.55, len(cells) - 0.45))
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xticks(range(len(cells)), [str(cell.get("col", "")) for cell in cells])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6 if reproduced else 3, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=8, length=2.5)
    if limits is None:
        axes.set_yticks([])
    aside = 0.12 if published and reproduced else 0.0
    for x, cell in enumerate(cells):
        printed, value = number(cell, "published"), number(cell, "reproduced")
        if published and printed is not None:
            if reproduced and (band := number(cell, "band")) is not None:
                axes.bar(x, 2 * band, width=0.56, bottom=printed - band, color="#e8eaed", zorder=1)
            axes.plot(x - aside, printed, "o", markerfacecolor="white", markeredgecolor=MUTED, markersize=6,
                      markeredgewidth=1.3, zorder=2)  # fmt: skip
        if not reproduced:
            continue
        if value is None:
            _missing(axes, x, cell)
            continue
        out = verdict(cell) == compare.OUTSIDE
        axes.errorbar(x + aside, value, yerr=number(cell, "sd"), fmt="D" if out else "o", markersize=6,
                      color=VERMILION if out else BLUE, elinewidth=1.4, capsize=3, zorder=3)  # fmt: skip


def _missing(axes: Axes, x: int, cell: Cell) -> None:
    word = "diverged" if verdict(cell) == compare.DIVERGED else "not run"
    axes.axvspan(x - 0.2, x + 0.2, facecolor="#fafafa", edgecolor=LINE, hatch="////", linewidth=0.0, zorder=0.6)
    axes.text(
        x, 0.04, word, transform=axes.get_xaxis_transform(), rotation=90, ha="center", va="bottom", size=8,
        color=MUTED, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5}, zorder=4,
    )  # fmt: skip


def _only_first(axes: Axes, first: bool, text: str) -> None:
    """All panels of a row share one scale: only the first has its numbers."""
    if first:
        axes.set_ylabel(text, size=9, parse_math=False)
    else:
        axes.tick_params(labelleft=False, left=False)


def _dot_keys(document: Document, cells: Sequence[Cell], against_paper: bool) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def dot(marker: str, colour: str, text: str, face: str | None = None) -> Artist:
        return Line2D([], [], linestyle="", marker=marker, markersize=6, markeredgewidth=1.3, color=colour,
                      markerfacecolor=face or colour, label=text)  # fmt: skip

    found: list[Artist] = []
    if any(number(cell, "reproduced") is not None for cell in cells):
        many = any(number(cell, "sd") is not None for cell in cells)
        found.append(dot("o", BLUE, f"reproduced, {seeds(cells)}{' ± sd' if many else ''}"))
    if against_paper and any(verdict(cell) == compare.OUTSIDE for cell in cells):
        found.append(dot("D", VERMILION, "reproduced, outside the band"))
    if any(number(cell, "published") is not None for cell in cells):
        paper = label(str(document.get("artifact", "")))
        found.append(dot("o", MUTED, f"published, {paper}", "white"))
        if against_paper and any(number(cell, "band") is not None for cell in cells):
            found.append(Patch(facecolor="#e8eaed", label="95 % band of a repetition"))
    return found
