"""Draw a dot at every column: Tables 1, 2 and 3, and any artifact without a drawing of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from repro import cells as compare
from repro.artifacts.drawing import Dots
from repro.cells import Cell
from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures.curves import increasing
from repro.report.figures.look import BLUE, INK, MUTED, PALE, VERMILION
from repro.report.figures.sheet import AWAY, MARGIN, Sheet, hatched, number_ticks, value_axis
from repro.report.numbers import fixed
from repro.report.tables import grouped, ordered

PER_ROW = 4
FAR = 1.75  # times the widest panel's range, from which on a common scale would flatten every one of them
ASIDE = 0.06  # of a column's width, from the middle of a pair to each of its two
OURS, THEIRS = "reproduced", "published"
MARKERS = "o^sDv"
Limits = tuple[float, float] | None


@dataclass(frozen=True)
class Panel:
    """Cells by column: one a column, or one of each series. ``axis`` is what the columns are."""

    title: str
    row: str
    columns: Mapping[str, Sequence[Cell]]
    axis: str
    series: Sequence[str]


def draw(document: Document, drawing: Dots) -> Sheet:
    """Draw a panel for each series and row, or for each row its series in pairs and their calibration beside."""
    cells, against_paper = document.cells, document.comparable
    dots = [cell for cell in cells if cell.series != drawing.ladder]
    panels = panels_of(document, drawing, dots)
    apart = not against_paper and any(cell.published is not None for cell in dots)
    levels = [(OURS, THEIRS)] if against_paper else [(OURS,), (THEIRS,)][: 1 + apart]
    across = 1 if drawing.ladder else max(1, min(len(panels), PER_ROW))
    deep = max(1, -(-len(panels) // across))
    most = max((len(panel.columns) for panel in panels), default=1)
    wide = 9.2 if drawing.ladder else max(2.4, min(5.2, most * 1.1, 9.8 / across))
    sheet = Sheet(2 * MARGIN + 0.4 + across * (wide + 0.5), deep * (3.4 + 1.5 * apart))
    compared = [c for p in panels for pair in [*p.columns.values()][bool(drawing.ladder) :] for c in pair]
    sheet.note(document.unit, read.tally(compared, against_paper), read.seeds(compared))
    ratios = {
        "height_ratios": [2.2, 1.0][: len(levels)] * deep,
        "width_ratios": [2, 1] if drawing.ladder else None,
    }
    grid = sheet.add_gridspec(deep * len(levels), 2 if drawing.ladder else across, **ratios)
    limits = [_scales(panels, fields) for fields in levels]
    for index, panel in enumerate(panels):
        down, right = divmod(index, across)
        for level, fields in enumerate(levels):
            axes, own = sheet.add_subplot(grid[down * len(levels) + level, right]), limits[level]
            axes.set_title("" if level else panel.title)
            axes.set_ylabel("" if right else _value_name(document, fields[0] if apart else ""))
            _panel(sheet, axes, panel, document, fields, own[panel.row], drawing)
            alike = right > 0 and own[panel.row] == own[panels[index - 1].row]
            axes.tick_params(labelleft=not alike, left=not alike)
        if drawing.ladder:
            axes = sheet.add_subplot(grid[down * len(levels) : (down + 1) * len(levels), 1])
            own_ladder = increasing([cell for cell in document.of(drawing.ladder) if cell.row == panel.row])
            _ladder(sheet, axes, own_ladder, panel, document, drawing)
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
    tried = [cell for cell in ladder if cell.shown is not None]
    if target is None or any(cell not in tried and cell.verdict != compare.DIVERGED for cell in ladder):
        return None
    key = {id(cell): (abs((cell.shown or 0.0) - target), cell.x) for cell in tried}
    return min(tried, key=lambda cell: key[id(cell)], default=None)


def _value_name(document: Document, field: str) -> str:
    """Return the unit; of a field that has axes of its own, what it is."""
    unit = document.unit or "value"
    return f"{field.capitalize()}{', %' if unit.endswith('%') else ''}" if field else unit


def _reach(cell: Cell, field: str) -> float:
    """Return how far an error bar or band goes beyond a value."""
    return (cell.sd if field == OURS else cell.band if cell.judged else None) or 0.0


def _scales(panels: Sequence[Panel], fields: Sequence[str]) -> dict[str, Limits]:
    """Return the limits of every row: the same for all, unless the rows lie far apart."""
    rows: dict[str, list[Cell]] = {}
    for panel in panels:
        rows.setdefault(panel.row, []).extend(cell for pair in panel.columns.values() for cell in pair)
    own = {row: _limits(cells, fields) for row, cells in rows.items()}
    common = _limits([cell for cells in rows.values() for cell in cells], fields)
    widest = max((high - low for low, high in filter(None, own.values())), default=0.0)
    return own if common and common[1] - common[0] > FAR * widest else dict.fromkeys(rows, common)


def _limits(cells: Sequence[Cell], fields: Sequence[str]) -> Limits:
    """Return limits that hold the fields with error bars and bands; None where there is nothing."""
    known = [(cell, field, v) for cell in cells for field in fields if (v := cell.value(field)) is not None]
    ends = [value + side * _reach(cell, field) for cell, field, value in known for side in (-1, 1)]
    room = 0.12 * (max(ends) - min(ends)) or 0.5 if ends else 0.0
    return (min(ends) - room, max(ends) + room) if ends else None


def _panel(
    sheet: Sheet,
    axes: Axes,
    panel: Panel,
    document: Document,
    fields: Sequence[str],
    limits: Limits,
    drawing: Dots,
) -> None:
    """Draw the columns of one panel, in pairs with what the second gains over the first."""
    (low, high), theirs_alone = limits or (0.0, 1.0), OURS not in fields
    names = [document.in_paper(name) if theirs_alone else name for name in panel.columns]
    every = max(1, -(-len(names) // 12))
    axes.set(
        xlim=(-0.5, max(len(names), 1) - 0.5), ylim=(low, high + (0.15 * (high - low) if drawing.ladder else 0.0))
    )
    axes.set_xlabel(panel.axis + (" (the paper's)" if theirs_alone else ""))
    value_axis(axes, 3 if theirs_alone else 6)
    axes.set_xticks(range(0, len(names), every), names[::every])
    if limits is None:
        axes.yaxis.set_major_locator(NullLocator())
    if drawing.ladder:
        axes.axvspan(-0.5, 0.5, facecolor="#f4f5f6", linewidth=0, zorder=0.2)
        axes.annotate("calibration", (0, 1), (4, -4), xycoords=axes.transAxes, va="top",
                      textcoords="offset points", size=7.5, color=MUTED)  # fmt: skip
    aside = 0.0 if len(fields) == 1 else 0.2 if drawing.ladder else 0.12
    for x, cells in enumerate(panel.columns.values()):
        for field in fields:
            at = x + (aside if field == OURS else -aside)
            found = _pair(sheet, axes, at, cells, panel, document, field, (low + high) / 2)
            if len(found) == len(cells) == 2 and x and len(names) <= 8:
                gain = fixed(found[1][0] - found[0][0], document.digits, sign=True)
                style: dict[str, Any] = {"size": 7.5, "ha": "center", "color": INK if field == OURS else MUTED}
                axes.annotate(gain, (at, max(map(sum, found))), (0, 8), textcoords="offset points", **style)
                if (words := f"numbers: {cells[1].series} minus {cells[0].series}, in points") not in sheet.notes:
                    sheet.note(words)


def _pair(
    sheet: Sheet, axes: Axes, x: float, cells: Sequence[Cell], panel: Panel, document: Document, field: str,
    middle: float,
) -> list[tuple[float, float]]:  # fmt: skip
    """Draw one column's cells around ``x``; returns values and reaches that are known."""
    places = [x + ASIDE * (2 * index - len(cells) + 1) for index in range(len(cells))]
    ours, pairs = field == OURS, len(panel.series) > 1
    if ours and {cell.shown for cell in cells} == {None} and len(set(map(read.without_value, cells))) == 1:
        places, cells = [x], cells[:1]  # one mark and one word for a pair
    many = " ± sd" if any(c.sd is not None for c in document.cells) else ""
    known, paper = [], f"Published, the paper's {read.label(document.artifact)}"
    for at, cell in zip(places, cells, strict=True):
        value = cell.value(field)
        if value is None:
            if ours:
                _missing(sheet, axes, at, 0.16 / len(cells), cell, document, middle)
            continue
        reach, series = _reach(cell, field), cell.series if pairs else ""
        known.append((at, value, reach))
        ends = [document.capped(value + side * reach) for side in (-1, 1)]
        if not ours and reach and document.comparable:
            width = 1.8 * ASIDE if pairs else 0.5
            axes.bar(at if pairs else round(x), ends[1] - ends[0], width, ends[0], color=PALE, zorder=1)
            sheet.key("95 % band of a repetition", Patch(facecolor=PALE))
        out, spread = ours and cell.verdict == compare.OUTSIDE, bool(ours and reach)
        colour = VERMILION if out else BLUE if ours else MUTED
        found = axes.errorbar(
            at, value, [[value - ends[0]], [ends[1] - value]] if spread else None,
            fmt=MARKERS[panel.series.index(cell.series) % 5],
            color=colour, markerfacecolor=colour if ours else "white", markersize=6, elinewidth=1.3, capsize=2.5,
            markeredgewidth=1.3, zorder=3,
        )  # fmt: skip
        sheet.mark(found[0], read.told(cell, document, [*read.where(cell, document), cell.series]))
        name = f"Reproduced{many}{', outside the band' if out else ''}" if ours else paper
        sheet.key(", ".join(filter(None, (name, series))), found)
    line: dict[str, Any] = {"color": BLUE if ours else MUTED, "linewidth": 1.0, "zorder": 2}
    axes.plot([at for at, _, _ in known], [value for _, value, _ in known], **line)
    return [(value, reach) for _, value, reach in known]


def _missing(
    sheet: Sheet, axes: Axes, x: float, half: float, cell: Cell, document: Document, middle: float
) -> None:
    """Hatch a place and write why, at the end where no published number stands."""
    word, printed = read.without_value(cell), cell.published if document.comparable else None
    span = hatched(sheet, (x - half, 0), 2 * half, 1, word)
    span.set(transform=axes.get_xaxis_transform(), linewidth=0.0, zorder=0.6)
    axes.add_patch(span)
    sheet.mark(span, read.told(cell, document))
    low = printed is None or printed >= middle
    style: dict[str, Any] = {**AWAY, "transform": axes.get_xaxis_transform(), "rotation": 90, "size": 7.5}
    style |= {"va": "bottom" if low else "top", "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0}}
    axes.text(x, 0.04 if low else 0.9, word, zorder=4, **style)


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
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, size=11, **AWAY)
        return
    number_ticks(axes, [x for x, _, _ in known], 2.4)
    axes.margins(y=0.12)
    if target is not None:
        axes.axhline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    if best is not None:
        ring: dict[str, Any] = {"marker": "s", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK}
        axes.plot(best.x or 0.0, best.shown or 0.0, markeredgewidth=1.5, zorder=4, **ring)
