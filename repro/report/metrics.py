"""An artifact's numbers for `dvc metrics`: small JSON files of nothing else, in ``metrics/`` of a results folder.

    metrics/fig1/all.json                how many cells have which verdict; how far they are from the published
    metrics/fig1/tickets.v20.s100.json   a cell that the paper prints, once it is reproduced

DVC shows a file a row and a name a column: a file a cell makes a table that reads. A difference is reproduced
minus published, in ``all`` without its sign; another profile than the paper's has none.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro import files
from repro.cells import NOT_RUN, OUTSIDE, WITHIN
from repro.record import measured

Numbers = dict[str, float]
FOLDER = "metrics"


def write(document: Mapping[str, Any], folder: Path) -> None:
    """Bring the artifact's files under ``folder`` up to date; those of cells that are gone go."""
    place = folder / FOLDER / document["artifact"]
    made = of_document(document)
    for name, numbers in made.items():
        put(place / f"{name}.json", numbers)
    for path in place.glob("*.json"):
        if path.stem not in made:
            path.unlink()


def of_document(document: Mapping[str, Any]) -> dict[str, Numbers]:
    """The numbers by file name: ``all``, and the cells that are published and reproduced."""
    cells = [cell for cell in document["cells"] if cell.get("published") is not None]
    found = {_name(document.get("axes", ()), cell): _of_cell(cell, document["comparable"]) for cell in cells}
    return {"all": _of_all(document)} | {name: numbers for name, numbers in found.items() if numbers}


def of_claims(document: Mapping[str, Any]) -> Numbers:
    """How many claims hold, fail, are undecided or wait for Runs."""
    shown = ("holds", "fails", "undecided", NOT_RUN)
    return {name.replace(" ", "_"): count for name, count in document["counts"].items() if name in shown}


def put(path: Path, numbers: Numbers) -> None:
    """Write ``numbers`` where the file says something else."""
    text = json.dumps(numbers) + "\n"
    if not path.exists() or path.read_text() != text:
        files.write_text(path, text)


def _of_all(document: Mapping[str, Any]) -> Numbers:
    verdicts = document["verdicts"]
    found: Numbers = {"cells": len(document["cells"])}
    found |= {verdict.replace(" ", "_"): verdicts.get(verdict, 0) for verdict in (WITHIN, OUTSIDE, NOT_RUN)}
    compared = [cell for cell in document["cells"] if cell["verdict"] in (WITHIN, OUTSIDE)]
    gaps = [abs(cell["reproduced"] - cell["published"]) for cell in compared]
    if gaps:
        found |= {"mean_difference": measured(statistics.fmean(gaps)), "largest_difference": measured(max(gaps))}
    return found


def _of_cell(cell: Mapping[str, Any], comparable: bool) -> Numbers:
    ours, published = cell.get("reproduced"), cell["published"]
    if ours is None:
        return {}
    if not comparable:
        return {"reproduced": measured(ours)}
    return {"reproduced": measured(ours), "published": published, "difference": measured(ours - published)}


def _name(axes: Sequence[str], cell: Mapping[str, Any]) -> str:
    """``tickets.v20.s100``: series, row and column, fit for a file; numbers behind an axis of one letter."""
    letters = [axis if len(axis) == 1 else "" for axis in axes] or ["", ""]
    row, col = (
        prefix + text if text.isdigit() else text
        for prefix, text in zip(letters, (cell["row"], cell["col"]), strict=True)
    )
    parts = dict.fromkeys((cell["series"], row, col))  # each once: Fig. 1's baseline is series and row
    return ".".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)
