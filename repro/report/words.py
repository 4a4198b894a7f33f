"""Words about numbers and machines."""

from __future__ import annotations

import re
from collections.abc import Iterable


def counted(count: int, what: str) -> str:
    """``1 Run``, ``1,200 Runs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


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
