"""Show the claims' document (repro/claims) as a table, on a terminal and in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from repro.report import statistic
from repro.report.grid import Grid
from repro.report.page_summary import waits_for, words
from repro.report.tables import markdown_table
from repro.report.templates import render
from repro.words import counted

Verdicts = dict[str, Any]
ORDER = ("holds", "fails", "undecided", "not comparable", "not run", "unpublished")
HEADER = ("verdict", "claim", "section", "statistic", "95 % interval", "unit", "bounds", "seeds", "waits for")
TOLD = ("verdict", "claim", "statistic (95 % interval)", "bounds", "seeds", "waits for", "section", "id")
AHEAD = 3  # parts of a sprint that are named


def table(found: Verdicts) -> Grid:
    """Return a table for a terminal: a claim a row, in the paper's order, with its sentence."""
    told = [
        [
            claim["verdict"],
            claim["claim"],
            statistic.told(claim),
            statistic.bounds(claim),
            str(claim["n"]) if statistic.has_value(claim) else "",
            _decided_by(claim),
            claim["section"],
            claim["id"],
        ]
        for claim in found["claims"]
    ]
    return Grid(
        TOLD, told, heading(found), len(TOLD), folds=TOLD[1:4], spare=("waits for", "section", "seeds", "id")
    )


def rows(found: Verdicts) -> list[list[str]]:
    """Return a row for each claim, as in `HEADER`."""
    return [
        [
            claim["verdict"],
            claim["id"],
            claim["section"],
            statistic.value(claim),
            statistic.interval(claim),
            statistic.unit(claim) if statistic.has_value(claim) else "",
            statistic.bounds(claim),
            str(claim["n"]) if statistic.has_value(claim) else "",
            _decided_by(claim),
        ]
        for claim in found["claims"]
    ]


def heading(found: Verdicts) -> str:
    """Count the claims by verdict, in one sentence."""
    counts = words(found["counts"], ORDER)
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
    lines = [epochs] if (epochs := statistic.epochs(found)) else []
    lines += [f"{', '.join(ids)}: {why}" for why, ids in missing.items()]
    lines += ["", "Where the paper's numbers disagree among themselves:"]
    return [
        *lines,
        *(
            f"- {entry['id']} ({statistic.amount(entry['value'])}): {entry['says']}"
            for entry in found["contradictions"]
        ),
    ]


def sentences(found: Verdicts) -> list[str]:
    """Return for each claim the paper's sentence, its statistic's definition and its noise."""
    lines = [epochs] if (epochs := statistic.epochs(found)) else []
    for claim in found["claims"]:
        lines += ["", f"{claim['id']} ({claim['section']}): “{claim['quote']}”", _basis(claim)]
    return lines


def as_markdown(found: Verdicts) -> str:
    """Return a page that reads by itself."""
    contradictions = [entry | {"value": statistic.amount(entry["value"])} for entry in found["contradictions"]]
    return render(
        "claims.md.j2",
        heading=heading(found),
        epochs=statistic.epochs(found),
        table=markdown_table(HEADER, rows(found)),
        claims=[claim | {"basis": _basis(claim)} for claim in found["claims"]],
        contradictions=contradictions,
        untested=found["untested"],
    )


def ahead(found: Verdicts, overrides: Sequence[str] = ()) -> list[str]:
    """Name what a sprint would train first for the claims that wait; nothing where none waits."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for claim in found["claims"]:
        if claim["next"]:
            parts.setdefault(claim["next"]["part"], []).append(claim)
    if not parts:
        return []
    first = sorted(parts.values(), key=lambda waiting: int(waiting[0]["next"]["runs"]))[:AHEAD]
    told = [
        f"{waiting[0]['next']['part']} ({counted(waiting[0]['next']['runs'], 'Run')} up to there, for "
        f"{counted(len(waiting), 'claim')})"
        for waiting in first
    ]
    command = ["repro sprint --profile", found["profile"], *(f"--set {shlex.quote(text)}" for text in overrides)]
    return [
        "",
        f"`{' '.join(command)} --time-budget 10m` trains these first, where what they start from is here: "
        f"{'; '.join(told)}",
    ]


def _decided_by(claim: dict[str, Any]) -> str:
    if claim["needed"]:
        return f"{claim['needed']} seeds"
    return str(claim["next"]["part"]) if claim["next"] else ""


def _basis(claim: dict[str, Any]) -> str:
    return f"{claim['verdict']}. {claim['definition']} {_noise(claim)}".rstrip()


def _noise(claim: dict[str, Any]) -> str:
    if not statistic.has_value(claim):
        why = "; ".join(filter(None, [claim["missing"], waits_for(claim)]))
        return why and f"({why})"
    from_ = f" ({claim['noise']})" if claim["noise"] else ""
    return f"Value and 95 % interval: {statistic.told(claim)}{from_}."
