"""One picture for every artifact: the paper's number, ours, and how far apart they are.

Drawn from the artifact's JSON alone. A cell that was not run is hatched, never an error.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from repro.files import write_bytes
from repro.report import plots_bars, plots_curves, plots_dots, plots_grid, plots_lines, plots_tables
from repro.report.plots_page import DPI, MARGIN, NOTE, STYLE, VERMILION, Document

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWINGS: Mapping[str, Callable[[Document], Figure]] = {
    "fig1": plots_grid.fig1,
    "fig2": plots_lines.fig2,
    "fig3": plots_grid.fig3,
    "fig4": plots_curves.ppr,
    "fig5": plots_curves.fig5,
    "fig6": plots_curves.ppr,
    "table1": plots_tables.table1,
    "table4": plots_bars.table4,
    "batch-probe": plots_curves.probe,
}


def draw(document: dict[str, Any], path: Path) -> None:
    """Write the picture of an artifact's ``document`` to ``path``, a PNG, whole or not at all.

    An artifact without a drawing of its own is drawn as dots, like Table 2. The same document gives the same
    bytes. Raises `MissingInput` when the disk is full or read-only.
    """
    buffer = io.BytesIO()
    with styled():
        figure(document).savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def figure(document: Document) -> Figure:
    """The picture before it is a file; to be made and saved inside `styled`."""
    from matplotlib.lines import Line2D

    found = DRAWINGS.get(str(document.get("artifact")), plots_dots.dots)(document)
    # The title, the warning and the footer, which the page says beside the picture.
    edge = MARGIN / found.get_figwidth()
    outside = [text for text in found.texts if text.get_position()[0] == edge]
    outside = [text for text in outside if text.get_fontsize() != NOTE or text.get_color() == VERMILION]
    vars(found)["aside"] = [*outside, *(artist for artist in found.artists if isinstance(artist, Line2D))]
    return found


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """matplotlib's settings as these plots need them, whatever matplotlibrc the user has."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        cast(Any, matplotlib.rcParams).update(STYLE)
        yield
