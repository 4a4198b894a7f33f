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
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from repro import published
from repro.artifacts import PAPER
from repro.cells import NOT_RUN, OUTSIDE, WITHIN, Cell
from repro.errors import UsageError
from repro.options import Options
from repro.report import hypotheses_table, terminal
from repro.report.document import provenance
from repro.report.reading import label
from repro.words import counted
from repro.workspace import Workspace

Document = dict[str, Any]
Place = Hashable
RESTS_ON = ("runs", "seeds", "devices", "precisions")


def show(options: Options, names: Sequence[str], profiles: str, *, as_json: bool) -> None:
    """Print the ``profiles``, two or more comparable ones separated by commas, side by side. Raises `UsageError`
    for any others."""
    given = f"--profiles {profiles}"
    if options.profile or options.overrides:
        other = "--profile" if options.profile else "--set"
        raise UsageError(f"{given} and {other}: choose one of them (a changed profile is not a hypothesis)")
    chosen = [name.strip() for name in profiles.split(",")]
    work = Workspace(dataclasses.replace(options, profile=None), names)
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


def around(work: Workspace) -> Document | None:
    """Compare ``work``'s profile with all other comparable ones that have results; None if there are none."""
    if not work.settings.comparable:
        return None
    every = [work if name == work.settings.name else work.changed(profile=name) for name in work.hypotheses]
    found = [other for other in every if other is work or other.store.records()]
    return document(found) if len(found) > 1 else None


def document(works: Sequence[Workspace]) -> Document:
    """Compare the profiles of ``works``, as JSON values, on every artifact that has printed numbers."""
    by_name = {work.settings.name: work for work in works}
    supposed = differing({name: work.settings.assumptions for name, work in by_name.items()})
    artifacts: list[Document] = []
    every: dict[str, dict[Place, Cell]] = {name: {} for name in by_name}
    behind: dict[str, Counter[str]] = {name: Counter() for name in by_name}
    for artifact in works[0].artifacts:
        if artifact.name in PAPER and not published.load(artifact.name):
            continue  # curves that the paper only draws need not be computed
        made = {name: work.cells(artifact) for name, work in by_name.items()}
        cells: dict[str, dict[Place, Cell]] = {
            name: {(artifact.name, c.series, c.row, c.col): c for c in own if c.published is not None}
            for name, (own, _) in made.items()
        }
        if not any(cells.values()):
            continue
        rests: dict[str, Document] = {}
        for name, work in by_name.items():
            origin = provenance(work.study, made[name][1], [])
            rests[name] = {field: origin[field] for field in RESTS_ON}
            every[name] |= cells[name]
            behind[name].update(origin["keys"])
        about = {field: getattr(artifact, field) for field in ("title", "unit", "digits")}
        differ = [name for name in supposed if name in artifact.assumptions]
        artifacts.append({"artifact": artifact.name, **about, "differ": differ, **compare(cells, rests)})
    shared = {
        name: {"runs": len(keys), "runs_shared": sum(count > 1 for count in keys.values())}
        for name, keys in behind.items()
    }
    total = compare(every, shared)
    del total["cells"]
    return {
        "profiles": list(by_name),
        "assumptions": supposed,
        "values": differing({name: _values(work) for name, work in by_name.items()}),
        "artifacts": artifacts,
        "total": total,
        "conclusion": conclusion(list(by_name), artifacts),
    }


def rms(values: Iterable[float]) -> float | None:
    """Return the root mean square, None without values. The RMS of z is about 1 if there is nothing but noise."""
    squares = [value * value for value in values]
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else None


def compare(cells: Mapping[str, Mapping[Place, Cell]], rests: Mapping[str, Mapping[str, Any]]) -> Document:
    """Compare the printed ``cells`` of each profile: counts and the RMS of z, over all and over common cells.

    Common cells are those that have a z in every profile. ``rests`` adds what each profile's cells rest on."""
    scores = {name: {p: z for p, cell in own.items() if (z := cell.z) is not None} for name, own in cells.items()}
    common = [p for p in next(iter(scores.values()), {}) if all(p in own for own in scores.values())]
    rows: list[Document] = []
    for place in common:
        beside = {name: own[place] for name, own in cells.items()}
        first = next(iter(beside.values()))
        row: Document = {field: getattr(first, field) for field in ("series", "row", "col", "published")}
        for field in ("reproduced", "z", "n", "band", "verdict"):
            row[field] = {name: getattr(cell, field) for name, cell in beside.items()}
        rows.append(row)
    profiles: dict[str, Document] = {}
    for name, own in cells.items():
        counts = Counter(cell.verdict for cell in own.values())
        within, outside, not_run = counts[WITHIN], counts[OUTSIDE], counts[NOT_RUN]
        profiles[name] = {
            "within": within,
            "outside": outside,
            "not_run": not_run,
            "other": len(own) - within - outside - not_run,  # of unknown noise, or diverged
            "compared": len(scores[name]),
            "rms": rms(scores[name].values()),
            "common_rms": rms(scores[name][place] for place in common),
            **rests.get(name, {}),
        }
    return {
        "profiles": profiles,
        "common": len(common),
        "alike": sum(len(set(row["reproduced"].values())) == 1 for row in rows),
        "apart": sum(len(set(row["verdict"].values())) > 1 for row in rows),
        "cells": rows,
    }


def conclusion(profiles: Sequence[str], artifacts: Sequence[Document]) -> str:
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


def _outcome(one: Document) -> str:
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
    if math.isclose(least, others[0][0], rel_tol=1e-9):
        tied = f"profiles {best} and {others[0][1]} have the same RMS in units of noise"
        return f"{where}, {tied}: {least:.2f}; {apart}."
    which = "smaller" if len(others) == 1 else "smallest"
    against = ", ".join(f"{value:.2f} for profile {name}" for value, name in others)
    return (
        f"{where}, profile {best} has the {which} RMS in units of noise: {least:.2f}, against {against}; {apart}."
    )


def _values(work: Workspace) -> dict[str, Any]:
    """Return everything that a profile sets, by dotted name, and the noise that its bands are made of."""
    profile = work.settings.profile
    text = json.dumps(
        {**vars(profile), **profile.blocks},
        default=lambda value: vars(value) if dataclasses.is_dataclass(value) else dict(value),
    )
    values = _flat(json.loads(text))
    return {n: v for n, v in values.items() if n != "comparable" and not n.startswith(("supposes.", "blocks."))}


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    parts = [_flat(inner, f"{name}.{key}".lstrip(".")) for key, inner in value.items()]
    return {key: inner for part in parts for key, inner in part.items()}
