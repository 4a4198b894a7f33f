"""An artifact as files: ``<artifact>.json``, ``.csv``, ``.md``, ``.png``, and numbers for DVC (metrics.py)."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro import files
from repro.artifacts import Artifact
from repro.cells import Cell, count
from repro.config.params import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.experiments import Study
from repro.record import Record, measured
from repro.report.numbers import MOST_PRINTED

Document = dict[str, Any]
FIELDS = ("series", "row", "col", "published", "reproduced", "difference", "n", "sd", "best_epoch", "band", "z",
          "verdict")  # fmt: skip
DERIVED = ("difference", "z")


def make(artifact: Artifact, study: Study, cells: Sequence[Cell], records: Sequence[Record]) -> Document:
    """The artifact as JSON values. ``records`` are the finished Runs behind it."""
    settings = study.settings
    archs = list(dict.fromkeys(run.arch for run in artifact.runs(study, [0])))
    photos = any(arch in IMAGENET_ARCHS for arch in archs)
    synthetic = [name for name, own in _sets(study, archs).items() if own.startswith("synthetic")]
    renamed = _paper_epochs(artifact, study, cells)
    return {
        "artifact": artifact.name,
        "title": _titled(_present(artifact.title, archs), synthetic, len(synthetic) < len(_sets(study, archs))),
        "unit": artifact.unit,
        "digits": artifact.digits,
        "counted": list(artifact.counted),
        "axes": list(artifact.axes),
        "profile": settings.name,
        "overrides": dict(settings.overrides),
        "profile_comparable": settings.profile.comparable,
        "comparable": settings.comparable and all(map(study.comparable_for, archs)),
        "assumptions": {
            name: settings.assumptions[name]
            for name in artifact.assumptions
            if photos or not name.startswith("imagenet_")
        },
        "provenance": provenance(study, records, archs),
        **({"synthetic": synthetic} if synthetic else {}),
        **({"paper_epochs": renamed} if renamed else {}),
        "verdicts": count(cells),
        "cells": [flat(cell) for cell in cells],
    }


def flat(cell: Cell) -> Document:
    """Every field of a cell, and what follows from them."""
    found = dataclasses.asdict(cell)
    found |= {name: None if (value := getattr(cell, name)) is None else measured(value) for name in DERIVED}
    return {name: found[name] for name in FIELDS}


def _sets(study: Study, archs: Sequence[str]) -> dict[str, str]:
    """What the networks are trained on, by what the paper trains them on."""
    names = {arch: "ImageNet" if arch in IMAGENET_ARCHS else "CIFAR-10" for arch in archs}
    return {name: study.settings.profile.data_of(arch).name for arch, name in names.items()}


def _present(title: str, archs: Sequence[str]) -> str:
    """Drop a network from the title that this profile does not have, where it has another one that is named."""

    def kept(found: re.Match[str]) -> str:
        first, where, second, other = found.groups()
        has = [name.lower() in archs for name in (first, second)]
        if has == [True, False]:
            return f"{first}{where or other}"
        return f"{second}{other}" if has == [False, True] else found[0]

    return re.sub(r"(ResNet\d+)( on \S+)? and (ResNet\d+)( on \S+)", kept, title)


def _titled(title: str, synthetic: Sequence[str], in_part: bool) -> str:
    """The title, with the images that there are in place of the paper's: a picture is shown without its footer."""
    found = title
    for name in synthetic:
        found = found.replace(f"on {name}", "on synthetic images")
    if not synthetic or found != title:
        return found
    comma = "," if title[-1:].isalnum() else ""
    return f"{title}{comma} {'in part ' if in_part else ''}on synthetic images"


def _paper_epochs(artifact: Artifact, study: Study, cells: Sequence[Cell]) -> dict[str, str]:
    """What the paper calls the epochs of rows and columns beside which it prints numbers; none where it calls them
    the same. The networks of one artifact with such numbers share a schedule."""
    printed = {cell.series for cell in cells if cell.published is not None}
    labels: dict[str, str] = {}
    for cell in (cell for cell in cells if cell.series in printed):
        arch = cell.row if cell.row in IMAGENET_ARCHS else CIFAR_ARCHS[0]
        axes = [cell.row] if "row" in artifact.epochs else []
        axes += [cell.col] if "column" in artifact.epochs else []
        labels |= {label: study.published_epochs(label, arch) or label for label in axes}
    return {label: paper for label, paper in labels.items() if paper != label}


