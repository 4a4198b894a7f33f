"""Draw a dot at every column: Tables 1, 2 and 3, and any artifact without a drawing of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from repro.artifacts.drawing import Dots
from repro.cells import DIVERGED, NOT_RUN, OUTSIDE, Cell
from repro.report import reading as read
from repro.report.figures import BLUE, INK, MUTED, RING, VERMILION, Picture
from repro.report.numbers import fixed
from repro.report.tables import ordered

ASIDE = 0.06  # of a column's width, from the middle of a pair to each of its two
OURS, THEIRS = "reproduced", "published"
MARKERS = "o^sDv"


def draw(sheet: Picture[Dots]) -> None:
    """Draw a panel for each series and row, all on one scale; the series beside a ladder share a panel.

    Published numbers that are not comparable have axes of their own below.
    """
    document, drawing = sheet.document, sheet.drawing
    panels: dict[tuple[str, str], list[Cell]] = {}
    for cell in document.cells:
        together = drawing.ladder not in ("", cell.series)
        panels.setdefault((cell.row, "" if together else cell.series), []).append(cell)
    levels = [(OURS, THEIRS)] if document.comparable else [(OURS,), (THEIRS,)][: 1 + bool(document.printed)]
    apart, wide = len(levels) > 1, max(2.4, min(5.2, 9.8 / len(panels)))
    sheet.set_size_inches(0.4 + len(panels) * (wide + 0.5), 3.4 + 1.5 * apart)
    every = sheet.subplots(len(levels), len(panels), squeeze=False, sharey="none" if drawing.ladder else "row",
                           gridspec_kw={"height_ratios": [2.2, 1][: len(levels)]})  # fmt: skip
    for down, fields in enumerate(levels):
        name = f"{fields[0].capitalize()}, {'%' if document.percent else document.unit}"
        every[down, 0].set_ylabel(name if apart else document.unit or "value")
        for axes, ((row, series), cells) in zip(every[down], panels.items(), strict=True):
            if down and all(cell.published is None for cell in cells):
                axes.remove()
                continue
            rows, columns = document.long_axes
            axes.set_title("" if down else ", ".join(filter(None, (read.placed(rows, row), series))))
            columns = drawing.series.get(series, columns)
            axes.set_xlabel(f"{columns} (the paper's)" if down else columns)
            _panel(sheet, axes, cells, fields)
            if series and series == drawing.ladder and (target := document.cells[0].published) is not None:
                _calibrated(axes, cells, target, document.digits)


def chosen(ladder: Sequence[Cell], target: float) -> Cell | None:
    """Return the calibration cell nearest to ``target``, the smaller of two; None until all are tried."""
    if any(cell.verdict == NOT_RUN for cell in ladder):
        return None
    tried = [cell for cell in ladder if cell.shown is not None]
    return min(tried, key=lambda cell: (abs((cell.shown or 0.0) - target), cell.x or 0.0), default=None)


def _calibrated(axes: Axes, ladder: Sequence[Cell], target: float, digits: int) -> None:
    """Say with which number of a ladder the other series are made."""
    axes.axhline(target, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    words = "some were not run: none is chosen yet"
    if all(cell.verdict == DIVERGED for cell in ladder):
        words = "all diverged: the largest is taken"
    elif (best := chosen(ladder, target)) is not None:
        axes.plot(ordered(cell.col for cell in ladder).index(best.col), best.shown or 0.0, marker="s", **RING)
        words = f"{best.x:,.0f} is nearest to the first column's published {target:.{digits}f}"
    axes.set_xlabel(f"{axes.get_xlabel()}\n{words}")


def _panel(sheet: Picture[Dots], axes: Axes, cells: Sequence[Cell], fields: Sequence[str]) -> None:
    """Draw the columns of one panel; of two series also what the second gains over the first."""
    document = sheet.document
    cols, series = ordered(cell.col for cell in cells), ordered(cell.series for cell in cells)
    axes.set_xlim(-0.5, len(cols) - 0.5)
    axes.set_xticks(range(len(cols)), cols if OURS in fields else map(document.in_paper, cols))
    axes.margins(y=0.15)
    beside = len(fields) > 1 and any(cell.published is not None for cell in cells)
    aside = 0.0 if not beside else 0.12 if len(series) == 1 else 0.2
    for (column, col), field in itertools.product(enumerate(cols), fields):
        known = []
        for cell in (cell for cell in cells if cell.col == col):
            at, number = read.where(cell, document), series.index(cell.series)
            if columns := sheet.drawing.series.get(cell.series):
                at[0] = read.placed(columns, cell.col)
            told = read.told(cell, document, [*at, cell.series])
            x = column + (aside if field == OURS else -aside) + ASIDE * (2 * number - len(series) + 1)
            if (value := cell.value(field)) is not None:
                known.append((x, value))
                marker = MARKERS[number % len(MARKERS)]
                _dot(sheet, axes, x, cell, field, marker, told)
                if field == THEIRS and cell.judged and cell.band:
                    middle, wide = (column, 22) if len(series) == 1 else (x, 8)
                    sheet.band(axes, [middle, middle], document.around(value, cell.band), wide)
                if len(series) > 1:
                    sheet.key(cell.series, linestyle="", marker=marker)
            elif field == OURS:
                across, whole = 0.32 / len(series), axes.get_xaxis_transform()
                place = Rectangle((x - across / 2, 0), across, 1, transform=whole, linewidth=0, zorder=0.6)
                sheet.hatch(axes, place, cell.verdict, told)
        if len(known) == len(series) == 2:
            (left, first), (right, second) = known
            colour = BLUE if field == OURS else MUTED
            axes.plot([left, right], [first, second], color=colour, linewidth=1, zorder=2)
            gain, top = fixed(second - first, document.digits, sign=True), ((left + right) / 2, max(first, second))
            colour = INK if field == OURS else MUTED
            axes.annotate(gain, top, (0, 10), textcoords="offset points", size=7.5, ha="center", color=colour)
    if len(series) == 2:
        sheet.notes.append(f"numbers: {series[1]} minus {series[0]}, in points")


def _dot(sheet: Picture[Dots], axes: Axes, x: float, cell: Cell, field: str, marker: str, told: str) -> None:
    """Draw a value with its spread."""
    ours, out = field == OURS, field == OURS and cell.verdict == OUTSIDE
    colour = VERMILION if out else BLUE if ours else MUTED
    point = axes.errorbar(
        x, cell.value(field) or 0.0, (cell.sd or None) if ours else None, fmt=marker, color=colour, markersize=6,
        markerfacecolor=colour if ours else "white", markeredgewidth=1.3, elinewidth=1.3, capsize=2.5, zorder=3,
    )  # fmt: skip
    sheet.mark(point[0], told)
    words = f"Reproduced{' ± sd' if cell.sd else ''}{', outside the band' if out else ''}"
    sheet.key(words if ours else f"Published, the paper's {read.label(sheet.document.artifact)}", point)
