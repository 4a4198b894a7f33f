"""Draw columns that add up as stacked bars, with the other columns written above: Table 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from repro.artifacts.drawing import Bars
from repro.cells import DIVERGED, NOT_RUN, OUTSIDE, Cell
from repro.report import reading as read
from repro.report.figures import BLUE, FAINT, INK, MUTED, Picture
from repro.report.numbers import fixed
from repro.report.tables import grouped

COLOURS = ((BLUE, 1.0), (BLUE, 0.4), (FAINT, 1.0))  # each with its opacity: paler in dark mode as well
OUT = "◆"  # outside the band
GAP = 0.4  # of a row's height, between networks


def draw(sheet: Picture[Bars]) -> None:
    """Draw reproduced and published side by side, on one scale where they are comparable."""
    document = sheet.document
    rows: list[tuple[float, str, list[Cell]]] = []
    for number, own in enumerate(grouped(document.cells, "row").values()):
        for (series,), cells in grouped(own, "series").items():
            rows.append((len(rows) + GAP * number, f"{read.pretty(own[0].row)}, {series}", cells))
    sheet.set_size_inches(10.2, 0.6 * len(rows) + 0.9)
    every = sheet.subplots(1, 2, sharex=document.comparable, sharey=True)
    titles = ("Reproduced", "Published" if document.comparable else "Published (orientation only)")
    for axes, field, title in zip(every, ("reproduced", "published"), titles, strict=True):
        axes.set(title=title, xlabel=sheet.drawing.unit)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 4, 5, 10]))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(False)
        axes.tick_params(axis="y", length=0)
        for y, name, cells in rows:
            _row(sheet, axes, y, name, cells, field)
    every[0].set_yticks([y for y, _, _ in rows], [name for _, name, _ in rows])
    every[0].set_ylim(rows[-1][0] + 0.5, -0.6)


def words_of(sheet: Picture[Bars], cells: Sequence[Cell], field: str) -> str:
    """Return a row's numbers, those outside their band marked, and its share of the network's last row."""
    drawing = sheet.drawing
    ours, parts, texts = field == "reproduced", [], []
    for cell in cells:
        value, unit = cell.value(field), drawing.texts.get(cell.col, "")
        mark = f" {OUT}" if ours and cell.verdict == OUTSIDE else ""
        if cell.col in drawing.parts:
            parts.append(("?" if value is None else f"{value:,.0f}") + mark)
        elif value is None:
            texts.append(f"{cell.col}: {cell.verdict if ours else 'not printed'}")
        else:
            digits = 1 if unit.startswith("%") else sheet.document.digits_of("published")
            spread = f" ± {fixed(cell.sd, digits)}" if ours and cell.sd else ""
            texts.append(f"{fixed(value, digits, sign=unit == 'points')}{spread} {unit}{mark}")
    *_, last = grouped((cell for cell in sheet.document.cells if cell.row == cells[0].row), "series").values()
    own, whole = ([cell.value(field) for cell in row if cell.col in drawing.parts] for row in (cells, last))
    share = ""
    if cells != last and None not in (*own, *whole) and any(whole):
        share = f" ({100 * sum(filter(None, own)) / sum(filter(None, whole)):.0f} % of {last[0].series})"
    return "     ".join([f"{' + '.join(parts)} {drawing.unit}{share}", *texts] if parts else texts)


def _row(sheet: Picture[Bars], axes: Axes, y: float, name: str, cells: Sequence[Cell], field: str) -> None:
    """Draw a row's bar with its text above, or hatch it where there is neither."""
    write: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "size": 8.0}
    if any(cell.value(field) is not None for cell in cells):
        words = words_of(sheet, cells, field)
        axes.annotate(words, (0, y - 0.3), (5, 0), va="center", color=INK, **write)
        if OUT in words:
            sheet.key("outside the band", linestyle="", marker="D", color=INK, markersize=4)
    elif field == "published":
        axes.annotate("–  not printed in the paper", (0, y), (5, 0), va="center", color=MUTED, **write)
    else:
        word = DIVERGED if DIVERGED in [cell.verdict for cell in cells] else NOT_RUN
        place = Rectangle((0, y - 0.25), 1, 0.5, transform=axes.get_yaxis_transform())
        sheet.hatch(axes, place, word, f"{name}: {word}")
    end, parts = 0.0, sheet.drawing.parts
    for cell in cells:
        if cell.col in parts and (value := cell.value(field)) is not None:
            colour, alpha = COLOURS[[*parts].index(cell.col) % len(COLOURS)]
            bar = axes.barh(y, value, 0.3, end, color=colour, alpha=alpha, edgecolor="white", linewidth=0.6)
            sheet.mark(bar[0], read.told(cell, sheet.document, [name, parts[cell.col]], unit=sheet.drawing.unit))
            sheet.key(parts[cell.col], bar)
            end += value
