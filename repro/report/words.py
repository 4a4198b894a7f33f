"""Words about numbers."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """``1 Run``, ``1,200 Runs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
