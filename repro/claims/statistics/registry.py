"""What a statistic is, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from repro.claims.forms import Form
from repro.claims.tables import Absent, Grid

Statistic = Callable[[Grid], Form]
"""Builds a claim's statistic, whose name is the function's, on a grid. Raises `Absent`."""

T = TypeVar("T")


def some(found: Sequence[T], what: str) -> Sequence[T]:
    """``found``, unless it is empty. Raises `Absent` with ``what``."""
    if not found:
        raise Absent(f"there is no {what}")
    return found
