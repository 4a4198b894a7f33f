"""Heatmaps: Fig. 1 (tickets by structure and weights) and Fig. 3 (distances between structures)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro import compare
from repro.report.plots_page import (
    FAINT,
    INK,
    LINE,
    MARGIN,
    MUTED,
    Document,
    Grid,
    Page,
    cells_of,
    comparable,
    grid,
    legend_room,
    number,
    ordered,
    tally,
    verdict,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

Values = Mapping[tuple[str, str], float | None]

BASELINE = "baseline"
MINUS = "\N{MINUS SIGN}"
SEQUENTIAL, DIVERGING = "YlGnBu", "RdBu"


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

        # The ends of both maps are too dark, and YlGnBu's beginning too near to white, for numbers on top.
        first, last = (0.12, 0.88) if self.cmap == DIVERGING else (0.04, 0.66)
        colours = [colormaps[self.cmap](first + (last - first) * step / 255) for step in range(256)]
        return ScalarMappable(Normalize(self.low, self.high, clip=True), ListedColormap(colours))

    def colour(self, value: float) -> tuple[float, float, float]:
        """Red, green, blue of a value."""
        red, green, blue, _ = self.mappable.cmap(float(self.mappable.norm(value)))
        return float(red), float(green), float(blue)

    def extend(self, values: Sequence[float]) -> str:
        """On which sides values lie beyond the limits, in matplotlib's words."""
        below, above = min(values, default=self.low) < self.low, max(values, default=self.high) > self.high
        return "both" if below and above else "min" if below else "max" if above else "neither"


def spanning(values: Sequence[float]) -> Scale:
    """A scale over ``values`` but for far outliers (beyond three interquartile ranges), which would leave the
    others without contrast."""
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


def ink_on(colour: tuple[float, float, float]) -> str:
    """Dark or white, whichever stands out more on ``colour`` (relative luminance as in WCAG)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.21 else "white"


def signed(value: float) -> str:
    """Two decimals with a true minus sign; nothing is called plus or minus zero."""
    text = f"{value:+.2f}".replace("-", MINUS)
    return "0.00" if text[1:] == "0.00" else text


def minus(left: Values, right: Values | float | None) -> dict[tuple[str, str], float | None]:
    """Differences place by place, or from one number; None where either side is missing."""
    found: dict[tuple[str, str], float | None] = {}
    for place, value in left.items():
        other = right.get(place) if isinstance(right, Mapping) else right
        found[place] = None if value is None or other is None else value - other
    return found


# ---- Fig. 1 ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """One of Fig. 1's heatmaps. ``hatch`` places have no value because a Run is missing, the other empty ones
    because the paper prints none; ``outline`` places lie outside their band."""

    title: str
    subtitle: str
    values: Values
    scale: Scale
    text: Callable[[float], str]
    hatch: frozenset[tuple[str, str]] = frozenset()
    outline: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Sheet:
    """The geometry that Fig. 1's panels share, in inches: the baseline row on top, set apart."""

    rows: tuple[str, ...]
    cols: tuple[str, ...]
    wide: float
    high: float
    gap: float = 0.09

    @property
    def width(self) -> float:
        """Of a panel."""
        return self.wide * len(self.cols)

    @property
    def height(self) -> float:
        """Of a panel."""
        return self.high * len(self.rows) + (self.gap if self.rows[0] == BASELINE else 0.0)

    @property
    def size(self) -> float:
        """Of the numbers, in points: '+12.34' fits."""
        return min(9.0, self.wide * 72 / 3.8, self.high * 72 / 1.7)

    def top(self, row: str) -> float:
        """Distance of a row's upper edge from the panel's."""
        index = self.rows.index(row)
        return index * self.high + (self.gap if index and self.rows[0] == BASELINE else 0.0)


