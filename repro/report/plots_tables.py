"""Table 1: what is memorized after one pruning step or several, in pairs, and how that was calibrated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from repro import compare
from repro.report.plots_axis import increasing, number_ticks, reading
from repro.report.plots_grid import signed
from repro.report.plots_lines import pretty
from repro.report.plots_page import (
    BLUE,
    INK,
    LINE,
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
    paper_epochs,
    place,
    seeds,
    tally,
    verdict,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]
Table = Mapping[tuple[str, str], Cell]

PUBLISHED, REPRODUCED = "published", "reproduced"
CALIBRATION = "calibration"
MARKERS = "o^sDv"
SHADE, BAND = "#f4f5f6", "#e8eaed"
HEAD, FOOT = 0.52, 0.92  # inches from axes to their heading, and what stands below them
ASIDE = 0.06  # of a column's width, from a pair's middle to each of its two
RING: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 11, "markerfacecolor": "none",
                        "markeredgecolor": VERMILION, "markeredgewidth": 1.5}  # fmt: skip
CHOSEN: dict[str, Any] = RING | {"marker": "s", "markeredgecolor": INK}
AIM: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3))}


# ---- Table 1 -----------------------------------------------------------------------------------------------


def table1(document: Document) -> Figure:
    """For every network the columns as pairs, published and reproduced, and how the examples were calibrated."""
    cells, against_paper = cells_of(document), comparable(document)
    series = [name for name in ordered(_name(cell, "series") for cell in cells) if name != CALIBRATION]
    rows = ordered(_name(cell, "row") for cell in cells)
    tables = {row: {(_name(c, "series"), _name(c, "col")): c for c in cells
                    if _name(c, "row") == row and _name(c, "series") in series}
              for row in rows}  # fmt: skip
    columns = {row: ordered(col for _, col in table) for row, table in tables.items()}
    compared = [c for row, table in tables.items() for (_, col), c in table.items() if col != columns[row][0]]
    parts = [str(document.get("unit") or "value"), tally(compared, against_paper)]
    parts += [text for text in (seeds(compared), "the first column calibrates") if text]
    if not cells:
        return Page(document, 9.0, 2.0, parts[0]).nothing()
    printed = any(number(cell, PUBLISHED) is not None for table in tables.values() for cell in table.values())
    strip = 1.25 if printed and not against_paper else 0.0  # other numbers, another scale
    most = max([len(cols) for cols in columns.values()])
    left, apart, beside = 0.8, 1.1, 2.9
    wide, high = min(max(2.6, 1.25 * most), 7.0), 3.1 if len(rows) == 1 else 2.4
    width, pitch = (
        left + wide + apart + beside + MARGIN,
        high + (strip + 0.18 if strip else 0.0) + FOOT + HEAD + 0.3,
    )
    keys = _table1_keys(document, series, tables, against_paper)
    room = legend_room(keys, width)
    page = Page(document, width, room + len(rows) * pitch, "  ·  ".join(parts))
    for index, (row, table) in enumerate(tables.items()):
        y = room + FOOT + (len(rows) - 1 - index) * pitch
        whole = pitch - FOOT - HEAD - 0.3
        boxes: dict[tuple[str, ...], Box] = {(PUBLISHED, REPRODUCED): (left, y, wide, whole)}
        if strip:
            boxes = {(REPRODUCED,): (left, y, wide, high), (PUBLISHED,): (left, y + high + 0.18, wide, strip)}
        for fields, box in boxes.items():
            name = str(document.get("unit") or "") if len(fields) > 1 else f"{fields[0]}, %"
            _pairs(page, box, table, series, columns[row], fields, name, paper_epochs(document))
        page.text(left, y + whole + HEAD, pretty(row), size=10, weight="bold")
        if len(series) == 2:
            text = f"numbers: {series[1]} less {series[0]}, in points"
            page.text(left, y + whole + HEAD - 0.2, text, size=8, color=MUTED)
        ladder = increasing([c for c in cells if _name(c, "series") == CALIBRATION and _name(c, "row") == row])
        target = number(table.get((series[0], columns[row][0])), PUBLISHED) if columns[row] else None
        _calibration(page, (left + wide + apart, y, beside, whole), ladder, target)
    page.legend(keys)
    return page.figure


def chosen(ladder: Sequence[Cell], target: float | None) -> Cell | None:
    """The calibration cell nearest to the published first cell, the smaller of two; None until all are tried."""
    tried = [cell for cell in ladder if reading(cell) is not None]
    if target is None or any(cell not in tried and verdict(cell) != compare.DIVERGED for cell in ladder):
        return None
    return min(tried, key=lambda cell: (abs((reading(cell) or 0.0) - target), place(cell)), default=None)


def _pairs(
    page: Page,
    box: Box,
    table: Table,
    series: Sequence[str],
    columns: Sequence[str],
    fields: Sequence[str],
    name: str,
    papers: Mapping[str, str],
) -> None:
    """At every column the series side by side, joined by a line: once for each of ``fields``."""
    from matplotlib.ticker import MaxNLocator

    axes, aside = page.axes(*box), 0.2 if len(fields) > 1 else 0.0
    limits = _limits(table, fields)
    axes.set(xlim=(-0.5, max(len(columns), 1) - 0.5), ylim=limits or (0.0, 1.0))
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_ylabel(name, size=9, parse_math=False)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6 if box[3] > 2 else 3, steps=[1, 2, 2.5, 5, 10]))
    if limits is None:
        axes.set_yticks([])
    every = max(1, -(-len(columns) // 12))
    names = [f"{column}\n(paper {papers[column]})" if column in papers else column for column in columns]
    names[:1] = [f"{name}\ncalibration" for name in names[:1]]
    axes.set_xticks(range(0, len(columns), every), names[::every])
    axes.axvspan(-0.5, 0.5, facecolor=SHADE, linewidth=0, zorder=0.2)
    if REPRODUCED in fields:
        axes.set_xlabel("pruned at epoch", size=9)
    else:
        axes.tick_params(labelbottom=False)
    for field in fields:
        shift = -aside if field == PUBLISHED else aside
        for index, column in enumerate(columns):
            cells = [table.get((one, column)) for one in series]
            found = _pair(axes, index + shift, cells, field, banded=len(fields) > 1 and field == PUBLISHED)
            if len(found) == len(series) == 2 and index and len(columns) <= 8:
                top = max(value + _reach(cell, field) for value, cell in zip(found, cells, strict=True))
                axes.annotate(signed(found[1] - found[0]), (index + shift, top), (0, 9), size=7.5, ha="center",
                              textcoords="offset points", color=MUTED if field == PUBLISHED else INK)  # fmt: skip


def _pair(axes: Axes, x: float, cells: Sequence[Cell | None], field: str, *, banded: bool) -> list[float]:
    """One column's cells around ``x``; returns those of their values that are known."""
    own = [x + ASIDE * (2 * index - len(cells) + 1) for index in range(len(cells))]
    values = [reading(cell) if field == REPRODUCED else number(cell, field) for cell in cells]
    known = [(at, value) for at, value in zip(own, values, strict=True) if value is not None]
    colour = BLUE if field == REPRODUCED else MUTED
    axes.plot([at for at, _ in known], [value for _, value in known], color=colour, linewidth=1.0, zorder=2)
    words = {verdict(cell) for cell in cells}
    if not known and len(words) == 1 and field == REPRODUCED:
        _missing(axes, x, words.pop(), ASIDE * len(cells))
        return []
    for index, (at, value, cell) in enumerate(zip(own, values, cells, strict=True)):
        if value is None:
            if field == REPRODUCED:
                _missing(axes, at, verdict(cell), 0.8 * ASIDE)
            continue
        judged = verdict(cell) in (compare.WITHIN, compare.OUTSIDE)
        if banded and judged and (band := number(cell, "band")) is not None:
            axes.bar(at, 2 * band, width=1.8 * ASIDE, bottom=value - band, color=BAND, zorder=1)
        style: dict[str, Any] = {"color": colour, "markerfacecolor": colour if field == REPRODUCED else "white"}
        spread = number(cell, "sd") if field == REPRODUCED else None
        axes.errorbar(at, value, yerr=spread, fmt=MARKERS[index % len(MARKERS)], markersize=6, elinewidth=1.2,
                      markeredgewidth=1.3, capsize=2.5, zorder=3, **style)  # fmt: skip
        if field == REPRODUCED and verdict(cell) == compare.OUTSIDE:
            axes.plot(at, value, **RING, zorder=4)
    return [value for _, value in known]


