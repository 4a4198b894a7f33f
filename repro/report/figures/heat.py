"""Draw coloured tables side by side: Fig. 1 (tickets by structure and weights), Fig. 3 (distances)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Patch, Rectangle

from repro.artifacts.drawing import Heat
from repro.cells import OUTSIDE, Cell
from repro.report import reading as read
from repro.report.figures import FAINT, INK, LINE, ON_COLOUR, Picture
from repro.report.numbers import MINUS, fixed
from repro.report.tables import ordered, pivot

SEQUENTIAL, DIVERGING = ("YlGnBu", 0.04, 0.62), ("RdBu", 0.2, 0.8)  # the part on which dark numbers are readable
GAP = 0.25  # of a row's height, between the row that is set apart and the others
Values = Mapping[Cell, float]


@dataclass(frozen=True)
class Panel:
    """One coloured table of ``reproduced``, ``published`` or ``difference``, and the words at its colour bar."""

    field: str
    title: str
    values: Values
    unit: str
    colours: ScalarMappable


def draw(sheet: Picture[Heat]) -> None:
    """Draw reproduced, published and their difference side by side."""
    document, apart = sheet.document, sheet.drawing.apart
    every_row, cols, placed = pivot(document.cells)
    inner = ordered(row for row in every_row if row not in apart)
    rows = (*(row for row in every_row if row in apart), *inner)
    tops = {row: index + GAP * (row in inner) for index, row in enumerate(rows)}
    panels = panels_of(sheet, [*placed.values()], placed.get((rows[-1], cols[-1])))
    wide = max(3.6, 0.85 + len(cols) * max(0.42, min(0.62, 4.2 / len(cols))))
    sheet.set_size_inches(len(panels) * wide, len(rows) * max(0.25, min(0.36, 3.6 / len(rows))) + 1.4)
    every = sheet.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(every, panels, strict=True):
        axes.set(xlim=(0, len(cols)), ylim=(tops[rows[-1]] + 1, tops[rows[0]]), title=panel.title)
        axes.set(xlabel=document.long_axes[1], ylabel=document.long_axes[0] if axes is every[0] else "")
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=3, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.xaxis.set_label_position("top")
        name = document.in_paper if panel.field == "published" else str
        axes.set_xticks([index + 0.5 for index in range(len(cols))], map(name, cols))
        axes.set_yticks([top + 0.5 for top in tops.values()], [apart.get(row, name(row)) for row in rows])
        for cell in placed.values():
            _tile(sheet, axes, panel, cell, (cols.index(cell.col), tops[cell.row]))
        if panel.values:
            low, high = panel.colours.get_clim()
            below, above = min(panel.values.values()) < low, max(panel.values.values()) > high
            bar = sheet.colorbar(
                panel.colours, ax=axes, location="bottom", pad=0.03, fraction=0.04, aspect=40,
                extend="both" if below and above else "min" if below else "max" if above else "neither",
                label=panel.unit + ("; arrow: values beyond" if below or above else ""),
            )  # fmt: skip
            bar.outline.set_visible(False)


def panels_of(sheet: Picture[Heat], cells: Sequence[Cell], last: Cell | None) -> list[Panel]:
    """Return the panels. Colours do not span the rows that are set apart, unless these are alone."""
    document, drawing = sheet.document, sheet.drawing

    def inner(values: Values) -> list[float]:
        return [value for cell, value in values.items() if cell.row not in drawing.apart] or [*values.values()]

    def spanning(values: Sequence[float]) -> ScalarMappable:
        return scale(*SEQUENTIAL, *(without_outliers(values) if values else (0, 1)))

    ours, theirs = (
        {cell: value for cell in cells if (value := cell.value(field)) is not None}
        for field in ("reproduced", "published")
    )

    unit, against_paper = document.unit, document.comparable
    shared = inner(ours) + inner(theirs) if against_paper else []
    found = [Panel("reproduced", "Reproduced", ours, unit, spanning(shared or inner(ours)))]
    if theirs:
        title = "Published" if against_paper else "Published (orientation only)"
        found.append(Panel("published", title, theirs, unit, spanning(shared or inner(theirs))))
    other: Values = {}
    if against_paper:
        other, title = theirs, f"Reproduced {MINUS} published"
    elif drawing.relative and last in ours:
        other, (rows, columns) = dict.fromkeys(ours, ours[last]), document.axes
        title = f"Reproduced {MINUS} its own ({columns} = {last.col}, {rows} = {last.row})"
    if difference := {cell: value - other[cell] for cell, value in ours.items() if cell in other}:
        # Differences within the band stay pale, however small the largest of them is.
        bands = inner({cell: cell.band for cell in cells if cell.band is not None})
        reach = max(2 * statistics.median(bands) if bands else 0.5, *map(abs, inner(difference)))
        words = f"{'points; ' if document.percent else ''}blue: reproduced is higher"
        found.append(Panel("difference", title, difference, words, scale(*DIVERGING, -reach, reach)))
    return found


def without_outliers(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the largest value but for those three interquartile ranges beyond the quartiles."""
    low, high = numpy.quantile(values, (0.25, 0.75))
    reach = 3 * (high - low) or max(values) - min(values)
    inside = [value for value in values if low - reach <= value <= high + reach]
    return min(inside), max(inside)


def scale(name: str, first: float, last: float, low: float, high: float) -> ScalarMappable:
    """Return part of a colour map between two limits."""
    colours = colormaps[name](numpy.linspace(first, last, 256))
    return ScalarMappable(Normalize(low, high, clip=True), ListedColormap(colours))


def _tile(sheet: Picture[Heat], axes: Axes, panel: Panel, cell: Cell, at: tuple[float, float]) -> None:
    """Draw a cell as a coloured tile with its number; ``at`` is the tile's corner."""
    value, theirs = panel.values.get(cell), panel.field == "published"
    if value is None and cell.shown is None and not theirs:
        sheet.hatch(axes, Rectangle(at, 1, 1), cell.verdict, read.told(cell, sheet.document))
        return
    if value is not None:
        colour = cast(Any, panel.colours.to_rgba)(value)
        tile = Rectangle(at, 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8)
        signed = panel.field == "difference"
        words = fixed(value, sheet.document.digits_of(panel.field), sign=signed) if value or signed else "0"
    else:
        tile, words = Rectangle(at, 1, 1, facecolor="#f4f5f6", edgecolor=LINE), "–"
        sheet.key("–  not printed in the paper", tile)
    if cell.verdict == OUTSIDE and not theirs:
        tile.set(edgecolor=INK, linewidth=1.8, zorder=2)
        sheet.key("outside the 95 % band", Patch(facecolor="white", edgecolor=INK, linewidth=1.8))
    axes.add_artist(tile)
    x, y = tile.get_center()
    axes.text(x, y, words, size=8, color=FAINT if value is None else ON_COLOUR, ha="center", va="center_baseline")
    sheet.mark(tile, read.told(cell, sheet.document))
