"""Draw columns that add up as stacked bars, with the other columns written above: Table 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from repro import cells as compare
from repro.artifacts.drawing import Bars
from repro.cells import Cell
from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures import BLUE, FAINT, INK, MUTED
from repro.report.figures.sheet import Sheet, hatched
from repro.report.numbers import fixed
from repro.report.tables import ordered

Row = Mapping[str, Cell]
"""The cells of one row and series, by column."""
COLOURS = ((BLUE, 1.0), (BLUE, 0.4), (FAINT, 1.0))  # each with its opacity: paler in dark mode as well
HEADING, PITCH = 0.34, 0.52  # inches
OUT = "◆"  # outside the band


def draw(document: Document, drawing: Bars) -> Sheet:
    """Draw reproduced and published side by side, on one scale where they are comparable."""
    cells, against_paper = document.cells, document.comparable
    names, series = (ordered(getattr(cell, field) for cell in cells) for field in ("row", "series"))
    rows: dict[tuple[str, str], dict[str, Cell]] = {(name, one): {} for name in names for one in series}
    for cell in cells:
        rows[cell.row, cell.series][cell.col] = cell
    high = len(names) * (HEADING + PITCH * len(series)) + 0.1
    sheet = Sheet(10.2, high + 0.9)
    fields = {"reproduced": "Reproduced", "published": "Published" + " (orientation only)" * (not against_paper)}
    every = sheet.subplots(1, 2, sharex=against_paper)
    for axes, (field, title) in zip(every, fields.items(), strict=True):
        axes.set(title=title, xlabel=drawing.unit, ylim=(high, 0))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 4, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ticks: dict[float, str] = {}
        y = 0.0
        for name in names:
            y += HEADING
            ticks[y - 0.1] = read.pretty(name)
            saving = _saving([rows[name, one] for one in series], series, field, drawing)
            _write(axes, y - 0.06, saving, MUTED)
            for one in series:
                ticks[y + 0.3] = one
                if rows[name, one]:
                    _row(sheet, axes, rows[name, one], field, y, document, drawing)
                y += PITCH
        axes.set_yticks(list(ticks), list(ticks.values()) if field == "reproduced" else [""] * len(ticks))
        axes.tick_params(axis="y", length=0)
        for label in axes.get_yticklabels():
            label.set_fontweight("normal" if label.get_text() in series else "bold")
    return sheet


def words_of(row: Row, field: str, document: Document, drawing: Bars) -> str:
    """Return what a row comes to; numbers outside their band have a mark."""
    ours, parts = field == "reproduced", [cell for col, cell in row.items() if col in drawing.parts]
    values = [cell.value(field) for cell in parts]
    total = " + ".join("?" if value is None else f"{value:,.0f}" for value in values)
    found = [(f"{total} {drawing.unit}", parts)] if parts else []
    for col, cell in row.items():
        value, unit = cell.value(field), drawing.texts.get(col, "")
        if col in drawing.parts:
            continue
        words = f"{col}: {read.without_value(cell) if ours else 'not printed'}"
        if value is not None:
            digits = 1 if unit.startswith("%") else document.digits_of("published")
            spread = f" ± {fixed(cell.sd, digits)}" if ours and cell.sd else ""
            words = f"{fixed(value, digits, sign=unit == 'points')}{spread} {unit}"
        found.append((words, [cell]))
    return "     ".join(
        f"{words} {OUT}" if ours and any(cell.verdict == compare.OUTSIDE for cell in cells) else words
        for words, cells in found
    )


def _stack(row: Row, field: str, drawing: Bars) -> dict[str, float]:
    """Return the parts of a row that are known."""
    found = {col: row[col].value(field) for col in drawing.parts if col in row}
    return {col: value for col, value in found.items() if value is not None and value >= 0}


def _saving(rows: Sequence[Row], series: Sequence[str], field: str, drawing: Bars) -> str:
    """Say what share of the second series the first one takes; empty where a part is missing."""
    stacks = [_stack(row, field, drawing) for row in rows]
    whole = all(
        s and len(s) == sum(col in drawing.parts for col in row) for s, row in zip(stacks, rows, strict=True)
    )
    if len(rows) != 2 or not whole or not (second := sum(stacks[1].values())):
        return ""
    share = 100 * sum(stacks[0].values()) / second
    return f"{series[0]} takes {share:.0f} % of the {drawing.unit} of {series[1]}"


def _row(sheet: Sheet, axes: Axes, row: Row, field: str, y: float, document: Document, drawing: Bars) -> None:
    """Draw a row's bar with its text above, or hatch it where there is neither."""
    first = next(iter(row.values()))
    name = f"{read.pretty(first.row)}, {first.series}"
    if all(cell.value(field) is None for cell in row.values()):
        if field == "published":
            _write(axes, y + 0.32, "–  not printed in the paper", MUTED)
            return
        missing = {read.without_value(cell) for cell in row.values()}
        word = compare.DIVERGED if compare.DIVERGED in missing else compare.NOT_RUN
        box = hatched(sheet, (0, y + 0.12), 1, PITCH - 0.2, word)
        box.set_transform(axes.get_yaxis_transform())
        axes.add_patch(box)
        sheet.mark(box, f"{name}: {word}")
        return
    words = words_of(row, field, document, drawing)
    _write(axes, y + 0.21, words, INK)
    if OUT in words:
        sheet.key("outside the band", Line2D([], [], linestyle="", marker="D", color=INK, markersize=4))
    end = 0.0
    for col, value in _stack(row, field, drawing).items():
        colour, alpha = COLOURS[list(drawing.parts).index(col) % len(COLOURS)]
        style: dict[str, Any] = {"align": "edge", "color": colour, "alpha": alpha, "edgecolor": "white"}
        bars = axes.barh(y + 0.28, value, 0.17, end, linewidth=0.6, **style)
        sheet.mark(bars[0], read.told(row[col], document, [name, drawing.parts[col]], unit=drawing.unit))
        sheet.key(drawing.parts[col], bars)
        end += value


def _write(axes: Axes, y: float, words: str, colour: str) -> None:
    """Write at the left end of a row."""
    style: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
    axes.annotate(words, (0, y), (5, 0), size=8.0, color=colour, **style)
