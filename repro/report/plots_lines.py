"""Curves: Fig. 2, weights while the dense network trains; and the names of networks on every plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from repro.recipes import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.report.plots_page import (
    FAINT,
    INK,
    LINE,
    MUTED,
    Cell,
    Document,
    Grid,
    Page,
    cells_of,
    grid,
    legend_room,
    number,
    seeds,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

MOST_PREDICTIONS = 24
PREDICTED: dict[str, Any] = {"color": INK, "linewidth": 0.75, "linestyle": (0, (4, 3))}
DROP: dict[str, Any] = {"color": FAINT, "linewidth": 1.0, "linestyle": (0, (1, 2))}


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


# ---- names --------------------------------------------------------------------------------------------------


def pretty(name: str) -> str:
    """``resnet20`` -> ``ResNet20``."""
    return name.replace("resnet", "ResNet")


def network(name: str, document: Document) -> str:
    """``resnet18`` -> ``ResNet18 on ImageNet``; a name that is not known stands as it is."""
    images = "CIFAR-10" if name in CIFAR_ARCHS else "ImageNet" if name in IMAGENET_ARCHS else ""
    images = "synthetic images" if images in (document.get("synthetic") or ()) else images
    return pretty(name) + (f" on {images}" if images else "")
