"""`repro diff`: compare reproduced and published numbers, cell by cell (diff.json has the same content)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from repro.cells import DIVERGED, NOT_COMPARABLE, NOT_RUN, OUTSIDE, WITHIN
from repro.commands import hypotheses
from repro.errors import NOTHING_COMPARED, OUTSIDE_BAND
from repro.options import Options
from repro.record import measured
from repro.report import terminal
from repro.report.document import Document, flat
from repro.report.numbers import MOST_PRINTED
from repro.words import counted, tally
from repro.workspace import Workspace, reading

Differences = dict[str, Any]
ORDER = (OUTSIDE, DIVERGED, WITHIN, NOT_COMPARABLE, NOT_RUN)
FIRST = 40  # cells that are printed without --all
HEADER = ("cell", "reproduced", "published", "difference", "band", "z", "n", "verdict")


def compared(work: Workspace, documents: Sequence[Document]) -> Differences:
    """Return all cells with a printed number, those outside their band first, then by descending |z|; and for
    every artifact the counts of verdicts and the largest difference."""
    cells: list[dict[str, Any]] = []
    largest: dict[str, float] = {}
    for made in documents:
        cells += [{"artifact": made.artifact, **flat(cell)} for cell in made.cells if cell.published is not None]
        if held := [abs(cell.difference) for cell in made.cells if cell.judged and cell.difference is not None]:
            largest[made.artifact] = measured(max(held))
    return {
        "profile": work.settings.name,
        "comparable": work.study.comparable,
        "verdicts": {made.artifact: made.verdicts for made in documents},
        "largest_difference": largest,
        "cells": sorted(cells, key=lambda cell: (ORDER.index(cell["verdict"]), -abs(cell["z"] or 0.0))),
    }


def show(
    options: Options,
    names: Sequence[str] = (),
    *,
    as_json: bool,
    every: bool,
    no_fail: bool,
    profiles: str | None = None,
) -> int:
    """Print what `compared` returns, ``every`` cell or the first ones; or compare ``profiles``. Writes nothing.

    Return 1 if a cell is outside its band, 6 if there are printed numbers but none has a result, else 0; with
    ``no_fail`` always 0."""
    if profiles is not None:
        hypotheses.show(options, names, profiles, as_json=as_json)
        return 0
    work = reading(options, names)
    found = compared(work, [work.render(artifact, write=False) for artifact in work.artifacts])
    cells = found["cells"]
    with_result = [cell for cell in cells if cell["reproduced"] is not None]
    if as_json:
        print(json.dumps(found))
    else:
        _print(work, found, cells if every else with_result[:FIRST])
    code = OUTSIDE_BAND if any(cell["verdict"] == OUTSIDE for cell in cells) else 0
    if cells and not with_result:
        code = NOTHING_COMPARED
        terminal.console(stderr=True).print(
            f"repro: nothing was compared: none of the {counted(len(cells), 'printed number')} has a result in "
            f"profile {found['profile']} yet",
            markup=False,
        )
    return 0 if no_fail else code


def _print(work: Workspace, found: Differences, cells: Sequence[dict[str, Any]]) -> None:
    out, comparable = terminal.console(), work.study.comparable
    for name, counts in found["verdicts"].items():
        out.print(f"{name}: {tally(counts) or 'no cells'}")
    if work.settings.comparable and not comparable:
        out.print("some images are not the official ones: their numbers are not compared")
    elif not comparable:
        out.print(
            f"profile {work.settings.name} is not the paper's: nothing is compared; published numbers are shown "
            "for orientation only"
        )
    if cells:
        digits_of = {artifact.name: artifact.digits_of for artifact in work.artifacts}
        rows = [_row(cell, digits_of[cell["artifact"]](cell["col"])) for cell in cells]
        spare = ("z", "n", "band") if comparable else ("z", "n", "band", "verdict")
        out.print()
        out.print(terminal.table(HEADER, rows, folds=HEADER[:1], spare=spare))
    if left := len(found["cells"]) - len(cells):
        out.print(f"{counted(left, 'printed number')} not shown: --all shows every one")


def _row(cell: dict[str, Any], digits: int) -> list[str]:
    """Return a cell's row under `HEADER`."""
    form, printed = f".{digits}f", f".{min(digits, MOST_PRINTED)}f"
    forms = {"reproduced": form, "published": printed, "difference": f"+{form}", "band": form, "z": "+.1f"}
    numbers = ["" if cell[name] is None else f"{cell[name]:{form}}" for name, form in forms.items()]
    name = f"{cell['artifact']} {cell['series']}, {cell['row']}, {cell['col']}"
    return [name, *numbers, str(cell["n"] or ""), cell["verdict"]]