def fig1(document: Document) -> Figure:
    """Published, reproduced, and their difference, side by side."""
    cells = [cell for cell in cells_of(document) if cell.get("series") in (BASELINE, "tickets")]
    whole = grid(cells)
    tickets = tuple(row for row in whole.rows if row != BASELINE)
    against_paper = comparable(document)
    summary = f"{document.get('unit') or 'accuracy'}  ·  {tally(cells, against_paper)}"
    rows = ((BASELINE,) if BASELINE in whole.rows else ()) + ordered(tickets)
    if not cells:
        page = Page(document, 9.0, 2.0, summary)
        page.nothing()
        return page.figure
    wide = max(0.38, min(0.62, 4.18 / len(whole.cols)))
    sheet = Sheet(rows, whole.cols, wide, max(0.25, min(0.34, 3.4 / len(rows))))
    panels = fig1_panels(document, whole, tickets)

    left, above, pitch = 1.0, 0.9, max(sheet.width + 0.72, 3.05)
    width = left + 2 * pitch + max(sheet.width, 2.3) + MARGIN
    keys = _keys(cells, against_paper, panels)
    below = legend_room(keys, width) + 0.55
    page = Page(document, width, below + sheet.height + above, summary)
    for index, panel in enumerate(panels):
        _draw_panel(page, panel, sheet, left + index * pitch, below, first=index == 0)
    shared = panels[0].scale == panels[1].scale
    for index, panel in enumerate(panels):
        if shared and index == 1:
            continue
        values = [v for p in (panels[:2] if shared and not index else [panel]) for v in p.values.values()]
        known = [value for value in values if value is not None]
        if known:
            length = pitch + sheet.width if shared and not index else sheet.width
            _colourbar(page, panel.scale, known, left + index * pitch, below - 0.26, length)
    page.legend(keys)
    return page.figure


def fig1_panels(document: Document, whole: Grid, tickets: Sequence[str]) -> list[Panel]:
    """Published, reproduced, and their difference where they are comparable, else reproduced from its own
    last cell. The colours span the tickets; the baseline row may lie beyond."""
    published: Values = {place: number(cell, "published") for place, cell in whole.cells.items()}
    reproduced: Values = {place: number(cell, "reproduced") for place, cell in whole.cells.items()}
    places = [(row, col) for row in whole.rows for col in whole.cols]
    missing = frozenset(place for place in places if reproduced.get(place) is None)
    outside = frozenset(p for p, cell in whole.cells.items() if verdict(cell) == compare.OUTSIDE)

    def known(values: Values) -> list[float]:
        return [v for (row, _), v in values.items() if v is not None and row in tickets] or [
            v for v in values.values() if v is not None
        ]

    seeds = sorted({int(cell.get("n") or 0) for cell in whole.cells.values()} - {0})
    many = (
        ""
        if not seeds
        else "one seed"
        if seeds == [1]
        else f"mean of {'–'.join(map(str, seeds[:: len(seeds) - 1 or 1]))} seeds"
    )
    plain = "{:.2f}".format
    if comparable(document) and any(value is not None for value in published.values()):
        scale = spanning(known(published) + known(reproduced))
        bands = [b for cell in whole.cells.values() if (b := number(cell, "band")) is not None]
        difference = minus(reproduced, published)
        symmetric = around_zero(known(difference), 2 * max(bands, default=0.25))
        return [
            Panel("Published", "the paper's Fig. 1", published, scale, plain),
            Panel("Reproduced", many, reproduced, scale, plain, missing, outside),
            Panel(f"Reproduced {MINUS} published", "points; blue where reproduced is higher", difference,
                  symmetric, signed, missing, outside),
        ]  # fmt: skip
    s, v = whole.cols[-1], ordered(tickets)[-1] if tickets else BASELINE
    reference = reproduced.get((v, s))
    relative = minus(reproduced, reference)
    why = "instead of the difference from the paper" if reference is not None else "that cell was not run"
    return [
        Panel("Published (orientation only)", "at the same share of the paper's schedule", published,
              spanning(known(published)), plain),
        Panel("Reproduced", many, reproduced, spanning(known(reproduced)), plain, missing),
        Panel(f"Reproduced {MINUS} its own (s={s}, v={v})", f"points; {why}", relative,
              around_zero(known(relative), 0.5), signed, missing),
    ]  # fmt: skip


