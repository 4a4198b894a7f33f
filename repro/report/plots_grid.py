"""Heatmaps: Fig. 1 (tickets by structure and weights) and Fig. 3 (distances between structures)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from repro import compare
from repro.report.plots_heat import Scale, around_zero, bare, colourbar, hatched, ink_on, outlined, spanning
from repro.report.plots_page import (
    FAINT,
    LINE,
    MARGIN,
    MUTED,
    Cell,
    Document,
    Grid,
    Page,
    cells_of,
    comparable,
    grid,
    legend_room,
    number,
    ordered,
    paper_epochs,
    papers,
    seeds,
    tally,
    text_width,
    verdict,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Place = tuple[str, str]
Box = tuple[float, float, float, float]

BASELINE = "baseline"
MINUS = "\N{MINUS SIGN}"
BLANK = "#f4f5f6"


# ---- Fig. 1 ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """One of Fig. 1's heatmaps. ``hatch`` places have no value for want of a Run, with their verdict; the other
    empty ones because the paper prints none. ``outline`` places lie outside their band."""

    title: str
    subtitle: str
    values: Mapping[Place, float]
    scale: Scale
    text: Callable[[float], str]
    hatch: Mapping[Place, str] = field(default_factory=dict)
    outline: frozenset[Place] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    """What rows and columns are called beside the paper's numbers, where it calls them otherwise."""


@dataclass(frozen=True)
class Sheet:
    """The geometry that Fig. 1's panels share, in inches: the baseline row on top, set apart."""

    rows: tuple[str, ...]
    cols: tuple[str, ...]
    wide: float
    high: float
    gap: float = 0.09
    rise: float = 0.0
    """Of what stands above columns with names of two lines."""

    @property
    def width(self) -> float:
        """Of a panel."""
        return self.wide * len(self.cols)

    @property
    def height(self) -> float:
        """Of a panel."""
        return self.top(self.rows[-1]) + self.high

    @property
    def size(self) -> float:
        """Of the numbers, in points."""
        return min(9.0, self.wide * 72 / 3.8, self.high * 72 / 1.7)

    def top(self, row: str) -> float:
        """Distance of a row's upper edge from the panel's."""
        index = self.rows.index(row)
        return index * self.high + (self.gap if index and self.rows[0] == BASELINE else 0.0)


def fig1(document: Document) -> Figure:
    """Published, reproduced, and their difference, side by side."""
    cells = [cell for cell in cells_of(document) if cell.get("series") in (BASELINE, "tickets")]
    whole, against_paper = grid(cells), comparable(document)
    summary = f"{document.get('unit') or 'accuracy'}  ·  {tally(cells, against_paper)}"
    if not cells:
        return Page(document, 9.0, 2.0, summary).nothing()
    tickets = ordered(row for row in whole.rows if row != BASELINE)
    rows = ((BASELINE,) if BASELINE in whole.rows else ()) + tickets
    wide = max(0.38, min(0.62, 4.18 / len(whole.cols)))
    high, rise = max(0.25, min(0.34, 3.4 / len(rows))), 0.13 if paper_epochs(document) else 0.0
    sheet = Sheet(rows, whole.cols, wide, high, rise=rise)

    panels = fig1_panels(document, whole, tickets)
    if any(panel.scale.extend(list(panel.values.values())) != "neither" for panel in panels):
        summary += "  ·  colours span the tickets; arrows: values beyond"
    words = [*((p.title, 10.5, "bold") for p in panels), *((p.subtitle, 8.0, "normal") for p in panels)]
    widest = max(text_width(*word) for word in words)
    names = max((text_width(name, 8.0) for panel in panels for name in panel.names.values()), default=0.0)
    left, above, pitch = max(1.0, names + 0.58), 0.9 + sheet.rise, max(sheet.width + 0.72, widest + 0.3)
    width = left + 2 * pitch + max(sheet.width, widest) + MARGIN
    keys = _keys(cells, against_paper) + _empty_keys(cells)
    below = legend_room(keys, width) + 0.55
    page = Page(document, width, below + sheet.height + above, summary)
    page.text(MARGIN, below + sheet.height / 2, "weights from epoch v  →", size=8, color=MUTED, rotation=270,
              va="center", ha="left")  # fmt: skip
    for index, panel in enumerate(panels):
        _draw_panel(page, panel, sheet, left + index * pitch, below)

    groups = [(0, panels[:2]), (2, panels[2:])]
    if panels[0].scale != panels[1].scale:
        groups = [(index, [panel]) for index, panel in enumerate(panels)]
    for index, group in groups:
        if known := [value for panel in group for value in panel.values.values()]:
            length = (len(group) - 1) * pitch + sheet.width
            colourbar(page, group[0].scale, known, left + index * pitch, below - 0.26, length)
    page.legend(keys)
    return page.figure


