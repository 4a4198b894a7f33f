"""Measured training speeds: a `Choice` by strategy and number of lanes, kept with its date in a JSON file.

    {"<device, network, ...>": {"streams": {"1": 60.0, "4": 200.0}, "measured": "2026-11-26T19:04:00+00:00"}}

Imports no torch. `calibration.py` measures.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from repro.config.fields import build
from repro.errors import MissingInput
from repro.files import parse_json, write_text
from repro.options import STRATEGIES

GAIN = 1.03  # a strategy counts as faster from this factor on; of equals the simplest is taken
SIMPLEST_FIRST = STRATEGIES[1:]  # without auto
EAGER = "eager"

Speeds = dict[str, dict[int, float]]


@dataclass(frozen=True)
class Choice:
    """Images a second of all lanes together, by strategy and number of lanes; ``unmeasured`` is the strategy and
    number of lanes to take where there are none.

    ``measured`` is the date of the calibration (ISO 8601, UTC; empty if not recorded)."""

    speeds: Speeds = field(default_factory=dict)
    unmeasured: tuple[str, int] = (EAGER, 1)
    measured: str = field(default="", compare=False)

    @property
    def best(self) -> tuple[str, int]:
        """The simplest strategy, in the fewest lanes, that is as fast as the fastest."""
        fastest = max((speed for counts in self.speeds.values() for speed in counts.values()), default=0.0)
        for name in SIMPLEST_FIRST:
            for count, speed in sorted(self.speeds.get(name, {}).items()):
                if GAIN * speed >= fastest:
                    return name, count
        return self.unmeasured

    @property
    def lanes(self) -> int:
        """The fastest number of lanes."""
        return self.best[1]

    def names_at(self, lanes: int) -> list[str]:
        """Return the strategies, fastest in ``lanes`` lanes first; among equals the best of all."""
        name, _ = self.best
        speeds = {other: self.speed(lanes, other) * (GAIN if other == name else 1) for other in self.speeds}
        return sorted(speeds, key=lambda other: -speeds[other]) or [name]

    def speed(self, lanes: int, name: str | None = None) -> float:
        """Return the images a second of ``lanes`` lanes by strategy ``name`` (default: the best), interpolated
        between measured numbers of lanes. Raises `KeyError` for a strategy that was not measured."""
        measured = self.speeds[name or self.best[0]]
        counts = sorted(measured)
        speeds = [measured[count] for count in counts]
        return float(np.interp(lanes, counts, speeds)) * min(1.0, lanes / counts[0])

    def speed_of(self, busy: int, lanes: int) -> float:
        """Return the images a second of ``busy`` lanes, by the fastest strategy for ``lanes``."""
        return self.speed(busy, self.names_at(lanes)[0])

    def describe(self) -> str:
        """Describe it for people: ``streams, 16 Runs at a time``."""
        name, lanes = self.best
        return f"{name}, {f'{lanes} Runs' if lanes > 1 else 'one Run'} at a time"


def now() -> str:
    """Return the current time as written to the cache."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(cache: Path, key: str) -> Choice:
    """Return the entry ``key`` of ``cache``; without speeds if there is none, or if one of them is impossible."""
    entry = _entries(cache).get(key, {})
    speeds: Speeds = {}
    try:
        for name in SIMPLEST_FIRST:
            for count, given in entry.get(name, {}).items():
                speed = build(float, given, count)
                if not (int(count) > 0 and 0 <= speed < math.inf):
                    return Choice()
                speeds.setdefault(name, {})[int(count)] = speed
    except (ValueError, TypeError, AttributeError):
        return Choice()
    return Choice(speeds, measured=str(entry.get("measured", "")))


def keep(cache: Path, key: str, speeds: Speeds, again: bool = False) -> None:
    """Add ``speeds`` to the entry ``key`` of ``cache``; ``again``: to an empty one with a new date.

    Other numbers of lanes and the date stay. A cache that cannot be written only costs another measurement."""
    known = Choice() if again else read(cache, key)
    merged = {name: known.speeds.get(name, {}) | counts for name, counts in speeds.items()}
    entry = {**known.speeds, **merged, "measured": known.measured or now()}
    with contextlib.suppress(MissingInput):
        write_text(cache, json.dumps(_entries(cache) | {key: entry}, indent=1, sort_keys=True) + "\n")


def _entries(cache: Path) -> dict[str, dict[str, Any]]:
    """Return what ``cache`` holds; nothing if it is missing or damaged."""
    try:
        content = parse_json(cache.read_text())
        return {key: entry for key, entry in content.items() if isinstance(entry, dict)}
    except (OSError, ValueError, AttributeError):
        return {}
