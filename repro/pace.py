"""How long Runs take on this device, from its speed at steps alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from repro.packing import seconds_for
from repro.params import MicroBatchRecipe
from repro.plan import cost, waves
from repro.run import Photos, Run
from repro.store import Store


@dataclass(frozen=True)
class Pace:
    """Of one network: ``speed`` gives the images a second of so many Runs together, ``lanes`` train side by side;
    ``way`` says by what, for people."""

    lanes: int
    speed: Callable[[int], float]
    way: str = ""

    @property
    def best(self) -> float:
        """Images a second of all lanes."""
        return self.speed(self.lanes)


def measured(runs: Sequence[Run], device_name: str, store: Store, log: Console) -> tuple[dict[str, Pace], bool]:
    """The pace of every network that ``runs`` train, and whether that is on CUDA.

    What the caches beside the Runs do not hold is timed, within seconds, and told on ``log``.
    """
    from repro.engine import calibrate, device, tuning

    chosen, runs_dir = device.choose(device_name), store.runs_dir
    paces: dict[str, Pace] = {}

    def tell(what: str) -> None:
        log.print(f"timing {what}")

    for arch, run in first_of_each(runs).items():
        if isinstance(run.data, Photos) and isinstance(run.recipe, MicroBatchRecipe):
            cache = runs_dir / calibrate.CACHE
            speed = calibrate.images_per_second(
                arch, run.recipe, run.precision, chosen, cache, crop=run.data.crop, observe=tell
            )
            paces[arch] = Pace(1, _constant(speed))
        else:
            cache, names = runs_dir / tuning.CACHE, tuning.quick(chosen)
            choice = tuning.measure(run, chosen, cache, names, tell)
            low = device.resolve_precision(run.precision, chosen) == "bfloat16"
            emulated = ", bfloat16 emulated" if low and not device.fast_bfloat16(chosen) else ""
            paces[arch] = Pace(choice.lanes, choice.speed, choice.said() + emulated)
    return paces, chosen.cuda


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


def _constant(speed: float) -> Callable[[int], float]:
    return lambda lanes: speed
