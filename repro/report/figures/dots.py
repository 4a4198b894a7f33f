"""Draw a dot at every column: Tables 1, 2 and 3, and any artifact without a drawing of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from repro import cells as compare
from repro.artifacts.drawing import Dots
from repro.cells import Cell
from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures import BLUE, INK, MUTED, VERMILION
from repro.report.figures.curves import increasing
from repro.report.figures.sheet import Sheet, band, hatched, number_ticks, said, value_axis
from repro.report.numbers import fixed
from repro.report.tables import grouped, ordered

ASIDE = 0.06  # of a column's width, from the middle of a pair to each of its two
OURS, THEIRS = "reproduced", "published"
MARKERS = "o^sDv"


def draw(document: Document, drawing: Dots) -> Sheet:
    """Draw a panel for each series and row, or for each row its series in pairs and their calibration beside.

    All panels have one scale. Published numbers that are not comparable have axes of their own below.
    """
    ladder, against_paper = drawing.ladder, document.comparable
    dots = [cell for cell in document.cells if cell.series != ladder]
    panels = grouped(dots, *(["row"] if ladder else ["series", "row"]))
    apart = not against_paper and any(cell.published is not None for cell in dots)
    levels = [(OURS, THEIRS)] if against_paper else [(OURS,), (THEIRS,)][: 1 + apart]
    across, most = len(panels) + bool(ladder), max(len({cell.col for cell in own}) for own in panels.values())
    wide = max(2.4, min(5.2, 1.1 * most, 9.8 / across))
    sheet = Sheet(0.4 + across * (wide + 0.5), 3.4 + 1.5 * apart)
    ratios = {"height_ratios": [2.2, 1.0][: len(levels)], "width_ratios": [2] * len(panels) + [1] * bool(ladder)}
    every = sheet.subplots(len(levels), across, squeeze=False, gridspec_kw=ratios)
    for right, (key, cells) in enumerate(panels.items()):
        for level, fields in enumerate(levels):
            axes = every[level, right]
            if right:
                axes.sharey(every[level, 0])
            axes.set_title("" if level else _title(key, document))
            axes.set_ylabel("" if right else _value_name(document, fields[0] if apart else ""))
            axes.tick_params(labelleft=not right, left=not right)
            axes.set_xlabel((drawing.series or {}).get(key[0], document.long_axes[1]))
            _panel(sheet, axes, cells, document, fields, bool(ladder))
    if ladder:
        for axes in every[1:, -1]:
            axes.remove()
        tried = increasing([cell for cell in document.of(ladder) if dots and cell.row == dots[0].row])
        _ladder(sheet, every[0, -1], tried, dots[0].published if dots else None, document, drawing)
    return sheet


def chosen(ladder: Sequence[Cell], target: float | None) -> Cell | None:
    """Return the calibration cell nearest to ``target``, the smaller of two; None until all are tried."""
    if target is None or any(cell.shown is None and cell.verdict != compare.DIVERGED for cell in ladder):
        return None
    tried = [(abs(cell.shown - target), cell.x or 0.0, cell) for cell in ladder if cell.shown is not None]
    return min(tried, key=lambda one: one[:2])[2] if tried else None


def _title(key: Sequence[str], document: Document) -> str:
    """Return a panel's row, and its series if it has one alone."""
    rows = document.long_axes[0]
    prefix = "" if rows in ("", "row", "network") else f"{rows} "
    return ", ".join(filter(None, (prefix + read.pretty(key[-1]) if key[-1] else "", *key[:-1])))


def _value_name(document: Document, field: str) -> str:
    """Return the unit; of a field that has axes of its own, what it is."""
    unit = document.unit or "value"
    return f"{field.capitalize()}{', %' if unit.endswith('%') else ''}" if field else unit


