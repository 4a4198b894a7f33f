"""An artifact as a `Document`, and a document as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repro import files
from repro.artifacts import IMPLEMENTED, Artifact
from repro.cells import Cell, count
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.experiments import Study
from repro.record import Record, measured
from repro.report import metrics
from repro.report.numbers import MOST_PRINTED, fixed
from repro.report.reading import IMAGES_OF, standing
from repro.report.tables import markdown_table, tables

FIELDS = ("series", "row", "col", "published", "reproduced", "difference", "n", "sd", "best_epoch", "band", "z",
          "verdict")  # fmt: skip
DERIVED = ("difference", "z")


@dataclass(frozen=True)
class Document:
    """One artifact of one profile, as it is shown. The fields are those of its JSON."""

    artifact: str
    title: str = ""
    unit: str = ""
    digits: int = 2
    counted: Sequence[str] = ()
    """Columns of whole numbers."""
    axes: Sequence[str] = ("row", "column")
    profile: str = "unknown"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    profile_comparable: bool = False
    """Whether the profile follows the paper, on any images."""
    comparable: bool = False
    """Whether the numbers should agree with the published ones."""
    assumptions: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    synthetic: Sequence[str] = ()
    """The data sets in whose place there are synthetic images."""
    paper_epochs: Mapping[str, str] = field(default_factory=dict)
    """What the paper calls the epochs of rows and columns, where it calls them otherwise."""
    cells: Sequence[Cell] = ()

    @property
    def verdicts(self) -> dict[str, int]:
        """The number of cells by verdict."""
        return count(self.cells)

    @property
    def about(self) -> Artifact | None:
        """The artifact, where it is known here."""
        return IMPLEMENTED.get(self.artifact)

    @property
    def long_axes(self) -> Sequence[str]:
        """The names of rows and columns, with as many words as they need."""
        return self.about.long_axes if self.about else self.axes

    @property
    def percent(self) -> bool:
        """Whether all values are percentages."""
        return self.unit.endswith("%")

    @property
    def printed(self) -> list[Cell]:
        """The cells whose numbers the paper prints."""
        return [cell for cell in self.cells if cell.published is not None]

    def number(self, cell: Cell, field: str) -> str:
        """Format a number of one of its cells; empty where there is none."""
        value = getattr(cell, field)
        return "" if value is None else fixed(value, self.digits_of(field, cell.col))

    def of(self, series: str) -> list[Cell]:
        """Return the cells of one series."""
        return [cell for cell in self.cells if cell.series == series]

    def in_paper(self, label: str) -> str:
        """Return what the paper calls a row or column."""
        return self.paper_epochs.get(label, label)

    def around(self, value: float, reach: float) -> tuple[float, float]:
        """Return the ends of a band or error bar: no percentage lies beyond 0 and 100."""
        low, high = value - reach, value + reach
        return (max(low, 0.0), min(high, 100.0)) if self.percent else (low, high)

    def digits_of(self, field: str = "reproduced", column: str = "") -> int:
        """Return the number of decimals of a field's numbers, in a column."""
        digits = 0 if column in self.counted else self.digits
        return min(digits, MOST_PRINTED) if field == "published" else digits


def make(artifact: Artifact, study: Study, cells: Sequence[Cell], records: Sequence[Record]) -> Document:
    """Make the document of ``cells``. ``records`` are the finished Runs behind them."""
    settings = study.settings
    archs = list(dict.fromkeys(run.arch for run in artifact.runs(study, [0])))
    sets = {IMAGES_OF[arch]: settings.profile.data_of(arch) for arch in archs}
    synthetic = [name for name, data in sets.items() if data.name.startswith("synthetic")]
    return Document(
        artifact=artifact.name,
        title=_titled(artifact.title, archs, synthetic),
        unit=artifact.unit,
        digits=artifact.digits,
        counted=artifact.counted,
        axes=artifact.axes,
        profile=settings.name,
        overrides=dict(settings.overrides),
        profile_comparable=settings.profile.comparable,
        comparable=settings.comparable and all(map(study.comparable_for, archs)),
        assumptions={
            name: settings.assumptions[name]
            for name in artifact.assumptions
            if "ImageNet" in sets or not name.startswith("imagenet_")
        },
        provenance=provenance(study, records, archs),
        synthetic=synthetic,
        paper_epochs=_paper_epochs(artifact, study, cells),
        cells=cells,
    )


def _titled(title: str, archs: Sequence[str], synthetic: Sequence[str]) -> str:
    """Return the title with the networks and images that the profile has: pictures are shown without their footer.

    Of two networks that are named, one that the profile does not have is dropped; synthetic images replace the
    paper's.
    """
    if pair := re.search(r"(ResNet\d+)( on \S+)? and (ResNet\d+)( on \S+)", title):
        first, where, second, other = pair.groups()
        both = {first: where or other, second: other}
        kept = [name + images for name, images in both.items() if name.lower() in archs]
        title = title.replace(pair[0], kept[0]) if len(kept) == 1 else title
    if not synthetic:
        return title
    named = re.sub(f"on ({'|'.join(synthetic)})", "on synthetic images", title)
    comma = "," if title[-1:].isalnum() else ""  # a title may be a question
    return named if named != title else f"{title}{comma} on synthetic images"


