"""Format numbers as text: the same digits, and a true minus sign, wherever a document is shown."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"
MOST_PRINTED = 3  # digits after the point in the paper


def fixed(value: float, decimals: int, *, sign: bool = False) -> str:
    """Format ``value`` with exactly ``decimals`` decimals; zero has no sign."""
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def brief(value: float) -> str:
    """Format ``value`` with no more digits than it needs."""
    return f"{value:,.6g}".replace("-", MINUS)
