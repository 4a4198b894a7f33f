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


def threads() -> int:
    """Threads for this process to compute with: one for each of its cores, fewer where OMP_NUM_THREADS says so."""
    most, asked = share(cores()), os.environ.get("OMP_NUM_THREADS", "")
    if "LOCAL_WORLD_SIZE" in os.environ or not asked.isdecimal():  # torchrun says 1, whatever there is
        return most
    return max(1, min(most, int(asked)))
