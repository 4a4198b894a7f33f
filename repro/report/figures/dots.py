"""Draw a dot at every column: Tables 1, 2 and 3, and any artifact without a drawing of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from repro import cells as compare
from repro.artifacts.drawing import Dots
from repro.cells import Cell
from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures.curves import increasing
from repro.report.figures.look import BLUE, INK, MUTED, VERMILION
from repro.report.figures.sheet import Sheet, band, hatched, number_ticks, said, value_axis
from repro.report.numbers import fixed
from repro.report.tables import grouped, ordered

PER_ROW = 4
ASIDE = 0.06  # of a column's width, from the middle of a pair to each of its two
OURS, THEIRS = "reproduced", "published"
MARKERS = "o^sDv"


@dataclass(frozen=True)
class Panel:
    """Cells by column: one a column, or one of each series. ``axis`` is what the columns are."""

    title: str
    row: str
    columns: Mapping[str, Sequence[Cell]]
    axis: str
    series: Sequence[str]


def draw(document: Document, drawing: Dots) -> Sheet:
    """Draw a panel for each series and row, or for each row its series in pairs and their calibration beside.

    All panels have one scale. Published numbers that are not comparable have axes of their own below.
    """
    ladder, against_paper = drawing.ladder, document.comparable
    dots = [cell for cell in document.cells if cell.series != ladder]
    panels = panels_of(document, drawing, dots)
    apart = not against_paper and any(cell.published is not None for cell in dots)
    levels = [(OURS, THEIRS)] if against_paper else [(OURS,), (THEIRS,)][: 1 + apart]
    across = 1 if ladder else max(1, min(len(panels), PER_ROW))
    deep = max(1, -(-len(panels) // across))
    most = max((len(panel.columns) for panel in panels), default=1)
    wide = 9.2 if ladder else max(2.4, min(5.2, most * 1.1, 9.8 / across))
    sheet = Sheet(0.4 + across * (wide + 0.5), deep * (3.4 + 1.5 * apart))
    if ladder and len({cell.series for cell in dots}) == 2:
        first, second = panels[0].series
        sheet.note(f"numbers: {second} minus {first}, in points")
    heights, widths = [2.2, 1.0][: len(levels)] * deep, [2, 1] if ladder else [1] * across
    grid = sheet.add_gridspec(len(heights), len(widths), height_ratios=heights, width_ratios=widths)
    shared: dict[int, Axes] = {}
    for index, panel in enumerate(panels):
        down, right = divmod(index, across)
        for level, fields in enumerate(levels):
            axes = sheet.add_subplot(grid[down * len(levels) + level, right], sharey=shared.get(level))
            shared.setdefault(level, axes)
            axes.set_title("" if level else panel.title)
            axes.set_ylabel("" if right else _value_name(document, fields[0] if apart else ""))
            axes.tick_params(labelleft=not right, left=not right)
            _panel(sheet, axes, panel, document, fields, bool(ladder))
        if ladder:
            axes = sheet.add_subplot(grid[down * len(levels) : (down + 1) * len(levels), 1])
            tried = increasing([cell for cell in document.of(ladder) if cell.row == panel.row])
            _ladder(sheet, axes, tried, panel, document, drawing)
    return sheet


def panels_of(document: Document, drawing: Dots, cells: Sequence[Cell]) -> list[Panel]:
    """Return the panels in the table's order."""
    rows, columns = document.long_axes
    prefix = "" if rows in ("", "row", "network") else f"{rows} "
    every = ordered(cell.series for cell in cells)
    found = []
    for key, own in grouped(cells, *(["row"] if drawing.ladder else ["series", "row"])).items():
        by_place = {(cell.series, cell.col): cell for cell in own}
        series = every if drawing.ladder else key[:1]
        pairs = {
            col: [by_place[one, col] for one in series if (one, col) in by_place]
            for col in ordered(c.col for c in own)
        }
        title = ", ".join(filter(None, (prefix + read.pretty(key[-1]) if key[-1] else "", *key[:-1])))
        found.append(Panel(title, key[-1], pairs, (drawing.series or {}).get(key[0], columns), series))
    return found


def chosen(ladder: Sequence[Cell], target: float | None) -> Cell | None:
    """Return the calibration cell nearest to ``target``, the smaller of two; None until all are tried."""
    if target is None or any(cell.shown is None and cell.verdict != compare.DIVERGED for cell in ladder):
        return None
    tried = [(abs(cell.shown - target), cell.x or 0.0, cell) for cell in ladder if cell.shown is not None]
    return min(tried, key=lambda one: one[:2])[2] if tried else None


def _value_name(document: Document, field: str) -> str:
    """Return the unit; of a field that has axes of its own, what it is."""
    unit = document.unit or "value"
    return f"{field.capitalize()}{', %' if unit.endswith('%') else ''}" if field else unit


