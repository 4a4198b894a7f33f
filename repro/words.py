"""Words about numbers and machines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def counted(count: int, what: str) -> str:
    """``1 Run``, ``1,200 Runs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def are(count: int, what: str) -> str:
    """``1 Run is``, ``1,200 Runs are``."""
    return f"{counted(count, what)} {'is' if count == 1 else 'are'}"


def tally(counts: Mapping[str, int]) -> str:
    """``11 within, 143 not run``; empty where there is nothing."""
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def budget_spent(runs: int, epochs: int) -> str:
    """What there is to say when a time budget ends with so much left."""
    return f"time budget spent: {are(runs, 'Run')} left ({counted(epochs, 'epoch')}); the same command goes on"


def not_finite(labels: Sequence[str]) -> str:
    """What there is to say of Runs whose loss was not a number."""
    return f"the loss of {counted(len(labels), 'Run')} was not finite: {', '.join(labels)}"


def blocked(runs: int) -> str:
    """What there is to say of Runs that grow from what failed."""
    return f"for want of their checkpoints {counted(runs, 'Run')} could not be trained"


def machines(devices: Iterable[str]) -> str:
    """Devices, each once: ``Xeon, 1 thread`` and ``Xeon, 2 threads`` are ``Xeon, 1 or 2 threads``."""
    threads: dict[str, set[int]] = {}
    for device in devices:
        name, _, count = re.fullmatch(r"(.*?)(, (\d+) threads?)?", device, re.DOTALL).groups()  # type: ignore[union-attr]
        threads.setdefault(name, set()).update([int(count)] if count else [])
    found = []
    for name, counts in threads.items():
        told = " or ".join(map(str, sorted(counts)))
        found.append(f"{name}, {told} thread{'' if told == '1' else 's'}" if told else name)
    return ", ".join(found)
