"""Heat maps: our numbers, the paper's, and how far apart they are, each place telling all of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from repro import compare
from repro.report.page_html import Markup, join, tag
from repro.report.plots_page import (
    Cell,
    Document,
    Grid,
    cells_of,
    comparable,
    grid,
    number,
    ordered,
    paper_epochs,
    seeds,
    verdict,
)
from repro.report.svg import Panel, brief, canvas, fixed, key, mark, rect, rotated, text, tip

Place = tuple[str, str]
WIDTH, LABEL, TOP, BASELINE = 420.0, 52.0, 40.0, "baseline"


@dataclass(frozen=True)
class Shades:
    """Values to shades from 0 to 100 of the style sheet's colours; two-sided ones have zero in the middle."""

    low: float
    high: float
    both: bool = False

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return 100 * min(max(share, 0.0), 1.0)

    def style(self, value: float) -> dict[str, str]:
        """Class and style of a place with this value; the same ink reads on every shade."""
        shade = self(value)
        if not self.both:
            return {"class_": "heat", "style": f"--t:{shade:.0f}%"}
        return {"class_": f"heat {'over' if shade >= 50 else 'under'}", "style": f"--t:{abs(shade - 50) * 2:.0f}%"}


def heat(document: Document, row_name: str, col_name: str) -> list[Panel]:
    """Ours, the paper's, and where they are comparable the difference."""
    cells = cells_of(document)
    whole = grid(cells)
    rows = ((BASELINE,) if BASELINE in whole.rows else ()) + ordered(r for r in whole.rows if r != BASELINE)
    whole = Grid(rows, whole.cols, whole.cells)
    ours, paper = whole.known("reproduced"), whole.known("published")
    against = comparable(document)
    share = not str(document.get("unit", "")).endswith("%")
    decimals = 2 if not share else 4 if any(0 < value < 0.0005 for value in ours.values()) else 3
    names = (row_name, col_name)

    def inner(values: Mapping[Place, float]) -> list[float]:
        """The values that the shades span: the baseline row lies far off and would leave the rest pale."""
        return [v for (row, _), v in values.items() if row != BASELINE] or list(values.values())

    spans = [inner(ours) + inner(paper)] * 2 if against else [inner(ours), inner(paper)]
    first = Panel(
        "Ours", seeds(cells) or "not run",
        _map(document, whole, ours, _span(spans[0]), lambda v: fixed(v, decimals), names, True),
        _keys(cells), narrow=True,
    )  # fmt: skip
    if not paper:
        return [first]
    second = Panel(
        "The paper’s", "as printed" if against else "orientation only",
        _map(document, whole, paper, _span(spans[1]), lambda v: fixed(v, decimals), names, False), narrow=True,
    )  # fmt: skip
    differences = {place: v - paper[place] for place, v in ours.items() if place in paper}
    if not against or not differences:
        return [first, second] if ours else [second]
    # What lies within the band stays pale, however small the largest difference is.
    bands = list(whole.known("band").values())
    reach = max([*map(abs, inner(differences)), 2 * statistics.median(bands) if bands else 0.0]) or 1.0
    third = Panel(
        "Ours less the paper’s", "blue: ours higher; orange: lower",
        _map(document, whole, differences, Shades(-reach, reach, True), lambda v: fixed(v, decimals, sign=True),
             names, True), narrow=True,
    )  # fmt: skip
    return [first, second, third]


def _span(values: Sequence[float]) -> Shades:
    return Shades(min(values), max(values)) if values else Shades(0, 1)


def _map(
    document: Document, whole: Grid, values: Mapping[Place, float], shades: Shades, words: Callable[[float], str],
    names: tuple[str, str], ours: bool,
) -> Markup:  # fmt: skip
    wide = (WIDTH - LABEL) / max(len(whole.cols), 1)
    high = min(max(wide * 0.62, 24.0), 34.0)
    gap = 6.0 if whole.rows and whole.rows[0] == BASELINE and len(whole.rows) > 1 else 0.0
    tops = [TOP + index * high + (gap if index else 0.0) for index in range(len(whole.rows))]
    bottom = tops[-1] + high if tops else TOP
    called = {} if ours else paper_epochs(document)
    here = f" ({document.get('profile')}’s in brackets)" if called else ""
    parts = [text(LABEL, 11, f"{names[1]}{here} →", "start", "axis")]
    parts += [text(LABEL + (i + 0.5) * wide, TOP - 7, _named(col, called)) for i, col in enumerate(whole.cols)]
    parts += [
        text(LABEL - 6, top + high / 2 + 4, _named(_short(row), called), "end")
        for row, top in zip(whole.rows, tops, strict=True)
    ]
    longest = max((len(words(v)) for v in values.values()), default=1)
    size = min(11.5, (wide - 3) / (0.64 * longest))  # numbers never touch
    for row, top in zip(whole.rows, tops, strict=True):
        for index, col in enumerate(whole.cols):
            cell = whole.at(row, col)
            if cell is not None:
                box = (LABEL + index * wide, top, wide, high)
                about = tip(cell, document, _where(row, col, names, paper_epochs(document)))
                parts.append(_place(cell, values.get((row, col)), shades, words, box, about, size, ours))
    parts += [rotated(9, (TOP + bottom) / 2, f"← {names[0]}"), _ramp(shades, words, bottom)]
    name = f"{document.get('artifact')}: heat map"
    return canvas(WIDTH, bottom + 26, name, *parts, kind="marks")


