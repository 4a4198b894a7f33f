"""How fast this device trains, as it was measured: by strategy and number of lanes, with the date, in a JSON file.

    {"<device, network, ...>": {"batched": {"1": 60.0, "4": 200.0}, "measured": "2026-11-26T19:04:00+00:00"}}

Imports no torch.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from repro.errors import MissingInput
from repro.files import parse_json, write_text
from repro.options import STRATEGIES

GAIN = 1.03  # what is not so many times faster counts as equal, and the simpler is taken
SIMPLEST_FIRST = STRATEGIES[1:]  # without auto
EAGER = "eager"

Speeds = dict[str, dict[int, float]]


@dataclass(frozen=True)
class Choice:
    """Images a second of all lanes together, by strategy and number of lanes.

    Where none was measured ``unmeasured`` says what is taken. ``measured`` is when that was (ISO 8601, UTC; empty
    where nobody wrote it down); Runs that ended after ``runs_from`` tell more about the speed of training."""

    speeds: Speeds = field(default_factory=dict)
    unmeasured: tuple[str, int] = (EAGER, 1)
    measured: str = field(default="", compare=False)
    runs_from: str = field(default="", compare=False)

    @property
    def names(self) -> list[str]:
        """Strategies, the fastest first; the simplest of those that are as good as that."""
        best = {name: max(own.values()) for name, own in self.speeds.items()}
        ordered = sorted(best, key=lambda name: -best[name])
        if not ordered:
            return [self.unmeasured[0]]
        first = next(name for name in SIMPLEST_FIRST if GAIN * best.get(name, 0.0) >= best[ordered[0]])
        return [first, *(name for name in ordered if name != first)]

    @property
    def lanes(self) -> int:
        """How many are fastest."""
        if not self.speeds:
            return self.unmeasured[1]
        own = self.speeds[self.names[0]]
        best = 1
        for count in sorted(own):
            if own[count] > GAIN * own.get(best, 0.0):
                best = count
        return best

    def speed(self, lanes: int, name: str | None = None) -> float:
        """Images a second of ``lanes`` lanes by strategy ``name`` (default: the fastest), between measured numbers
        by proportion. Raises `KeyError` for a strategy that was not measured."""
        own = self.speeds[name or self.names[0]]
        counts = sorted(own)
        return float(np.interp(lanes, counts, [own[count] for count in counts])) * min(1.0, lanes / counts[0])

    def speed_of(self, busy: int, lanes: int) -> float:
        """Images a second where ``busy`` of ``lanes`` lanes are at work, by the strategy that is fastest with so
        many: one that computes all lanes as one network is no faster for those that wait."""
        name = self.names_at(lanes)[0]
        if name.startswith("batched"):
            return self.speed(lanes, name) * busy / lanes
        return self.speed(busy, name)

    def names_at(self, lanes: int) -> list[str]:
        """`names`, but the one first that is fastest with so many lanes."""
        names = self.names
        if not self.speeds:
            return names
        best = max(names, key=lambda name: self.speed(lanes, name))
        if self.speed(lanes, best) <= GAIN * self.speed(lanes, names[0]):
            return names
        return [best, *(name for name in names if name != best)]

    def said(self) -> str:
        """For people: ``streams, 16 Runs at a time``."""
        return f"{self.names[0]}, {f'{self.lanes} Runs' if self.lanes > 1 else 'one Run'} at a time"


def now() -> str:
    """This moment, as it is written down."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(cache: Path | None, key: str) -> Choice:
    """What ``cache`` holds under ``key``; nothing of it that is absent, damaged or impossible."""
    own = dict(_items(dict(_items(_content(cache))).get(key)))
    found = {name: _speeds(counts) for name, counts in own.items()}
    dates = {name: own[name] for name in ("measured", "runs_from") if isinstance(own.get(name), str)}
    return Choice({name: found[name] for name in SIMPLEST_FIRST if found.get(name)}, **dates)


def keep(cache: Path | None, key: str, speeds: Mapping[str, Mapping[int, float]]) -> None:
    """Add ``speeds`` to what ``cache`` holds under ``key``: other strategies and other numbers of lanes stay, and
    so does the date, where there is one."""
    known = read(cache, key)
    merged = {name: known.speeds.get(name, {}) | dict(own) for name, own in speeds.items()}
    first = not known.speeds
    dates = (now(), now()) if first else (known.measured, known.runs_from)
    write(cache, key, Choice(known.speeds | merged, measured=dates[0], runs_from=dates[1]))


def write(cache: Path | None, key: str, choice: Choice) -> None:
    """Write ``choice`` into ``cache``. A cache that cannot be written only costs another measurement."""
    if cache is None:
        return
    dates = {name: date for name in ("measured", "runs_from") if (date := getattr(choice, name))}
    others = {name: own for name, own in _items(_content(cache)) if isinstance(own, dict)}
    everything = others | {key: {**choice.speeds, **dates}}
    with contextlib.suppress(MissingInput):
        write_text(cache, json.dumps(everything, indent=1, sort_keys=True) + "\n")


def positive(value: Any) -> bool:
    """Whether ``value`` can be a speed: a number above 0, and finite."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def _content(cache: Path | None) -> Any:
    if cache is not None:
        with contextlib.suppress(OSError, ValueError):
            return parse_json(cache.read_text())
    return None


def _speeds(counts: Any) -> dict[int, float]:
    pairs = {n: v for n, v in _items(counts) if n.isdigit() and int(n) > 0 and (v == 0 or positive(v))}
    return {int(count): float(speed) for count, speed in pairs.items()}


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
