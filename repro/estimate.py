"""Estimate how long Runs take on this device, by a calibration that takes seconds and is stored with its date."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from repro.engine.speeds import Choice
from repro.machine import cores
from repro.plan import cost, end_times, waves
from repro.report import terminal
from repro.run import Photos, Run
from repro.store import Store

BUSY = 2  # load per core above which a measurement is unreliable


@dataclass(frozen=True)
class Pace:
    """The measured speed of one network; ``way`` describes to the user how it trains, ``cuda`` says where."""

    choice: Choice
    way: str = ""
    cuda: bool = False

    @property
    def best(self) -> float:
        """Images per second of as many Runs as train at a time."""
        return self.choice.speed(self.choice.lanes)

    def describe(self) -> str:
        """Describe it for the user: ``6,000 images/s (eager, one Run at a time; calibrated 2 h ago)``."""
        known = filter(None, (self.way, f"calibrated {ago(self.choice.measured)}"))
        return f"{terminal.speed(self.best)} ({'; '.join(known)})"


def paces(
    runs: Sequence[Run], device_name: str, store: Store, log: Console | None = None, again: bool = False
) -> dict[str, Pace]:
    """Return the pace of every network in ``runs``, as far as it is known.

    With a ``log``, what is not known (or everything ``again``) is timed: it takes seconds and is reported there.
    """
    first: dict[str, Run] = {}
    for run in runs:
        if run.epochs:
            first.setdefault(run.arch, run)
    if not first:
        return {}
    from repro.engine import calibration, device  # imports torch, which a plan without missing Runs does not need

    chosen, timed, found = device.choose(device_name), list[str](), dict[str, Pace]()
    cache = store.runs_dir / calibration.CACHE

    def report(what: str) -> None:
        timed.append(what)
        if log:
            log.print(f"timing {what}", markup=False)

    for arch, run in first.items():
        if log:
            choice = calibration.measure(run, chosen, cache, report=report, again=again)
        else:
            choice = calibration.known(run, chosen, cache)
        if choice.speeds:
            way = [] if isinstance(run.data, Photos) else [choice.describe()]
            if device.resolve_precision(run.precision, chosen) == "bfloat16" and not device.fast_bfloat16(chosen):
                way.append("bfloat16 emulated, timed on few images")
            found[arch] = Pace(choice, ", ".join(way), chosen.cuda)
    if log and timed and not chosen.cuda and (load := os.getloadavg()[0]) > BUSY * cores():
        log.print(
            f"this machine is busy (load {load:.0f} on {cores()} cores), so times may be overestimated: "
            "run `repro plan --calibrate` again when it is idle",
            markup=False,
        )
    return found


def seconds(runs: Sequence[Run], known: Mapping[str, Pace], store: Store | None = None) -> float | None:
    """Return how long ``runs`` take in their waves, minus the progress in ``store``; None if a pace is unknown.

    At the end of a wave fewer Runs train, at their own speed."""
    total = 0.0
    for wave in waves(runs):
        images = [left for run in wave if (left := cost([run], store).images)]
        if not images:
            continue
        if (pace := known.get(wave[0].arch)) is None:
            return None
        total += max(end_times(images, min(pace.choice.lanes, len(images)), pace.choice.speed_of))
    return total


def ago(date: str) -> str:
    """Describe how long ago ``date`` (ISO 8601) was."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(date)).total_seconds()
    except (ValueError, TypeError):
        return "at an unknown time"
    return f"{terminal.duration(seconds)} ago" if seconds >= 60 else "just now"