def _missing(axes: Axes, x: float, word: str, reach: float) -> None:
    diverged = word == compare.DIVERGED
    axes.axvspan(x - reach, x + reach, facecolor="#fafafa", edgecolor=LINE,
                 hatch="xxxx" if diverged else "////", linewidth=0.0, zorder=0.6)  # fmt: skip
    axes.text(x, 0.04, "diverged" if diverged else "not run", transform=axes.get_xaxis_transform(), rotation=90,
              ha="center", va="bottom", size=7, color=MUTED, zorder=4,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip


def _calibration(page: Page, box: Box, ladder: Sequence[Cell], target: float | None) -> None:
    """Accuracy against the number of examples, and which of them the table is made with."""
    x, y, width, high = box
    best, left = chosen(ladder, target), sum(reading(cell) is None for cell in ladder)
    if best is not None:
        text = f"chosen: {place(best):,.0f} examples, nearest to {target:.2f}, the published first cell"
    elif left:
        text = f"{left} of {len(ladder)} without a result: nothing is chosen yet"
    else:
        text = "the paper prints no first cell for this epoch" if ladder else "not in this document"
    page.text(x, y + high + HEAD, "Calibration", size=10, weight="bold")
    for index, line in enumerate(wrapped(text, width, 8, lines=2)):
        page.text(x, y + high + HEAD - 0.2 - 0.145 * index, line, size=8, color=MUTED)
    if not ladder:
        return
    axes = page.axes(*box)
    xs = [place(cell) or 0.0 for cell in ladder]
    values = [math.nan if (value := reading(cell)) is None else value for cell in ladder]
    axes.plot(xs, values, "-o", color=BLUE,
              linewidth=1.4, markersize=4.6, zorder=3)  # fmt: skip
    number_ticks(axes, xs, width, above_all=None if best is None else place(best))
    axes.margins(y=0.12)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("number of examples", size=9)
    axes.set_ylabel("accuracy on random labels, %", size=9)
    if left == len(ladder):
        axes.set_yticks([])
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    if target is not None and left < len(ladder):
        axes.axhline(target, **AIM, zorder=2)
    if best is not None:
        index = ladder.index(best)
        axes.plot(xs[index : index + 1], values[index : index + 1], **CHOSEN, zorder=4)


def _limits(table: Table, fields: Sequence[str]) -> tuple[float, float] | None:
    """Room for the fields with what reaches around them, and for a number above."""
    ends = []
    for cell in table.values():
        for field in fields:
            value = reading(cell) if field == REPRODUCED else number(cell, field)
            if value is not None:
                reach = _reach(cell, field) if len(fields) > 1 or field == REPRODUCED else 0.0
                ends += [value - reach, value + reach]
    room = 0.1 * (max(ends) - min(ends)) or 0.5 if ends else 0.0
    return (min(ends) - room, max(ends) + (1.6 if len(fields) > 1 else 3.2) * room) if ends else None


def _reach(cell: Cell | None, field: str) -> float:
    """How far its error bar or band goes beyond a value."""
    judged = verdict(cell) in (compare.WITHIN, compare.OUTSIDE)
    return (number(cell, "sd") if field == REPRODUCED else number(cell, "band") if judged else None) or 0.0


def _table1_keys(
    document: Document, series: Sequence[str], tables: Mapping[str, Table], against_paper: bool
) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    cells = [cell for table in tables.values() for cell in table.values()]
    found: list[Artist] = []
    dot: dict[str, Any] = {"linestyle": "", "markersize": 6, "markeredgewidth": 1.3}
    for index, name in enumerate(series):
        found.append(Line2D([], [], marker=MARKERS[index % len(MARKERS)], color=INK, label=name, **dot))
    if any(reading(cell) is not None for cell in cells):
        spread = " ± sd" if any(number(cell, "sd") is not None for cell in cells) else ""
        found.append(Patch(color=BLUE, label=f"reproduced{spread}"))
    if any(number(cell, PUBLISHED) is not None for cell in cells):
        paper = f"published, {label(str(document.get('artifact', '')))}"
        found.append(Line2D([], [], marker="o", color=MUTED, markerfacecolor="white", label=paper, **dot))
    if against_paper and any(verdict(cell) in (compare.WITHIN, compare.OUTSIDE) for cell in cells):
        found.append(Patch(facecolor=BAND, label="95 % band"))
    if any(verdict(cell) == compare.OUTSIDE for cell in cells):
        found.append(Line2D([], [], label="outside the band", **RING))
    return found


def _name(cell: Cell, field: str) -> str:
    return str(cell.get(field, ""))
