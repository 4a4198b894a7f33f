"""What heatmaps are made of: scales of colour, hatching, frames, colour bars."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.report.plots_page import INK, LINE, Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.patches import Rectangle

SEQUENTIAL, DIVERGING = "YlGnBu", "RdBu"
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Scale:
    """Values to colours between two limits. Values beyond take the colour of the limit."""

    low: float
    high: float
    cmap: str = SEQUENTIAL

    @functools.cached_property
    def mappable(self) -> ScalarMappable:
        """For matplotlib."""
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize

        # Without the dark ends: dark numbers stay readable on all of YlGnBu that is left.
        first, last = (0.12, 0.88) if self.cmap == DIVERGING else (0.04, 0.62)
        colours = [colormaps[self.cmap](first + (last - first) * step / 255) for step in range(256)]
        return ScalarMappable(Normalize(self.low, self.high, clip=True), ListedColormap(colours))

    def colour(self, value: float) -> RGB:
        """Red, green, blue of a value."""
        share = (value - self.low) / (self.high - self.low)
        red, green, blue, _ = self.mappable.cmap(min(max(share, 0.0), 1.0))
        return float(red), float(green), float(blue)

    def extend(self, values: Sequence[float]) -> str:
        """On which sides values lie beyond the limits, in matplotlib's words."""
        below, above = min(values, default=self.low) < self.low, max(values, default=self.high) > self.high
        return "both" if below and above else "min" if below else "max" if above else "neither"


def spanning(values: Sequence[float]) -> Scale:
    """A scale over ``values`` but for far outliers (three interquartile ranges beyond the quartiles), which
    would leave the others without contrast."""
    if not values:
        return Scale(0.0, 1.0)
    rank = sorted(values)
    low, high = rank[len(rank) // 4], rank[(3 * len(rank)) // 4]
    reach = 3 * (high - low) or rank[-1] - rank[0]
    inside = [value for value in rank if low - reach <= value <= high + reach]
    if inside[0] == inside[-1]:
        return Scale(inside[0] - 0.5, inside[-1] + 0.5)
    return Scale(inside[0], inside[-1])


def around_zero(values: Sequence[float], at_least: float) -> Scale:
    """A diverging scale with symmetric limits, so that its middle is zero."""
    reach = max([at_least, *(abs(value) for value in values)])
    return Scale(-reach, reach, DIVERGING)


def ink_on(colour: RGB) -> str:
    """Dark or white, whichever stands out more on ``colour`` (relative luminance as in WCAG)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.2117 else "white"


def hatched(corner: tuple[float, float], width: float, height: float, *, diverged: bool = False) -> Rectangle:
    """A place whose Run is missing, or ended without a result."""
    from matplotlib.patches import Rectangle

    hatch = "xxxxx" if diverged else "/////"
    return Rectangle(corner, width, height, facecolor="#fafafa", edgecolor=LINE, hatch=hatch, linewidth=0.7)


def outlined(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    """The frame of a cell outside its band: inside the cell, so that neighbours keep theirs."""
    from matplotlib.patches import Rectangle

    inset = 0.018
    return Rectangle(
        (corner[0] + inset, corner[1] + inset), width - 2 * inset, height - 2 * inset,
        fill=False, edgecolor=INK, linewidth=1.6, zorder=3,
    )  # fmt: skip


def bare(axes: Axes, width: float, height: float) -> None:
    """Axes in inches from the upper left corner, without frame, labels on top."""
    axes.set(xlim=(0, width), ylim=(height, 0))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=3, labelsize=8, top=True, labeltop=True, bottom=False, labelbottom=False)


def colourbar(page: Page, scale: Scale, values: Sequence[float], x: float, y: float, width: float) -> None:
    """A horizontal bar with its left end at a place; arrows where ``values`` lie beyond the limits."""
    from matplotlib.ticker import MaxNLocator

    axes = page.axes(x, y, width, 0.11)
    bar = page.figure.colorbar(
        scale.mappable, cax=axes, orientation="horizontal", extend=scale.extend(values), extendfrac=0.03,
        ticks=MaxNLocator(nbins=max(3, int(width / 0.6)), steps=[1, 2, 2.5, 5, 10]),
    )  # fmt: skip
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=7.5, length=2.5)
