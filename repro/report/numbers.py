"""Format numbers as text: the same digits, and a true minus sign, wherever a document is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MINUS = "\N{MINUS SIGN}"
MOST_PRINTED = 3  # digits after the point in the paper


def shown(value: float, document: Mapping[str, Any]) -> str:
    """Format ``value`` with the decimals of the document, or with those that suit its unit."""
    return fixed(value, digits(value, document))


def digits(value: float, document: Mapping[str, Any]) -> int:
    """Return the document's number of decimals; else two for percent, four below one, fewer above."""
    if isinstance(asked := document.get("digits"), int):
        return asked
    if "%" in str(document.get("unit", "")):
        return 2
    return 4 if abs(value) < 1 else 2 if abs(value) < 100 else 0


def fixed(value: float, decimals: int, *, sign: bool = False) -> str:
    """Format ``value`` with exactly ``decimals`` decimals; zero has no sign."""
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def brief(value: float) -> str:
    """Format ``value`` with no more digits than it needs."""
    return f"{value:,.6g}".replace("-", MINUS)
