"""A claim's numbers in words, alike on a terminal, in Markdown and on the page, and their places in a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.report.numbers import MINUS
from repro.words import counted

Claim = Mapping[str, Any]
COUNTED = ("points", "%", "epochs")
"""Units that follow a number without a comma."""


def amount(value: float) -> str:
    """Format a number with about three significant digits: statistics are points, epochs, shares or ratios."""
    decimals = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return _signed(f"{value:.3g}" if abs(value) < 0.1 else f"{value:,.{decimals}f}")


def has_value(claim: Claim) -> bool:
    """Return whether the statistic was computed; it is infinite for a curve that never settles."""
    return claim.get("value") is not None or "value" in (claim.get("unbounded") or ())


def value(claim: Claim) -> str:
    """Format the statistic; empty where there is none."""
    return _end(claim, "value") if claim.get("value") is not None else "unbounded" if has_value(claim) else ""


def interval(claim: Claim) -> str:
    """Format the interval: ``0.15 to 0.40``, ``up to 0.40``; empty where there is no statistic."""
    if not has_value(claim):
        return ""
    low, high = _end(claim, "low"), _end(claim, "high")
    if low and high:
        return f"{low} to {high}"
    return f"from {low} up" if low else f"up to {high}" if high else "no interval"


def with_unit(words: str, claim: Claim) -> str:
    """Append the unit: ``-1.50 (-6.78 to 3.75) points``; ``0.566, ratio``; ``20 epochs of 200 (here 2 of 20)``."""
    unit, own = str(claim.get("unit") or ""), claim.get("own_epochs")
    here = f" (here {_signed(format(own['value'], 'g'))} of {own['of']})" if own else ""
    return f"{words}{' ' if unit.startswith(COUNTED) else ', ' if unit else ''}{unit}{here}"


def told(claim: Claim) -> str:
    """Format statistic, interval and unit; empty where there is no statistic."""
    return with_unit(f"{value(claim)} ({interval(claim)})", claim) if has_value(claim) else ""


def printed(claim: Claim) -> str:
    """Format the same statistic of the paper's own numbers, with its unit; empty where it prints none."""
    found = claim.get("published")
    plain = {**claim, "own_epochs": None}
    return "" if found is None else with_unit(_as_unit(found, claim), plain)


def bounds(claim: Claim) -> str:
    """Format the bounds between which the claim is true: ``> -0.5 and < 0.5``."""
    found = [
        f"{sign} {_signed(format(v, 'g'))}"
        for key, sign in (("above", ">"), ("below", "<"))
        if (v := claim.get(key)) is not None
    ]
    return " and ".join(found)


def needed(claim: Claim) -> str:
    """Say how many seeds would decide the claim: ``about 7 seeds``; empty where no number of seeds does."""
    return f"about {counted(claim['needed'], 'seed')}" if claim["needed"] is not None else ""


def waits(claim: Claim) -> str:
    """Return ``waits for: gradual pruning (71 Runs)``, the part of a sprint for which a claim waits, if any."""
    part = claim.get("next")
    return f"waits for: {part['part']} ({counted(part['runs'], 'Run')})" if part else ""


def epochs(claims: Mapping[str, Any] | None) -> str:
    """Explain the claims' epochs in this profile's own; empty where the schedules are the paper's."""
    found = [
        f"{own['paper'] // 2} of its {own['paper']} on {own['images']} is {own['own'] / 2:g} of this profile's "
        f"{own['own']}"
        for own in (claims or {}).get("schedules") or []
        if own["paper"] != own["own"]
    ]
    return f"Epochs in the claims are the paper's: epoch {', and epoch '.join(found)}." if found else ""


def decided_by(claim: Claim) -> str:
    """Say what would decide the claim, in a table: ``7 seeds``, or the part of a sprint."""
    if claim["needed"]:
        return f"{claim['needed']} seeds"
    return str(claim["next"]["part"]) if claim["next"] else ""


def basis(claim: Claim) -> str:
    """Say what the verdict rests on: the statistic's definition, its value and its noise, or what is missing."""
    if has_value(claim):
        noise = f" ({claim['noise']})" if claim["noise"] else ""
        rest = f"Value and 95 % interval: {told(claim)}{noise}."
    else:
        why = "; ".join(filter(None, [claim["missing"], waits(claim)]))
        rest = f"({why})" if why else ""
    return f"{claim['verdict']}. {claim['definition']} {rest}".rstrip()


def places(claim: Claim, width: float = 260.0, edge: float = 12.0) -> dict[str, float]:
    """Return where a drawing ``width`` pixels wide has the claim's numbers: with room around, a single one in the
    middle. ``left`` and ``right`` are the ends of the zone in which the claim holds."""
    fields = ("above", "below", "value", "low", "high", "published")
    known = {name: float(claim[name]) for name in fields if claim.get(name) is not None}
    low, high = min(known.values(), default=0.0), max(known.values(), default=1.0)
    room = 0.22 * (high - low) or abs(low) * 0.5 or 1.0
    scale = (width - 2 * edge) / (high - low + 2 * room)
    found = {name: round(edge + scale * (value - low + room), 1) for name, value in known.items()}
    return {"left": found.get("above", edge), "right": found.get("below", width - edge)} | found


def _end(claim: Claim, field: str) -> str:
    found = claim.get(field)
    return "" if found is None else _as_unit(found, claim)


def _as_unit(found: float, claim: Claim) -> str:
    """Format a number in the claim's unit; epochs are whole numbers, or nearly."""
    return _signed(f"{found:g}") if "epoch" in str(claim.get("unit")) else amount(found)


def _signed(number: str) -> str:
    """Replace a hyphen by a minus sign."""
    return number.replace("-", MINUS)
