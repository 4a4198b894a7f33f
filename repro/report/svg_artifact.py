"""Which drawing an artifact gets; one that is not known here gets what suits its rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from repro.report.plots_page import Document, cells_of, number, place
from repro.report.svg import Panel
from repro.report.svg_dots import dots
from repro.report.svg_heat import heat
from repro.report.svg_lines import lines

AXES = {
    "fig1": ("weights from epoch v", "structure from epoch s"), "fig2": ("layer", "epoch"),
    "fig3": ("structure of epoch x", "structure of epoch y"), "fig4": ("network", "epoch"),
    "fig5": ("pruned at epoch", "number of examples"), "fig6": ("network", "epoch"),
    "table1": ("network", "epoch"), "table2": ("network", "epoch"), "table3": ("network", "epoch"),
    "table4": ("network", ""), "batch-probe": ("trained at", "epoch"),
}  # fmt: skip
DRAWINGS: Mapping[str, Callable[[Document], list[Panel]]] = {
    "fig1": lambda document: heat(document, *AXES["fig1"]),
    "fig2": lambda document: lines(document, "series", "epoch"),
    "fig3": lambda document: heat(document, *AXES["fig3"]),
    "fig4": lambda document: lines(document, "row", "epoch"),
    "fig5": lambda document: lines(document, "series", "number of examples", "pruned at epoch "),
    "fig6": lambda document: lines(document, "row", "epoch"),
    "table1": dots,
    "table2": dots,
    "table3": dots,
    "table4": lambda document: [],  # rates, points and epochs: no common scale, the table says it all
    "batch-probe": lambda document: lines(document, "series", "epoch"),
}
MANY = 8  # columns from which on numbers along them are better drawn as a curve


def panels(document: Document) -> list[Panel]:
    """The drawings of a document; none where no cell has a number, ours or the paper's."""
    known = [number(cell, field) for cell in cells_of(document) for field in ("reproduced", "published")]
    if all(value is None for value in known):
        return []
    return DRAWINGS.get(str(document.get("artifact")), generic)(document)


def generic(document: Document) -> list[Panel]:
    """Curves where the columns are many numbers, else dots."""
    cells = cells_of(document)
    if len({cell.get("col") for cell in cells}) >= MANY and all(place(cell) is not None for cell in cells):
        return lines(document, "row" if len({c.get("row") for c in cells}) <= 2 else "series", "column")
    return dots(document)
