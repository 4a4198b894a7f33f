"""Dots: Tables 2 and 3, and any table whose columns are epochs or windows of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro import compare
from repro.report.plots_lines import pretty
from repro.report.plots_page import (
    BLUE,
    LINE,
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
    paper_epochs,
    seeds,
    tally,
    verdict,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_ROW = 4
FAR = 1.75  # times the widest network's range, from which on a common scale would flatten every one of them

SERIES = {"one-shot": "pruned at epoch", "gradual": "pruned over epochs"}

Limits = tuple[float, float] | None


def dots(document: Document) -> Figure:
    """A panel for every series and row, in the table's order; published and reproduced at every column."""
    cells, against_paper = cells_of(document), comparable(document)
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((str(cell.get("series", "")), str(cell.get("row", ""))), []).append(cell)
    summary = f"{document.get('unit') or 'value'}  ·  {tally(cells, against_paper)}"
    if not groups:
        page = Page(document, 9.0, 2.0, summary)
        return page.nothing()

    fields = ("reproduced", "published") if against_paper else ("reproduced",)
    lower, printed = _scales(cells, *fields), _scales(cells, "published")
    across = min(len(groups), PER_ROW)
    left, above, foot = 0.8, 0.42, 0.75 if paper_epochs(document) else 0.6
    apart = 0.35 if max(len(set(lower.values())), len(set(printed.values()))) == 1 else 0.65
    longest = max(len(part) for cell in cells for part in _called(cell, document).split("\n"))
    most = max(len(group) for group in groups.values())
    width = max(2.0, min(7.0, most * max(0.42, 0.095 * longest)), (9.0 - left) / across - apart)
    # Without a common scale the published numbers get a strip of their own above the reproduced ones.
    strip = 0.0 if against_paper or not _limits(cells, "published") else 1.05
    high = 2.7 + (strip + 0.18 if strip else 0.0)
    deep = math.ceil(len(groups) / across)
    pitch = high + above + foot
    keys = _dot_keys(document, cells, against_paper)
    room = legend_room(keys, left + across * (width + apart))
    page = Page(document, left + across * (width + apart), room + deep * pitch, summary)
    last = ""
    rows, columns = document.get("axes", ("", ""))
    prefix = "" if rows in ("", "row", "network") else f"{rows} "
    for index, ((series, row), group) in enumerate(groups.items()):
        x = left + (index % across) * (width + apart)
        y = room + foot + (deep - 1 - index // across) * pitch
        first = index % across == 0
        scaled = first or lower[row] != lower[last]
        axes = page.axes(x, y, width, high - (strip + 0.18 if strip else 0.0))
        names = [_called(cell, document) for cell in group]
        _dots(axes, group, names, lower[row], published=against_paper)
        axes.set_xlabel(SERIES.get(series, columns), size=8.5, parse_math=False)
        _scale(axes, scaled, _axis("reproduced", document, strip > 0) if first else "")
        if strip:
            upper = page.axes(x, y + high - strip, width, strip)
            _dots(upper, group, names, printed[row], published=True, reproduced=False)
            upper.tick_params(labelbottom=False)
            _scale(
                upper, first or printed[row] != printed[last], _axis("published", document, True) if first else ""
            )
        about = ",  ".join(part for part in (prefix + pretty(row), series) if part)
        title = wrapped(about, width, 10, "bold", lines=1)
        page.text(x, y + high + 0.12, "".join(title), size=10, weight="bold")
        last = row
    page.legend(keys)
    return page.figure


def _called(cell: Cell, document: Document) -> str:
    """The column, and below it what the paper calls it, whose number stands above it."""
    name = str(cell.get("col", ""))
    paper = paper_epochs(document).get(name)
    return name if paper is None else f"{name}\n(paper {paper})"


def _scales(cells: Sequence[Cell], *fields: str) -> dict[str, Limits]:
    """The limits of every row: the same for all, unless they lie far apart."""
    rows: dict[str, list[Cell]] = {}
    for cell in cells:
        rows.setdefault(str(cell.get("row", "")), []).append(cell)
    common, own = _limits(cells, *fields), {row: _limits(found, *fields) for row, found in rows.items()}
    widest = max((high - low for low, high in filter(None, own.values())), default=0.0)
    if common and common[1] - common[0] > FAR * widest:
        return own
    return dict.fromkeys(rows, common)


def _limits(cells: Sequence[Cell], *fields: str) -> Limits:
    """Limits that hold the fields with error bars and bands; None where there is nothing."""
    ends = []
    for cell in cells:
        for field in fields:
            if (value := number(cell, field)) is not None:
                # A band stands around a published number, where it counts; an sd around a reproduced one.
                extra = {"reproduced": "sd", "published": "band" if len(fields) > 1 else ""}[field]
                reach = number(cell, extra) or 0.0
                ends += [value - reach, value + reach]
    if not ends:
        return None
    room = 0.08 * (max(ends) - min(ends)) or 0.5
    return min(ends) - room, max(ends) + room


def _dots(
    axes: Axes,
    cells: Sequence[Cell],
    names: Sequence[str],
    limits: Limits,
    *,
    published: bool,
    reproduced: bool = True,
) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = limits or (0.0, 1.0)
    axes.set(ylim=(low, high), xlim=(-0.55, len(cells) - 0.45))
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xticks(range(len(cells)), names)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6 if reproduced else 3, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=8, length=2.5)
    if limits is None:
        axes.set_yticks([])
    aside = 0.12 if published and reproduced else 0.0
    for x, cell in enumerate(cells):
        printed, value = number(cell, "published"), number(cell, "reproduced")
        if published and printed is not None:
            if reproduced and (band := number(cell, "band")) is not None:
                axes.bar(x, 2 * band, width=0.56, bottom=printed - band, color="#e8eaed", zorder=1)
            axes.plot(x - aside, printed, "o", markerfacecolor="white", markeredgecolor=MUTED, markersize=6,
                      markeredgewidth=1.3, zorder=2)  # fmt: skip
        if not reproduced:
            continue
        if value is None:
            _missing(axes, x, cell, low=published and printed is not None and printed < (low + high) / 2)
            continue
        out = verdict(cell) == compare.OUTSIDE
        axes.errorbar(x + aside, value, yerr=number(cell, "sd"), fmt="D" if out else "o", markersize=6,
                      color=VERMILION if out else BLUE, elinewidth=1.4, capsize=3, zorder=3)  # fmt: skip


