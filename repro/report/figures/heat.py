"""Draw coloured tables side by side: Fig. 1 (tickets by structure and weights), Fig. 3 (distances)."""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from repro import cells as compare
from repro.artifacts.drawing import Heat
from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures.look import FAINT, INK, LINE
from repro.report.figures.sheet import MARGIN, Sheet, hatched, text_width
from repro.report.numbers import MINUS, fixed
from repro.report.tables import Table, ordered

GAP = 0.25  # of a row's height, between the row that is set apart and the others
RGB = tuple[float, float, float]
Values = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Scale:
    """Values to colours between two limits. Values beyond take the colour of the limit."""

    low: float
    high: float
    diverging: bool = False

    @functools.cached_property
    def mappable(self) -> ScalarMappable:
        """Return the scale as matplotlib has it, without the dark ends: dark numbers stay readable."""
        name, first, last = ("RdBu", 0.12, 0.88) if self.diverging else ("YlGnBu", 0.04, 0.62)
        colours = colormaps[name]([first + (last - first) * step / 255 for step in range(256)])
        return ScalarMappable(Normalize(self.low, self.high, clip=True), ListedColormap(colours))

    def colour(self, value: float) -> RGB:
        """Return red, green and blue of a value."""
        share = (value - self.low) / (self.high - self.low)
        red, green, blue, _ = self.mappable.cmap(min(max(share, 0.0), 1.0))
        return float(red), float(green), float(blue)

    def extend(self, values: Sequence[float]) -> str:
        """Return on which sides values lie beyond the limits, in matplotlib's words."""
        below, above = min(values) < self.low, max(values) > self.high
        return "both" if below and above else "min" if below else "max" if above else "neither"


@dataclass(frozen=True)
class Panel:
    """One coloured table: a title, values with their colours, the digits and the label of the colour bar."""

    title: str
    values: Values
    scale: Scale
    text: Callable[[float], str]
    bar: str
    ours: bool = True
    """Whether an empty cell is one that was not run (else one that the paper does not print)."""
    name: Callable[[str], str] = str
    """What a row or column is called."""


def draw(document: Document, drawing: Heat) -> Sheet:
    """Draw reproduced, published and their difference side by side."""
    cells, (rows_name, columns_name) = document.cells, document.long_axes
    whole = Table.of(cells)
    inner = ordered(row for row in whole.rows if row != drawing.apart)
    rows, cols = (*(row for row in whole.rows if row == drawing.apart), *inner), whole.cols
    panels = panels_of(document, whole, inner, drawing)
    digits = max((len(panel.text(v)) for panel in panels for v in panel.values.values()), default=4)
    wide, high = max(0.078 * digits, min(0.62, 4.2 / len(cols))), max(0.25, min(0.36, 3.6 / len(rows)))
    names = max(text_width(line, 8.5) for row in rows for line in _row_name(row, drawing).split("\n"))
    least = [max(wide * len(cols), text_width(panel.title, 10.5, "bold")) for panel in panels]
    sheet = Sheet(2 * MARGIN + len(panels) * (max(least) + names + 0.4), high * (len(rows) + GAP) + 1.4)
    sheet.note(document.unit, read.tally(cells, document.comparable), read.seeds(cells))
    every = sheet.subplots(1, len(panels), squeeze=False)[0]
    tops = [index + (GAP if index and rows[0] == drawing.apart else 0.0) for index in range(len(rows))]
    for axes, panel in zip(every, panels, strict=True):
        axes.set(xlim=(0, len(cols)), ylim=(tops[-1] + 1, 0), title=panel.title, xlabel=columns_name)
        axes.set_ylabel(rows_name if axes is every[0] or panel.name is not str else "")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=3, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.xaxis.set_label_position("top")
        axes.set_xticks([index + 0.5 for index in range(len(cols))], [panel.name(col) for col in cols])
        axes.set_yticks([top + 0.5 for top in tops], [_row_name(panel.name(row), drawing) for row in rows])
        for (top, row), (x, col) in itertools.product(zip(tops, rows, strict=True), enumerate(cols)):
            if (row, col) in whole.cells:
                _tile(sheet, axes, panel, document, whole, (row, col), (x, top))
    for _, shared in itertools.groupby(zip(every, panels, strict=True), key=lambda pair: pair[1].scale):
        group, own = zip(*shared, strict=True)
        if known := [value for panel in own for value in panel.values.values()]:
            _colour_bar(sheet, group, own[0], known)
    return sheet


