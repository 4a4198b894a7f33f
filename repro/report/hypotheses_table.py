"""Show profiles side by side on a terminal; prepare what page and README share (repro/commands/hypotheses.py)."""

from __future__ import annotations

from collections.abc import Mapping
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
    to.print(f"[bold]Hypotheses[/bold]  {', '.join(found['profiles'])}")
    for name, texts in found["assumptions"].items():
        to.print(terminal.table(("profile", name), [[*pair] for pair in texts.items()], folds=[name]))
    if found["values"]:
        to.print(terminal.table(("name", "value"), values(found), folds=["name", "value"]))
    to.print()
    to.print(terminal.table(HEADER, rows(found), left=2))
    for line in notes(found):
        to.print(line, markup=False)
    if lines := rests(found):
        to.print(terminal.table(("profile", "rests on"), lines, folds=["rests on"]))
    for one in found["artifacts"]:
        if one["common"]:
            header, cells = cell_rows(found, one)
            to.print()
            to.print(terminal.table(header, cells, f"{one['artifact']}: the cells that all have", left=3))
    to.print()
    to.print(found["conclusion"], markup=False)


def content(found: Found) -> dict[str, Any]:
    """Return what page and README show: plain values for their templates."""
    first = next(iter(found["assumptions"]), "").replace("_", " ")
    return {
        "heading": f"The open assumption: which {first}?" if first else "Profiles that follow the paper",
        "profiles": found["profiles"],
        "supposed": [(name.replace("_", " "), texts) for name, texts in found["assumptions"].items()],
        "set": values(found),
        "conclusion": found["conclusion"],
        "header": HEADER,
        "rows": rows(found),
        "notes": notes(found),
        "cells": [(label(one["artifact"]), *cell_rows(found, one)) for one in found["artifacts"] if one["common"]],
        "rests": rests(found),
    }


def rows(found: Found) -> list[list[str]]:
    """Return a row for each artifact and profile as in `HEADER`, the total last."""
    told = [(one["artifact"], one) for one in found["artifacts"]]
    return [
        [name, profile, *(str(own[field]) for field in ("within", "outside", "not_run")), amount(own["rms"]),
         str(own["compared"]), amount(own["common_rms"]), str(one["common"]), str(own["other"])]
        for name, one in [*told, ("total", found["total"])]
        for profile, own in one["profiles"].items()
    ]  # fmt: skip


def notes(found: Found) -> list[str]:
    """Explain the numbers and their limits."""
    lines = [MEANING]
    if alike := found["total"]["alike"]:
        of = found["total"]["common"]
        lines.append(f"{alike} of the {of} common cells are the same in all: they tell nothing between them.")
    if any(own["runs_shared"] for own in found["total"]["profiles"].values()):
        lines.append("Artifacts share Runs, so the last lines count some evidence more than once.")
    if found["assumptions"] and (apart := [label(o["artifact"]) for o in found["artifacts"] if not o["differ"]]):
        lines.append(f"None of the assumptions that differ bears on {', '.join(apart)}.")
    return lines


def rests(found: Found) -> list[tuple[str, str]]:
    """Return (profile, artifacts with their Runs, seeds, devices and precisions); like artifacts share a line."""
    lines = []
    for profile in found["profiles"]:
        alike: dict[str, list[str]] = {}
        for one in found["artifacts"]:
            own = one["profiles"][profile]
            if own["compared"]:
                seeds = ", ".join(map(str, own["seeds"]))
                what = f"{'seed' if len(own['seeds']) == 1 else 'seeds'} {seeds}"
                on = f"{what}; {', '.join(own['devices'])}; {', '.join(own['precisions'])}"
                runs = counted(own["runs"], "Run")
                alike.setdefault(on, []).append(f"{label(one['artifact'])} ({runs})")
        lines += [(profile, f"{', '.join(artifacts)}: {on}") for on, artifacts in alike.items()]
    return lines


def values(found: Found) -> list[tuple[str, str]]:
    """Return (dotted name, ``64 in paper, 128 in paper-128``) of what params.yaml sets differently."""
    return [
        (
            name,
            ", ".join(f"{'nothing' if value is None else value} in {profile}" for profile, value in own.items()),
        )
        for name, own in found["values"].items()
    ]


def cell_rows(found: Found, one: Found) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of an artifact's common cells: place, printed number, each profile's number and z."""
    profiles, digits = found["profiles"], int(one["digits"])
    header = ["series", "row", "column", "printed", *(word for profile in profiles for word in (profile, "z"))]
    rows = [
        [cell["series"], cell["row"], cell["col"], f"{cell['published']:g}"]
        + [
            word
            for profile in profiles
            for word in (fixed(cell["reproduced"][profile], digits), fixed(cell["z"][profile], 1, sign=True))
        ]
        for cell in one["cells"]
    ]
    return header, rows


def amount(value: float | None) -> str:
    """Format an RMS; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"
