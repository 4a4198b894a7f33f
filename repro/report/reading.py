"""Read a document: its cells and numbers, and what there is to say about them. No matplotlib.

A document may come from a file of another version, so absent, null and non-numeric fields all read as None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro import cells as compare
from repro.artifacts import IMPLEMENTED, PAPER, Artifact
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.report.numbers import MOST_PRINTED, fixed
from repro.words import counted, machines

Document = Mapping[str, Any]
Cell = Mapping[str, Any]


# ---- cells -------------------------------------------------------------------------------------------------


def cells_of(document: Document, series: str | None = None) -> list[Cell]:
    """Return the document's cells, or those of one series."""
    found = [cell for cell in document.get("cells") or [] if isinstance(cell, Mapping)]
    return found if series is None else [cell for cell in found if cell.get("series") == series]


def number(cell: Cell | None, field: str) -> float | None:
    """Return a field as a finite number, or None."""
    value = None if cell is None else cell.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def shown(cell: Cell | None, field: str = "reproduced") -> float | None:
    """Return a field as a number to show: of diverged seeds, the mean of the others is none."""
    return None if field == "reproduced" and verdict(cell) == compare.DIVERGED else number(cell, field)


def text(cell: Cell, field: str) -> str:
    """Return a field as text."""
    return str(cell.get(field, ""))


def place(cell: Cell) -> float | None:
    """Return the column as a finite number, or None."""
    try:
        found = float(text(cell, "col"))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def verdict(cell: Cell | None) -> str:
    """Return the cell's verdict; an absent cell was not run."""
    return str((cell or {}).get("verdict") or compare.NOT_RUN)


def without_value(cell: Cell | None) -> str:
    """Say why a cell has no reproduced value."""
    return "diverged" if verdict(cell) == compare.DIVERGED else "not run"


@dataclass(frozen=True)
class Grid:
    """Cells by row and column, epochs in increasing order. A place may have none."""

    cells: Mapping[tuple[str, str], Cell]

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> Grid:
        """Arrange ``cells``."""
        return cls({(text(cell, "row"), text(cell, "col")): cell for cell in cells})

    @property
    def rows(self) -> tuple[str, ...]:
        """Return the labels of the rows."""
        return ordered(row for row, _ in self.cells)

    @property
    def cols(self) -> tuple[str, ...]:
        """Return the labels of the columns."""
        return ordered(col for _, col in self.cells)

    def known(self, field: str = "reproduced") -> dict[tuple[str, str], float]:
        """Return a field by place, wherever it is a number to show."""
        return {place: n for place, cell in self.cells.items() if (n := shown(cell, field)) is not None}


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Return each label once: by value where all are whole numbers, else in order of appearance."""
    once = list(dict.fromkeys(labels))
    return tuple(sorted(once, key=int) if all(label.isdecimal() for label in once) else once)


def grouped(cells: Iterable[Cell], *fields: str) -> dict[tuple[str, ...], list[Cell]]:
    """Return cells by the text of some fields, in order of appearance."""
    found: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(text(cell, field) for field in fields), []).append(cell)
    return found


# ---- the document ------------------------------------------------------------------------------------------


def artifact_of(document: Document) -> Artifact | None:
    """Return the artifact that the document is of, where it is known here."""
    return IMPLEMENTED.get(str(document.get("artifact")))


def axes_of(document: Document) -> tuple[str, str]:
    """Return the names of rows and columns, with as many words as they need."""
    known = artifact_of(document)
    rows, columns = known.long_axes if known else document.get("axes") or ("row", "column")
    return str(rows), str(columns)


def comparable(document: Document) -> bool:
    """Return whether this document's numbers should agree with the published ones."""
    return bool(document.get("comparable"))


def paper_epochs(document: Document) -> Mapping[str, str]:
    """Return what the paper calls the epochs of rows and columns, where that differs (document.py)."""
    found: Mapping[str, str] = document.get("paper_epochs") or {}
    return found


def in_paper(label: str, document: Document) -> str:
    """Return what the paper calls a row or column."""
    return paper_epochs(document).get(label, label)


def unit_of(document: Document) -> str:
    """Return the unit of the values."""
    return str(document.get("unit") or "")


def capped(value: float, document: Document) -> float:
    """Return the end of a band or error bar: no percentage lies beyond 0 and 100."""
    return min(max(value, 0.0), 100.0) if unit_of(document).endswith("%") else value


def digits_of(document: Document, field: str = "reproduced") -> int:
    """Return the number of digits after the point that are shown of a field."""
    asked = document.get("digits")
    digits = asked if isinstance(asked, int) else 2
    return min(digits, MOST_PRINTED) if field == "published" else digits


# ---- words -------------------------------------------------------------------------------------------------


def label(artifact: str) -> str:
    """Return an artifact's name as the paper writes it: ``fig1`` is ``Fig. 1``."""
    for short, long in (("fig", "Fig. "), ("table", "Table ")):
        if artifact.startswith(short) and artifact[len(short) :].isdecimal():
            return long + artifact[len(short) :]
    return artifact


def pretty(name: str) -> str:
    """Return the usual spelling of a network: ``resnet20`` is ``ResNet20``."""
    return name.replace("resnet", "ResNet")


def network(name: str, document: Document) -> str:
    """Return a network with its images: ``ResNet18 on ImageNet``. An unknown name stays as it is."""
    images = "CIFAR-10" if name in CIFAR_ARCHS else "ImageNet" if name in IMAGENET_ARCHS else ""
    images = "synthetic images" if images in (document.get("synthetic") or ()) else images
    return pretty(name) + (f" on {images}" if images else "")


