"""A figure with a title above its axes, and legend and provenance below; and what several shapes draw."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Sequence
from typing import Any, cast

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from repro.report.document import Document
from repro.report.figures import DPI, INK, LINE, MUTED, PALE, STYLE, VERMILION

NARROWEST = 7.0  # inches
TITLE: dict[str, Any] = {"size": 13.0, "weight": "bold", "color": INK}
NOTE: dict[str, Any] = {"size": 9.0, "weight": "normal", "color": MUTED}
WARNING: dict[str, Any] = {"size": 9.0, "weight": "bold", "color": VERMILION}
FOOT: dict[str, Any] = {"size": 7.5, "weight": "normal", "color": MUTED}


class Sheet(Figure):
    """A figure whose axes take ``width`` x ``height`` inches. Call `finish` once all is drawn."""

    def __init__(self, width: float, height: float) -> None:
        self.titles: dict[str, str] = {}
        self.keys: dict[str, Any] = {}
        self.notes: list[str] = []
        self.aside: list[Artist] = []
        """What a page says beside the figure: title, warning, provenance."""
        super().__init__((max(width, NARROWEST), height), DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(self)

    def mark(self, artist: Artist, title: str) -> None:
        """Give a mark an identifier, and the words that a reader gets when pointing at it."""
        gid = f"mark-{len(self.titles) + 1}"
        artist.set_gid(gid)
        self.titles[gid] = title

    def key(self, label: str, artist: Any) -> None:
        """Put something into the legend, once."""
        self.keys.setdefault(label, artist)

    def note(self, *words: str) -> None:
        """Add to the line below the title."""
        self.notes += filter(None, words)

    def finish(self, title: str = "", warning: str = "", provenance: Sequence[str] = ()) -> None:
        """Place the axes; stack title and notes above them, legend and provenance below, outside the figure's box.

        Save it with a tight box, which includes them.
        """
        self._place_axes()
        wide, other = self.get_figwidth(), cast(Any, self.transFigure)
        for words, style in (("  ·  ".join(self.notes), NOTE), (warning, WARNING), (title, TITLE)):
            if words:
                other = self._write(wrapped(words, wide, style), other, above=True, **style)
                self.aside += [other] if style is not NOTE else []
        other = self.transFigure
        if self.keys:
            columns = max(1, int(wide / (sum(map(text_width, self.keys)) / len(self.keys) + 0.75)))
            other = self.legend(
                list(self.keys.values()), list(self.keys), ncols=columns, loc="upper left", bbox_to_anchor=(0, 0),
                frameon=False, borderpad=0, borderaxespad=0.6, columnspacing=1.8, handletextpad=0.6,
            )  # fmt: skip
        words = wrapped("   ·   ".join(provenance), wide, FOOT)
        self.aside.append(self._write(words, other, above=False, **FOOT))

    def _write(self, words: str, other: Any, above: bool, **style: Any) -> Artist:
        """Write at the left edge, above or below another artist or the figure."""
        place: dict[str, Any] = {"xycoords": (self.transFigure, other), "textcoords": "offset points"}
        place |= {"xytext": (0, 4 if above else -12), "va": "bottom" if above else "top"}
        return self.add_artist(Annotation(words, (0, float(above)), linespacing=1.45, **place, **style))

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


# ---- what several shapes draw ------------------------------------------------------------------------------


def of_nothing(document: Document) -> Sheet:
    """Say in words that the profile has no cells of this artifact."""
    sheet = Sheet(NARROWEST, 0.1)
    sheet.note(f"not part of the {document.profile} profile: there are no cells to show")
    return sheet


def value_axis(axes: Axes, bins: int = 7) -> None:
    """Rule the values, at round numbers."""
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=bins, steps=[1, 2, 2.5, 5, 10]))


def number_ticks(axes: Axes, xs: Sequence[float]) -> None:
    """Give a numeric axis whole round numbers, and ticks where the values are, if they are few."""
    low, high, few = min(xs), max(xs), len(set(xs)) <= 12
    room = (0.04 if few else 0.012) * (high - low) or 0.5
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == round(value) else f"{value:g}")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xticks(sorted(set(xs)) if few else [], minor=True)


def hatched(sheet: Sheet, corner: tuple[float, float], width: float, height: float, word: str) -> Rectangle:
    """Return the mark of a cell without a value, ``word`` being why."""
    hatch = "xxxxx" if word == "diverged" else "/////"
    found = Rectangle(corner, width, height, hatch=hatch, facecolor="#fafafa", edgecolor=LINE, linewidth=0.7)
    sheet.key(word, found)
    return found


def band(sheet: Sheet, axes: Axes, xs: Sequence[float], ys: Sequence[float], width: float) -> None:
    """Draw, pale behind a printed number, where 95 % of repetitions lie; ``width`` in points."""
    axes.plot(xs, ys, color=PALE, linewidth=width, solid_capstyle="butt", zorder=1)
    sheet.key("95 % band of a repetition", Line2D([], [], color=PALE, linewidth=8, solid_capstyle="butt"))


def said(axes: Axes, word: str) -> None:
    """Write why in the middle of axes that have nothing to show."""
    axes.set_yticks([])
    axes.text(0.5, 0.5, word, transform=axes.transAxes, size=11, ha="center", va="center", color=MUTED)


# ---- text --------------------------------------------------------------------------------------------------


@functools.cache
def text_width(words: str, size: float = 8.5, weight: str = "normal") -> float:
    """Return the inches that a line of text takes."""
    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(words, font, ismath=False)[0]) / 72


def wrapped(words: str, width: float, style: dict[str, Any]) -> str:
    """Break text into at most four lines of about ``width`` inches, by the mean width of its characters."""
    mean = text_width(words, style["size"], style["weight"]) / max(len(words), 1)
    return (
        "\n".join(textwrap.wrap(words, int(0.95 * width / mean), max_lines=4, placeholder=" …")) if words else ""
    )
