"""How long Runs take on this device, from its speed at steps alone and from what Runs like them took before.

A calibration is timed in seconds and kept with its date. Finished Runs are better evidence: where some ended here
since, with the same network, data set, batch size and precision, the estimate follows them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
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

CONTRADICTION = 4 / 3  # so many times slower or faster than calibrated, and the device is timed again
BUSY = 2  # processes at work for each core, with which a measurement says little
EVIDENCE = 5.0  # seconds of training under which Runs say nothing about speed


@dataclass(frozen=True)
class Pace:
    """Of one network: ``speed`` gives the images a second of so many Runs together, ``lanes`` train side by side;
    ``way`` says by what and ``source`` how that is known, for people; ``measured`` is the calibration's date."""

    lanes: int
    speed: Callable[[int], float]
    way: str = ""
    source: str = ""
    measured: str = ""

    @property
    def best(self) -> float:
        """Images a second of all lanes."""
        return self.speed(self.lanes)


def measured(
    runs: Sequence[Run], device_name: str, store: Store, log: Console, anew: bool = False, briefly: bool = False
) -> tuple[dict[str, Pace], bool]:
    """The pace of every network that ``runs`` train, and whether that is on CUDA.

    Timed within seconds, and told on ``log``, is what the caches beside the Runs do not hold, what finished Runs
    have contradicted since, and everything with ``anew``, which no Run from before then corrects. ``briefly`` is
    for a CPU: only the plain loop is timed, which other strategies are not much faster than there.
    """
    found: dict[str, Pace] = {}
    if not (first := first_of_each(runs)):
        return found, False
    from repro.engine import device  # imports torch: not for a plan that has nothing to train

    chosen, timed = device.choose(device_name), list[str]()

    def tell(what: str) -> None:
        timed.append(what)
        log.print(f"timing {what}", markup=False)

    for arch, run in first.items():
        timer = _Timer(run, chosen, store, _images(runs, arch, store), tell, briefly)
        choice = timer.measure(anew)
        took = timer.finished(choice.measured)
        if not anew and took and not 1 / CONTRADICTION <= (factor := _factor(took, choice)) <= CONTRADICTION:
            much = f"{max(factor, 1 / factor):.1f} times as {'fast' if factor > 1 else 'slow'}"
            log.print(f"{arch}: Runs trained {much} as was calibrated {ago(choice.measured)}", markup=False)
            choice = timer.measure(True, choice.runs_from)
        found[arch] = timer.pace(choice)
    if timed and not chosen.cuda and (load := os.getloadavg()[0]) > BUSY * cores():
        log.print(
            f"this machine is busy (load {load:.0f} on {cores()} cores), so times may come out too long: "
            "`repro plan --calibrate` in a quiet moment measures again",
            markup=False,
        )
    return found, chosen.cuda


def known(runs: Sequence[Run], device_name: str, store: Store) -> dict[str, Pace]:
    """`measured` as far as it can be told without timing anything."""
    from repro.engine import device

    chosen = device.choose(device_name)
    timers = {
        arch: _Timer(run, chosen, store, _images(runs, arch, store)) for arch, run in first_of_each(runs).items()
    }
    return {arch: timer.pace(choice) for arch, timer in timers.items() if (choice := timer.known()).speeds}


def seconds(runs: Sequence[Run], paces: Mapping[str, Pace], store: Store | None = None) -> float | None:
    """How long ``runs`` take in their waves, less what ``store`` has behind them; None where a network's pace is
    not known. A wave's last Runs, and one that others wait for, have the device to themselves."""
    total = 0.0
    for wave in waves(runs):
        images = [own for run in wave if (own := cost([run], store).images)]
        if not images:
            continue
        pace = paces.get(wave[0].arch)
        if pace is None:
            return None
        total += seconds_for(images, pace.lanes, pace.speed)
    return total


def first_of_each(runs: Sequence[Run]) -> dict[str, Run]:
    """The first of ``runs`` that trains each network: what is timed for all of them."""
    first: dict[str, Run] = {}
    for run in runs:
        if run.epochs:
            first.setdefault(run.arch, run)
    return first


@dataclass(frozen=True)
class _Took:
    """A finished Run: its images, how many Runs trained beside it, itself included, and its share of the time."""

    images: float
    wave: int
    seconds: float


