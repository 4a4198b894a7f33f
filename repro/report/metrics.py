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
from typing import TYPE_CHECKING

from repro import files
from repro.cells import NOT_RUN, OUTSIDE, WITHIN, Cell
from repro.record import measured

if TYPE_CHECKING:
    from repro.report.document import Document

Numbers = dict[str, float]
FOLDER = "metrics"


def write(document: Document, folder: Path) -> None:
    """Update the artifact's files under ``folder``, and remove those of cells that are gone."""
    place = folder / FOLDER / document.artifact
    made = of_document(document)
    for name, numbers in made.items():
        put(place / f"{name}.json", numbers)
    for path in place.glob("*.json"):
        if path.stem not in made:
            path.unlink()


def of_document(document: Document) -> dict[str, Numbers]:
    """Return the numbers by file name: ``all``, and the cells that are published and reproduced."""
    whole: Numbers = {"cells": len(document.cells)}
    whole |= {name.replace(" ", "_"): document.verdicts.get(name, 0) for name in (WITHIN, OUTSIDE, NOT_RUN)}
    found, gaps = {"all": whole}, []
    for cell in document.cells:
        if cell.reproduced is not None and cell.published is not None:
            difference = cell.reproduced - cell.published
            gaps += [abs(difference)] if cell.judged else []
            numbers = found[_name(document.axes, cell)] = {"reproduced": measured(cell.reproduced)}
            if document.comparable:
                numbers |= {"published": cell.published, "difference": measured(difference)}
    if gaps:
        whole |= {"mean_difference": measured(statistics.fmean(gaps)), "largest_difference": measured(max(gaps))}
    return found


def of_claims(counts: Mapping[str, int]) -> Numbers:
    """Return how many claims hold, fail, are undecided or wait for Runs."""
    shown = ("holds", "fails", "undecided", NOT_RUN)
    return {name.replace(" ", "_"): count for name, count in counts.items() if name in shown}


def put(path: Path, numbers: Numbers) -> None:
    """Write ``numbers`` unless the file holds them."""
    text = json.dumps(numbers) + "\n"
    if not path.exists() or path.read_text() != text:
        files.write_text(path, text)


def _name(axes: Sequence[str], cell: Cell) -> str:
    """Return ``tickets.v20.s100``: series, row and column, fit for a file; one-letter axes precede numbers."""
    places = zip(axes, (cell.row, cell.col), strict=True)
    parts = [axis + name if len(axis) == 1 and name.isdigit() else name for axis, name in places]
    once = dict.fromkeys((cell.series, *parts))  # Fig. 1's baseline is series and row
    return ".".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in once)