def _paper_epochs(artifact: Artifact, study: Study, cells: Sequence[Cell]) -> dict[str, str]:
    """Return what the paper calls the epochs of rows and columns for which it prints numbers, where it differs.

    The networks of one artifact with such numbers share a schedule.
    """
    printed = {cell.series for cell in cells if cell.published is not None}
    found: dict[str, str] = {}
    for cell in (cell for cell in cells if cell.series in printed):
        arch = cell.row if cell.row in IMAGENET_ARCHS else CIFAR_ARCHS[0]
        for axis, name in (("row", cell.row), ("column", cell.col)):
            if axis in artifact.epochs and (paper := study.published_epochs(name, arch)) not in (None, name):
                found[name] = paper
    return found


def provenance(study: Study, records: Sequence[Record], archs: Sequence[str]) -> dict[str, Any]:
    """Sum up, over Runs, where the numbers of ``archs`` come from. The ledger has each Run's own, under its
    key."""
    profile = study.settings.profile
    sets = [(profile.data_of(arch), profile.recipe_of(arch)) for arch in archs]
    prints = [study.photos if arch in IMAGENET_ARCHS else study.fingerprint for arch in archs]

    def each(texts: Iterable[str]) -> str:
        return "; ".join(dict.fromkeys(texts))

    def seen(field: str) -> list[Any]:
        found = {str(record.provenance.get(field, "unknown")) for record in records}
        return sorted({re.sub(r"\b1 threads\b", "1 thread", text) for text in found})  # as ledgers had it once

    packages = {json.dumps(r.provenance.get("packages", {}), sort_keys=True) for r in records}
    return {
        "data": each(f"{d.name}: {d.train:,} training and {d.test:,} test images" for d, _ in sets),
        "fingerprint": each(prints),
        "schedule": each(f"{recipe.epochs} epochs, batch {recipe.batch_size}" for _, recipe in sets),
        "runs": len(records),
        "seeds": sorted({record.seed for record in records}),
        "devices": seen("device"),
        "precisions": seen("precision"),
        "repro": seen("repro"),
        "packages": [json.loads(text) for text in sorted(packages)],
        "training_seconds": round(sum(r.provenance.get("wall_s", 0.0) for r in records), 1),
        "ended": max((r.provenance["ended"] for r in records if "ended" in r.provenance), default=None),
        "keys": [record.key for record in records],
    }


def write(document: Document, folder: Path) -> None:
    """Write the four files and the metrics into ``folder``. Raises `MissingInput` if that fails."""
    from repro.report import figures

    stem = folder / document.artifact
    files.write_text(stem.with_suffix(".json"), as_json(document))
    files.write_text(stem.with_suffix(".csv"), as_csv(document))
    files.write_text(stem.with_suffix(".md"), as_markdown(document))
    figures.write(document, stem.with_suffix(".png"))
    metrics.write(document, folder)


def as_json(document: Document) -> str:
    """Return the document as JSON, a cell a line, since Fig. 2 has 13,000.

    Measured numbers have the digits that are kept of them. Empty fields of a cell are left out.
    """
    left_out = ("cells", *(name for name in ("synthetic", "paper_epochs") if not getattr(document, name)))
    values = {name: value for name, value in vars(document).items() if name not in left_out}
    head = json.dumps(values | {"verdicts": document.verdicts, "cells": []}, indent=1).removesuffix("[]\n}")
    kept = [
        {name: measured(v) if isinstance(v, float) else v for name, v in flat(cell).items() if v is not None}
        for cell in document.cells
    ]
    cells = ",\n".join(json.dumps(cell, separators=(",", ":")) for cell in kept)
    return f"{head}[\n{cells}\n]\n}}\n"


def flat(cell: Cell) -> dict[str, Any]:
    """Return the cell's fields, and the numbers derived from them."""
    found = {name: getattr(cell, name) for name in FIELDS}
    return found | {name: measured(found[name]) for name in DERIVED if found[name] is not None}


def as_csv(document: Document) -> str:
    """Return the cells as CSV, one a line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(flat, document.cells))
    return text.getvalue()


def as_markdown(document: Document) -> str:
    """Return a page of its own: what it is, tables, assumptions and provenance."""
    name, about = document.artifact, document.provenance
    lines = [f"# {name}: {document.title}", "", standing(document), "", f"![{name}]({name}.png)", ""]
    for table in tables(document):
        lines += [f"## {table.title}", "", markdown_table(table.header, table.rows), ""]
    lines += ["## Assumptions", "", *(f"- {key}: {text}" for key, text in document.assumptions.items()), ""]
    lines += ["## Provenance", "", *(f"- {key}: {listed(value)}" for key, value in about.items() if key != "keys")]
    return "\n".join(lines) + "\n"


def listed(value: object) -> str:
    """Write a value of the provenance in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if isinstance(value, list):
        return ", ".join(map(listed, value)) or "none"
    return "unknown" if value is None else str(value)
