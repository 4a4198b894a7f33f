"""Register statistics by name, and report cells that one of them needs and that do not exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from repro.claims.expressions import Expression
from repro.claims.tables import CellIndex, MissingCells
from repro.published import Claim

Build = TypeVar("Build", bound=Callable[..., Expression])
T = TypeVar("T")

STATISTICS: dict[str, Callable[..., Expression]] = {}


def statistic(build: Build) -> Build:
    """Register a statistic by its function's name. claims.yaml defines it in words (``definition:``).

    The function takes a `CellIndex` and, if the claim has an ``of:``, that text. It raises `MissingCells`.
    """
    STATISTICS[build.__name__] = build
    return build


def expression_of(claim: Claim, index: CellIndex) -> Expression:
    """Build the statistic of a claim. Raises `MissingCells`."""
    arguments: list[Any] = [index, claim.of] if claim.of else [index]
    return STATISTICS[claim.statistic](*arguments)


def require_any(found: Sequence[T], what: str) -> Sequence[T]:
    """Return ``found``, unless it is empty. Raises `MissingCells` with ``what``."""
    if not found:
        raise MissingCells(f"there is no {what}")
    return found