def _draw_panel(page: Page, panel: Panel, sheet: Sheet, x: float, y: float, *, first: bool) -> None:
    axes = page.axes(x, y, sheet.width, sheet.height)
    _bare(axes, sheet.width, sheet.height)
    for row in sheet.rows:
        for index, col in enumerate(sheet.cols):
            place = (row, col)
            _tile(axes, (index * sheet.wide, sheet.top(row), sheet.wide, sheet.high), panel, place, sheet.size)
    axes.set_xticks([(index + 0.5) * sheet.wide for index in range(len(sheet.cols))], sheet.cols)
    axes.set_yticks([sheet.top(row) + sheet.high / 2 for row in sheet.rows], sheet.rows)
    axes.tick_params(length=0, pad=3, labelsize=8, top=True, labeltop=True, bottom=False, labelbottom=False)
    for tick in axes.get_yticklabels():
        if tick.get_text() == BASELINE:
            tick.set_fontstyle("italic")
    top = y + sheet.height
    page.text(x, top + 0.26, "structure from epoch s  →", size=8, color=MUTED)
    page.text(x, top + 0.66, panel.title, size=10.5, weight="bold")
    page.text(x, top + 0.48, panel.subtitle, size=8, color=MUTED)
    if first:
        page.text(MARGIN, y + sheet.height / 2, "weights from epoch v  →", size=8, color=MUTED, rotation=270,
                  va="center", ha="left")  # fmt: skip


def _tile(
    axes: Axes, box: tuple[float, float, float, float], panel: Panel, place: tuple[str, str], size: float
) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    value = panel.values.get(place)
    if value is not None:
        colour = panel.scale.colour(value)
        axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor="white", linewidth=0.7))
        small = 0.93 if panel.text is signed else 1.0  # a sign more in the same room
        axes.text(x + width / 2, y + height / 2, panel.text(value), size=size * small, color=ink_on(colour),
                  ha="center", va="center_baseline")  # fmt: skip
    elif place in panel.hatch:
        axes.add_patch(hatched((x, y), width, height))
    else:
        axes.add_patch(Rectangle((x, y), width, height, facecolor="#f4f5f6", edgecolor="white", linewidth=0.7))
        axes.text(x + width / 2, y + height / 2, "–", size=size, color=FAINT, ha="center", va="center")
    if place in panel.outline:
        axes.add_patch(outlined((x, y), width, height))


# ---- Fig. 3 ------------------------------------------------------------------------------------------------


def fig3(document: Document) -> Figure:
    """The upper triangle: reproduced large, published small under it."""
    cells = cells_of(document)
    whole, against_paper = grid(cells), comparable(document)
    summary = f"{document.get('unit') or 'distance'}  ·  {tally(cells, against_paper)}"
    if not cells:
        page = Page(document, 7.0, 2.0, summary)
        page.nothing()
        return page.figure
    wide = max(0.62, min(1.0, 6.6 / len(whole.cols)))
    high, left, above = wide * 0.66, 0.95, 0.5
    width, height = wide * len(whole.cols), high * len(whole.rows)
    keys = _keys(cells, against_paper, [])
    below = legend_room(keys, left + width + MARGIN) + 0.55
    page = Page(document, left + width + MARGIN, below + height + above, summary)
    both = [n for cell in cells for field in ("reproduced", "published") if (n := number(cell, field)) is not None]
    scale = Scale(0.0, max(both, default=0.0) or 1.0)
    axes = page.axes(left, below, width, height)
    _bare(axes, width, height)
    for y, row in enumerate(whole.rows):
        for x, col in enumerate(whole.cols):
            if (cell := whole.at(row, col)) is not None:
                _distance(axes, (x * wide, y * high, wide, high), cell, scale)
    axes.set_xticks([(x + 0.5) * wide for x in range(len(whole.cols))], whole.cols)
    axes.set_yticks([(y + 0.5) * high for y in range(len(whole.rows))], whole.rows)
    axes.tick_params(length=0, pad=4, labelsize=9, top=True, labeltop=True, bottom=False, labelbottom=False)
    page.text(left, below + height + 0.3, "structure of epoch y  →", size=8.5, color=MUTED)
    page.text(left - 0.5, below + height / 2, "structure of epoch x  →", size=8.5, color=MUTED, rotation=270,
              va="center", ha="right")  # fmt: skip
    reproduced = [n for cell in cells if (n := number(cell, "reproduced")) is not None]
    if reproduced:
        _colourbar(page, scale, reproduced, left, below - 0.26, width)
    page.legend(keys)
    return page.figure