def _missing(axes: Axes, x: int, cell: Cell, *, low: bool) -> None:
    """Hatching and a word, where the published number, ``low`` or not, leaves room for it."""
    word = "diverged" if verdict(cell) == compare.DIVERGED else "not run"
    axes.axvspan(x - 0.2, x + 0.2, facecolor="#fafafa", edgecolor=LINE, hatch="////", linewidth=0.0, zorder=0.6)
    axes.text(
        x, 0.96 if low else 0.04, word, transform=axes.get_xaxis_transform(), rotation=90, ha="center",
        va="top" if low else "bottom", size=8, color=MUTED,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5}, zorder=4,
    )  # fmt: skip


def _scale(axes: Axes, numbered: bool, text: str) -> None:
    """Panels beside each other share a scale and its numbers, unless their networks lie far apart."""
    axes.set_ylabel(text, size=9, parse_math=False)
    if not numbered:
        axes.tick_params(labelleft=False, left=False)


def _axis(kind: str, document: Document, apart: bool) -> str:
    """The unit; where published and reproduced numbers stand ``apart`` with what they are."""
    unit = str(document.get("unit") or "")
    return unit if not apart else f"{kind}, %" if unit.endswith("%") else kind


def _dot_keys(document: Document, cells: Sequence[Cell], against_paper: bool) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def dot(marker: str, colour: str, text: str, face: str | None = None) -> Artist:
        return Line2D([], [], linestyle="", marker=marker, markersize=6, markeredgewidth=1.3, color=colour,
                      markerfacecolor=face or colour, label=text)  # fmt: skip

    found: list[Artist] = []
    if any(number(cell, "reproduced") is not None for cell in cells):
        many = any(number(cell, "sd") is not None for cell in cells)
        found.append(dot("o", BLUE, f"reproduced, {seeds(cells)}{' ± sd' if many else ''}"))
    if against_paper and any(verdict(cell) == compare.OUTSIDE for cell in cells):
        found.append(dot("D", VERMILION, "reproduced, outside the band"))
    if any(number(cell, "published") is not None for cell in cells):
        paper = label(str(document.get("artifact", "")))
        found.append(dot("o", MUTED, f"published, {paper}", "white"))
        if against_paper and any(number(cell, "band") is not None for cell in cells):
            found.append(Patch(facecolor="#e8eaed", label="95 % band of a repetition"))
    return found
