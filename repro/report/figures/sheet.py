"""A figure with a title above and the provenance below; the axes between them are placed by constrained layout."""

from __future__ import annotations

import functools
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
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from repro.report import reading as read
from repro.report.document import Document
from repro.report.figures.look import DPI, INK, LINE, MUTED, STYLE, VERMILION

MARGIN, NARROWEST = 0.28, 7.3  # inches
TITLE, NOTE, SMALL = 13.0, 9.0, 7.5  # points
DOT = "   ·   "
AWAY: dict[str, Any] = {"ha": "center", "va": "center", "color": MUTED}
"""The style of a word in place of what is missing."""


class Sheet(Figure):
    """A figure ``width`` inches wide, with ``body`` inches of height for axes. Call `finish` once all is drawn."""

    def __init__(self, width: float, body: float) -> None:
        self.titles: dict[str, str] = {}
        self.keys: dict[str, Any] = {}
        self.notes: list[str] = []
        self.aside: list[Artist] = []
        """What a page says beside the figure: title, warning, provenance."""
        self.body = body
        super().__init__((max(width, NARROWEST), body), DPI, facecolor="white", layout="constrained")
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

    def finish(self, document: Document) -> None:
        """Put title and notes above the axes, legend and provenance below; leave room for them."""
        wide = self.get_figwidth()
        room = 0.99 * (wide - 2 * MARGIN)  # hinting may widen a text by a pixel or two
        title = f"{read.label(document.artifact)}   {document.title}".strip()
        head = [(line, TITLE, INK, "bold") for line in wrapped(title, room, TITLE, "bold")]
        head += [(line, NOTE, MUTED, "normal") for line in wrapped("  ·  ".join(self.notes), room, NOTE)]
        warned = wrapped(read.warning(document), room, NOTE, "bold", lines=3)
        head += [(line, NOTE, VERMILION, "bold") for line in warned]
        foot = wrapped(DOT.join(read.footer(document)), room, SMALL, by=DOT)
        legend = self._legend(wide - 2 * MARGIN)
        above = MARGIN + sum(leading(size) for _, size, _, _ in head) + 0.12
        below = MARGIN + len(foot) * leading(SMALL) + 0.12
        high = above + self.body + legend + below
        self.set_size_inches(wide, high)
        for found in self.legends:
            found.set_bbox_to_anchor((MARGIN / wide, (below + 0.04) / high), transform=self.transFigure)
        left, bottom = 0.5 * MARGIN / wide, (below + legend) / high
        engine = cast(ConstrainedLayoutEngine, self.get_layout_engine())
        engine.set(rect=(left, bottom, 1 - 2 * left, 1 - bottom - above / high), w_pad=0.1, h_pad=0.06)
        ends = [MARGIN / wide, 1 - MARGIN / wide]
        self.aside.append(self.add_artist(Line2D(ends, [(below - 0.1) / high] * 2, color=LINE, linewidth=0.8)))
        y, lines = high - MARGIN, list[tuple[str, float, float, str, str]]()
        for line, size, colour, weight in head:
            lines.append((line, y, size, colour, weight))
            y -= leading(size)
        lines += [(line, below - 0.18 - i * leading(SMALL), SMALL, MUTED, "normal") for i, line in enumerate(foot)]
        for line, y, size, colour, weight in lines:
            style: dict[str, Any] = {"size": size, "color": colour, "weight": weight, "va": "top"}
            text = self.text(MARGIN / wide, y / high, line, **style)
            if (size, colour) != (NOTE, MUTED):
                self.aside.append(text)
        self._freeze()

    def _freeze(self) -> None:
        """Lay out once, for PNG and SVG alike; rounded, since the solver's last digits vary from run to run."""
        if self.axes:
            cast(ConstrainedLayoutEngine, self.get_layout_engine()).execute(self)
        self.set_layout_engine("none")
        for axes in self.axes:
            left, bottom, wide, high = axes.get_position(original=True).bounds
            axes.set_position((round(left, 5), round(bottom, 5), round(wide, 5), round(high, 5)))
            axes.set_in_layout(True)

    def _legend(self, room: float) -> float:
        """Add the legend in as few rows as fit; returns the inches that it takes."""
        for columns in range(len(self.keys), 0, -1):
            legend = self.legend(
                list(self.keys.values()), list(self.keys), ncols=columns, loc="lower left", bbox_to_anchor=(0, 0),
                frameon=False, borderpad=0, borderaxespad=0, columnspacing=1.8, handletextpad=0.6,
            )  # fmt: skip
            box = legend.get_window_extent(cast(Any, self.canvas).get_renderer())
            if box.width / self.dpi <= room or columns == 1:
                return float(box.height) / self.dpi + 0.16
            legend.remove()
        return 0.0


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


def number_ticks(axes: Axes, xs: Sequence[float], width: float) -> None:
    """Put ticks where the values are, if they are few, with as many numbers as have room in ``width`` inches."""
    few, (low, high) = sorted(set(xs)), (min(xs), max(xs))
    room = (0.04 if len(few) <= 12 else 0.012) * (high - low) or 0.5
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == round(value) else f"{value:g}")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    if len(few) > 12:
        return
    kept: list[float] = []
    for x in few:
        needed = (text_width(f"{x:,.0f}", 8.5) + 0.12) * (high - low + 2 * room) / width
        if not kept or x - kept[-1] >= needed:
            kept.append(x)
    axes.set_xticks(few, minor=True)
    axes.set_xticks(kept)


def hatched(sheet: Sheet, corner: tuple[float, float], width: float, height: float, word: str) -> Rectangle:
    """Return the mark of a cell without a value, ``word`` being why."""
    hatch = "xxxxx" if word == "diverged" else "/////"
    found = Rectangle(corner, width, height, hatch=hatch, facecolor="#fafafa", edgecolor=LINE, linewidth=0.7)
    sheet.key(word, found)
    return found


# ---- text --------------------------------------------------------------------------------------------------


def leading(size: float) -> float:
    """Return the inches from one line of text to the next."""
    return size * 1.45 / 72


@functools.cache
def text_width(words: str, size: float, weight: str = "normal") -> float:
    """Return the inches that a line of text takes."""
    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(words, font, ismath=False)[0]) / 72


def wrapped(
    words: str, width: float, size: float, weight: str = "normal", lines: int = 4, by: str = " "
) -> list[str]:
    """Break text into lines of at most ``width`` inches where ``by`` stands, and inside a word that is too long.

    What does not fit in ``lines`` is left out, with an ellipsis.
    """

    def fits(piece: str) -> bool:
        return text_width(piece, size, weight) <= width

    found: list[str] = []
    for word in words.strip().split(by):
        if found and fits(found[-1] + by + word):
            found[-1] += by + word
            continue
        while len(word) > 1 and not fits(word):
            length = next((n for n in range(len(word) - 1, 1, -1) if fits(word[:n])), 1)
            found.append(word[:length])
            word = word[length:]
        found.append(word)
    found = [line.strip() for line in found if line.strip()]
    if len(found) > lines:
        found = [*found[: lines - 1], found[lines - 1][:-2].rstrip(" ,.") + " …"]
    return found
