"""Table 4: the epochs that every way of pruning takes, as bars, with what they come to written at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from repro import compare
from repro.report.plots_axis import reading
from repro.report.plots_grid import signed
from repro.report.plots_heat import hatched
from repro.report.plots_lines import pretty
from repro.report.plots_page import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    VERMILION,
    Cell,
    Document,
    Page,
    cells_of,
    comparable,
    label,
    legend_room,
    number,
    ordered,
    seeds,
    tally,
    text_width,
    verdict,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Cell]
"""The cells of one network and one way of pruning, by column."""

EPOCHS, DELTA = "epochs", "accuracy delta"
COLOURS = {"pruning epochs": BLUE, "retraining epochs": "#9CCBE8", "epochs": FAINT}
KEYS = {
    "pruning epochs": "pruning",
    "retraining epochs": "retraining",
    "epochs": "all trainings of iterative pruning",
}
HEADING, PITCH, BAR, INDENT, SIZE = 0.34, 0.52, 0.17, 0.05, 8.0  # inches; points
OUTSIDE = "◆"


def table4(document: Document) -> Figure:
    """Published and reproduced side by side, on one scale where they are comparable."""
    cells, against_paper = cells_of(document), comparable(document)
    parts = [
        str(document.get("unit") or "epochs"),
        tally(cells, against_paper),
        "accuracy against the dense network",
    ]
    summary = "  ·  ".join(parts)
    if not cells:
        return Page(document, 9.0, 2.0, summary).nothing()
    networks = ordered(str(cell.get("row", "")) for cell in cells)
    series = ordered(str(cell.get("series", "")) for cell in cells)
    rows: dict[tuple[str, str], dict[str, Cell]] = {(n, s): {} for n in networks for s in series}
    for cell in cells:
        rows[str(cell.get("row", "")), str(cell.get("series", ""))][str(cell.get("col", ""))] = cell
    left = max([MARGIN + 0.3, *(MARGIN + 0.4 + text_width(name, 9) for name in series)])
    wide, apart = 4.3, 0.45
    high = len(networks) * (HEADING + PITCH * len(series)) + 0.1
    keys = _keys(cells, against_paper)
    width = left + 2 * wide + apart + MARGIN
    below = legend_room(keys, width) + 0.62
    page = Page(document, width, below + high + 0.52, summary)
    paper = f"the paper's {label(str(document.get('artifact', '')))}"
    titles = {
        "published": ("Published" if against_paper else "Published (orientation only)", paper),
        "reproduced": ("Reproduced", seeds([c for c in cells if c.get("col") == DELTA]) or "not run"),
    }
    totals = {field: [sum(_stack(row, field).values()) for row in rows.values()] for field in titles}
    for index, (field, (title, subtitle)) in enumerate(titles.items()):
        x = left + index * (wide + apart)
        longest = max([*totals[field], *(totals["published"] + totals["reproduced"] if against_paper else [])])
        axes = page.axes(x, below, wide, high)
        _dress(axes, high, longest)
        page.text(x, below + high + 0.32, title, size=10.5, weight="bold")
        page.text(x, below + high + 0.14, subtitle, size=8, color=MUTED)
        y = 0.0
        for network in networks:
            y += HEADING
            if not index:
                page.text(MARGIN, below + high - y + 0.05, pretty(network), size=9.5, weight="bold")
            own = [rows[network, one] for one in series]
            page.text(x + INDENT, below + high - y + 0.05, _saving(own, series, field), size=SIZE, color=MUTED)
            for one, row in zip(series, own, strict=True):
                _row(axes, row, field, y, wide)
                if not index:
                    page.text(left - 0.12, below + high - y - 0.36, one, size=9, ha="right")
                y += PITCH
    page.legend(keys)
    return page.figure


def _value(cell: Cell | None, field: str) -> float | None:
    return reading(cell) if field == "reproduced" else number(cell, field)


def _stack(row: Row, field: str) -> dict[str, float]:
    """The epochs of a row by what they are spent on, where they are known."""
    found = {col: _value(cell, field) for col, cell in row.items() if col.endswith(EPOCHS)}
    return {col: value for col, value in found.items() if value is not None and value >= 0}


def _saving(rows: Sequence[Row], series: Sequence[str], field: str) -> str:
    """What the first way of pruning takes of the epochs of the second; empty where a part is missing."""
    if len(rows) != 2 or any(
        not (stack := _stack(row, field)) or len(stack) < sum(col.endswith(EPOCHS) for col in row) for row in rows
    ):
        return ""
    first, second = (sum(_stack(row, field).values()) for row in rows)
    return f"{series[0]} takes {100 * first / second:.0f} % of the epochs of {series[1]}" if second else ""


def _dress(axes: Axes, high: float, longest: float) -> None:
    """Inches from the top down, epochs from the left to beyond the ``longest`` bar."""
    from matplotlib.ticker import MaxNLocator

    axes.set(ylim=(high, 0), xlim=(0, longest * 1.02 or 1.0))
    axes.set_yticks([])
    axes.set_xlabel(EPOCHS if longest else "", size=9)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 4, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(labelsize=8, length=2.5)
    if not longest:
        axes.set_xticks([])


def _row(axes: Axes, row: Row, field: str, y: float, wide: float) -> None:
    """The text of a row and its bar below, or hatching where there is neither."""
    known = any(_value(cell, field) is not None for cell in row.values())
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "size": SIZE, "va": "center", "color": MUTED}
    if not known and field == "published":
        axes.text(INDENT / wide, y + 0.32, "–  not printed in the paper", **style)
        return
    if not known:
        diverged = any(verdict(cell) == compare.DIVERGED for cell in row.values())
        place = hatched((0, y + 0.12), 1, PITCH - 0.2, diverged=diverged)
        place.set_transform(axes.get_yaxis_transform())
        axes.add_patch(place)
        axes.text(0.5, y + 0.12 + (PITCH - 0.2) / 2, "diverged" if diverged else "not run", ha="center",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 2.0}, **style)  # fmt: skip
        return
    at = INDENT
    for text, outside in pieces(row, field):
        shown, weight = (f"{text} {OUTSIDE}", "bold") if outside else (text, "normal")
        axes.text(at / wide, y + 0.19, shown, weight=weight, parse_math=False,
                  **{**style, "color": VERMILION if outside else INK})  # fmt: skip
        at += text_width(shown, SIZE, weight) + 0.22
    end = 0.0
    for col, value in _stack(row, field).items():
        axes.barh(y + 0.28, value, BAR, end, align="edge", color=COLOURS.get(col, FAINT), edgecolor="white",
                  linewidth=0.6)  # fmt: skip
        end += value


def pieces(row: Row, field: str) -> list[tuple[str, bool]]:
    """What a row comes to, in words: epochs, pruning rate and accuracy delta, and which lie outside their band."""
    found: list[tuple[str, bool]] = []
    parts = [(col, cell) for col, cell in row.items() if col.endswith(EPOCHS)]
    if parts:
        values = [_value(cell, field) for _, cell in parts]
        text = " + ".join("?" if value is None else f"{value:,.0f}" for value in values)
        found.append((f"{text} epochs", any(_outside(cell, field) for _, cell in parts)))
    for col, cell in row.items():
        value = _value(cell, field)
        if col.endswith(EPOCHS):
            continue
        if value is None:
            found.append((f"{col}: {'not printed' if field == 'published' else verdict(cell)}", False))
            continue
        spread = number(cell, "sd") if field == "reproduced" else None
        text = (
            f"{value:.1f} % pruned" if col == "pruning rate" else f"{signed(value)}{_give_or_take(spread)} points"
        )
        found.append((text, _outside(cell, field)))
    return found


def _give_or_take(spread: float | None) -> str:
    return f" ± {spread:.2f}" if spread else ""


def _outside(cell: Cell, field: str) -> bool:
    return field == "reproduced" and verdict(cell) == compare.OUTSIDE


def _keys(cells: Sequence[Cell], against_paper: bool) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    drawn = {str(c.get("col")) for c in cells if number(c, "published") is not None or reading(c) is not None}
    found: list[Artist] = [Patch(color=COLOURS[col], label=KEYS[col]) for col in COLOURS if col in drawn]
    if against_paper and any(verdict(cell) == compare.OUTSIDE for cell in cells):
        found.append(
            Line2D([], [], linestyle="", marker="D", color=VERMILION, markersize=5, label="outside the band")
        )
    return found
