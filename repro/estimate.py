"""Estimate how long Runs take on this device, by a calibration that takes seconds and is stored with its date."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console

from repro.engine.speeds import EAGER, Choice
from repro.machine import cores
from repro.plan import cost, end_times, waves
from repro.report import terminal
from repro.run import Photos, Run
from repro.store import Store

if TYPE_CHECKING:
    from repro.engine.device import Device

BUSY = 2  # load per core above which a measurement is unreliable


@dataclass(frozen=True)
class Pace:
    """The speed of one network; ``way`` describes to the user how it trains."""

    choice: Choice
    way: str = ""

    @property
    def best(self) -> float:
        """Images per second of as many Runs as train at a time."""
        return self.choice.speed(self.choice.lanes)

    @property
    def source(self) -> str:
        """How the speed is known, for the user."""
        return f"calibrated {ago(self.choice.measured)}"


def measured(
    runs: Sequence[Run], device_name: str, store: Store, log: Console, again: bool = False
) -> tuple[dict[str, Pace], bool]:
    """Return the pace of every network in ``runs``, and whether the device is CUDA.

    Times what the cache does not contain, or everything ``again``, which takes seconds and is reported on ``log``.
    """
    if not (first := first_of_each(runs)):
        return {}, False
    from repro.engine import calibration, device  # imports torch, which a plan without missing Runs does not need

    chosen, timed = device.choose(device_name), list[str]()
    cache = store.runs_dir / calibration.CACHE
    measure = calibration.measure_again if again else calibration.measure

    def report(what: str) -> None:
        timed.append(what)
        log.print(f"timing {what}", markup=False)

    choices: dict[str, Choice] = {}
    for arch, run in first.items():
        names = [EAGER] if _only_eager(run, runs, chosen, store) else calibration.quick(chosen)
        choices[arch] = measure(run, chosen, cache, names, report)
    if timed and not chosen.cuda and (load := os.getloadavg()[0]) > BUSY * cores():
        log.print(
            f"this machine is busy (load {load:.0f} on {cores()} cores), so times may be overestimated: "
            "run `repro plan --calibrate` again when it is idle",
            markup=False,
        )
    return _paces(runs, choices, chosen, store), chosen.cuda


def known(runs: Sequence[Run], device_name: str, store: Store) -> dict[str, Pace]:
    """Return the paces that are known without timing anything."""
    from repro.engine import calibration, device

    chosen, cache = device.choose(device_name), store.runs_dir / calibration.CACHE
    choices = {arch: calibration.known(run, chosen, cache) for arch, run in first_of_each(runs).items()}
    return _paces(runs, choices, chosen, store)


def seconds(runs: Sequence[Run], paces: Mapping[str, Pace], store: Store | None = None) -> float | None:
    """Return how long ``runs`` take in their waves, minus the progress in ``store``; None if a pace is unknown.

    At the end of a wave fewer Runs train, at their own speed."""
    total = 0.0
    for wave in waves(runs):
        images = [left for run in wave if (left := cost([run], store).images)]
        if not images:
            continue
        if (pace := paces.get(wave[0].arch)) is None:
            return None
        total += _wave_seconds(images, pace)
    return total


def _wave_seconds(images: Sequence[int], pace: Pace) -> float:
    return max(end_times(images, min(pace.choice.lanes, len(images)), lambda busy, lanes: pace.choice.speed(busy)))


def first_of_each(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the first of ``runs`` that trains each network; it is timed for all of them."""
    first: dict[str, Run] = {}
    for run in runs:
        if run.epochs:
            first.setdefault(run.arch, run)
    return first


def _only_eager(run: Run, runs: Sequence[Run], device: Device, store: Store) -> bool:
    """Return whether a session trains the network of ``run`` without timing strategies: few images, on a CPU."""
    from repro.engine import calibration

    images = cost([other for other in runs if other.arch == run.arch], store).images
    return not isinstance(run.data, Photos) and not device.cuda and images < calibration.CALIBRATE_FROM


def _paces(runs: Sequence[Run], choices: Mapping[str, Choice], device: Device, store: Store) -> dict[str, Pace]:
    """Return the pace of each network that was calibrated."""
    from repro.engine.device import fast_bfloat16, resolve_precision

    found: dict[str, Pace] = {}
    for arch, run in first_of_each(runs).items():
        choice, way = choices[arch], ""
        if _only_eager(run, runs, device, store):
            eager = {name: speed for name, speed in choice.speeds.items() if name == EAGER}
            choice = dataclasses.replace(choice, speeds=eager)
        if not isinstance(run.data, Photos):
            bfloat16 = resolve_precision(run.precision, device) == "bfloat16"
            emulated = ", bfloat16 emulated" if bfloat16 and not fast_bfloat16(device) else ""
            way = choice.describe() + emulated
        if choice.speeds:
            found[arch] = Pace(choice, way)
    return found


def ago(date: str) -> str:
    """Describe how long ago ``date`` (ISO 8601) was."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(date)).total_seconds()
    except (ValueError, TypeError):
        return "at an unknown time"
    return f"{terminal.duration(seconds)} ago" if seconds >= 60 else "just now"
