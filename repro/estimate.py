"""Estimate how long Runs take on this device: from a calibration, corrected by finished Runs.

A calibration takes seconds and is stored with its date. Runs that finished here since then, with the same network,
data set, batch size and precision, are better evidence, so they correct the estimate.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from repro.engine.speeds import EAGER, Choice
from repro.machine import cores
from repro.plan import cost, seconds_for, waves
from repro.record import DONE, Record
from repro.report import terminal
from repro.run import Photos, Run
from repro.store import Store
from repro.words import counted

if TYPE_CHECKING:
    from repro.engine.device import Device

CONTRADICTION = 4 / 3  # calibrate again if Runs were this factor slower or faster than calibrated
BUSY = 2  # load per core above which a measurement is unreliable
EVIDENCE = 5.0  # seconds of training below which Runs say nothing about speed


@dataclass(frozen=True)
class Pace:
    """The speed of one network.

    ``speed(n)`` is images per second of n Runs together; ``lanes`` Runs train at the same time. ``way`` (the
    strategy) and ``source`` (how the speed is known) are shown to the user; ``measured`` is the calibration's
    date.
    """

    lanes: int
    speed: Callable[[int], float]
    way: str = ""
    source: str = ""
    measured: str = ""

    @property
    def best(self) -> float:
        """Images per second of all lanes."""
        return self.speed(self.lanes)


def measured(
    runs: Sequence[Run], device_name: str, store: Store, log: Console, again: bool = False, briefly: bool = False
) -> tuple[dict[str, Pace], bool]:
    """Return the pace of every network in ``runs``, and whether the device is CUDA.

    Times what the cache does not contain and what finished Runs contradict, which takes seconds and is reported on
    ``log``. With ``again``, everything is timed, and earlier Runs no longer correct it. With ``briefly`` (for a
    CPU), only the eager strategy is timed, since others are not much faster there.
    """
    paces: dict[str, Pace] = {}
    if not (first := first_of_each(runs)):
        return paces, False
    from repro.engine import device  # imports torch, which a plan without missing Runs does not need

    chosen, timed = device.choose(device_name), list[str]()

    def report(what: str) -> None:
        timed.append(what)
        log.print(f"timing {what}", markup=False)

    for arch, run in first.items():
        timer = _Timer(run, chosen, store, _images(runs, arch, store), report, briefly)
        choice = timer.measure(again)
        finished = timer.finished(choice.measured)
        if (
            not again
            and finished
            and not 1 / CONTRADICTION <= (factor := _factor(finished, choice)) <= CONTRADICTION
        ):
            much = f"{max(factor, 1 / factor):.1f} times as {'fast' if factor > 1 else 'slow'}"
            log.print(f"{arch}: Runs trained {much} as was calibrated {ago(choice.measured)}", markup=False)
            choice = timer.measure(True, choice.runs_from)
        paces[arch] = timer.pace(choice)
    if timed and not chosen.cuda and (load := os.getloadavg()[0]) > BUSY * cores():
        log.print(
            f"this machine is busy (load {load:.0f} on {cores()} cores), so times may be overestimated: "
            "run `repro plan --calibrate` again when it is idle",
            markup=False,
        )
    return paces, chosen.cuda


def known(runs: Sequence[Run], device_name: str, store: Store) -> dict[str, Pace]:
    """Return the paces that are known without timing anything."""
    from repro.engine import device

    chosen = device.choose(device_name)
    timers = {
        arch: _Timer(run, chosen, store, _images(runs, arch, store)) for arch, run in first_of_each(runs).items()
    }
    return {arch: timer.pace(choice) for arch, timer in timers.items() if (choice := timer.known()).speeds}


def seconds(runs: Sequence[Run], paces: Mapping[str, Pace], store: Store | None = None) -> float | None:
    """Return how long ``runs`` take in their waves, minus the progress in ``store``; None if a pace is unknown.

    At the end of a wave fewer Runs train, at their own speed."""
    total = 0.0
    for wave in waves(runs):
        images = [left for run in wave if (left := cost([run], store).images)]
        if not images:
            continue
        pace = paces.get(wave[0].arch)
        if pace is None:
            return None
        total += seconds_for(images, pace.lanes, pace.speed)
    return total


def first_of_each(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the first of ``runs`` that trains each network; it is timed for all of them."""
    first: dict[str, Run] = {}
    for run in runs:
        if run.epochs:
            first.setdefault(run.arch, run)
    return first


@dataclass(frozen=True)
class _Finished:
    """A finished Run: its images, the number of Runs in its wave, and its share of the wave's seconds."""

    images: float
    wave: int
    seconds: float


