"""Format numbers as text: the same digits, and a true minus sign, wherever they are shown."""

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


def amount(value: float) -> str:
    """Format a statistic (points, shares, ratios) with about three significant digits."""
    decimals = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return (f"{value:.3g}" if abs(value) < 0.1 else f"{value:,.{decimals}f}").replace("-", MINUS)
