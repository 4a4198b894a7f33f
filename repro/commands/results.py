"""`repro list`, `repro published`, `repro diff`: artifacts with state and cost; the paper's printed numbers; ours
beside them, cell by cell (diff.json has the same content)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from repro import artifacts, published
from repro.cells import DIVERGED, NOT_COMPARABLE, NOT_RUN, OUTSIDE, WITHIN
from repro.commands import hypotheses
from repro.errors import NOTHING_COMPARED, OUTSIDE_BAND, UsageError
from repro.options import Options
from repro.plan import cost
from repro.report import terminal
from repro.report.document import DERIVED, Document, flat
from repro.report.numbers import MOST_PRINTED, fixed
from repro.report.tables import Table
from repro.run import ancestors
from repro.words import counted, tally
from repro.workspace import Workspace, reading

Differences = dict[str, Any]
ORDER = (OUTSIDE, DIVERGED, WITHIN, NOT_COMPARABLE, NOT_RUN)
FIRST = 40  # cells that are printed without --all
HEADER = ("cell", "reproduced", "published", "difference", "band", "z", "n", "verdict")


def list_artifacts(options: Options, as_json: bool) -> None:
    """List every artifact of the paper, with its place, state and cost."""
    work = reading(options)
    found: list[dict[str, Any]] = []
    for name, artifact in artifacts.IMPLEMENTED.items():
        runs = ancestors(work.runs(artifact))
        done = sum(work.store.record(run) is not None for run in runs)
        state = "done" if done == len(runs) else f"{done} of {counted(len(runs), 'Run')}"
        entry = {"artifact": name, "place": artifact.place or "not in the paper", "title": artifact.title}
        entry["state"] = state if runs else "not in this profile"
        whole = cost(runs)
        found.append(entry | {"runs": len(runs), "done": done, "epochs": whole.epochs, "images": whole.images})
    if as_json:
        print(json.dumps({"profile": work.settings.name, "artifacts": found}))
        return
    rows = [[e["artifact"], e["place"], e["title"], e["state"], f"{e['epochs']:,}"] for e in found]
    header, title = ["artifact", "place", "what", "state", "epochs"], f"profile {work.settings.name}"
    terminal.console().print(Table(header, rows, title, left=3, folds=["what"], spare=["place"]))


def show_published(options: Options, name: str | None = None, as_json: bool = False) -> None:
    """Print the published numbers, of one artifact or all. They do not depend on ``options``."""
    printed = published.tables()
    if name not in (None, *printed, *artifacts.PAPER):
        raise UsageError(f"unknown artifact {name!r}: one of {', '.join(sorted({*printed, *artifacts.PAPER}))}")
    cells = published.load(name)
    if as_json:
        keys = ("artifact", "series", "row", "col", "value")
        print(json.dumps([{key: getattr(cell, key) for key in keys} for cell in cells]))
        return
    out = terminal.console()
    for artifact in dict.fromkeys(cell.artifact for cell in cells):
        about = printed[artifact]
        rows = [[c.series, c.row, c.col, c.printed] for c in cells if c.artifact == artifact]
        header = ["series", "row", "column", "value"]
        out.print(Table(header, rows, f"{artifact}: {about.title} ({about.unit})", left=2))
    if not cells:
        out.print(f"the paper draws {name} without numbers; its sentences are in paper_tables/claims.yaml")


def compared(work: Workspace, documents: Sequence[Document]) -> Differences:
    """Return all cells with a printed number, those outside their band first, then by descending |z|; and for
    every artifact the counts of verdicts and the largest difference."""
    cells = [{"artifact": made.artifact, **flat(cell)} for made in documents for cell in made.printed]
    largest: dict[str, float] = {}
    for cell in cells:
        if cell["verdict"] in (WITHIN, OUTSIDE):
            largest[cell["artifact"]] = max(largest.get(cell["artifact"], 0.0), abs(cell["difference"]))
    return {
        "profile": work.settings.name,
        "comparable": work.study.comparable,
        "verdicts": {made.artifact: made.verdicts for made in documents},
        "largest_difference": largest,
        "cells": sorted(cells, key=lambda cell: (ORDER.index(cell["verdict"]), -abs(cell["z"] or 0.0))),
    }


def diff(
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
        spare = ("z", "n", "band") if comparable else ("z", "n", "band", "verdict")
        out.print()
        out.print(Table(HEADER, [_row(cell) for cell in cells], folds=HEADER[:1], spare=spare))
    if left := len(found["cells"]) - len(cells):
        out.print(f"{counted(left, 'printed number')} not shown: --all shows every one")


def _row(cell: dict[str, Any]) -> list[str]:
    """Return a cell's row under `HEADER`."""
    digits = artifacts.get(cell["artifact"]).digits_of(cell["col"])
    decimals = {
        "reproduced": digits, "published": min(digits, MOST_PRINTED), "difference": digits, "band": digits, "z": 1,
    }  # fmt: skip
    numbers = [
        "" if cell[name] is None else fixed(cell[name], digits, sign=name in DERIVED)
        for name, digits in decimals.items()
    ]
    name = f"{cell['artifact']} {cell['series']}, {cell['row']}, {cell['col']}"
    return [name, *numbers, str(cell["n"] or ""), cell["verdict"]]
