"""A claim's numbers in words, alike on a terminal, in Markdown and on the page, and their places in a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from repro.report.numbers import amount, brief
from repro.words import counted

Claim = Mapping[str, Any]
"""An entry of the claims' document (repro/claims/report.py)."""
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


def epochs(claims: Mapping[str, Any]) -> str:
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
