"""Show the claims' document (repro/claims) on a terminal and in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from repro.report.numbers import amount
from repro.report.statistic import basis, epochs, told
from repro.report.tables import Table
from repro.report.templates import render
from repro.words import counted, tally

Verdicts = dict[str, Any]
HEADER = ("verdict", "claim", "statistic (95 % interval)", "bounds", "seeds", "waits for", "section", "id")
AHEAD = 3  # parts of a sprint that are named


def table(found: Verdicts) -> Table:
    """Return a table for a terminal: a claim a row, in the paper's order, with its sentence."""
    rows = []
    for claim in found["claims"]:
        said = told(claim)
        seeds = str(claim["n"]) if said.value else ""
        waits = said.needed or (claim["next"] or {}).get("part", "")
        rows.append(
            [
                claim["verdict"],
                claim["claim"],
                said.statistic,
                said.bounds,
                seeds,
                waits,
                claim["section"],
                claim["id"],
            ]
        )
    spare = ("waits for", "section", "seeds", "id")
    return Table(HEADER, rows, heading(found), len(HEADER), folds=HEADER[1:4], spare=spare)


def heading(found: Verdicts) -> str:
    """Count the claims by verdict, in one sentence."""
    where = f", profile {found['profile']}"
    if found["source"] == "published":
        where = " on its own printed numbers"
    elif not found["comparable"]:
        where = (
            f" in profile {found['profile']}, which is not the paper's setting and decides none of them "
            "(statistics are for orientation)"
        )
    return f"The paper's claims{where}: {tally(found['counts'])}"


def lines(found: Verdicts, overrides: Sequence[str] = (), *, in_detail: bool = False) -> list[str]:
    """Return what stands below the table: epochs; ``in_detail`` each claim's sentence and what it rests on, else
    why claims were not run and where the paper contradicts itself; what a sprint would train first."""
    shown = [*filter(None, [epochs(found)])]
    missing: dict[str, list[str]] = {}
    parts: dict[str, list[int]] = {}  # the Runs up to the end of a part, once for each claim that waits for it
    for claim in found["claims"]:
        if in_detail:
            shown += ["", f"{claim['id']} ({claim['section']}): “{claim['quote']}”", basis(claim)]
        if claim["missing"]:
            missing.setdefault(claim["missing"], []).append(claim["id"])
        if part := claim["next"]:
            parts.setdefault(part["part"], []).append(part["runs"])
    if not in_detail:
        shown += [f"{', '.join(ids)}: {why}" for why, ids in missing.items()]
        shown += ["", "Where the paper's numbers disagree among themselves:"]
        shown += [f"- {one['id']} ({amount(one['value'])}): {one['says']}" for one in found["contradictions"]]
    if parts:
        first = "; ".join(
            f"{name} ({counted(runs[0], 'Run')} up to there, for {counted(len(runs), 'claim')})"
            for name, runs in sorted(parts.items(), key=lambda part: part[1][0])[:AHEAD]
        )
        sets = "".join(f" --set {shlex.quote(text)}" for text in overrides)
        command = f"repro sprint --profile {found['profile']}{sets} --time-budget 10m"
        shown += ["", f"`{command}` trains these first, where what they start from is here: {first}"]
    return shown


def as_markdown(found: Verdicts) -> str:
    """Return a page that reads by itself."""
    return render("claims.md.j2", shown=table(found), epochs=epochs(found), found=found)
