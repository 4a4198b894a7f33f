"""The cores that this process may use. Light: no torch."""

from __future__ import annotations

import os


def core_numbers() -> frozenset[int]:
    """Their numbers."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def cores() -> int:
    """How many they are."""
    return len(core_numbers())


def share(of: int) -> int:
    """``of`` cores among the processes that torchrun started on this machine: each one's, at least 1."""
    return max(1, of // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
