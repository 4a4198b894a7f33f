"""Say in words what a document holds: its cells, numbers, units and origin. No matplotlib."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from repro.cells import Cell
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.words import counted, machines, tally

if TYPE_CHECKING:
    from repro.report.document import Document

IMAGES_OF = dict.fromkeys(CIFAR_ARCHS, "CIFAR-10") | dict.fromkeys(IMAGENET_ARCHS, "ImageNet")


def label(artifact: str) -> str:
    """Return an artifact's name as the paper writes it: ``fig1`` is ``Fig. 1``."""
    found = re.fullmatch("(fig|table)([0-9]+)", artifact)
    return f"{'Fig.' if found[1] == 'fig' else 'Table'} {found[2]}" if found else artifact


def pretty(name: str) -> str:
    """Return the usual spelling of a network: ``resnet20`` is ``ResNet20``."""
    return name.replace("resnet", "ResNet")


def network(name: str, document: Document) -> str:
    """Return a network with its images: ``ResNet18 on ImageNet``. An unknown name stays as it is."""
    images = IMAGES_OF.get(name, "")
    images = "synthetic images" if images in document.synthetic else images
    return pretty(name) + (f" on {images}" if images else "")


def told(cell: Cell, document: Document, at: Sequence[str] = (), *, unit: str | None = None) -> str:
    """Return a cell in a sentence: ``s = 60, v = 100: reproduced 91.32 %, published 91.40 %``.

    ``at`` names its place, otherwise column and row do; ``unit`` follows the numbers, otherwise a % where the
    document is in percent.
    """
    behind = (" %" if document.percent else "") if unit is None else f" {unit}".rstrip()
    found = [cell.verdict]
    if cell.shown is not None:
        around = f" ± {document.number(cell, 'sd')}" if cell.sd else ""
        seeds = f" ({counted(cell.n, 'seed')})" if cell.n > 1 else ""
        found = [f"reproduced {document.number(cell, 'shown')}{around}{behind}{seeds}"]
    if cell.published is not None:
        found.append(f"published {document.number(cell, 'published')}{behind}{_in_paper(cell, document)}")
    if cell.judged:
        found.append(f"{cell.verdict} the 95 % band")
    return f"{', '.join(filter(None, at or where(cell, document)))}: {', '.join(found)}"


def where(cell: Cell, document: Document) -> list[str]:
    """Name a cell's place by its column and row: ``s = 60``, ``v = 100``; ``epoch 60``, ``ResNet20``."""
    rows, columns = document.axes
    return list(dict.fromkeys(filter(None, (placed(columns, cell.col), placed(rows, cell.row)))))


def placed(axis: str, name: str) -> str:
    """Return a row or column, a number with the name of its axis: ``s = 60``, ``epoch 60``, ``ResNet20``."""
    if not name[:1].isdecimal():
        return pretty(name)
    return f"{axis} = {name}" if len(axis) == 1 else f"{axis} {name}".lstrip()


def _in_paper(cell: Cell, document: Document) -> str:
    """Name the place in the paper, as far as its epochs differ."""
    renamed = dataclasses.replace(cell, row=document.in_paper(cell.row), col=document.in_paper(cell.col))
    differ = [name for name in where(renamed, document) if name not in where(cell, document)]
    return f" (the paper's {', '.join(differ)})" if differ else ""


def summary(document: Document) -> str:
    """Count the cells, and say how they compare."""
    if not document.cells:
        return "no cells in this profile"
    return f"{counted(len(document.cells), 'cell')}: {tally(document.verdicts)}".replace(
        "within", "within the 95 % band"
    )


def seeds(cells: Sequence[Cell]) -> str:
    """Say over how many seeds the values are means; empty where nothing was run."""
    counts = sorted({cell.n for cell in cells if cell.n})
    if len(counts) > 1:
        return f"mean of up to {counts[-1]} seeds"
    return "" if not counts else "one seed" if counts == [1] else f"mean of {counts[0]} seeds"


def footer(document: Document) -> list[str]:
    """Say where the numbers come from, in parts."""
    about = document.provenance
    parts = [f"profile {document.profile}", about.get("data", "")]
    parts += [machines(about.get("devices", ())), ", ".join(about.get("precisions", ()))]
    if used := about.get("seeds"):
        shown = ", ".join(map(str, used[:8])) + (" …" if len(used) > 8 else "")
        parts.append(f"seed{'s' if len(used) > 1 else ''} {shown}")
    if "runs" in about:
        parts.append(counted(about["runs"], "Run"))
    return list(filter(None, parts))


def warning(document: Document) -> str:
    """Say why the published numbers do not apply, and what was overridden; empty where all is as published."""
    changed = ", ".join(f"{key}={value}" for key, value in document.overrides.items())
    changed = f"Overrides: {changed}" if changed else ""
    if document.comparable:
        return changed
    as_published = document.profile_comparable and not document.overrides
    why = "NOT the official images" if as_published else f"{document.profile} profile"
    against = "published numbers, shown for orientation only" if document.printed else "paper"
    return ". ".join(filter(None, (f"{why}: not comparable with the {against}", changed)))


def standing(document: Document) -> str:
    """Say how the numbers compare with the paper's, and whether they may be compared."""
    brackets = "Epochs in brackets are the paper's" if document.paper_epochs else ""
    unit = f"Numbers: {document.unit}" if document.cells and document.unit else ""
    parts = [warning(document) or f"Profile {document.profile}", brackets, unit, summary(document)]
    return ". ".join(filter(None, parts)) + "."
