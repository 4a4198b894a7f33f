"""Draw an artifact from its document alone, in a shape of `repro.artifacts.drawing`: each has a module here.

`draw` returns a matplotlib figure, `write` a PNG. `Sheet` has what several shapes draw with.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation

from repro.artifacts.drawing import Curves, Dots, Drawing
from repro.cells import DIVERGED
from repro.files import write_bytes
from repro.report import reading as read
from repro.report.document import Document

DPI, MARGIN, NARROWEST = 150, 0.25, 7.0  # of a PNG; inches around it; inches
# Okabe and Ito's colours, which the colour-blind tell apart; what matters differs in shape or text too.
INK, MUTED, FAINT, LINE, PALE = "#202124", "#5f6368", "#9aa0a6", "#dadce0", "#e8eaed"
BLUE, VERMILION = "#0072B2", "#B84A00"
ON_COLOUR = "#202125"  # of numbers on a coloured ground: not INK, which follows dark mode
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 8.5, "text.color": INK, "text.parse_math": False,
    "axes.edgecolor": FAINT, "axes.labelcolor": INK, "axes.linewidth": 0.8, "axes.labelsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.titlelocation": "left", "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlepad": 8,
    "axes.grid": True, "axes.grid.axis": "y", "grid.color": LINE, "grid.linewidth": 0.6,
    "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "hatch.color": FAINT, "hatch.linewidth": 0.6, "legend.fontsize": 8.5, "legend.frameon": False,
    "svg.fonttype": "none", "svg.hashsalt": "repro",
}  # fmt: skip
ABOVE: dict[str, Any] = {"xy": (0, 1), "xytext": (0, 4), "va": "bottom"}  # at the left edge, in points
BELOW: dict[str, Any] = {"xy": (0, 0), "xytext": (0, -12), "va": "top"}
TITLE = {"size": 13.0, "weight": "bold", "color": INK, **ABOVE}
WARNING = {"size": 9.0, "weight": "bold", "color": VERMILION, **ABOVE}
NOTE = {"size": 9.0, "weight": "normal", "color": MUTED, **ABOVE}
FOOT = {"size": 7.5, "weight": "normal", "color": MUTED, **BELOW}
RING: dict[str, Any] = {"linestyle": "", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK}
HOLLOW: dict[str, Any] = {"marker": "o", "color": MUTED, "markerfacecolor": "white", "markeredgewidth": 1.3}
MANY_COLUMNS = 8  # numeric columns from which on an artifact without a drawing of its own gets curves


class Sheet(Figure):
    """A figure whose axes take ``width`` x ``height`` inches. Call `finish` once all is drawn."""

    def __init__(self, width: float = NARROWEST, height: float = 0.1) -> None:
        self.titles: dict[str, str] = {}
        self.keys: dict[str, Any] = {}
        self.notes: list[str] = []
        super().__init__((width, height), DPI, facecolor="white", layout="constrained")

    def mark(self, artist: Artist, title: str) -> None:
        """Give a mark an identifier, and the words that a reader gets when pointing at it."""
        gid = f"mark-{len(self.titles) + 1}"
        artist.set_gid(gid)
        self.titles[gid] = title

    def key(self, label: str, artist: Any = None, **line: Any) -> None:
        """Put an artist, or a line that looks so, into the legend, once."""
        self.keys.setdefault(label, artist or Line2D([], [], **{"color": MUTED} | line))

    def hatch(self, axes: Axes, place: Rectangle, why: str, told: str) -> None:
        """Mark the place of a cell that has no value."""
        place.set(hatch="xxxxx" if why == DIVERGED else "/////", facecolor="#fafafa", edgecolor=LINE)
        axes.add_patch(place)
        self.mark(place, told)
        self.key(why, place)

    def band(self, axes: Axes, xs: Sequence[float], ys: Sequence[float], width: float) -> None:
        """Draw, pale behind a printed number, where 95 % of repetitions lie; ``width`` in points."""
        axes.plot(xs, ys, color=PALE, linewidth=width, solid_capstyle="butt", zorder=1)
        self.key("95 % band of a repetition", color=PALE, linewidth=8, solid_capstyle="butt")

    def finish(self, title: str = "", warning: str = "", provenance: Sequence[str] = ()) -> None:
        """Place the axes; stack title and notes above them, legend and provenance below, outside the figure's box.

        Save it with a tight box, which includes them.
        """
        self.set_figwidth(max(self.get_figwidth(), NARROWEST))
        self._place_axes()
        other: Any = self.transFigure
        for words, style in (("  ·  ".join(dict.fromkeys(self.notes)), NOTE), (warning, WARNING), (title, TITLE)):
            if words:
                other = self._write(words, other, style)
        other = self.transFigure
        if self.keys:
            inches = 0.7 + 0.06 * sum(map(len, self.keys)) / len(self.keys)
            other = self.legend(
                [*self.keys.values()], [*self.keys], ncols=max(1, int(self.get_figwidth() / inches)),
                loc="upper left", bbox_to_anchor=(0, 0), borderpad=0, borderaxespad=0.6,
            )  # fmt: skip
        if provenance:
            self._write("   ·   ".join(provenance), other, FOOT)

    def _write(self, words: str, other: Any, style: Mapping[str, Any]) -> Artist:
        """Write at most four lines, above or below another artist or the figure."""
        character = (0.6 if style["weight"] == "bold" else 0.51) * style["size"] / 72
        words = textwrap.fill(words, int(self.get_figwidth() / character), max_lines=4, placeholder=" …")
        beside: dict[str, Any] = {"xycoords": (self.transFigure, other), "textcoords": "offset points"}
        return self.add_artist(Annotation(words, linespacing=1.45, **beside, **style))

    def _place_axes(self) -> None:
        """Lay out once, for PNG and SVG alike; rounded, since the solver's last digits vary from run to run."""
        engine = cast(ConstrainedLayoutEngine, self.get_layout_engine())
        engine.set(w_pad=0.1, h_pad=0.06)
        if self.axes:
            engine.execute(self)
        self.set_layout_engine("none")
        for axes in self.axes:
            left, bottom, wide, high = axes.get_position(original=True).bounds
            axes.set_position((round(left, 5), round(bottom, 5), round(wide, 5), round(high, 5)))
            axes.set_in_layout(True)  # of the tight box, which `set_position` ends