def fig1_panels(document: Document, whole: Grid, tickets: Sequence[str]) -> list[Panel]:
    """Published, reproduced, and their difference; where they are not comparable, reproduced less its own last
    cell instead. The colours span the tickets, or the baseline row where there is nothing else."""
    published, reproduced = whole.known("published"), whole.known("reproduced")
    places = [(row, col) for row in whole.rows for col in whole.cols]
    missing = {place: verdict(whole.at(*place)) for place in places if place not in reproduced}
    many = seeds(list(whole.cells.values()))

    def of_tickets(values: Mapping[Place, float]) -> list[float]:
        return [value for (row, _), value in values.items() if row in tickets] or list(values.values())

    if comparable(document) and published:
        scale = spanning(of_tickets(published) + of_tickets(reproduced))
        difference = {place: value - published[place] for place, value in reproduced.items() if place in published}
        # Differences within the band stay pale, however small the largest of them is.
        bands = of_tickets(whole.known("band"))
        symmetric = around_zero(of_tickets(difference), 2 * statistics.median(bands) if bands else 0.5)
        outside = frozenset(p for p, cell in whole.cells.items() if verdict(cell) == compare.OUTSIDE)
        return [
            Panel("Published", "the paper's Fig. 1", published, scale, plain),
            Panel("Reproduced", many, reproduced, scale, plain, missing, outside),
            Panel(f"Reproduced {MINUS} published", "points; blue where reproduced is higher", difference,
                  symmetric, signed, missing, outside),
        ]  # fmt: skip
    s, v = whole.cols[-1], tickets[-1] if tickets else BASELINE
    reference = reproduced.get((v, s))
    relative = {} if reference is None else {place: value - reference for place, value in reproduced.items()}
    missing_too = missing if reference is not None else {place: verdict(None) for place in places}
    names = {label: papers(label, document) for label in (*whole.rows, *whole.cols)}
    where = "at the same share of the paper's schedule" if published else "no number for these epochs"
    why = "that cell was not run" if reference is None else "in place of a difference from the paper"
    return [
        Panel("Published (orientation only)" if published else "Published", where, published,
              spanning(of_tickets(published)), plain, names=names if published else {}),
        Panel("Reproduced", many, reproduced, spanning(of_tickets(reproduced)), plain, missing),
        Panel(f"Reproduced {MINUS} its own (s={s}, v={v})", f"points; {why}", relative,
              around_zero(of_tickets(relative), 0.5), signed, missing_too),
    ]  # fmt: skip


def plain(value: float) -> str:
    """Two decimals, as the paper prints them."""
    return f"{value:.2f}".replace("-", MINUS)


def signed(value: float) -> str:
    """Two decimals with a true minus sign; nothing is called plus or minus zero."""
    text = f"{value:+.2f}".replace("-", MINUS)
    return "0.00" if text[1:] == "0.00" else text


def _draw_panel(page: Page, panel: Panel, sheet: Sheet, x: float, y: float) -> None:
    axes = page.axes(x, y, sheet.width, sheet.height)
    bare(axes, sheet.width, sheet.height)
    size = sheet.size * (0.93 if panel.text is signed else 1.0)  # a sign more in the same room
    for row in sheet.rows:
        for index, col in enumerate(sheet.cols):
            box = (index * sheet.wide, sheet.top(row), sheet.wide, sheet.high)
            _tile(axes, box, panel, (row, col), size)
    columns, rows = ([panel.names.get(name, name) for name in names] for names in (sheet.cols, sheet.rows))
    columns = [name.replace(" (", "\n(") for name in columns]
    axes.set_xticks([(index + 0.5) * sheet.wide for index in range(len(sheet.cols))], columns)
    axes.set_yticks([sheet.top(row) + sheet.high / 2 for row in sheet.rows], rows)
    if panel.names:
        axes.tick_params(axis="x", labelsize=min(8.0, sheet.wide * 72 / 6.4), pad=2)
    for tick in axes.get_yticklabels():
        tick.set_fontstyle("italic" if tick.get_text() == BASELINE else "normal")
    top = y + sheet.height + sheet.rise
    page.text(x, top + 0.66, panel.title, size=10.5, weight="bold")
    page.text(x, top + 0.48, panel.subtitle, size=8, color=MUTED)
    page.text(x, top + 0.26, "structure from epoch s  →", size=8, color=MUTED)


def _tile(axes: Axes, box: Box, panel: Panel, place: Place, size: float) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    middle, centre = x + width / 2, y + height / 2
    value = panel.values.get(place)
    if value is not None:
        colour = panel.scale.colour(value)
        axes.add_artist(Rectangle((x, y), width, height, facecolor=colour, edgecolor="white", linewidth=0.7))
        axes.text(middle, centre, panel.text(value), size=size, color=ink_on(colour),
                  ha="center", va="center_baseline")  # fmt: skip
    elif place in panel.hatch:
        axes.add_artist(hatched((x, y), width, height, diverged=panel.hatch[place] == compare.DIVERGED))
    else:
        axes.add_artist(Rectangle((x, y), width, height, facecolor=BLANK, edgecolor="white", linewidth=0.7))
        axes.text(middle, centre, "–", size=size, color=FAINT, ha="center", va="center")
    if place in panel.outline:
        axes.add_artist(outlined((x, y), width, height))


# ---- Fig. 3 ------------------------------------------------------------------------------------------------