def panels_of(document: Document, whole: Table, inner: Sequence[str], drawing: Heat) -> list[Panel]:
    """Return the panels. Colours span the ``inner`` rows, or the row that is set apart if it is alone."""
    ours, theirs = (
        {at: v for at, cell in whole.cells.items() if (v := cell.value(field)) is not None}
        for field in ("reproduced", "published")
    )
    unit = document.unit

    def of_inner(values: Values) -> list[float]:
        return [value for (row, _), value in values.items() if row in inner] or list(values.values())

    def text(digits: int, sign: bool = False) -> Callable[[float], str]:
        return lambda value: fixed(value, digits, sign=sign) if value or sign else "0"

    shown, printed = text(document.digits), text(document.digits_of("published"))
    signed = text(document.digits, sign=True)
    if document.comparable:
        scale = spanning(of_inner(theirs) + of_inner(ours))
        difference = {place: value - theirs[place] for place, value in ours.items() if place in theirs}
        # Differences within the band stay pale, however small the largest of them is.
        bands = of_inner({at: cell.band for at, cell in whole.cells.items() if cell.band is not None})
        around = around_zero(of_inner(difference), 2 * statistics.median(bands) if bands else 0.5)
        points = f"{'points; ' if unit.endswith('%') else ''}blue: reproduced is higher"
        found = [
            Panel("Reproduced", ours, scale, shown, unit),
            Panel("Published", theirs, scale, printed, unit, ours=False),
            Panel(f"Reproduced {MINUS} published", difference, around, signed, points),
        ]
        return found if theirs else found[:1]
    found = [Panel("Reproduced", ours, spanning(of_inner(ours)), shown, unit)]
    if theirs:
        name, scale = document.in_paper, spanning(of_inner(theirs))
        found.append(Panel("Published (orientation only)", theirs, scale, printed, unit, ours=False, name=name))
    if drawing.relative:
        row, col = (inner or whole.rows)[-1], whole.cols[-1]
        own = {place: value - ours[row, col] for place, value in ours.items()} if (row, col) in ours else {}
        rows, columns = document.axes
        title = f"Reproduced {MINUS} its own ({columns} = {col}, {rows} = {row})"
        found.append(Panel(title, own, around_zero(of_inner(own), 0.5), signed, "points"))
    return found


def spanning(values: Sequence[float]) -> Scale:
    """Return a scale over ``values`` without far outliers (three interquartile ranges beyond the quartiles)."""
    if not values:
        return Scale(0.0, 1.0)
    rank = sorted(values)
    low, high = rank[len(rank) // 4], rank[(3 * len(rank)) // 4]
    reach = 3 * (high - low) or rank[-1] - rank[0]
    inside = [value for value in rank if low - reach <= value <= high + reach]
    same = 0.5 if inside[0] == inside[-1] else 0.0
    return Scale(inside[0] - same, inside[-1] + same)


def around_zero(values: Sequence[float], at_least: float) -> Scale:
    """Return a diverging scale with symmetric limits, so that its middle is zero."""
    reach = max([at_least, *(abs(value) for value in values)])
    return Scale(-reach, reach, diverging=True)


def luminance(colour: RGB) -> float:
    """Return the relative luminance of WCAG."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ink_on(colour: RGB) -> str:
    """Return dark or white, whichever stands out more on ``colour``."""
    return INK if luminance(colour) > 0.2117 else "white"


def _row_name(row: str, drawing: Heat) -> str:
    return drawing.apart_name if row == drawing.apart else row


def _tile(
    sheet: Sheet, axes: Axes, panel: Panel, document: Document, whole: Table, place: tuple[str, str],
    at: tuple[float, float],
) -> None:  # fmt: skip
    cell, value, middle = whole.cells[place], panel.values.get(place), (at[0] + 0.5, at[1] + 0.5)
    if value is not None:
        colour = panel.scale.colour(value)
        tile = Rectangle(at, 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8)
        axes.text(*middle, panel.text(value), size=8, color=ink_on(colour), ha="center", va="center_baseline")
    elif panel.ours and cell.shown is None:
        tile = hatched(sheet, at, 1, 1, read.without_value(cell))
    else:
        tile = Rectangle(at, 1, 1, facecolor="#f4f5f6", edgecolor=LINE)
        axes.text(*middle, "–", size=8, color=FAINT, ha="center", va="center")
        sheet.key("–  not printed in the paper", tile)
    axes.add_artist(tile)
    sheet.mark(tile, read.told(cell, document))
    if panel.ours and cell.verdict == compare.OUTSIDE:
        corner = (at[0] + 0.04, at[1] + 0.06)
        frame = Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=INK, linewidth=1.6, zorder=3)
        axes.add_artist(frame)
        sheet.key("outside the 95 % band", frame)


def _colour_bar(sheet: Sheet, axes: Sequence[Axes], panel: Panel, values: Sequence[float]) -> None:
    extend, ticks = panel.scale.extend(values), MaxNLocator(nbins=6 * len(axes), steps=[1, 2, 2.5, 5, 10])
    bar = sheet.colorbar(
        panel.scale.mappable, ax=list(axes), location="bottom", extend=extend, extendfrac=0.03, ticks=ticks,
        aspect=40 * len(axes), pad=0.03, shrink=1.0, fraction=0.04,
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar.set_label(panel.bar + ("; arrow: values beyond" if extend != "neither" else ""), size=8.5)
    bar.ax.tick_params(labelsize=8)