Shape = TypeVar("Shape", bound=Drawing)


class Picture(Sheet, Generic[Shape]):
    """The sheet of a document, to be drawn in one of the shapes, which sets its size."""

    def __init__(self, document: Document, drawing: Shape) -> None:
        super().__init__()
        self.document, self.drawing = document, drawing


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Give matplotlib the settings that these figures need, whatever matplotlibrc the user has."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        cast(Any, matplotlib.rcParams).update(STYLE)
        yield


@styled()
def draw(document: Document, *, titled: bool = True) -> Sheet:
    """Draw the document, with title, warning and provenance, or without them where a page says them beside it.

    ``titles`` of the figure says in words what each mark shows, by the mark's ``gid``. Save the figure inside
    `styled`: hatches and fonts depend on matplotlib's settings.
    """
    drawing = drawing_of(document)
    sheet = Picture(document, drawing)
    if document.cells:
        explained = document.about.note if document.about else ""
        common = (document.unit, read.summary(document), read.seeds(document.cells), explained)
        sheet.notes += filter(None, common)
        importlib.import_module(f"{__name__}.{type(drawing).__name__.lower()}").draw(sheet)
    else:
        sheet.notes.append(f"not part of the {document.profile} profile: there are no cells to show")
    title = f"{read.label(document.artifact)}   {document.title}"
    sheet.finish(*((title, read.warning(document), read.footer(document)) if titled else ()))
    return sheet


def drawing_of(document: Document) -> Drawing:
    """Return the drawing that the artifact names, else curves over many numeric columns, else dots."""
    if document.about and document.about.drawing:
        return document.about.drawing
    numeric = all(cell.x is not None for cell in document.cells if cell.shown is not None)
    if numeric and len({cell.col for cell in document.cells}) >= MANY_COLUMNS:
        return Curves(panel="row" if len({cell.row for cell in document.cells}) <= 2 else "series")
    return Dots()


def write(document: Document, path: Path) -> None:
    """Write the picture as a PNG, whole or not at all. The same document gives the same bytes.

    Raises `MissingInput` when the disk is full or read-only.
    """
    write_bytes(path, as_png(draw(document)))


@styled()
def as_png(figure: Figure) -> bytes:
    """Return the figure as a PNG without dates and versions."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, bbox_inches="tight", pad_inches=MARGIN, metadata={"Software": None})
    return buffer.getvalue()