def provenance(study: Study, records: Sequence[Record], archs: Sequence[str]) -> dict[str, Any]:
    """What the numbers of ``archs`` came from, summed up over Runs; each Run's own stands in the ledger under its
    key."""
    profile = study.settings.profile
    sets = [(profile.data_of(arch), profile.recipe_of(arch)) for arch in archs]
    prints = [study.photos if arch in IMAGENET_ARCHS else study.fingerprint for arch in archs]

    def seen(field: str) -> list[Any]:
        found = {str(record.provenance.get(field, "unknown")) for record in records}
        return sorted({re.sub(r"\b1 threads\b", "1 thread", text) for text in found})  # as ledgers had it once

    packages = {json.dumps(r.provenance.get("packages", {}), sort_keys=True) for r in records}
    return {
        "data": _each(f"{d.name}: {d.train:,} training and {d.test:,} test images" for d, _ in sets),
        "fingerprint": _each(prints),
        "schedule": _each(f"{recipe.epochs} epochs, batch {recipe.batch_size}" for _, recipe in sets),
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


def _each(texts: Iterable[str]) -> str:
    """The texts, each once."""
    return "; ".join(dict.fromkeys(texts))


def write(document: Document, folder: Path) -> list[Path]:
    """Write the four files into ``folder``; returns them. Raises `MissingInput` where it cannot."""
    from repro.report import figures, metrics

    stem = folder / document["artifact"]
    paths = [stem.with_suffix(suffix) for suffix in (".json", ".csv", ".md", ".png")]
    files.write_text(paths[0], as_json(document))
    files.write_text(paths[1], as_csv(document))
    files.write_text(paths[2], as_markdown(document))
    figures.write(document, paths[3])
    metrics.write(document, folder)
    return paths


def as_json(document: Document) -> str:
    """The document, a cell a line: numbers with the digits that are kept of what is measured, without the fields
    that a cell has no value for. Fig. 2 has 13,000 cells."""
    head = json.dumps(document | {"cells": []}, indent=1).removesuffix("[]\n}")
    kept = [
        {name: _kept(value) for name, value in cell.items() if value is not None} for cell in document["cells"]
    ]
    cells = ",\n".join(json.dumps(cell, separators=(",", ":")) for cell in kept)
    return f"{head}[\n{cells}\n]\n}}\n"


def _kept(value: Any) -> Any:
    return measured(value) if isinstance(value, float) else value


def as_csv(document: Document) -> str:
    """The cells, one a line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(document["cells"])
    return text.getvalue()


def as_markdown(document: Document) -> str:
    """A page that reads by itself: what it is, the table, the verdicts, assumptions and provenance."""
    about = document["provenance"]
    lines = [f"# {document['artifact']}: {document['title']}", "", standing(document), ""]
    lines += [f"![{document['artifact']}]({document['artifact']}.png)", ""]
    for heading, header, rows in grids(document):
        lines += [f"## {heading}", "", markdown_table(header, rows), ""]
    lines += ["## Assumptions", "", *(f"- {name}: {text}" for name, text in document["assumptions"].items())]
    lines += ["", "## Provenance", ""]
    shown = {name: value for name, value in about.items() if name not in ("keys", "packages")}
    lines += [f"- {name}: {_plain(value)}" for name, value in shown.items()]
    lines += [f"- packages: {', '.join(f'{n} {v}' for n, v in p.items())}" for p in about["packages"]]
    return "\n".join(lines) + "\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, columns aligned where tabulate is installed (bare GPU machines have none)."""
    try:
        from tabulate import tabulate
    except ImportError:
        ruled = [header, ["---"] * len(header), *rows]
        return "\n".join("| " + " | ".join(row) + " |" for row in ruled)
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def standing(document: Document) -> str:
    """One sentence: may these numbers stand against the paper's, and how do they."""
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in document["verdicts"].items()) or "no cells"
    if document["comparable"]:
        return f"Profile {document['profile']}, {document['unit']}: {verdicts}."
    if not document["overrides"] and document["profile_comparable"]:
        return (
            f"NOT the official images: not comparable with the published numbers. {document['unit']}: {verdicts}."
        )
    changed = "".join(f", {key}={value}" for key, value in document["overrides"].items())
    epochs = " Epochs in brackets are the paper's." if document.get("paper_epochs") else ""
    return (
        f"Profile {document['profile']}{changed}: not comparable with the published numbers, which stand beside "
        f"it for orientation only.{epochs} {document['unit']}: {verdicts}."
    )


@dataclasses.dataclass(frozen=True)
class Table:
    """The cells of one series by row and column; only each ``step``-th column where there are many."""

    series: str
    rows: list[str]
    cols: list[str]
    step: int
    cells: dict[tuple[str, str], Mapping[str, Any]]


MOST_COLUMNS, THINNED = 16, 11


def tables(cells: Iterable[Mapping[str, Any]]) -> list[Table]:
    """Arrange cells in a table for each series, rows and columns in the order in which they appear."""
    by_series: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for cell in cells:
        place = str(cell.get("row", "")), str(cell.get("col", ""))
        by_series.setdefault(str(cell.get("series", "")), {})[place] = cell
    found = []
    for series, own in by_series.items():
        rows, cols = (list(dict.fromkeys(place[axis] for place in own)) for axis in (0, 1))
        step = -(-len(cols) // THINNED) if len(cols) > MOST_COLUMNS else 1
        found.append(Table(series, rows, cols[::step], step, own))
    return found


def grids(document: Document) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return (heading, header, rows) for each series."""
    corner = " \\ ".join(filter(None, document.get("axes", ("row", "column"))))
    return [
        (
            table.series + (" (some epochs; all are in the CSV)" if table.step > 1 else ""),
            [corner, *(both(col, document) for col in table.cols)],
            [
                [both(row, document), *(_shown(table.cells.get((row, col)), document) for col in table.cols)]
                for row in table.rows
            ],
        )
        for table in tables(document["cells"])
    ]


def both(label: str, document: Mapping[str, Any]) -> str:
    """``1 (10)``: the profile's epoch, and the paper's, whose numbers stand in brackets too."""
    paper = (document.get("paper_epochs") or {}).get(label)
    return label if paper is None else f"{label} ({paper})"


MARKS = {"within": "", "outside": " !", "not comparable": "", "unpublished": ""}


def _shown(cell: Mapping[str, Any] | None, document: Document) -> str:
    """``91.32 (91.54)``: reproduced, the published one in brackets, ``!`` outside the band."""
    if cell is None:
        return ""
    digits = 0 if cell["col"] in document.get("counted", ()) else document["digits"]
    value = cell["verdict"] if cell["reproduced"] is None else f"{cell['reproduced']:.{digits}f}"
    if cell["sd"] is not None:
        value += f" ± {cell['sd']:.{digits}f}"
    if cell["published"] is not None:
        value += f" ({cell['published']:.{min(digits, MOST_PRINTED)}f})"
    return value + MARKS.get(cell["verdict"], "")


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
