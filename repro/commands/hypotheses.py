"""Compare profiles as hypotheses: how well does each explain the numbers that the paper prints?

Where the paper leaves something open, every comparable profile makes its own assumption (``supposes`` in
params.yaml). Their cells are shown side by side, but nothing is decided: cells that share a network are not
independent, so the number of cells that agree gives no probability. Pure, except for the Workspaces passed to it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repro.artifacts import PAPER
from repro.cells import NOT_RUN, OUTSIDE, WITHIN, Cell
from repro.errors import UsageError
from repro.options import Options
from repro.published import load
from repro.report import hypotheses_table, terminal
from repro.report.document import Document
from repro.report.reading import label
from repro.words import counted
from repro.workspace import Workspace

Found = dict[str, Any]
RESTS_ON = ("runs", "seeds", "devices", "precisions")


def show(options: Options, names: Sequence[str], profiles: str, *, as_json: bool) -> None:
    """Print the ``profiles``, two or more comparable ones separated by commas, side by side. Raises `UsageError`
    for any others."""
    given = f"--profiles {profiles}"
    if options.profile or options.overrides:
        other = "--profile" if options.profile else "--set"
        raise UsageError(f"{given} and {other}: choose one of them (a changed profile is not a hypothesis)")
    chosen = [name.strip() for name in profiles.split(",")]
    work = Workspace(options, names)
    if len({*chosen} - {""}) < max(2, len(chosen)):
        raise UsageError(f"{given}: name two or more, each once, {','.join(work.hypotheses)} for instance")
    works = [work.changed(profile=name) for name in chosen]
    if others := [name for name in chosen if name not in work.hypotheses]:
        raise UsageError(
            f"{given}: {others[0]} is not compared with the published numbers (comparable: false in params.yaml); "
            f"there are {', '.join(work.hypotheses)}"
        )
    found = document(works)
    if as_json:
        print(json.dumps(found))
    else:
        hypotheses_table.show(found, terminal.console())


def around(work: Workspace) -> Found | None:
    """Compare ``work``'s profile with all other comparable ones that have results; None if there are none."""
    if not work.settings.comparable:
        return None
    every = [work if name == work.settings.name else work.changed(profile=name) for name in work.hypotheses]
    found = [other for other in every if other is work or other.store.records()]
    return document(found) if len(found) > 1 else None


def document(works: Sequence[Workspace]) -> Found:
    """Compare the profiles of ``works``, as JSON values, on every artifact that has printed numbers."""
    by_name = {work.settings.name: work for work in works}
    supposed = differing({name: work.settings.assumptions for name, work in by_name.items()})
    # Curves that the paper only draws need not be computed.
    asked = [artifact for artifact in works[0].artifacts if artifact.name not in PAPER or load(artifact.name)]
    made = {name: [work.render(artifact, write=False) for artifact in asked] for name, work in by_name.items()}
    artifacts: list[Found] = []
    for artifact, *documents in zip(asked, *made.values(), strict=True):
        if not any(own.printed for own in documents):
            continue
        about = {field: getattr(artifact, field) for field in ("title", "unit", "digits")}
        differ = [name for name in supposed if name in artifact.assumptions]
        found = compare({own.profile: [own] for own in documents})
        for own in documents:
            found["profiles"][own.profile] |= {field: own.provenance[field] for field in RESTS_ON}
        artifacts.append({"artifact": artifact.name, **about, "differ": differ, **found})
    total = compare(made)
    del total["cells"]
    for name, of_profile in made.items():
        counts = Counter(key for own in of_profile for key in own.provenance["keys"])
        shared = sum(count > 1 for count in counts.values())
        total["profiles"][name] |= {"runs": len(counts), "runs_shared": shared}
    return {
        "profiles": list(by_name),
        "assumptions": supposed,
        "values": differing({name: _values(work) for name, work in by_name.items()}),
        "artifacts": artifacts,
        "total": total,
        "conclusion": conclusion(list(by_name), artifacts),
    }


