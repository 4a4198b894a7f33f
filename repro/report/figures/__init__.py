"""Draw an artifact from its document alone, in a shape of `repro.artifacts.drawing`: each has a module here.

`draw` returns a matplotlib figure, `write` a PNG. Importing this imports no matplotlib.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from repro.artifacts.drawing import Curves, Dots, Drawing
from repro.files import write_bytes
from repro.report import reading as read
from repro.report.document import Document

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from repro.report.figures.sheet import Sheet

DPI, MARGIN = 150, 0.25  # of a PNG; inches around it
# Okabe and Ito's colours, which the colour-blind tell apart; what matters differs in shape or text too.
INK, MUTED, FAINT, LINE, PALE = "#202124", "#5f6368", "#9aa0a6", "#dadce0", "#e8eaed"
BLUE, VERMILION = "#0072B2", "#B84A00"
ON_COLOUR = ("#202125", "#fffffe")  # of numbers on a coloured ground: not INK and white, which follow dark mode
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 8.5, "text.color": INK, "text.parse_math": False,
    "axes.edgecolor": FAINT, "axes.labelcolor": INK, "axes.linewidth": 0.8, "axes.labelsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.titlelocation": "left", "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlepad": 8,
    "grid.color": LINE, "grid.linewidth": 0.6,
    "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "hatch.color": FAINT, "hatch.linewidth": 0.6, "legend.fontsize": 8.5,
    "svg.fonttype": "none", "svg.hashsalt": "repro",
}  # fmt: skip
MANY_COLUMNS = 8  # numeric columns from which on an artifact without a drawing of its own gets curves


def draw(document: Document) -> Sheet:
    """Draw the document. ``titles`` of the figure says in words what each mark shows, by the mark's ``gid``.

    Save the figure inside `styled`: hatches and fonts depend on matplotlib's settings.
    """
    from repro.report.figures import sheet

    with styled():
        drawing = drawing_of(document)
        shape = importlib.import_module(f"{__name__}.{type(drawing).__name__.lower()}")
        figure: Sheet = shape.draw(document, drawing) if document.cells else sheet.of_nothing(document)
        note = document.about.note if document.about else ""
        common = [document.unit, read.summary(document), read.seeds(document.cells), note]
        figure.notes = [*filter(None, common if document.cells else ()), *figure.notes]
        title = f"{read.label(document.artifact)}   {document.title}"
        figure.finish(title, read.warning(document), read.footer(document))
    return figure


def drawing_of(document: Document) -> Drawing:
    """Return the drawing that the artifact names, else curves over many numeric columns, else dots."""
    if document.about and document.about.drawing:
        return document.about.drawing
    cells = document.cells
    numeric = all(cell.x is not None for cell in cells if cell.shown is not None)
    if numeric and len({cell.col for cell in cells}) >= MANY_COLUMNS:
        return Curves(panel="row" if len({cell.row for cell in cells}) <= 2 else "series")
    return Dots()


def write(document: Document, path: Path) -> None:
    """Write the picture as a PNG, whole or not at all. The same document gives the same bytes.

    Raises `MissingInput` when the disk is full or read-only.
    """
    write_bytes(path, as_png(draw(document)))


def as_png(figure: Figure) -> bytes:
    """Return the figure as a PNG without dates and versions."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(
            buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=MARGIN, metadata={"Software": None}
        )
    return buffer.getvalue()


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Give matplotlib the settings that these figures need, whatever matplotlibrc the user has."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        cast(Any, matplotlib.rcParams).update(STYLE)
        yield