def _panel(
    sheet: Sheet, axes: Axes, cells: Sequence[Cell], document: Document, fields: Sequence[str], pairs: bool
) -> None:
    """Draw the columns of one panel, in pairs with what the second gains over the first."""
    cols, series = ordered(cell.col for cell in cells), ordered(cell.series for cell in cells)
    names, every = cols, max(1, -(-len(cols) // 12))
    if OURS not in fields:
        names = tuple(document.in_paper(name) for name in cols)
        axes.set_xlabel(f"{axes.get_xlabel()} (the paper's)")
    axes.set_xlim(-0.5, len(cols) - 0.5)
    axes.set_xticks(range(0, len(cols), every), names[::every])
    axes.margins(y=0.15)
    value_axis(axes, 6 if OURS in fields else 3)
    if pairs:
        axes.axvspan(-0.5, 0.5, facecolor="#f4f5f6", linewidth=0, zorder=0.2)
        axes.annotate("calibration", (0, 1), (4, -4), xycoords=axes.transAxes, va="top",
                      textcoords="offset points", size=7.5, color=MUTED)  # fmt: skip
    aside = 0.0 if len(fields) == 1 else 0.2 if pairs else 0.12
    for (x, col), field in itertools.product(enumerate(cols), fields):
        known = []
        for cell in (cell for cell in cells if cell.col == col):
            which = series.index(cell.series)
            at = x + (aside if field == OURS else -aside) + ASIDE * (2 * which - len(series) + 1)
            if (value := cell.value(field)) is not None:
                known.append((at, value))
                _dot(sheet, axes, at, value, cell, field, document, MARKERS[which % len(MARKERS)], pairs)
            elif field == OURS:
                span = hatched(
                    sheet, (at - 0.16 / len(series), 0), 0.32 / len(series), 1, read.without_value(cell)
                )
                span.set(transform=axes.get_xaxis_transform(), linewidth=0.0, zorder=0.6)
                axes.add_patch(span)
                sheet.mark(span, read.told(cell, document))
        if pairs and len(known) == 2:
            axes.plot(*zip(*known, strict=True), color=BLUE if field == OURS else MUTED, linewidth=1.0, zorder=2)
            gain = fixed(known[1][1] - known[0][1], document.digits, sign=True)
            style: dict[str, Any] = {"size": 7.5, "ha": "center", "color": INK if field == OURS else MUTED}
            if x:  # the first column calibrates
                top = (sum(at for at, _ in known) / 2, max(value for _, value in known))
                axes.annotate(gain, top, (0, 10), textcoords="offset points", **style)
                words = f"numbers: {series[1]} minus {series[0]}, in points"
                sheet.note(words if words not in sheet.notes else "")


def _dot(
    sheet: Sheet, axes: Axes, x: float, value: float, cell: Cell, field: str, document: Document, marker: str,
    pairs: bool,
) -> None:  # fmt: skip
    """Draw a value with its spread, and behind a published one the band of a repetition."""
    ours, out = field == OURS, field == OURS and cell.verdict == compare.OUTSIDE
    colour = VERMILION if out else BLUE if ours else MUTED
    point = axes.errorbar(
        x, value, cell.sd if ours and cell.sd else None, fmt=marker, color=colour, zorder=3, markersize=6,
        markerfacecolor=colour if ours else "white", markeredgewidth=1.3, elinewidth=1.3, capsize=2.5,
    )  # fmt: skip
    sheet.mark(point[0], read.told(cell, document, [*read.where(cell, document), cell.series]))
    spread = " ± sd" if any(cell.sd is not None for cell in document.cells) else ""
    words = f"Reproduced{spread}{', outside the band' if out else ''}"
    words = words if ours else f"Published, the paper's {read.label(document.artifact)}"
    sheet.key(f"{words}, {cell.series}" if pairs else words, point)
    if not ours and cell.judged and cell.band and document.comparable:
        ends, middle = [document.capped(value + side * cell.band) for side in (-1, 1)], x if pairs else round(x)
        band(sheet, axes, [middle, middle], ends, 8 if pairs else 22)


def _ladder(
    sheet: Sheet, axes: Axes, ladder: Sequence[Cell], target: float | None, document: Document, drawing: Dots
) -> None:
    """Draw the value against the number that is calibrated, and which of them the table is made with."""
    best = chosen(ladder, target)
    known = [(cell.x or 0.0, value, cell) for cell in ladder if (value := cell.shown) is not None]
    words = "no published first column" if ladder else "not in this document"
    if best is not None:
        words = f"{best.x:,.0f} is nearest to the published {target:.{document.digits}f}"
    elif len(known) < len(ladder):
        words = f"{len(ladder) - len(known)} of {len(ladder)} without a result: none is chosen yet"
    axes.set(title="Calibration", xlabel=f"{drawing.ladder_columns}\n{words}", ylabel=document.unit)
    value_axis(axes)
    if not known:
        axes.set_xticks([])
        said(axes, compare.NOT_RUN)
        return
    xs = [x for x, _, _ in known]
    axes.plot(xs, [value for _, value, _ in known], color=BLUE, linewidth=1.4)
    for x, value, cell in known:
        (point,) = axes.plot(x, value, "o", color=BLUE, markersize=4.6)
        sheet.mark(point, read.told(cell, document, [f"calibration with {x:,.0f}"]))
    number_ticks(axes, xs)
    if target is not None:
        axes.axhline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    if best is not None:
        ring: dict[str, Any] = {"marker": "s", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK}
        axes.plot(best.x or 0.0, best.shown or 0.0, markeredgewidth=1.5, zorder=4, **ring)