def _distance(axes: Axes, box: tuple[float, float, float, float], cell: Document, scale: Scale) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    value, printed = number(cell, "reproduced"), number(cell, "published")
    size, middle = width * 72 / 5.2, x + width / 2
    ink = MUTED
    if value is None:
        axes.add_patch(hatched((x, y), width, height))
        word = "diverged" if verdict(cell) == compare.DIVERGED else "not run"
        axes.text(middle, y + height * 0.4, word, size=size * 0.62, color=MUTED, ha="center", va="center",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2})  # fmt: skip
    else:
        colour = scale.colour(value)
        ink = ink_on(colour)
        axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor="white", linewidth=1.2))
        lift = 0.4 if printed is not None else 0.5
        axes.text(middle, y + height * lift, f"{value:.3f}" if value else "0", size=size, color=ink,
                  ha="center", va="center_baseline")  # fmt: skip
    if printed is not None:
        style: dict[str, Any] = (
            {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.8}} if value is None else {}
        )
        text = f"paper {printed:.3f}" if printed else "paper 0"
        axes.text(middle, y + height * 0.77, text, size=size * 0.56, color=ink,
                  ha="center", va="center_baseline", **style)  # fmt: skip
    if verdict(cell) == compare.OUTSIDE:
        axes.add_patch(outlined((x, y), width, height))


# ---- shared ------------------------------------------------------------------------------------------------


def hatched(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    """A place whose Run is missing."""
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, facecolor="#fafafa", edgecolor=LINE, hatch="/////", linewidth=0.7)


def outlined(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    """The frame of a cell outside its band: inside the cell, so that neighbours keep theirs."""
    from matplotlib.patches import Rectangle

    inset = 0.018
    place = (corner[0] + inset, corner[1] + inset)
    return Rectangle(
        place, width - 2 * inset, height - 2 * inset, fill=False, edgecolor=INK, linewidth=1.6, zorder=3
    )


def _bare(axes: Axes, width: float, height: float) -> None:
    """Axes in inches from the upper left corner, without frame."""
    axes.set(xlim=(0, width), ylim=(height, 0))
    for spine in axes.spines.values():
        spine.set_visible(False)


def _colourbar(page: Page, scale: Scale, values: Sequence[float], x: float, y: float, width: float) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = page.axes(x, y, width, 0.11)
    bar = page.figure.colorbar(
        scale.mappable, cax=axes, orientation="horizontal", extend=scale.extend(values), extendfrac=0.03,
        ticks=MaxNLocator(nbins=max(3, int(width / 0.6)), steps=[1, 2, 2.5, 5, 10]),
    )  # fmt: skip
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=7.5, length=2.5)


def _keys(cells: Sequence[Document], against_paper: bool, panels: Sequence[Panel]) -> list[Artist]:
    """Legend entries for what occurs: outlined, hatched, empty."""
    found: list[Artist] = []
    if against_paper and any(verdict(cell) == compare.OUTSIDE for cell in cells):
        bands = sorted({round(b, 3) for cell in cells if (b := number(cell, "band")) is not None})
        width = f" (± {bands[0]:.2g})" if len(bands) == 1 else ""
        key = outlined((0, 0), 1, 1)
        key.set_label(f"outside the 95 % band{width}")
        found.append(key)
    for word, wanted in (("not run", True), ("diverged", False)):
        empty = [cell for cell in cells if number(cell, "reproduced") is None]
        if any((verdict(cell) != compare.DIVERGED) is wanted for cell in empty):
            key = hatched((0, 0), 1, 1)
            key.set_label(word)
            found.append(key)
    if panels and any(number(cell, "published") is None for cell in cells):
        from matplotlib.patches import Patch

        found.append(Patch(facecolor="#f4f5f6", edgecolor=LINE, label="–  not printed in the paper"))
    return found
