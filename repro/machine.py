"""The cores that this process may use, and its user. Light: no torch."""

from __future__ import annotations

import getpass
import os

from repro.options import placed, ranked


def name_user() -> None:
    """Give the user a name where /etc/passwd does not know the uid and no variable has one (a container with a
    ``--user`` of its own): torch.compile and submitit ask for it, and end where there is none."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        os.environ["USER"] = str(os.getuid())


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
    return max(1, of // placed().local_ranks)


def threads() -> int:
    """Threads for this process to compute with: one for each of its cores, fewer where OMP_NUM_THREADS says so."""
    most, asked = share(cores()), os.environ.get("OMP_NUM_THREADS", "")
    if ranked() or not asked.isdecimal():  # torchrun says 1, whatever there is
        return most
    return max(1, min(most, int(asked)))