def told(cell: Cell | None, document: Document, at: Sequence[str] = (), *, unit: str | None = None) -> str:
    """Return a cell in a sentence: ``s = 60, v = 100: reproduced 91.32 %, published 91.40 %``.

    ``at`` names its place, otherwise column and row do; ``unit`` follows the numbers, otherwise a % where the
    document is in percent.
    """
    cell = cell or {}
    behind = (" %" if unit_of(document).endswith("%") else "") if unit is None else f" {unit}".rstrip()
    digits = 0 if text(cell, "col") in (document.get("counted") or ()) else digits_of(document)
    value, spread, n = shown(cell), number(cell, "sd"), number(cell, "n")
    found = [without_value(cell)]
    if value is not None:
        around = f" ± {fixed(spread, digits)}" if spread else ""
        seeds = f" ({counted(int(n), 'seed')})" if n and n > 1 else ""
        found = [f"reproduced {fixed(value, digits)}{around}{behind}{seeds}"]
    if (printed := number(cell, "published")) is not None:
        there = _in_paper(cell, document)
        found.append(f"published {fixed(printed, min(digits, MOST_PRINTED))}{behind}{there}")
    if value is not None and verdict(cell) in (compare.WITHIN, compare.OUTSIDE):
        found.append(f"{verdict(cell)} the 95 % band")
    return f"{', '.join(filter(None, at or where(cell, document)))}: {', '.join(found)}"


def where(cell: Cell, document: Document) -> list[str]:
    """Name a cell's place by its column and row: ``s = 60``, ``v = 100``; ``epoch 60``, ``ResNet20``."""
    rows, columns = document.get("axes") or ("row", "column")
    found = []
    for axis, name in ((str(columns), text(cell, "col")), (str(rows), text(cell, "row"))):
        numeric = name[:1].isdecimal()
        prefix = f"{axis} = " if numeric and len(axis) == 1 else f"{axis} " if numeric else ""
        found.append(prefix + pretty(name))
    return list(dict.fromkeys(filter(None, found)))


def _in_paper(cell: Cell, document: Document) -> str:
    """Name the place in the paper, as far as its epochs differ."""
    renamed = {**cell, **{field: in_paper(text(cell, field), document) for field in ("row", "col")}}
    differ = [name for name in where(renamed, document) if name not in where(cell, document)]
    return f" (the paper's {', '.join(differ)})" if differ else ""


def tally(cells: Sequence[Cell], against_paper: bool) -> str:
    """Say how many cells were run, and how they compare."""
    verdicts = [verdict(cell) for cell in cells]
    run = sum(number(cell, "reproduced") is not None for cell in cells)
    if not cells:
        return "no cells"
    diverged, bad = verdicts.count(compare.DIVERGED), len(cells) - run
    parts = [f"{run} of {len(cells)} cells run"] if bad or not against_paper else [f"{len(cells)} cells"]
    if against_paper and run:
        within, outside = verdicts.count(compare.WITHIN), verdicts.count(compare.OUTSIDE)
        if within + outside:
            parts += [f"{within} within the 95 % band", f"{outside} outside it"]
        if rest := run - within - outside:
            parts.append(f"{rest} without a band")
    if diverged:
        parts.append(f"{diverged} diverged")
    return ", ".join(parts)


def seeds(cells: Sequence[Cell]) -> str:
    """Say over how many seeds the cells' values are; empty where nothing was run."""
    counts = _counts(cells)
    if not counts or counts == [1]:
        return "one seed" if counts else ""
    return f"mean of {'–'.join(str(n) for n in sorted({counts[0], counts[-1]}))} seeds"


def unprinted(document: Document) -> str:
    """Say that the paper prints no numbers of this artifact, where that is so."""
    printed = any(number(cell, "published") is not None for cell in cells_of(document))
    return (
        "the paper draws these curves without numbers" if document.get("artifact") in PAPER and not printed else ""
    )


def footer(document: Document) -> list[str]:
    """Say where the numbers come from, in parts."""
    provenance = document.get("provenance") or {}
    parts = [f"profile {document.get('profile') or 'unknown'}"]
    if data := provenance.get("data"):
        parts.append(str(data))
    for field, words in (("devices", machines), ("precisions", ", ".join)):
        if found := provenance.get(field):
            parts.append(words([found] if isinstance(found, str) else map(str, found)))
    if used := list(provenance.get("seeds") or []):
        shown = ", ".join(str(seed) for seed in used[:8]) + (" …" if len(used) > 8 else "")
        counts = _counts(cells_of(document))
        if counts and counts[-1] < len(used):  # the Runs behind have more seeds than any value has
            parts.append(f"{counted(counts[-1], 'seed')} a value, of seeds {shown}")
        else:
            parts.append(f"seed {shown}" if len(used) == 1 else f"{len(used)} seeds: {shown}")
    if (runs := provenance.get("runs")) is not None:
        parts.append(counted(runs, "Run"))
    return parts


def warning(document: Document) -> str:
    """Say why the published numbers do not apply, and what was overridden; empty where all is as published."""
    overrides = document.get("overrides") or {}
    changed = ", ".join(f"{key}={value}" for key, value in overrides.items())
    if comparable(document):
        return f"Overrides: {changed}" if changed else ""
    found = f"{document.get('profile') or 'unknown'} profile: not comparable with the "
    printed = any(number(cell, "published") is not None for cell in cells_of(document))
    found += "published numbers, shown for orientation only" if printed else "paper"
    return f"{found}. Overrides: {changed}" if changed else found


def _counts(cells: Sequence[Cell]) -> list[int]:
    return sorted({int(n) for cell in cells if (n := number(cell, "n"))})
