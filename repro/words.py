"""Phrases with numbers, shared by messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping


def counted(count: int, what: str) -> str:
    """``1 Run``, ``1,200 Runs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def are(count: int, what: str) -> str:
    """``1 Run is``, ``1,200 Runs are``."""
    return f"{counted(count, what)} {'is' if count == 1 else 'are'}"


def tally(counts: Mapping[str, int]) -> str:
    """``11 within, 143 not run``; ``1 holds, 2 fail``; empty without counts."""
    several = {"holds": "hold", "fails": "fail"}
    return ", ".join(f"{n:,} {what if n == 1 else several.get(what, what)}" for what, n in counts.items() if n)


def machines(devices: Iterable[str]) -> str:
    """List devices once: ``Xeon, 1 thread`` and ``Xeon, 2 threads`` become ``Xeon, 1 or 2 threads``."""
    threads: dict[str, set[int]] = {}
    for device in devices:
        name, _, count = re.fullmatch(r"(.*?)(, (\d+) threads?)?", device, re.DOTALL).groups()  # type: ignore[union-attr]
        threads.setdefault(name, set()).update([int(count)] if count else [])
    names = []
    for name, counts in threads.items():
        numbers = " or ".join(map(str, sorted(counts)))
        names.append(f"{name}, {numbers} thread{'' if numbers == '1' else 's'}" if numbers else name)
    return ", ".join(names)
