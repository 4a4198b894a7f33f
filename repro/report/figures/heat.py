"""Draw coloured tables side by side: Fig. 1 (tickets by structure and weights), Fig. 3 (distances)."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

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
from repro.report.figures import FAINT, INK, LINE, ON_COLOUR
from repro.report.figures.sheet import Sheet, hatched, text_width
from repro.report.numbers import MINUS, fixed
from repro.report.tables import ordered, pivot

GAP = 0.25  # of a row's height, between the row that is set apart and the others
Place = tuple[str, str]
Values = Mapping[Place, float]


@dataclass(frozen=True)
class Panel:
    """One coloured table: values with their colours and decimals, and the label of the colour bar."""

    title: str
    values: Values
    colours: ScalarMappable
    digits: int
    bar: str
    signed: bool = False
    theirs: bool = False
    """Whether an empty cell is one that the paper does not print (else one that was not run)."""
    name: Callable[[str], str] = str
    """What a row or column is called."""

    def text(self, value: float) -> str:
        """Format a value; an exact zero is a single digit."""
        return fixed(value, self.digits, sign=self.signed) if value or self.signed else "0"


def draw(document: Document, drawing: Heat) -> Sheet:
    """Draw reproduced, published and their difference side by side."""
    every_row, cols, placed = pivot(document.cells)
    inner = ordered(row for row in every_row if row != drawing.apart)
    rows, (rows_name, columns_name) = (*sorted({*every_row} - {*inner}), *inner), document.long_axes
    tops = {row: index + GAP * bool(index and rows[0] == drawing.apart) for index, row in enumerate(rows)}
    panels = panels_of(document, placed, inner, cols[-1], drawing)
    widest = max((len(panel.text(v)) for panel in panels for v in panel.values.values()), default=4)
    wide = len(cols) * max(0.078 * widest, min(0.62, 4.2 / len(cols)))
    wide = max(wide, *(text_width(panel.title, 10.5, "bold") for panel in panels)) + 0.85
    sheet = Sheet(len(panels) * wide, len(rows) * max(0.25, min(0.36, 3.6 / len(rows))) + 1.4)
    every = sheet.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(every, panels, strict=True):
        axes.set(xlim=(0, len(cols)), ylim=(tops[rows[-1]] + 1, 0), title=panel.title, xlabel=columns_name)
        axes.set_ylabel(rows_name if axes is every[0] or panel.name is not str else "")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=3, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.xaxis.set_label_position("top")
        axes.set_xticks([index + 0.5 for index in range(len(cols))], [panel.name(col) for col in cols])
        names = [drawing.apart_name if row == drawing.apart else panel.name(row) for row in rows]
        axes.set_yticks([top + 0.5 for top in tops.values()], names)
        for row, (x, col) in itertools.product(rows, enumerate(cols)):
            if (row, col) in placed:
                _tile(sheet, axes, panel, document, placed[row, col], (x, tops[row]))
    for _, shared in itertools.groupby(zip(every, panels, strict=True), key=lambda pair: pair[1].colours):
        group, own = zip(*shared, strict=True)
        if known := [value for panel in own for value in panel.values.values()]:
            _colour_bar(sheet, group, own[0], known)
    return sheet


def panels_of(
    document: Document, placed: Mapping[Place, compare.Cell], inner: Sequence[str], col: str, drawing: Heat
) -> list[Panel]:
    """Return the panels; ``col`` is the last column.

    Colours span the ``inner`` rows, or the row that is set apart if it is alone.
    """
    ours, theirs = (
        {at: v for at, cell in placed.items() if (v := cell.value(field)) is not None}
        for field in ("reproduced", "published")
    )

    def of_inner(values: Values) -> list[float]:
        return [value for (row, _), value in values.items() if row in inner] or list(values.values())

    unit, digits, printed = document.unit, document.digits, document.digits_of("published")
    if document.comparable and theirs:
        colours = spanning(of_inner(theirs) + of_inner(ours))
        difference = {place: value - theirs[place] for place, value in ours.items() if place in theirs}
        # Differences within the band stay pale, however small the largest of them is.
        bands = of_inner({at: cell.band for at, cell in placed.items() if cell.band is not None})
        around = around_zero(of_inner(difference), 2 * statistics.median(bands) if bands else 0.5)
        points = f"{'points; ' if unit.endswith('%') else ''}blue: reproduced is higher"
        return [
            Panel("Reproduced", ours, colours, digits, unit),
            Panel("Published", theirs, colours, printed, unit, theirs=True),
            Panel(f"Reproduced {MINUS} published", difference, around, digits, points, signed=True),
        ]
    found = [Panel("Reproduced", ours, spanning(of_inner(ours)), digits, unit)]
    if theirs:
        title, colours = "Published (orientation only)", spanning(of_inner(theirs))
        found.append(Panel(title, theirs, colours, printed, unit, theirs=True, name=document.in_paper))
    if drawing.relative and not document.comparable:
        row, (rows, columns) = inner[-1] if inner else drawing.apart, document.axes
        own = {place: value - ours[row, col] for place, value in ours.items()} if (row, col) in ours else {}
        title = f"Reproduced {MINUS} its own ({columns} = {col}, {rows} = {row})"
        found.append(Panel(title, own, around_zero(of_inner(own), 0.5), digits, "points", signed=True))
    return found


def without_outliers(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the largest value but for those three interquartile ranges beyond the quartiles."""
    rank = sorted(values)
    low, high = rank[len(rank) // 4], rank[(3 * len(rank)) // 4]
    reach = 3 * (high - low) or rank[-1] - rank[0]
    inside = [value for value in rank if low - reach <= value <= high + reach]
    return inside[0], inside[-1]


def spanning(values: Sequence[float]) -> ScalarMappable:
    """Return colours over ``values`` but for far outliers, without the dark end: dark numbers stay readable."""
    low, high = without_outliers(values) if values else (0.0, 1.0)
    room = 0.5 if low == high else 0.0
    return _colours("YlGnBu", 0.04, 0.62, low - room, high + room)


def around_zero(values: Sequence[float], at_least: float) -> ScalarMappable:
    """Return diverging colours with symmetric limits, so that their middle is zero."""
    reach = max([at_least, *(abs(value) for value in values)])
    return _colours("RdBu", 0.12, 0.88, -reach, reach)


def _colours(name: str, first: float, last: float, low: float, high: float) -> ScalarMappable:
    """Return part of a colour map between two limits; values beyond take the colour of the limit."""
    colours = colormaps[name]([first + (last - first) * step / 255 for step in range(256)])
    return ScalarMappable(Normalize(low, high, clip=True), ListedColormap(colours))


def colour_of(value: float, colours: ScalarMappable) -> tuple[float, float, float]:
    """Return red, green and blue of a value."""
    red, green, blue, _ = cast(Any, colours.to_rgba)(value)
    return float(red), float(green), float(blue)


def ink_on(colour: tuple[float, float, float]) -> str:
    """Return dark or white, whichever stands out more on ``colour``. A page does not change them in dark mode."""
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    luminance = sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return ON_COLOUR[luminance < 0.2117]


def _tile(
    sheet: Sheet, axes: Axes, panel: Panel, document: Document, cell: compare.Cell, at: tuple[float, float]
) -> None:
    value, middle = panel.values.get((cell.row, cell.col)), (at[0] + 0.5, at[1] + 0.5)
    if value is not None:
        colour = colour_of(value, panel.colours)
        tile = Rectangle(at, 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8)
        axes.text(*middle, panel.text(value), size=8, color=ink_on(colour), ha="center", va="center_baseline")
    elif not panel.theirs and cell.shown is None:
        tile = hatched(sheet, at, 1, 1, read.without_value(cell))
    else:
        tile = Rectangle(at, 1, 1, facecolor="#f4f5f6", edgecolor=LINE)
        axes.text(*middle, "–", size=8, color=FAINT, ha="center", va="center")
        sheet.key("–  not printed in the paper", tile)
    axes.add_artist(tile)
    sheet.mark(tile, read.told(cell, document))
    if not panel.theirs and cell.verdict == compare.OUTSIDE:
        corner = (at[0] + 0.04, at[1] + 0.06)
        frame = Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=INK, linewidth=1.6, zorder=3)
        axes.add_artist(frame)
        sheet.key("outside the 95 % band", frame)


def _colour_bar(sheet: Sheet, axes: Sequence[Axes], panel: Panel, values: Sequence[float]) -> None:
    low, high = panel.colours.get_clim()
    beyond = (min(values) < (low or 0.0), max(values) > (high or 0.0))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(beyond, "neither")
    bar = sheet.colorbar(
        panel.colours, ax=list(axes), location="bottom", extend=extend, extendfrac=0.03, pad=0.03, fraction=0.04,
        ticks=MaxNLocator(nbins=6 * len(axes), steps=[1, 2, 2.5, 5, 10]), aspect=40 * len(axes), shrink=1.0,
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar.set_label(panel.bar + ("; arrow: values beyond" if any(beyond) else ""), size=8.5)
    bar.ax.tick_params(labelsize=8)
