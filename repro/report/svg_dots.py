"""Dots on a line each: ours and the paper's, with the band of a repetition. For tables, and what is unknown."""

from __future__ import annotations

from collections.abc import Sequence

from repro import compare
from repro.report.page_html import Markup, join, tag
from repro.report.plots_page import Cell, Document, cells_of, comparable, number, papers, seeds, verdict
from repro.report.svg import (
    Panel,
    Scale,
    canvas,
    circle,
    diamond,
    key,
    line,
    mark,
    padded,
    rect,
    shown,
    text,
    tip,
    x_axis,
)  # fmt: skip

WIDTH, PITCH, TOP = 440.0, 24.0, 8.0
LEAST_LEFT, LONGEST = 84.0, 24  # room for the names of lines, and how much of a name is shown
HEADS = {
    "one-shot": "one-shot, pruned at epoch", "gradual": "gradual, over epochs",
    "1-shot": "1-shot, pruned at epoch", "4-shot gradual": "4-shot gradual, up to epoch",
    "calibration": "calibration, by number of examples",
}  # fmt: skip


def dots(document: Document) -> list[Panel]:
    """A panel for each row of the document, a line for each series and column."""
    panels = []
    cells = cells_of(document)
    for row in dict.fromkeys(str(cell.get("row", "")) for cell in cells):
        here = [cell for cell in cells if str(cell.get("row", "")) == row]
        title = row.replace("resnet", "ResNet")
        about = seeds(here) or "not run"
        if comparable(document):
            panels.append(Panel(title, about, _plot(document, here, ("published", "reproduced")), _keys(here)))
            continue
        printed = any(number(cell, "published") is not None for cell in here)
        if not printed or any(number(cell, "reproduced") is not None for cell in here):
            panels.append(Panel(f"{title}: ours", about, _plot(document, here, ("reproduced",)), _keys(here)))
        if printed:
            drawing = _plot(document, here, ("published",))
            panels.append(Panel(f"{title}: the paper’s", "orientation only", drawing))
    return panels


def _plot(document: Document, cells: Sequence[Cell], fields: Sequence[str]) -> Markup:
    ends = []
    for cell in cells:
        for field in fields:
            if (value := number(cell, field)) is not None:
                reach = number(cell, "sd" if field == "reproduced" else "band") if len(fields) > 1 else None
                reach = reach if reach is not None else (number(cell, "sd") or 0.0) * (field == "reproduced")
                ends += [value - reach, value + reach]
    right = WIDTH - (106.0 if len(fields) > 1 else 56.0)
    longest = max(len(_name(cell, document, fields)) for cell in cells)
    scale = Scale(*padded(ends), max(LEAST_LEFT, 6.6 * longest + 14), right)
    y, parts, rows = TOP, [], []
    for series in dict.fromkeys(str(cell.get("series", "")) for cell in cells):
        y += 20
        rows.append(text(2, y - 2, HEADS.get(series, series), "start", "head"))
        for cell in (c for c in cells if str(c.get("series", "")) == series):
            rows.append(_line(cell, document, fields, scale, y + PITCH / 2, right))
            y += PITCH
        y += 4
    if ends:
        parts.append(x_axis(scale, y + 2, TOP + 14, str(document.get("unit") or ""), 5))
    if len(fields) > 1:
        parts += [text(WIDTH - 52, TOP + 8, "ours", "end", "axis"), text(WIDTH, TOP + 8, "paper", "end", "axis")]
    name = f"{document.get('artifact')}: {' and '.join(fields)}"
    return canvas(WIDTH, y + 42, name, *parts, *rows, kind="marks")


def _name(cell: Cell, document: Document, fields: Sequence[str]) -> str:
    """The column; beside the paper's numbers alone, what the paper calls it."""
    name = str(cell.get("col", ""))
    name = name if "reproduced" in fields else papers(name, document)
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _line(cell: Cell, document: Document, fields: Sequence[str], x: Scale, y: float, right: float) -> Markup:
    """A line: its column's name, the dots, and the values as numbers at the right."""
    value, printed = number(cell, "reproduced"), number(cell, "published")
    out = verdict(cell) == compare.OUTSIDE
    parts: list[Markup | None] = [rect(0, y - PITCH / 2, WIDTH, PITCH, rx=3, class_="ring")]
    parts += [text(x.start - 10, y + 4, _name(cell, document, fields), "end"), line(x.start, y, right, y, "track")]
    if "published" in fields and printed is not None:
        if len(fields) > 1 and (band := number(cell, "band")) is not None:
            parts.append(
                rect(x(printed - band), y - 7, x(printed + band) - x(printed - band), 14, rx=2, class_="band")
            )
        parts.append(circle(x(printed), y, 4.2, "paper-dot"))
    if "reproduced" in fields and value is not None:
        if (sd := number(cell, "sd")) is not None:
            parts.append(line(x(value - sd), y, x(value + sd), y, "whisker out" if out else "whisker"))
        parts.append(diamond(x(value), y, 4.4, "our-dot out") if out else circle(x(value), y, 4.2, "our-dot"))
    elif "reproduced" in fields:
        parts.append(rect(x.start, y - 6, right - x.start, 12, rx=2, class_="lost"))
    word = verdict(cell) if verdict(cell) in (compare.NOT_RUN, compare.DIVERGED) else "–"
    ours = shown(value, document) if value is not None else word
    paper = shown(printed, document) if printed is not None else "–"
    if len(fields) > 1:
        parts += [
            text(WIDTH - 52, y + 4, ours, "end", "out" if out else None),
            text(WIDTH, y + 4, paper, "end", "faint"),
        ]
    else:
        parts.append(text(WIDTH - 2, y + 4, ours if "reproduced" in fields else paper, "end"))
    where = ", ".join(str(part) for part in (cell.get("row"), cell.get("series"), cell.get("col")) if part)
    return mark(tip(cell, document, where), *parts, class_="row")


def _keys(cells: Sequence[Cell]) -> tuple[Markup, ...]:
    verdicts = {verdict(cell) for cell in cells}
    together = verdicts & {compare.WITHIN, compare.OUTSIDE}
    found = [key(circle(11, 7, 4.2, "our-dot"), "ours" + (" ± sd" if any(number(c, "sd") for c in cells) else ""))]
    if compare.OUTSIDE in verdicts:
        found.append(key(diamond(11, 7, 4.4, "our-dot out"), "ours, outside the band"))
    if together:
        sample = join([rect(2, 1, 18, 12, rx=2, class_="band"), circle(11, 7, 4.2, "paper-dot")])
        found.append(key(sample, "the paper’s, with the 95 % band of a repetition"))
    if compare.NOT_RUN in verdicts or compare.DIVERGED in verdicts:
        found.append(key(tag("g", rect(2, 2, 18, 10, rx=2, class_="lost")), "not run, or diverged"))
    return tuple(found)