def compare(documents: Mapping[str, Sequence[Document]]) -> Found:
    """Compare the printed cells of each profile's ``documents``: counts and the RMS of z, over all and over common
    cells. Common cells are those that have a z in every profile."""
    beside: dict[tuple[str, ...], dict[str, Cell]] = {}
    for name, of_profile in documents.items():
        for made in of_profile:
            for cell in made.printed:
                place = (made.artifact, cell.series, cell.row, cell.col)
                beside.setdefault(place, {})[name] = cell
    common = [
        cells
        for cells in beside.values()
        if len(cells) == len(documents) and all(cell.z is not None for cell in cells.values())
    ]
    profiles: dict[str, Found] = {}
    for name in documents:
        own = [cells[name] for cells in beside.values() if name in cells]
        verdicts = Counter(cell.verdict for cell in own)
        counts = {verdict.replace(" ", "_"): verdicts.pop(verdict, 0) for verdict in (WITHIN, OUTSIDE, NOT_RUN)}
        profiles[name] = {
            **counts,
            "other": verdicts.total(),  # of unknown noise, or diverged
            "compared": sum(cell.z is not None for cell in own),
            "rms": rms(own),
            "common_rms": rms(cells[name] for cells in common),
        }
    return {
        "profiles": profiles,
        "common": len(common),
        "alike": sum(len({cell.reproduced for cell in cells.values()}) == 1 for cells in common),
        "apart": sum(len({cell.verdict for cell in cells.values()}) > 1 for cells in common),
        "cells": [_row(cells) for cells in common],
    }


def rms(cells: Iterable[Cell]) -> float | None:
    """Return the root mean square of z, None where no cell has one. Noise alone gives about 1."""
    squares = [z * z for cell in cells if (z := cell.z) is not None]
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else None


def _row(beside: Mapping[str, Cell]) -> Found:
    """Return a cell's place and printed number, and by profile what stands beside it."""
    first = next(iter(beside.values()))
    row: Found = {field: getattr(first, field) for field in ("series", "row", "col", "published")}
    for field in ("reproduced", "z", "n", "band", "verdict"):
        row[field] = {name: getattr(cell, field) for name, cell in beside.items()}
    return row


def conclusion(profiles: Sequence[str], artifacts: Sequence[Found]) -> str:
    """State in words what the comparison of ``artifacts`` shows, and what it does not."""
    common = [one for one in artifacts if one["common"]]
    if not common:
        return (
            f"No printed number has been run in all of the profiles {', '.join(profiles)}: nothing can be said "
            "between them yet."
        )
    seeds = {name: max(len(one["profiles"][name]["seeds"]) for one in common) for name in profiles}
    few = ", ".join(f"{counted(n, 'seed')} of {name}" for name, n in seeds.items())
    return (
        f"{' '.join(map(_outcome, common))} Cells of one artifact grow from the same dense network of a seed "
        f"({few}), so they are not independent: this is no test, and no probability is attached to it."
    )


def differing(of: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return each name whose value differs between profiles, with the values; None if a profile lacks it."""
    names = dict.fromkeys(name for own in of.values() for name in own)
    found = {name: {profile: own.get(name) for profile, own in of.items()} for name in names}
    return {name: own for name, own in found.items() if any(v != next(iter(own.values())) for v in own.values())}


def _outcome(one: Found) -> str:
    """Say which profile is closest to the printed numbers of an artifact, on the common cells."""
    common, alike = one["common"], one["alike"]
    where = f"On the {f'{common} cells' if common > 1 else 'one cell'} of {label(one['artifact'])} that all have"
    if alike == common:
        return f"{where}, all give the same numbers."
    if alike:
        where += f" ({alike} of them the same in all)"
    apart = f"verdicts differ on {one['apart'] or 'none'} of them"
    if common == 1:
        apart = "the verdicts differ" if one["apart"] else "the verdict is the same"
    (least, best), *others = sorted((own["common_rms"], name) for name, own in one["profiles"].items())
    which = "smaller" if len(others) == 1 else "smallest"
    against = ", ".join(f"{value:.2f} for profile {name}" for value, name in others)
    closest = f"profile {best} has the {which} RMS in units of noise: {least:.2f}, against {against}"
    if math.isclose(least, others[0][0], rel_tol=1e-9):
        closest = f"profiles {best} and {others[0][1]} have the same RMS in units of noise: {least:.2f}"
    return f"{where}, {closest}; {apart}."


def _values(work: Workspace) -> dict[str, Any]:
    """Return everything that a profile sets, by dotted name, and the noise that its bands are made of."""
    profile = work.settings.profile
    values = {**vars(profile), **profile.blocks}
    for name in ("comparable", "supposes", "blocks"):
        del values[name]
    return _flat(values)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    inner = vars(value) if dataclasses.is_dataclass(value) else value
    if not isinstance(inner, Mapping):
        return {name: list(value) if isinstance(value, tuple) else value}
    parts = [_flat(own, f"{name}.{key}".lstrip(".")) for key, own in inner.items()]
    return {key: own for part in parts for key, own in part.items()}