def _panel(
    sheet: Sheet, axes: Axes, panel: Panel, document: Document, fields: Sequence[str], calibrated: bool
) -> None:
    """Draw the columns of one panel, in pairs with what the second gains over the first."""
    theirs_alone = OURS not in fields
    names = [document.in_paper(name) if theirs_alone else name for name in panel.columns]
    every = max(1, -(-len(names) // 12))
    axes.set(xlim=(-0.5, max(len(names), 1) - 0.5))
    axes.set_xlabel(panel.axis + (" (the paper's)" if theirs_alone else ""))
    axes.margins(y=0.15)
    value_axis(axes, 3 if theirs_alone else 6)
    axes.set_xticks(range(0, len(names), every), names[::every])
    if calibrated:
        axes.axvspan(-0.5, 0.5, facecolor="#f4f5f6", linewidth=0, zorder=0.2)
        axes.annotate("calibration", (0, 1), (4, -4), xycoords=axes.transAxes, va="top",
                      textcoords="offset points", size=7.5, color=MUTED)  # fmt: skip
    aside = 0.0 if len(fields) == 1 else 0.2 if calibrated else 0.12
    for x, cells in enumerate(panel.columns.values()):
        for field in fields:
            at = x + (aside if field == OURS else -aside)
            known = _pair(sheet, axes, at, cells, panel, document, field)
            if len(known) == len(cells) == 2 and x and len(names) <= 8:
                gain = fixed(known[1] - known[0], document.digits, sign=True)
                style: dict[str, Any] = {"size": 7.5, "ha": "center", "color": INK if field == OURS else MUTED}
                axes.annotate(gain, (at, max(known)), (0, 10), textcoords="offset points", **style)


def _pair(
    sheet: Sheet, axes: Axes, x: float, cells: Sequence[Cell], panel: Panel, document: Document, field: str
) -> list[float]:
    """Draw one column's cells around ``x``; return the values that are known."""
    places = [x + ASIDE * (2 * index - len(cells) + 1) for index in range(len(cells))]
    ours, pairs = field == OURS, len(panel.series) > 1
    name = "Reproduced" + (" ± sd" if any(cell.sd is not None for cell in document.cells) else "")
    colour = BLUE if ours else MUTED
    for at, cell in zip(places, cells, strict=True):
        value = cell.value(field)
        if value is None:
            if ours:
                _missing(sheet, axes, at, 0.16 / len(cells), cell, document)
            continue
        out = ours and cell.verdict == compare.OUTSIDE
        mark = VERMILION if out else colour
        point = axes.errorbar(
            at, value, cell.sd if ours and cell.sd else None, fmt=MARKERS[panel.series.index(cell.series) % 5],
            color=mark, markerfacecolor=mark if ours else "white", markersize=6, markeredgewidth=1.3,
            elinewidth=1.3, capsize=2.5, zorder=3,
        )  # fmt: skip
        sheet.mark(point[0], read.told(cell, document, [*read.where(cell, document), cell.series]))
        words = f"{name}{', outside the band' if out else ''}" if ours else _paper(document)
        sheet.key(f"{words}, {cell.series}" if pairs else words, point)
        if not ours and cell.judged and cell.band and document.comparable:
            ends, middle = (
                [document.capped(value + side * cell.band) for side in (-1, 1)],
                at if pairs else round(x),
            )
            band(sheet, axes, [middle, middle], ends, 8 if pairs else 22)
    known = [
        (at, value) for at, cell in zip(places, cells, strict=True) if (value := cell.value(field)) is not None
    ]
    axes.plot([at for at, _ in known], [value for _, value in known], color=colour, linewidth=1.0, zorder=2)
    return [value for _, value in known]


def _paper(document: Document) -> str:
    return f"Published, the paper's {read.label(document.artifact)}"


def _missing(sheet: Sheet, axes: Axes, x: float, half: float, cell: Cell, document: Document) -> None:
    """Hatch the place of a cell without a value."""
    span = hatched(sheet, (x - half, 0), 2 * half, 1, read.without_value(cell))
    span.set(transform=axes.get_xaxis_transform(), linewidth=0.0, zorder=0.6)
    axes.add_patch(span)
    sheet.mark(span, read.told(cell, document))


def _ladder(
    sheet: Sheet, axes: Axes, ladder: Sequence[Cell], panel: Panel, document: Document, drawing: Dots
) -> None:
    """Draw the value against the number that is calibrated, and which of them the table is made with."""
    first = next(iter(panel.columns.values()), [])
    target = first[0].published if first else None
    best = chosen(ladder, target)
    known = [(cell.x or 0.0, v, cell) for cell in ladder if (v := cell.shown) is not None]
    words = "no published first column" if ladder else "not in this document"
    if best is not None:
        words = f"{best.x:,.0f} is nearest to the published {target:.{document.digits}f}"
    elif len(known) < len(ladder):
        words = f"{len(ladder) - len(known)} of {len(ladder)} without a result: none is chosen yet"
    axes.set(title="Calibration", xlabel=f"{drawing.ladder_columns}\n{words}", ylabel=document.unit)
    value_axis(axes)
    axes.plot([x for x, _, _ in known], [value for _, value, _ in known], color=BLUE, linewidth=1.4)
    for x, value, cell in known:
        (point,) = axes.plot(x, value, "o", color=BLUE, markersize=4.6)
        sheet.mark(point, read.told(cell, document, [f"calibration with {x:,.0f}"]))
    if not known:
        axes.set_xticks([])
        said(axes, compare.NOT_RUN)
        return
    number_ticks(axes, [x for x, _, _ in known], 2.4)
    axes.margins(y=0.12)
    if target is not None:
        axes.axhline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    if best is not None:
        ring: dict[str, Any] = {"marker": "s", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK}
        axes.plot(best.x or 0.0, best.shown or 0.0, markeredgewidth=1.5, zorder=4, **ring)
