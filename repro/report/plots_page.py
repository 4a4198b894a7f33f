"""What the plots share: cells read carefully, colours, and a page measured in inches with header and footer.

No artifact is known here, and matplotlib is imported inside functions only: importing this is cheap.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro import compare
from repro.words import counted, machines

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]
Cell = Mapping[str, Any]

DPI = 150
# Okabe and Ito's colours, which the colour-blind tell apart; what matters differs in shape or text too.
INK, MUTED, FAINT, LINE = "#202124", "#5f6368", "#9aa0a6", "#dadce0"
BLUE, VERMILION = "#0072B2", "#B84A00"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.color": FAINT,
    "hatch.linewidth": 0.6,
}
MARGIN, NARROWEST = 0.28, 7.3
TITLE, NOTE, SMALL = 13.0, 9.0, 7.5
DOT = "   ·   "


# ---- the document ------------------------------------------------------------------------------------------


def cells_of(document: Document, series: str | None = None) -> list[Cell]:
    """The document's cells, or those of one series."""
    found = [cell for cell in document.get("cells") or [] if isinstance(cell, Mapping)]
    return found if series is None else [cell for cell in found if cell.get("series") == series]


def number(cell: Cell | None, field: str) -> float | None:
    """A field as a finite number, or None: absent, null or not a number alike."""
    value = None if cell is None else cell.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def place(cell: Cell) -> float | None:
    """The column as a finite number, or None."""
    try:
        found = float(str(cell.get("col")))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def verdict(cell: Cell | None) -> str:
    """The cell's verdict; a cell that is not there was not run."""
    return str((cell or {}).get("verdict") or compare.NOT_RUN)


@dataclass(frozen=True)
class Grid:
    """Cells by row and column. A place without a cell is None, like a cell that was not run."""

    rows: tuple[str, ...]
    cols: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]

    def at(self, row: str, col: str) -> Cell | None:
        """The cell at a place."""
        return self.cells.get((row, col))

    def number(self, row: str, col: str, field: str) -> float | None:
        """A field of the cell at a place as a finite number, or None."""
        return number(self.at(row, col), field)

    def known(self, field: str) -> dict[tuple[str, str], float]:
        """A field wherever it is a number."""
        return {place: n for place, cell in self.cells.items() if (n := number(cell, field)) is not None}


def grid(cells: Iterable[Cell]) -> Grid:
    """Cells arranged by row and column, epochs in increasing order."""
    found = {(str(cell.get("row", "")), str(cell.get("col", ""))): cell for cell in cells}
    return Grid(ordered(row for row, _ in found), ordered(col for _, col in found), found)


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Each label once: by value where all are whole numbers, else in order of appearance."""
    once = list(dict.fromkeys(labels))
    return tuple(sorted(once, key=int) if all(label.isdecimal() for label in once) else once)


def comparable(document: Document) -> bool:
    """Whether the published numbers are what this document's should agree with."""
    return bool(document.get("comparable"))


def paper_epochs(document: Document) -> Mapping[str, str]:
    """What the paper calls the epochs of rows and columns, where that is something else (document.py)."""
    found: Mapping[str, str] = document.get("paper_epochs") or {}
    return found


def papers(label: str, document: Document) -> str:
    """``10 (pilot: 1)``: a label beside the paper's numbers alone."""
    paper = paper_epochs(document).get(label)
    return label if paper is None else f"{paper} ({document.get('profile')}: {label})"


def tally(cells: Sequence[Cell], against_paper: bool) -> str:
    """How the cells fared, in words."""
    verdicts = [verdict(cell) for cell in cells]
    run = sum(number(cell, "reproduced") is not None for cell in cells)
    if not cells:
        return "no cells"
    diverged, bad = verdicts.count(compare.DIVERGED), len(cells) - run
    parts = [f"{run} of {len(cells)} cells run"] if bad or not against_paper else [f"{len(cells)} cells"]
    if against_paper and run:
        within, outside = verdicts.count(compare.WITHIN), verdicts.count(compare.OUTSIDE)
        parts += [f"{within} within the 95 % band", f"{outside} outside it"]
        if rest := run - within - outside:
            parts.append(f"{rest} without a band")
    if diverged:
        parts.append(f"{diverged} diverged")
    return ", ".join(parts)


def seeds(cells: Sequence[Cell]) -> str:
    """Over how many seeds the cells' values are; empty where nothing was run."""
    counts = sorted({int(n) for cell in cells if (n := number(cell, "n"))})
    if not counts or counts == [1]:
        return "one seed" if counts else ""
    return f"mean of {'–'.join(str(n) for n in sorted({counts[0], counts[-1]}))} seeds"


def footer(document: Document) -> str:
    """Where the numbers come from, its parts set off by `DOT`."""
    provenance = document.get("provenance") or {}
    parts = [f"profile {document.get('profile') or 'unknown'}"]
    if data := provenance.get("data"):
        parts.append(str(data))
    for field, told in (("devices", machines), ("precisions", ", ".join)):
        if found := provenance.get(field):
            parts.append(told([found] if isinstance(found, str) else map(str, found)))
    if used := list(provenance.get("seeds") or []):
        shown = ", ".join(str(seed) for seed in used[:8]) + (" …" if len(used) > 8 else "")
        parts.append(f"seed {shown}" if len(used) == 1 else f"{len(used)} seeds: {shown}")
    if (runs := provenance.get("runs")) is not None:
        parts.append(counted(runs, "Run"))
    return DOT.join(parts)


