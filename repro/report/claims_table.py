"""Show the claims' document (repro/claims/report.py): a claim's numbers in words, alike on a terminal, in Markdown
and on the page, and their places in a drawing; all claims as a table."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.report.numbers import amount, brief
from repro.report.tables import Table
from repro.words import counted, tally

Claims = Mapping[str, Any]
"""The claims' document."""
Claim = Mapping[str, Any]
"""One of its ``claims``."""
HEADER = ("verdict", "claim", "statistic (95 % interval)", "bounds", "seeds", "waits for", "section", "id")
AHEAD = 3  # parts of a sprint that are named
COUNTED = ("points", "%", "epochs")  # units that follow a number without a comma


@dataclass(frozen=True)
class Told:
    """A claim's numbers as text, each empty where there is none.

    ``value`` is the statistic, ``unbounded`` for a curve that never settles; ``range`` its 95 % interval and unit,
    ``(0.15 to 0.40) points``; ``printed`` the same statistic of the paper's own numbers. Within its ``bounds``,
    ``> -0.5 and < 0.5``, the claim is true. What would decide it: ``needed``, ``about 7 seeds``; or ``waits``,
    ``waits for: gradual pruning (71 Runs)``, a part of a sprint.
    """

    value: str
    range: str
    printed: str
    bounds: str
    needed: str
    waits: str

    @property
    def statistic(self) -> str:
        """Value, interval and unit: ``-1.50 (-6.78 to 3.75) points``; ``0.566 (0.482 to 0.650), ratio``."""
        return f"{self.value} {self.range}".strip()


def told(claim: Claim) -> Told:
    """Format a claim's numbers. Epochs are whole numbers, or nearly."""
    unit, own, part = claim["unit"], claim["own_epochs"], claim["next"]

    def number(field: str) -> str:
        value = claim[field]
        return "" if value is None else brief(value) if "epoch" in unit else amount(value)

    value, low, high, printed = map(number, ("value", "low", "high", "published"))
    value = value or ("unbounded" if "value" in claim["unbounded"] else "")
    ends = f"{low} to {high}" if low and high else f"from {low} up" if low else f"up to {high}" if high else ""
    behind = f"{' ' if unit.startswith(COUNTED) else ', '}{unit}" if unit else ""
    here = f" (here {brief(own['value'])} of {own['of']})" if own else ""
    bounds = [
        f"{sign} {brief(claim[field])}"
        for field, sign in (("above", ">"), ("below", "<"))
        if claim[field] is not None
    ]
    return Told(
        value=value,
        range=f"({ends or 'no interval'}){behind}{here}" if value else "",
        printed=printed and printed + behind,
        bounds=" and ".join(bounds),
        needed=f"about {counted(claim['needed'], 'seed')}" if claim["needed"] else "",
        waits=f"waits for: {part['part']} ({counted(part['runs'], 'Run')})" if part else "",
    )


def basis(claim: Claim) -> str:
    """Say what the verdict rests on: the statistic's definition, its value and its noise, or what is missing."""
    words = told(claim)
    if words.value:
        noise = f" ({claim['noise']})" if claim["noise"] else ""
        rest = f"Value and 95 % interval: {words.statistic}{noise}."
    else:
        why = "; ".join(filter(None, [claim["missing"], words.waits]))
        rest = f"({why})" if why else ""
    return f"{claim['verdict']}. {claim['definition']} {rest}".rstrip()


def epochs(claims: Claims) -> str:
    """Explain the claims' epochs in this profile's own; empty where the schedules are the paper's."""
    found = [
        f"{own['paper'] // 2} of its {own['paper']} on {own['images']} is {own['own'] / 2:g} of this profile's "
        f"{own['own']}"
        for own in claims["schedules"]
        if own["paper"] != own["own"]
    ]
    return f"Epochs in the claims are the paper's: epoch {', and epoch '.join(found)}." if found else ""


def places(claim: Claim, width: float = 260.0) -> dict[str, float]:
    """Return where a drawing ``width`` pixels wide has the claim's numbers: with room around, a single one in the
    middle. ``left`` and ``right`` are the ends of the zone in which the claim holds."""
    edge = 12.0
    fields = ("above", "below", "value", "low", "high", "published")
    known = {name: float(claim[name]) for name in fields if claim[name] is not None}
    low, high = min(known.values(), default=0.0), max(known.values(), default=1.0)
    room = 0.22 * (high - low) or abs(low) * 0.5 or 1.0
    scale = (width - 2 * edge) / (high - low + 2 * room)
    found = {name: round(edge + scale * (value - low + room), 1) for name, value in known.items()}
    return {"left": found.get("above", edge), "right": found.get("below", width - edge)} | found


def table(found: Claims) -> Table:
    """Return a table for a terminal: a claim a row, in the paper's order, with its sentence."""
    rows = []
    for claim in found["claims"]:
        said = told(claim)
        seeds = str(claim["n"]) if said.value else ""
        numbers = [said.statistic, said.bounds, seeds, said.needed or (claim["next"] or {}).get("part", "")]
        rows.append([claim["verdict"], claim["claim"], *numbers, claim["section"], claim["id"]])
    spare = ("waits for", "section", "seeds", "id")
    return Table(HEADER, rows, heading(found), len(HEADER), folds=HEADER[1:4], spare=spare)


def heading(found: Claims) -> str:
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


def lines(found: Claims, overrides: Sequence[str] = (), *, in_detail: bool = False) -> list[str]:
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