def fig3(document: Document) -> Figure:
    """The upper triangle: reproduced large, published small under it."""
    cells = cells_of(document)
    whole, against_paper = grid(cells), comparable(document)
    summary = f"{document.get('unit') or 'distance'}  ·  {tally(cells, against_paper)}"
    if not cells:
        return Page(document, 7.0, 2.0, summary).nothing()
    wide = max(0.62, min(1.0, 6.6 / len(whole.cols)))
    high, left, above = wide * 0.66, 0.95 + 0.25 * bool(paper_epochs(document)), 0.62
    width, height = wide * len(whole.cols), high * len(whole.rows)
    keys = _keys(cells, against_paper)
    below = legend_room(keys, left + width + MARGIN) + 0.55
    page = Page(document, left + width + MARGIN, below + height + above, summary)
    left += max(0.0, (page.width - width - left - MARGIN) / 2)
    reproduced, published = list(whole.known("reproduced").values()), list(whole.known("published").values())
    # The published numbers have a say in the colours only where they are of the same kind.
    scale = Scale(0.0, max([*reproduced, *(published if against_paper else [])], default=0.0) or 1.0)
    digits = 4 if any(0 < value < 0.0005 for value in reproduced) else 3
    axes = page.axes(left, below, width, height)
    bare(axes, width, height)
    for (row, col), cell in whole.cells.items():
        corner = whole.cols.index(col) * wide, whole.rows.index(row) * high
        _distance(axes, (*corner, wide, high), cell, scale, digits)
    columns, rows = ([_with_papers(name, document) for name in names] for names in (whole.cols, whole.rows))
    axes.set_xticks([(index + 0.5) * wide for index in range(len(whole.cols))], columns)
    axes.set_yticks([(index + 0.5) * high for index in range(len(whole.rows))], rows)
    axes.tick_params(labelsize=9 if columns == list(whole.cols) else 7.5, pad=4)
    page.text(
        left, below + height + 0.3 + 0.12 * ("\n" in columns[0]), "structure of epoch y  →", size=8.5, color=MUTED
    )
    aside = 0.8 if paper_epochs(document) else 0.5
    page.text(left - aside, below + height / 2, "structure of epoch x  →", size=8.5, color=MUTED, rotation=270,
              va="center", ha="right")  # fmt: skip
    if reproduced:
        colourbar(page, scale, reproduced, left, below - 0.26, width)
    page.legend(keys)
    return page.figure


def _with_papers(label: str, document: Document) -> str:
    """The profile's epoch, and below it the paper's, whose number stands in the same cell."""
    paper = paper_epochs(document).get(label)
    return label if paper is None else f"{label}\n(paper {paper})"


def _distance(axes: Axes, box: Box, cell: Cell, scale: Scale, digits: int) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    value, printed = number(cell, "reproduced"), number(cell, "published")
    size, middle = width * 72 / 5.2, x + width / 2
    style: dict[str, Any] = {"ha": "center", "va": "center_baseline"}
    if value is None:
        diverged = verdict(cell) == compare.DIVERGED
        axes.add_artist(hatched((x, y), width, height, diverged=diverged))
        style |= {"color": MUTED, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0}}
        large, large_size = "diverged" if diverged else "not run", size * 0.62
    else:
        colour = scale.colour(value)
        axes.add_artist(Rectangle((x, y), width, height, facecolor=colour, edgecolor="white", linewidth=1.2))
        style |= {"color": ink_on(colour)}
        large, large_size = f"{value:.{digits}f}" if value else "0", size
    axes.text(middle, y + height * (0.5 if printed is None else 0.4), large, size=large_size, **style)
    if printed is not None:
        small = f"paper {printed:.3f}" if printed else "paper 0"
        axes.text(middle, y + height * 0.77, small, size=size * 0.56, **style)
    if verdict(cell) == compare.OUTSIDE:
        axes.add_artist(outlined((x, y), width, height))


# ---- legends -----------------------------------------------------------------------------------------------


def _keys(cells: Sequence[Cell], against_paper: bool) -> list[Artist]:
    """The frame of cells outside the band, where there are any."""
    if not against_paper or not any(verdict(cell) == compare.OUTSIDE for cell in cells):
        return []
    bands = {round(band, 4) for cell in cells if (band := number(cell, "band")) is not None}
    key = outlined((0, 0), 1, 1)
    key.set_label("outside the 95 % band" + (f" (± {bands.pop():.2g})" if len(bands) == 1 else ""))
    return [key]


def _empty_keys(cells: Sequence[Cell]) -> list[Artist]:
    """What occurs of: not run, diverged, not printed."""
    from matplotlib.patches import Patch

    found: list[Artist] = []
    for diverged in sorted({verdict(c) == compare.DIVERGED for c in cells if number(c, "reproduced") is None}):
        key = hatched((0, 0), 1, 1, diverged=diverged)
        key.set_label("diverged" if diverged else "not run")
        found.append(key)
    if any(number(cell, "published") is None for cell in cells):
        found.append(Patch(facecolor=BLANK, edgecolor=LINE, label="–  not printed in the paper"))
    return found