def warning(document: Document) -> str:
    """Why the published numbers do not apply, and what was overridden; empty where all is as published."""
    overrides = document.get("overrides") or {}
    changed = ", ".join(f"{key}={value}" for key, value in overrides.items())
    if comparable(document):
        return f"Overrides: {changed}" if changed else ""
    text = f"{document.get('profile') or 'unknown'} profile: not comparable with the "
    printed = any(number(cell, "published") is not None for cell in cells_of(document))
    text += "published numbers, shown for orientation only" if printed else "paper"
    return f"{text}. Overrides: {changed}" if changed else text


# ---- the page ----------------------------------------------------------------------------------------------


class Page:
    """A figure with a header above and a footer below a body of ``height`` inches. Places are in inches from
    the lower left corner of the body; the page is at least as wide as its ``width`` and margins ask."""

    def __init__(self, document: Document, width: float, height: float, summary: str) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width = max(width, NARROWEST)
        room = 0.99 * (self.width - 2 * MARGIN)  # hinting may widen a text by a pixel or two
        title = f"{label(str(document.get('artifact', '')))}   {document.get('title', '')}".strip()
        head = [(line, TITLE, INK, "bold") for line in wrapped(title, room, TITLE, "bold")]
        head += [(line, NOTE, MUTED, "normal") for line in wrapped(summary, room, NOTE)]
        head += [
            (line, NOTE, VERMILION, "bold") for line in wrapped(warning(document), room, NOTE, "bold", lines=3)
        ]
        foot = wrapped(footer(document), room, SMALL, by=DOT)
        above = MARGIN + sum(leading(size) for _, size, _, _ in head) + 0.12
        self.nothing_yet = "nothing has been run yet" if cells_of(document) else "not in this profile"
        self.below = MARGIN + len(foot) * leading(SMALL) + 0.12
        self.body, self.height = height, above + height + self.below
        self.figure = Figure(figsize=(self.width, self.height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

        y = self.height - MARGIN
        for line, size, colour, weight in head:
            self._line(line, y, size, colour, weight)
            y -= leading(size)
        self._rule(self.below - 0.1)
        for index, line in enumerate(foot):
            self._line(line, self.below - 0.18 - index * leading(SMALL), SMALL, MUTED, "normal")

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes at a place of the body."""
        return self.figure.add_axes(
            (
                x / self.width,
                (y + self.below) / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text at a place of the body, left-aligned on its baseline."""
        style.setdefault("parse_math", False)
        self.figure.text(x / self.width, (y + self.below) / self.height, text, **style)

    def legend(self, handles: Sequence[Artist]) -> None:
        """A legend at the foot of the body, in as few rows as fit: `legend_room` says how high it stands."""
        if handles:
            self.figure.legend(
                handles=list(handles),
                loc="lower left",
                bbox_to_anchor=(MARGIN / self.width, (self.below + 0.06) / self.height),
                ncols=_legend_columns(handles, self.width),
                frameon=False,
                borderpad=0,
                borderaxespad=0,
                columnspacing=1.8,
                handletextpad=0.6,
                fontsize=8.5,
            )

    def nothing(self) -> Figure:
        """Say in the middle of the body that there is nothing to draw; returns the figure."""
        style = {"ha": "center", "va": "center", "size": 11, "color": MUTED}
        self.text(self.width / 2, self.body / 2, self.nothing_yet, **style)
        return self.figure

    def _line(self, text: str, y: float, size: float, colour: str, weight: str) -> None:
        self.figure.text(
            MARGIN / self.width, y / self.height, text, va="top", parse_math=False,
            size=size, color=colour, weight=weight,
        )  # fmt: skip

    def _rule(self, y: float) -> None:
        from matplotlib.lines import Line2D

        ends = [MARGIN / self.width, 1 - MARGIN / self.width]
        self.figure.add_artist(Line2D(ends, [y / self.height] * 2, color=LINE, linewidth=0.8))


def label(artifact: str) -> str:
    """As the paper calls it: ``fig1`` -> ``Fig. 1``."""
    for short, long in (("fig", "Fig. "), ("table", "Table ")):
        if artifact.startswith(short) and artifact[len(short) :].isdecimal():
            return long + artifact[len(short) :]
    return artifact


def leading(size: float) -> float:
    """Inches from one line of text to the next."""
    return size * 1.45 / 72


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Inches that a line of text takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def wrapped(
    text: str, width: float, size: float, weight: str = "normal", lines: int = 4, by: str = " "
) -> list[str]:
    """``text`` in lines of at most ``width`` inches, broken where ``by`` stands, and inside a word only where it
    alone is too long. What does not fit in ``lines`` is left out, with an ellipsis."""

    def fits(piece: str) -> bool:
        return text_width(piece, size, weight) <= width

    found: list[str] = []
    for word in text.strip().split(by):
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


def legend_room(handles: Sequence[Artist], width: float) -> float:
    """Inches that the legend takes on a page of ``width``."""
    if not handles:
        return 0.0
    return 0.12 + 0.2 * math.ceil(len(handles) / _legend_columns(handles, width))


def _legend_columns(handles: Sequence[Artist], width: float) -> int:
    room = max(width, NARROWEST) - 2 * MARGIN
    entries = [text_width(str(handle.get_label()), 8.5) + 0.6 for handle in handles]
    for columns in range(len(handles), 1, -1):
        # matplotlib fills column by column, the first ones with one entry more where they do not divide evenly.
        fewest, longer = divmod(len(entries), columns)
        ends = list(itertools.accumulate(fewest + (column < longer) for column in range(columns)))
        if sum(max(entries[start:end]) for start, end in zip([0, *ends], ends, strict=False)) <= room:
            return columns
    return 1
