"""Draw many curves coloured by their order: Fig. 2, the weights of every layer while the dense network trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from repro.artifacts.drawing import CurvePanel, Layers
from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures import FAINT, INK
from repro.report.figures.sheet import Sheet, said, value_axis
from repro.report.numbers import fixed

FEW = 24  # layers: thinner curves and a dozen of the expected ones from there on
EXPECTED: dict[str, Any] = {"color": INK, "linewidth": 0.75, "linestyle": (0, (4, 3))}
START: dict[str, Any] = {"color": FAINT, "linewidth": 1.0, "linestyle": (0, (1, 2))}
Lines = dict[str, dict[int, float]]
"""Values by row and column."""


def draw(document: Document, drawing: Layers) -> Sheet:
    """Draw a panel for each series that the drawing names, a curve for each row."""
    measured = [lines_of(document, panel.series) for panel in drawing.panels]
    rows = next((list(found) for found in measured if found), [])
    everywhere = [row for row in rows if all(row in found for found in measured if found)]
    colours = _colours([row in everywhere for row in rows])
    sheet = Sheet(12.2, 4.5)
    sheet.note(f"{len(rows)} layers" if rows else "")
    every = sheet.subplots(1, len(drawing.panels), squeeze=False)[0]
    for index, (axes, panel, found) in enumerate(zip(every, drawing.panels, measured, strict=True)):
        letter = f"({chr(ord('a') + index)})  " if len(every) > 1 else ""
        axes.set(title=letter + panel.title, xlabel=document.long_axes[1], ylabel=panel.unit)
        value_axis(axes)
        for row, line in found.items():
            style: dict[str, Any] = {"color": colours.cmap(rows.index(row)) if row in rows else FAINT}
            style |= {"linewidth": 1.4 if len(rows) <= FEW else 0.9, "marker": "o" if len(line) == 1 else ""}
            (drawn,) = axes.plot([*line], [*line.values()], markersize=3, **style)
            number = f"layer {rows.index(row) + 1}, {row}" if row in rows else row
            sheet.mark(drawn, f"{number}: {_ends(line, panel)}")
        if not found:
            lost = "diverged" in map(read.without_value, document.of(panel.series))
            said(axes, "diverged" if lost else "not run")
        _scales(axes, found, panel)
    _expected(sheet, every, document, drawing)
    if len(everywhere) < len(rows):
        sheet.key(drawing.missing, Line2D([], [], color=FAINT, linewidth=1.4))
    if rows:
        step = next(step for step in (1, 2, 5, 10, 20, 50, 10**9) if len(rows) / step <= 12)
        ticks = sorted({1, len(rows), *range(step, len(rows) - step // 2, step)})
        bar = sheet.colorbar(colours, ax=list(every), ticks=ticks, fraction=0.02, aspect=28, pad=0.01)
        bar.outline.set_visible(False)
        bar.minorticks_off()
        bar.ax.invert_yaxis()
        bar.ax.tick_params(labelsize=8)
        bar.set_label(drawing.bar, size=8.5)
    return sheet


def lines_of(document: Document, series: str) -> Lines:
    """Return what is known of a series by row and column."""
    found: Lines = {}
    for cell in document.of(series) if series else []:
        if (value := cell.shown) is not None and cell.col.isdecimal():
            found.setdefault(cell.row, {})[int(cell.col)] = value
    return found


def _expected(sheet: Sheet, every: Sequence[Axes], document: Document, drawing: Layers) -> None:
    """Draw the expected series over the measured ones, and in every panel where they start."""
    for axes, panel in zip(every, drawing.panels, strict=True):
        if not (found := lines_of(document, panel.expected)):
            continue
        shown = [*found.values()][:: -(-len(found) // 12) if len(found) > FEW else 1]
        for line in shown:
            axes.plot([*line], [*line.values()], zorder=3, **EXPECTED)
        start = min(min(line) for line in found.values())
        for one in every:
            one.axvline(start, zorder=0.5, **START)
        some = "" if len(shown) == len(found) else f", {len(shown)} of {len(found)} layers"
        sheet.key(f"{drawing.start} (epoch {start})", Line2D([], [], **START))
        sheet.key(drawing.expected + some, Line2D([], [], **EXPECTED))


def _ends(line: dict[int, float], panel: CurvePanel) -> str:
    """Say what a curve begins and ends with."""
    shown = {x: f"{fixed(100 * y, 1)} %" if panel.percent else fixed(y, 4) for x, y in line.items()}
    return ", ".join(f"{shown[x]} at epoch {x}" for x in dict.fromkeys((min(shown), max(shown))))


def _scales(axes: Axes, lines: Lines, panel: CurvePanel) -> None:
    """Set limits and ticks: whole epochs, plain numbers on a log scale, shares in percent."""
    epochs = [x for line in lines.values() for x in line]
    if epochs and min(epochs) < max(epochs):
        axes.set_xlim(min(epochs), max(epochs))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    if panel.percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.6g} %")
    elif panel.log and min((y for line in lines.values() for y in line.values()), default=0.0) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")


def _colours(coloured: Sequence[bool]) -> ScalarMappable:
    """Return colours by depth, grey where a row is not ``coloured``: viridis without its pale end."""
    viridis, count = colormaps["viridis"], max(len(coloured), 1)
    colours = [viridis(0.92 * index / max(count - 1, 1)) if own else FAINT for index, own in enumerate(coloured)]
    norm = BoundaryNorm([index + 0.5 for index in range(count + 1)], count)
    return ScalarMappable(norm, ListedColormap(colours or [FAINT]))
