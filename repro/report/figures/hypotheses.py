"""Draw hypotheses against the printed numbers: a line for each cell that all profiles have, a shape a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repro.artifacts import IMPLEMENTED
from repro.report.figures.curves import HOLLOW, LOOKS
from repro.report.figures.sheet import Sheet, band
from repro.report.numbers import fixed
from repro.report.reading import label

Found = Mapping[str, Any]
MOST_LINES = 24


def draw(found: Found) -> Sheet | None:
    """Draw the artifact where verdicts differ on most cells, else that with most common cells.

    Cells that equal the printed number in all profiles are left out (a structure's distance from itself), and of
    many those stay on which the profiles are furthest apart. None where there is no cell to tell them by.
    """
    ranked = sorted(found["artifacts"], key=lambda one: (one["apart"], one["common"]), reverse=True)
    one = next((one for one in ranked if telling(one["cells"])), None)
    if one is None:
        return None
    every, digits = telling(one["cells"]), int(one["digits"])
    cells = furthest(every)
    sheet = Sheet(7.0, 0.25 * len(cells) + 0.7)
    many = f"{len(every)} cells that all have" if len(every) > 1 else "the one cell that all have"
    places = " / ".join(filter(None, IMPLEMENTED[one["artifact"]].long_axes))
    sheet.note(f"{label(one['artifact'])}, {many}: {places}")
    if len(cells) < len(every):
        sheet.note(f"the {len(cells)} on which the profiles are furthest apart")
    axes = sheet.subplots()
    names = [_name(cell, cells) for cell in cells]
    axes.set(ylim=(len(cells) - 0.5, -0.5), xlabel=one.get("unit") or "")
    axes.set_yticks(range(len(cells)), names)
    axes.grid()
    for y, (cell, name) in enumerate(zip(cells, names, strict=True)):
        printed, reach = cell["published"], max(cell["band"].values())  # the widest, where numbers of seeds differ
        band(sheet, axes, [printed - reach, printed + reach], [y, y], 11)
        (dot,) = axes.plot(printed, y, marker="o", markersize=7, **HOLLOW)
        sheet.mark(dot, f"{name}\nprinted {fixed(printed, digits)}")
        sheet.key("printed", dot)
        for index, profile in enumerate(found["profiles"]):
            look = {key: LOOKS[index % len(LOOKS)][key] for key in ("color", "marker")}
            (dot,) = axes.plot(cell["reproduced"][profile], y, linestyle="", markersize=6, **look)
            sheet.mark(dot, _told(cell, profile, name, digits))
            sheet.key(f"profile {profile}", dot)
    sheet.finish()
    return sheet


def telling(cells: Sequence[Found]) -> list[Found]:
    """Return the cells that are not as printed in all profiles."""
    return [cell for cell in cells if {cell["published"]} != set(cell["reproduced"].values())]


def furthest(cells: Sequence[Found]) -> list[Found]:
    """Return the cells on which profiles differ most, in their old order; the printed number has no influence."""
    apart = [max(cell["z"].values()) - min(cell["z"].values()) for cell in cells]
    chosen = sorted(range(len(cells)), key=lambda index: -apart[index])[:MOST_LINES]
    return [cells[index] for index in sorted(chosen)]


def _name(cell: Found, among: Sequence[Found]) -> str:
    parts = [cell["row"]] if len({other["row"] for other in among}) > 1 or cell["row"] != cell["col"] else []
    if len({other["series"] for other in among}) > 1:
        parts = [cell["series"], *(part for part in parts if part != cell["series"])]
    return " / ".join(str(part) for part in (*parts, cell["col"]))


def _told(cell: Found, profile: str, name: str, digits: int) -> str:
    seeds = f", {cell['n'][profile]} seeds" if cell["n"][profile] > 1 else ""
    z = fixed(cell["z"][profile], 1, sign=True)
    return (
        f"{name}\n{profile} {fixed(cell['reproduced'][profile], digits)}, printed "
        f"{fixed(cell['published'], digits)}: z {z}, {cell['verdict'][profile]}{seeds}"
    )
