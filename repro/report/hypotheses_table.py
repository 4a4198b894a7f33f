"""Profiles side by side (repro/commands/hypotheses.py): the texts that terminal, page and README share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from repro.report import terminal
from repro.report.numbers import fixed
from repro.report.reading import label
from repro.words import counted

Found = Mapping[str, Any]
HEADER = ("artifact", "profile", "within", "outside", "not run", "RMS", "of", "RMS, common", "of", "other")
MEANING = (
    "RMS: root mean square of z, which is reproduced less printed in units of the noise of that difference, "
    "sd sqrt(1 + 1/n); noise alone gives about 1. Common: on the cells that all profiles have, where they are "
    "judged by the same numbers. Other: no noise is known, or a Run diverged."
)


def show(found: Found, to: Console) -> None:
    """Print assumptions, scores, what they rest on, the cells and the conclusion."""
    texts = view(found)
    to.print(f"[bold]Hypotheses[/bold]  {', '.join(found['profiles'])}")
    for name, own in found["assumptions"].items():
        to.print(terminal.table(("profile", name), [[*pair] for pair in own.items()], folds=[name]))
    if texts["set"]:
        to.print(terminal.table(("name", "value"), texts["set"], folds=["name", "value"]))
    to.print()
    to.print(terminal.table(HEADER, texts["rows"], left=2))
    for line in texts["notes"]:
        to.print(line, markup=False)
    if texts["rests"]:
        to.print(terminal.table(("profile", "rests on"), texts["rests"], folds=["rests on"]))
    for name, header, rows in texts["cells"]:
        to.print()
        to.print(terminal.table(header, rows, f"{name}: the cells that all have", left=3))
    to.print()
    to.print(found["conclusion"], markup=False)


def view(found: Found) -> dict[str, Any]:
    """Return rows as in `HEADER`, the total last; common cells as (artifact, header, rows); the rest in words."""
    first = next(iter(found["assumptions"]), "").replace("_", " ")
    rows = [
        [name, profile, *(str(own[field]) for field in ("within", "outside", "not_run")), _rms(own["rms"]),
         str(own["compared"]), _rms(own["common_rms"]), str(one["common"]), str(own["other"])]
        for one in [*found["artifacts"], found["total"]]
        for name in [one.get("artifact", "total")]
        for profile, own in one["profiles"].items()
    ]  # fmt: skip
    return {
        "heading": f"The open assumption: which {first}?" if first else "Profiles that follow the paper",
        "profiles": found["profiles"],
        "supposed": found["assumptions"],
        "set": [
            (
                name,
                ", ".join(
                    f"{'nothing' if value is None else value} in {profile}" for profile, value in own.items()
                ),
            )
            for name, own in found["values"].items()
        ],
        "conclusion": found["conclusion"],
        "header": HEADER,
        "rows": rows,
        "notes": _notes(found),
        "cells": [_cells(one, found["profiles"]) for one in found["artifacts"] if one["common"]],
        "rests": [line for profile in found["profiles"] for line in _rests(found, profile)],
    }


def _rms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _notes(found: Found) -> list[str]:
    """Explain the numbers and their limits."""
    lines, total = [MEANING], found["total"]
    if alike := total["alike"]:
        lines.append(
            f"{alike} of the {total['common']} common cells are the same in all: they tell nothing between them."
        )
    if any(own["runs_shared"] for own in total["profiles"].values()):
        lines.append("Artifacts share Runs, so the last lines count some evidence more than once.")
    if found["assumptions"] and (apart := [label(o["artifact"]) for o in found["artifacts"] if not o["differ"]]):
        lines.append(f"None of the assumptions that differ bears on {', '.join(apart)}.")
    return lines


def _cells(one: Found, profiles: Sequence[str]) -> tuple[str, list[str], list[list[str]]]:
    """Return the artifact, header and rows of its common cells: place, printed number, each number and its z."""
    header, rows = ["series", "row", "column", "printed"], []
    for profile in profiles:
        header += [profile, "z"]
    for cell in one["cells"]:
        rows.append([cell["series"], cell["row"], cell["col"], f"{cell['published']:g}"])
        for profile in profiles:
            rows[-1] += [
                fixed(cell["reproduced"][profile], one["digits"]),
                fixed(cell["z"][profile], 1, sign=True),
            ]
    return label(one["artifact"]), header, rows


def _rests(found: Found, profile: str) -> list[tuple[str, str]]:
    """Return (profile, artifacts with their Runs, seeds, devices and precisions); like artifacts share a line."""
    alike: dict[str, list[str]] = {}
    for one in found["artifacts"]:
        own = one["profiles"][profile]
        if own["compared"]:
            seeds = f"seed{'s' if len(own['seeds']) > 1 else ''} {', '.join(map(str, own['seeds']))}"
            on = f"{seeds}; {', '.join(own['devices'])}; {', '.join(own['precisions'])}"
            alike.setdefault(on, []).append(f"{label(one['artifact'])} ({counted(own['runs'], 'Run')})")
    return [(profile, f"{', '.join(artifacts)}: {on}") for on, artifacts in alike.items()]