@dataclass(frozen=True)
class _Timer:
    """Times what trains Runs like ``run`` on ``device``; ``images`` are left to train of this network."""

    run: Run
    device: Device
    store: Store
    images: int
    tell: Callable[[str], None] = lambda what: None
    briefly: bool = False

    def measure(self, anew: bool, runs_from: str | None = None) -> Choice:
        """What is not known, or everything ``anew``."""
        from repro.engine import calibration

        cache = self.store.runs_dir / calibration.CACHE
        names = [EAGER] if self._little else calibration.quick(self.device)
        if anew:
            choice = calibration.measure_again(self.run, self.device, cache, names, self.tell, runs_from)
        else:
            choice = calibration.measure(self.run, self.device, cache, names, self.tell)
        return self._as_trained(choice)

    def known(self) -> Choice:
        """What was measured before."""
        from repro.engine import calibration

        cache = self.store.runs_dir / calibration.CACHE
        return self._as_trained(calibration.known(self.run, self.device, cache))

    def finished(self, after: str) -> list[_Took]:
        """What Runs like this one took that ended here ``after`` then; none where they took too little to tell."""
        precision = self._precision
        found = [
            _Took(_trained_images(record), int(told.get("wave") or 1), told["wall_s"])
            for record in self.store.records()
            if _alike(record, self.run)
            and (told := record.provenance).get("device") == self.device.name
            and told.get("precision") == precision
            and told.get("ended", "") > after
        ]
        return found if sum(took.seconds for took in found) >= EVIDENCE else []

    def pace(self, choice: Choice) -> Pace:
        """By ``choice``, and by the Runs that tell more."""
        from repro.engine import device

        took = self.finished(choice.runs_from)
        factor = _factor(took, choice) if took else 1.0
        small = not isinstance(self.run.data, Photos)
        emulated = small and self._precision == "bfloat16" and not device.fast_bfloat16(self.device)
        way = choice.describe() + (", bfloat16 emulated" if emulated else "") if small else ""
        source = (
            f"as in {counted(len(took), 'Run')} that ended here" if took else f"calibrated {ago(choice.measured)}"
        )
        return Pace(choice.lanes, lambda lanes: factor * choice.speed(lanes), way, source, choice.measured)

    @property
    def _precision(self) -> str:
        from repro.engine import device

        return device.resolve_precision(self.run.precision, self.device)

    @property
    def _little(self) -> bool:
        """Whether a session trains this without timing strategies: on a CPU, one Run after another."""
        from repro.engine import calibration

        small = not isinstance(self.run.data, Photos)
        return small and (self.briefly or (not self.device.cuda and self.images < calibration.CALIBRATE_FROM))

    def _as_trained(self, choice: Choice) -> Choice:
        """``choice`` among what a session would take."""
        if not self._little:
            return choice
        return dataclasses.replace(choice, speeds={n: own for n, own in choice.speeds.items() if n == EAGER})


def ago(date: str) -> str:
    """How long ``date`` (ISO 8601) is ago, for people."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(date)).total_seconds()
    except (ValueError, TypeError):
        return "at an unknown time"
    return f"{terminal.duration(seconds)} ago" if seconds >= 60 else "just now"


def _factor(took: Iterable[_Took], choice: Choice) -> float:
    """How many times faster than by ``choice`` these Runs were trained."""
    took = list(took)
    return sum(one.images / choice.speed(one.wave) for one in took) / sum(one.seconds for one in took)


def _images(runs: Sequence[Run], arch: str, store: Store) -> int:
    return cost([run for run in runs if run.arch == arch], store).images


def _alike(record: Record, run: Run) -> bool:
    """Whether ``record`` is of a Run whose steps are those of ``run``."""
    spec, took = record.spec, record.provenance.get("wall_s")
    asked = run.spec()
    same: list[tuple[Any, Any]] = [(spec.get("arch"), run.arch)]
    for part, names in (("data", ("name", "crop")), ("recipe", ("batch_size", "micro_batches"))):
        same += [((spec.get(part) or {}).get(name), asked[part].get(name)) for name in names]
    timed = isinstance(took, int | float) and took > 0
    return record.status == DONE and timed and all(one == other for one, other in same)


def _trained_images(record: Record) -> float:
    """As `plan.cost` counts: a third of an image that is tested."""
    data, curve = record.spec["data"], record.curve
    return float(len(curve["epoch"]) * data["train"] + len(curve["test_epoch"]) * data["test"] / 3)