@dataclass(frozen=True)
class _Timer:
    """Times Runs like ``run`` on ``device``; ``images`` is what remains to be trained of this network."""

    run: Run
    device: Device
    store: Store
    images: int
    report: Callable[[str], None] = lambda what: None
    briefly: bool = False

    def measure(self, again: bool, runs_from: str | None = None) -> Choice:
        """Time what is not known, or everything with ``again``."""
        from repro.engine import calibration

        cache = self.store.runs_dir / calibration.CACHE
        names = [EAGER] if self._little else calibration.quick(self.device)
        if again:
            choice = calibration.measure_again(self.run, self.device, cache, names, self.report, runs_from)
        else:
            choice = calibration.measure(self.run, self.device, cache, names, self.report)
        return self._as_trained(choice)

    def known(self) -> Choice:
        """Return what was measured before."""
        from repro.engine import calibration

        cache = self.store.runs_dir / calibration.CACHE
        return self._as_trained(calibration.known(self.run, self.device, cache))

    def finished(self, after: str) -> list[_Finished]:
        """Return Runs like this one that ended here ``after`` that date; none if they took too little time."""
        precision = self._precision
        runs = [
            _Finished(_trained_images(record), int(origin.get("wave") or 1), origin["wall_s"])
            for record in self.store.records()
            if _similar(record, self.run)
            and (origin := record.provenance).get("device") == self.device.name
            and origin.get("precision") == precision
            and origin.get("ended", "") > after
        ]
        return runs if sum(run.seconds for run in runs) >= EVIDENCE else []

    def pace(self, choice: Choice) -> Pace:
        """Return the pace by ``choice``, corrected by finished Runs."""
        from repro.engine import device

        finished = self.finished(choice.runs_from)
        factor = _factor(finished, choice) if finished else 1.0
        small = not isinstance(self.run.data, Photos)
        emulated = small and self._precision == "bfloat16" and not device.fast_bfloat16(self.device)
        way = choice.describe() + (", bfloat16 emulated" if emulated else "") if small else ""
        source = f"calibrated {ago(choice.measured)}"
        if finished:
            source = f"as in {counted(len(finished), 'Run')} that ended here"
        return Pace(choice.lanes, lambda lanes: factor * choice.speed(lanes), way, source, choice.measured)

    @property
    def _precision(self) -> str:
        from repro.engine import device

        return device.resolve_precision(self.run.precision, self.device)

    @property
    def _little(self) -> bool:
        """Whether a session trains this without timing strategies: on a CPU, with few images."""
        from repro.engine import calibration

        small = not isinstance(self.run.data, Photos)
        return small and (self.briefly or (not self.device.cuda and self.images < calibration.CALIBRATE_FROM))

    def _as_trained(self, choice: Choice) -> Choice:
        """Return ``choice`` restricted to the strategies that a session would use."""
        if not self._little:
            return choice
        eager = {name: speed for name, speed in choice.speeds.items() if name == EAGER}
        return dataclasses.replace(choice, speeds=eager)


def ago(date: str) -> str:
    """Describe how long ago ``date`` (ISO 8601) was."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(date)).total_seconds()
    except (ValueError, TypeError):
        return "at an unknown time"
    return f"{terminal.duration(seconds)} ago" if seconds >= 60 else "just now"


def _factor(finished: Sequence[_Finished], choice: Choice) -> float:
    """Return how many times faster than by ``choice`` these Runs were."""
    expected = sum(run.images / choice.speed(run.wave) for run in finished)
    return expected / sum(run.seconds for run in finished)


def _images(runs: Sequence[Run], arch: str, store: Store) -> int:
    return cost([run for run in runs if run.arch == arch], store).images


def _similar(record: Record, run: Run) -> bool:
    """Return whether ``record`` is of a finished Run whose steps take as long as those of ``run``."""
    spec, seconds = record.spec, record.provenance.get("wall_s")
    wanted = run.spec()
    pairs: list[tuple[Any, Any]] = [(spec.get("arch"), run.arch)]
    for part, names in (("data", ("name", "crop")), ("recipe", ("batch_size", "micro_batches"))):
        pairs += [((spec.get(part) or {}).get(name), wanted[part].get(name)) for name in names]
    timed = isinstance(seconds, int | float) and seconds > 0
    return record.status == DONE and timed and all(value == other for value, other in pairs)


def _trained_images(record: Record) -> float:
    """Count images as `plan.cost` does: an evaluated image is a third of a trained one."""
    data, curve = record.spec["data"], record.curve
    return float(len(curve["epoch"]) * data["train"] + len(curve["test_epoch"]) * data["test"] / 3)