def _place(
    cell: Cell, value: float | None, shades: Shades, words: Callable[[float], str],
    box: tuple[float, float, float, float], about: str, size: float, ours: bool,
) -> Markup:  # fmt: skip
    x, y, wide, high = box
    middle, foot = x + wide / 2, y + high / 2 + 4
    frame = rect(x + 0.75, y + 0.75, wide - 1.5, high - 1.5, rx=2, class_="ring")
    if value is None:
        lost = ours and verdict(cell) in (compare.NOT_RUN, compare.DIVERGED)
        word = "×" if verdict(cell) == compare.DIVERGED else ""
        look = rect(x + 0.75, y + 0.75, wide - 1.5, high - 1.5, rx=2, class_="lost" if lost else "blank")
        return mark(about, look, text(middle, foot, word if lost else "–", class_="faint"), frame)
    look = rect(x + 0.75, y + 0.75, wide - 1.5, high - 1.5, rx=2)
    out = None
    if ours and verdict(cell) == compare.OUTSIDE:
        out = join([
            rect(x + 2, y + 2, wide - 4, high - 4, rx=1, class_="outline"),
            tag("path", d=f"M{x + wide - 9:.1f} {y + 2:.1f}h7v7z", class_="corner"),
        ])  # fmt: skip
    style = shades.style(value)
    return mark(about, look, out, tag("g", text(middle, foot, words(value)), font_size=size), frame, **style)


def _ramp(shades: Shades, words: Callable[[float], str], bottom: float) -> Markup:
    """The legend of shades, small, at the right below the map."""
    left, steps, wide = WIDTH - 150.0, 10, 9.0
    values = [shades.low + (shades.high - shades.low) * step / (steps - 1) for step in range(steps)]
    boxes = [
        tag("g", rect(left + i * wide, bottom + 8, wide + 0.3, 9), **shades.style(v)) for i, v in enumerate(values)
    ]
    ends = (text(left - 5, bottom + 17, words(shades.low), "end", "tiny"),
            text(left + steps * wide + 5, bottom + 17, words(shades.high), "start", "tiny"))  # fmt: skip
    return tag("g", *boxes, *ends, aria_hidden="true")


def _where(row: str, col: str, names: tuple[str, str], papers: Mapping[str, str]) -> str:
    """``s = 1, v = 2 (the paper’s 10, 20)``, the letters that end the axes' names; a baseline row has no v."""
    if row == BASELINE:
        return f"{BASELINE}, epoch {col}" + (f" (the paper’s {papers[col]})" if col in papers else "")
    paper = f" (the paper’s {papers.get(col, col)}, {papers.get(row, row)})" if {row, col} & {*papers} else ""
    return f"{names[1].split()[-1]} = {col}, {names[0].split()[-1]} = {row}{paper}"


def _named(label: str, called: Mapping[str, str]) -> str:
    """``10 (1)``: what the paper calls an epoch, and the profile."""
    return f"{called[label]} ({label})" if label in called else label


def _short(row: str) -> str:
    return "dense" if row == BASELINE else row


def _keys(cells: Sequence[Cell]) -> tuple[Markup, ...]:
    found = []
    verdicts = {verdict(cell) for cell in cells}
    bands = {round(band, 4) for cell in cells if (band := number(cell, "band")) is not None}
    if compare.OUTSIDE in verdicts:
        sample = join([rect(3, 1, 16, 12, rx=1, class_="outline"), tag("path", d="M12 1h7v7z", class_="corner")])
        width = f" (± {brief(round(bands.pop(), 2))})" if len(bands) == 1 else ""
        found.append(key(sample, f"outside the 95 % band{width}"))
    if compare.NOT_RUN in verdicts:
        found.append(key(rect(3, 1, 16, 12, class_="lost"), "not run"))
    if compare.DIVERGED in verdicts:
        sample = join([rect(3, 1, 16, 12, class_="lost"), text(11, 11, "×", class_="faint")])
        found.append(key(sample, "diverged"))
    if any(number(cell, "published") is None for cell in cells):
        found.append(key(text(11, 11, "–"), "the paper prints no number"))
    return tuple(found)
