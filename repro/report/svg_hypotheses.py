"""Draw hypotheses against the printed numbers: a line for each cell that all profiles have, a shape a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from repro.artifacts import IMPLEMENTED
from repro.report.numbers import fixed
from repro.report.reading import label
from repro.report.svg import Panel, Scale, canvas, circle, key, line, mark, padded, rect, tag, text, x_axis

Found = Mapping[str, Any]
WIDTH, PITCH, TOP, COLUMN = 440.0, 24.0, 30.0, 50.0
LEAST_LEFT, MOST_LINES, MOST_COLUMNS = 64.0, 24, 3


def drawing(found: Found) -> Panel | None:
    """Of the artifact where verdicts differ on most cells, else of that with most common cells.

    Cells that equal the printed number in all profiles are left out (a structure's distance from itself), and of
    many those stay on which the profiles are furthest apart. None where there is no cell to tell them by."""
    ranked = sorted(found["artifacts"], key=lambda one: (one["apart"], one["common"]), reverse=True)
    one = next((one for one in ranked if _telling(one["cells"])), None)
    if one is None:
        return None
    cells = _telling(one["cells"])
    shown = _furthest(cells) if len(cells) > MOST_LINES else cells
    subtitle = f"{len(cells)} cells that all have: " if len(cells) > 1 else "the one cell that all have: "
    subtitle += " / ".join(filter(None, IMPLEMENTED[one["artifact"]].long_axes))
    if len(shown) < len(cells):
        subtitle += f"; the {len(shown)} on which the profiles are furthest apart"
    return Panel(label(one["artifact"]), subtitle, _plot(found, one, shown), keys(found["profiles"]))


def keys(profiles: Sequence[str]) -> tuple[Markup, ...]:
    """Return the legend."""
    band = tag("g", rect(2, 1, 18, 12, rx=2, class_="band"), circle(11, 7, 4.2, "paper-dot"))
    own = [key(shape(index, 11, 7), f"profile {name}") for index, name in enumerate(profiles)]
    return key(band, "printed, with the 95 % band of a repetition"), *own


def shape(index: int, x: float, y: float) -> Markup:
    """Return the mark of the n-th profile; forms and colours repeat after five."""
    forms = (
        circle(x, y, 4.2, "side"),
        rect(x - 3.9, y - 3.9, 7.8, 7.8, class_="side"),
        tag("path", d=f"M{x:.1f} {y - 5.2:.1f}l5.2 5.2l-5.2 5.2l-5.2 -5.2z", class_="side"),
        tag("path", d=f"M{x:.1f} {y - 4.8:.1f}l5 8.6l-10 0z", class_="side"),
        tag("path", d=f"M{x:.1f} {y + 4.8:.1f}l5 -8.6l-10 0z", class_="side"),
    )
    return tag("g", forms[index % len(forms)], class_=f"c{index % len(forms)}")


def _telling(cells: Sequence[Found]) -> list[Found]:
    return [cell for cell in cells if {cell["published"]} != set(cell["reproduced"].values())]


def _furthest(cells: Sequence[Found]) -> list[Found]:
    """Return the cells on which profiles differ most, in their old order; the printed number has no influence."""

    def apart(index: int) -> float:
        values: list[float] = list(cells[index]["z"].values())
        return max(values) - min(values)

    chosen = sorted(range(len(cells)), key=lambda index: (-apart(index), index))[:MOST_LINES]
    return [cells[index] for index in sorted(chosen)]


def _plot(found: Found, one: Found, cells: Sequence[Found]) -> Markup:
    profiles: list[str] = list(found["profiles"])
    digits = int(one["digits"])
    columns = len(profiles) <= MOST_COLUMNS
    ends = [v for c in cells for v in c["reproduced"].values()]
    ends += [c["published"] + sign * _band(c) for c in cells for sign in (-1, 1)]
    names = [_name(cell, cells) for cell in cells]
    right = WIDTH - (COLUMN * (1 + len(profiles)) + 8 if columns else 8.0)
    scale = Scale(*padded(ends), max(LEAST_LEFT, 6.4 * max(map(len, names)) + 14), right)
    bottom = TOP + PITCH * len(cells)
    unit = str(one.get("unit") or "")
    parts: list[Markup | None] = [x_axis(scale, bottom + 2, TOP - 4, 4)]
    parts.append(text(2, bottom + 36, unit, "start", "axis") if unit else None)
    if columns:
        parts.append(circle(_column(0, len(profiles)) - 16, TOP - 14, 4.2, "paper-dot"))
        parts += [shape(i, _column(i + 1, len(profiles)) - 16, TOP - 14) for i in range(len(profiles))]
    for index, (cell, name) in enumerate(zip(cells, names, strict=True)):
        y = TOP + PITCH * (index + 0.5)
        drawn: list[Markup | None] = [rect(0, y - PITCH / 2, WIDTH, PITCH, rx=3, class_="ring")]
        drawn += [text(scale.start - 10, y + 4, name, "end"), line(scale.start, y, right, y, "track")]
        low, high = scale(cell["published"] - _band(cell)), scale(cell["published"] + _band(cell))
        drawn += [rect(low, y - 7, high - low, 14, rx=2, class_="band")]
        drawn += [circle(scale(cell["published"]), y, 4.2, "paper-dot")]
        drawn += [shape(i, scale(cell["reproduced"][profile]), y) for i, profile in enumerate(profiles)]
        if columns:
            numbers = [cell["published"], *(cell["reproduced"][profile] for profile in profiles)]
            drawn += [
                text(_column(i, len(profiles)), y + 4, fixed(value, digits), "end", None if i else "faint")
                for i, value in enumerate(numbers)
            ]
        parts.append(mark(_told(cell, profiles, name, digits), *drawn, class_="row"))
    about = f"{one['artifact']}: printed, and as reproduced in {', '.join(profiles)}"
    return canvas(WIDTH, bottom + 44, about, *parts, kind="marks")


def _column(index: int, profiles: int) -> float:
    """Return the right edge of a column of numbers; the printed numbers are the first column."""
    return WIDTH - COLUMN * (profiles - index)


def _band(cell: Found) -> float:
    """Return the widest band, where numbers of seeds differ; the mark's title has each profile's own z."""
    return float(max(cell["band"].values()))


def _name(cell: Found, among: Sequence[Found]) -> str:
    parts = [cell["row"]] if len({other["row"] for other in among}) > 1 or cell["row"] != cell["col"] else []
    if len({other["series"] for other in among}) > 1:
        parts = [cell["series"], *(part for part in parts if part != cell["series"])]
    return " / ".join(str(part) for part in (*parts, cell["col"]))


def _told(cell: Found, profiles: Sequence[str], name: str, digits: int) -> str:
    lines = [name, f"printed {fixed(cell['published'], digits)}"]
    lines += [
        f"{profile} {fixed(cell['reproduced'][profile], digits)}, z {fixed(cell['z'][profile], 1, sign=True)}, "
        f"{cell['verdict'][profile]}" + (f", {cell['n'][profile]} seeds" if cell["n"][profile] > 1 else "")
        for profile in profiles
    ]
    return "\n".join(lines)
