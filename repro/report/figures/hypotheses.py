"""Draw hypotheses against the printed numbers: a line for each cell that all profiles have, a shape a profile."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from repro.artifacts import IMPLEMENTED
from repro.report.figures import HOLLOW, Sheet, styled
from repro.report.figures.curves import LOOKS
from repro.report.numbers import fixed
from repro.report.reading import label
from repro.words import counted

MOST_LINES = 24


@styled()
def draw(found: Mapping[str, Any]) -> Sheet | None:
    """Draw the artifact where verdicts differ on most cells, else that with most common cells.

    Cells that equal the printed number in all profiles are left out (a structure's distance from itself), and of
    many those stay on which the profiles are furthest apart. None where there is no cell to tell them by.
    """
    for one in sorted(found["artifacts"], key=lambda one: (one["apart"], one["common"]), reverse=True):
        every = [cell for cell in one["cells"] if {cell["published"]} != {*cell["reproduced"].values()}]
        if every:
            break
    else:
        return None
    furthest = sorted(every, key=lambda cell: min(cell["z"].values()) - max(cell["z"].values()))[:MOST_LINES]
    cells, digits = [cell for cell in every if cell in furthest], one["digits"]
    sheet = Sheet(7.0, 0.25 * len(cells) + 0.7)
    places = " / ".join(filter(None, IMPLEMENTED[one["artifact"]].long_axes))
    sheet.notes.append(f"{label(one['artifact'])}, {counted(len(every), 'cell')} that all have: {places}")
    if len(cells) < len(every):
        sheet.notes.append(f"the {len(cells)} on which the profiles are furthest apart")
    axes = sheet.add_subplot()
    several = len({cell["series"] for cell in cells}) > 1
    names = []
    for y, cell in enumerate(cells):
        place = [cell["row"], cell["col"]]
        name = " / ".join([cell["series"], *place] if several and cell["series"] not in place else place)
        names.append(name)
        printed, reach = cell["published"], max(cell["band"].values())  # the widest, where numbers of seeds differ
        sheet.band(axes, [printed - reach, printed + reach], [y, y], 11)
        (dot,) = axes.plot(printed, y, markersize=7, linestyle="", **HOLLOW)
        sheet.mark(dot, f"{name}\nprinted {fixed(printed, digits)}")
        sheet.key("printed", dot)
        for profile, look in zip(found["profiles"], itertools.cycle(LOOKS), strict=False):
            value, n = cell["reproduced"][profile], cell["n"][profile]
            (dot,) = axes.plot(value, y, look["marker"], color=look["color"], markersize=6)
            z, seeds = fixed(cell["z"][profile], 1, sign=True), f", {n} seeds" if n > 1 else ""
            told = f"{profile} {fixed(value, digits)}, printed {fixed(printed, digits)}: z {z}"
            sheet.mark(dot, f"{name}\n{told}, {cell['verdict'][profile]}{seeds}")
            sheet.key(f"profile {profile}", dot)
    axes.set(ylim=(len(cells) - 0.5, -0.5), xlabel=one["unit"])
    axes.set_yticks(range(len(cells)), names)
    axes.grid(visible=True, axis="both")
    sheet.finish()
    return sheet
