"""The claims' document (repro/claims) as a table, for a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from repro.report import terminal
from repro.report.document import markdown_table

Verdicts = dict[str, Any]
ORDER = ("holds", "fails", "undecided", "not run", "unpublished")
HEADER = ("verdict", "claim", "section", "statistic", "95 % interval", "holds if", "seeds", "decided by")


def table(found: Verdicts) -> Table:
    """Every claim in a row, in the paper's order."""
    return terminal.table(HEADER, rows(found), heading(found), left=3)


def rows(found: Verdicts) -> list[list[str]]:
    """One row a claim, as in `HEADER`."""
    return [
        [
            claim["verdict"],
            claim["id"],
            claim["section"],
            _number(claim["value"]),
            interval(claim),
            condition(claim),
            str(claim["n"]) if claim["value"] is not None else "",
            f"{claim['needed']} seeds" if claim["needed"] else "",
        ]
        for claim in found["claims"]
    ]


def heading(found: Verdicts) -> str:
    """One sentence: how many claims have each verdict, and of what."""
    counts = ", ".join(f"{n} {verdict}" for verdict in ORDER if (n := found["counts"].get(verdict)))
    if found["source"] == "published":
        return f"The paper's claims on its own printed numbers: {counts}"
    here = f"profile {found['profile']}"
    if found["comparable"]:
        return f"The paper's claims, {here}: {counts}"
    return f"The paper's claims in {here}, which is not the paper's setting and decides nothing about it: {counts}"


def notes(found: Verdicts) -> list[str]:
    """What the table leaves out: why claims were not run, and where the paper contradicts itself."""
    missing: dict[str, list[str]] = {}
    for claim in found["claims"]:
        if claim["missing"]:
            missing.setdefault(claim["missing"], []).append(claim["id"])
    lines = [f"{', '.join(ids)}: {why}" for why, ids in missing.items()]
    lines += ["", "Where the paper's numbers disagree among themselves:"]
    return [
        *lines,
        *(f"- {entry['id']} ({_number(entry['value'])}): {entry['says']}" for entry in contradicted(found)),
    ]


def as_markdown(found: Verdicts) -> str:
    """A page that reads by itself."""
    lines = ["# Claims", "", f"{heading(found)}.", "", markdown_table(HEADER, rows(found)), "", "## Sentences", ""]
    for claim in found["claims"]:
        lines += [f"**{claim['id']}** ({claim['section']}): {claim['claim']}", "", f"> {claim['quote']}", ""]
        lines += [f"{claim['verdict']}. {claim['definition']} {_noise(claim)}".rstrip(), ""]
    lines += ["## Where the paper's numbers disagree among themselves", ""]
    lines += [f"- **{e['id']}** ({_number(e['value'])}): {e['says']} {e['computed']}" for e in contradicted(found)]
    lines += ["", "## Sentences that no Run decides", ""]
    lines += [f"- {entry['section']}: “{entry['quote']}” {entry['why']}" for entry in found["untested"]]
    return "\n".join(lines) + "\n"


def contradicted(found: Verdicts) -> Sequence[dict[str, Any]]:
    """The paper's contradictions."""
    return list(found["contradictions"])


def interval(claim: dict[str, Any]) -> str:
    """``0.15 to 0.40``; an end that is not bounded is a dash."""
    if claim["value"] is None or (claim["low"] is None and claim["high"] is None):
        return ""
    return f"{_number(claim['low']) or '–'} to {_number(claim['high']) or '–'}"


def condition(claim: dict[str, Any]) -> str:
    """``> -0.5 and < 0.5``."""
    bounds = [
        f"{sign} {_number(claim[key])}" for key, sign in (("above", ">"), ("below", "<")) if claim[key] is not None
    ]
    return " and ".join(bounds)


def _noise(claim: dict[str, Any]) -> str:
    if claim["value"] is None:
        return claim["missing"] and f"({claim['missing']})"
    return f"Value {_number(claim['value'])}, interval {interval(claim) or 'unknown'} ({claim['noise']})."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
