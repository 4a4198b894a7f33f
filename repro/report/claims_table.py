"""Show the claims' document (repro/claims) on a terminal and in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from repro.report import statistic
from repro.report.grid import Grid
from repro.report.reading import words
from repro.report.templates import render
from repro.words import counted

Verdicts = dict[str, Any]
HEADER = ("verdict", "claim", "statistic (95 % interval)", "bounds", "seeds", "waits for", "section", "id")
AHEAD = 3  # parts of a sprint that are named


def table(found: Verdicts) -> Grid:
    """Return a table for a terminal: a claim a row, in the paper's order, with its sentence."""
    rows = [
        [
            claim["verdict"],
            claim["claim"],
            statistic.told(claim),
            statistic.bounds(claim),
            str(claim["n"]) if statistic.has_value(claim) else "",
            statistic.decided_by(claim),
            claim["section"],
            claim["id"],
        ]
        for claim in found["claims"]
    ]
    spare = ("waits for", "section", "seeds", "id")
    return Grid(HEADER, rows, heading(found), len(HEADER), folds=HEADER[1:4], spare=spare)


def heading(found: Verdicts) -> str:
    """Count the claims by verdict, in one sentence."""
    counts = words(found["counts"])
    if found["source"] == "published":
        return f"The paper's claims on its own printed numbers: {counts}"
    here = f"profile {found['profile']}"
    if found["comparable"]:
        return f"The paper's claims, {here}: {counts}"
    return (
        f"The paper's claims in {here}, which is not the paper's setting and decides none of them (statistics are "
        f"for orientation): {counts}"
    )


def notes(found: Verdicts) -> list[str]:
    """Explain epochs, why claims were not run, and where the paper contradicts itself."""
    missing: dict[str, list[str]] = {}
    for claim in found["claims"]:
        if claim["missing"]:
            missing.setdefault(claim["missing"], []).append(claim["id"])
    return [
        *filter(None, [statistic.epochs(found)]),
        *(f"{', '.join(ids)}: {why}" for why, ids in missing.items()),
        "",
        "Where the paper's numbers disagree among themselves:",
        *(f"- {one['id']} ({statistic.amount(one['value'])}): {one['says']}" for one in found["contradictions"]),
    ]


def sentences(found: Verdicts) -> list[str]:
    """Return for each claim the paper's sentence, its statistic's definition and its noise."""
    lines = list(filter(None, [statistic.epochs(found)]))
    for claim in found["claims"]:
        lines += ["", f"{claim['id']} ({claim['section']}): “{claim['quote']}”", statistic.basis(claim)]
    return lines


def as_markdown(found: Verdicts) -> str:
    """Return a page that reads by itself."""
    return render("claims.md.j2", heading=heading(found), epochs=statistic.epochs(found), found=found)


def ahead(found: Verdicts, overrides: Sequence[str] = ()) -> list[str]:
    """Name what a sprint would train first for the claims that wait; nothing where none waits."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for claim in found["claims"]:
        if claim["next"]:
            parts.setdefault(claim["next"]["part"], []).append(claim["next"])
    if not parts:
        return []
    first = sorted(parts.items(), key=lambda part: int(part[1][0]["runs"]))[:AHEAD]
    told = [
        f"{name} ({counted(waiting[0]['runs'], 'Run')} up to there, for {counted(len(waiting), 'claim')})"
        for name, waiting in first
    ]
    command = ["repro sprint --profile", found["profile"], *(f"--set {shlex.quote(text)}" for text in overrides)]
    return [
        "",
        f"`{' '.join(command)} --time-budget 10m` trains these first, where what they start from is here: "
        f"{'; '.join(told)}",
    ]
