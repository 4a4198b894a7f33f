"""Which strategy and how many lanes are fastest on this device: measured once, then kept.

Every strategy that the device has is timed on real steps over random images, in 1, 2, 4, ... lanes, until more
lanes gain nothing or memory ends. What torch.compile is part of takes a minute to begin: it is timed only where
there is enough to train, and added to what is known.
"""

from __future__ import annotations

import bisect
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from repro.config.params import Recipe
from repro.data.batches import EpochOrder
from repro.data.images import random_images
from repro.engine import device as devices
from repro.engine import speed_cache
from repro.engine.calibrate import times, typical
from repro.engine.device import Device
from repro.engine.device_dataset import DeviceDataset
from repro.engine.lanes import EVAL_BATCH, Lanes
from repro.engine.speed_cache import GAIN, Choice, Speeds
from repro.engine.strategies import ONE_BY_ONE, available, first_valid
from repro.engine.strategies.eager import Eager
from repro.run import Data, Run

CACHE = ".waves.json"  # in the store of Runs
# Images from which on a session is worth a calibration, and from which on one with torch.compile: on a CPU of one
# Run (a Run's strategy follows from the Run), on CUDA of a session.
CALIBRATE_FROM = 1_000_000
COMPILE_FROM = {"cpu": 1_000_000, "cuda": 50_000_000}
MOST_LANES = {"cpu": 4, "cuda": 32}
UNMEASURED = {"cpu": ("eager", 1), "cuda": ("streams", 8)}
SLOW = 1.0  # seconds a step: another strategy would not gain, and its timing takes minutes
STEPS = 8  # in the random epoch that is gone through again and again
# Compiled anew for every number of lanes, a minute each: timed only in one lane, and in as many as its uncompiled
# form likes best; not at all where that is so far behind that fusing cannot make up for it.
UNFUSED = {"batched, compiled": "batched"}
FUSING = 2.0
MEMORY = 0.8  # share of the device's memory that lanes may take


def choose(
    run: Run,
    device: Device,
    cache: Path | None,
    images: int,
    observe: Callable[[str], None] = lambda what: None,
    until: float = math.inf,
) -> Choice:
    """For Runs like ``run`` on ``device``; ``images`` are left to train in all. What was measured before is read
    from ``cache``, a JSON file; what is missing is measured and written there, as far as that can begin before
    ``until``, on `time.monotonic`'s clock. ``observe`` hears what is timed.

    A cache that is damaged, or that cannot be written, only costs another measurement.
    """
    kind = device.torch.type
    compiled = (run.epochs * run.data.train if kind == "cpu" else images) >= COMPILE_FROM[kind]
    compiled = compiled and (kind == "cuda" or _low(run, device))
    if images < CALIBRATE_FROM and not compiled:
        return known(run, device, cache) if device.cuda else Choice()
    return measure(run, device, cache, available(device.torch, compiled), observe, until=until)


def quick(device: Device) -> list[str]:
    """What can be timed within seconds."""
    return available(device.torch, compiled=False)


def known(run: Run, device: Device, cache: Path | None) -> Choice:
    """What ``cache`` holds for Runs like ``run``."""
    return _choice(speed_cache.read(cache, _key(run, device)), device)


def measure(
    run: Run,
    device: Device,
    cache: Path | None,
    names: Sequence[str],
    observe: Callable[[str], None] = lambda what: None,
    seconds: float = 1.0,
    until: float = math.inf,
) -> Choice:
    """`choose` among ``names`` and what ``cache`` knows besides; each number is timed for about ``seconds``, and
    none is begun after ``until``, on `time.monotonic`'s clock."""
    key = _key(run, device)
    speeds = dict(speed_cache.read(cache, key).speeds)
    for name in names:
        counts, known = _counts(name, device, speeds), speeds.get(name, {})
        if _swept(known, counts) or _hopeless(name, speeds, run) or time.monotonic() >= until:
            continue
        speeds[name] = _sweep(name, run, device, counts, known, seconds, observe, until)
        speed_cache.keep(cache, key, {name: speeds[name]})
    return _choice(replace(speed_cache.read(cache, key), speeds=speeds), device)


def measure_anew(
    run: Run,
    device: Device,
    cache: Path | None,
    names: Sequence[str],
    observe: Callable[[str], None] = lambda what: None,
    runs_from: str | None = None,
) -> Choice:
    """`measure`, whatever ``cache`` knows, and written there with this date. What else it knows of, which takes
    minutes to time, is taken to have changed as much as the fastest of ``names``. ``runs_from`` as in `Choice`
    (default: now)."""
    known, found = speed_cache.read(cache, _key(run, device)), measure(run, device, None, names, observe)
    before, after = (max((max(c.speeds.get(name, {0: 0.0}).values()) for name in names), default=0.0)
                     for c in (known, found))  # fmt: skip
    factor = after / before if before else 1.0
    others = {name: {n: factor * v for n, v in own.items()} for name, own in known.speeds.items()}
    date = speed_cache.now()
    anew = Choice(others | found.speeds, measured=date, runs_from=date if runs_from is None else runs_from)
    speed_cache.write(cache, _key(run, device), anew)
    return _choice(anew, device)


def keep(run: Run, device: Device, cache: Path | None, speeds: Speeds) -> None:
    """Write into ``cache`` what was measured for Runs like ``run``; what is known of other strategies, and of
    other numbers of lanes, stays."""
    speed_cache.keep(cache, _key(run, device), speeds)


def _hopeless(name: str, speeds: Speeds, run: Run) -> bool:
    """Whether what is known already says that ``name`` cannot be the fastest."""
    plain = speeds.get(Eager.name, {}).get(1, 0.0)
    if plain > 0 and run.recipe.batch_size / plain > SLOW:  # launches cannot be what such long steps wait for
        return True
    best = {known: max(own.values(), default=0.0) for known, own in speeds.items()}
    unfused = best.get(UNFUSED.get(name, ""))
    return unfused is not None and FUSING * unfused < max(best.values())


def _choice(kept: Choice, device: Device) -> Choice:
    working = {name: own for name, own in kept.speeds.items() if any(own.values())}
    return replace(kept, speeds=working, unmeasured=UNMEASURED[device.torch.type])


def time_lanes(name: str, run: Run, device: Device, count: int, seconds: float) -> float:
    """Images a second of ``count`` lanes together by strategy ``name``, from real steps on random images
    (`typical` time). Raises `RuntimeError` where the strategy is refused."""
    precision = devices.resolve_precision(run.precision, device)
    devices.use_tf32(precision)
    lanes = random_lanes(run.arch, count, run.recipe, devices.dtype_of(precision), device)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        strategy = first_valid([name], lanes, lanes.all)
    if strategy.name != name:
        raise RuntimeError(str(said[-1].message) if said else f"strategy '{name}' was refused")
    # On CUDA lanes run ahead of one another as far as the host does: as in training, it waits only now and then.
    size, steps = run.recipe.batch_size, STEPS if device.cuda else 1

    def work() -> None:
        lanes.position.zero_()
        strategy.train(lanes.all, steps, size)

    return count * size * steps / typical(times(work, device, seconds), device)


def random_lanes(arch: str, count: int, recipe: Recipe, precision: torch.dtype, device: Device) -> Lanes:
    """Lanes whose networks stand at the start of an epoch of random images."""
    size = STEPS * recipe.batch_size
    pool = DeviceDataset(random_images(size, EVAL_BATCH), device.torch)
    subset = pool.subset(Data("random", size, EVAL_BATCH, "random"))
    lanes = Lanes(arch, count, pool, recipe, precision)
    for lane in lanes.all:
        lane.network.reset(lane.number)
        lane.enter(subset)
        order = EpochOrder.draw(f"calibration {lane.number}", 0, len(subset.train), recipe.augment)
        lane.start_epoch(subset.indices(order), recipe.lr)
    return lanes


def _sweep(
    name: str,
    run: Run,
    device: Device,
    counts: Sequence[int],
    known: Mapping[int, float],
    seconds: float,
    observe: Callable[[str], None],
    until: float,
) -> dict[int, float]:
    """Images a second by number of lanes, out of ``counts``, beyond those that are ``known`` already; 0 for a
    number that does not work here."""
    found = dict(known)
    best = max(found.values(), default=0.0)
    for count in counts[bisect.bisect_right(counts, max(found, default=0)) :]:
        if found and time.monotonic() >= until:
            break
        observe(f"{run.arch}: {name}, {count} at a time")
        if device.cuda:
            if found and not _fits(device):
                found[count] = 0.0
                break
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device.torch)
        try:
            found[count] = time_lanes(name, run, device, count, seconds)
        except RuntimeError as refused:
            if not isinstance(refused, torch.OutOfMemoryError):
                observe(str(refused))
            found[count] = 0.0
            break
        if found[count] < GAIN * best and count > 2:
            break
        best = max(best, found[count])
    return found


def _swept(known: Mapping[int, float], counts: Sequence[int]) -> bool:
    """Whether a sweep over ``counts`` that found what is ``known`` was over, rather than cut short by its time."""
    if not known:
        return False
    last, others = max(known), [known[count] for count in known if count < max(known)]
    gained = known[last] > 0 and (last <= 2 or known[last] >= GAIN * max(others, default=0.0))
    return last >= max(counts) or not gained


def _counts(name: str, device: Device, speeds: Speeds) -> list[int]:
    """Numbers of lanes to time ``name`` in."""
    unfused = speeds.get(UNFUSED.get(name, ""))
    if unfused:
        return sorted({1, max(unfused, key=unfused.__getitem__)})
    most = 1 if name in ONE_BY_ONE else MOST_LANES[device.torch.type]
    return [2**n for n in range(most.bit_length())]


def _fits(device: Device) -> bool:
    """Whether twice as many lanes as were timed last will find room."""
    peak = torch.cuda.max_memory_reserved(device.torch)
    return 2 * peak < MEMORY * torch.cuda.get_device_properties(device.torch).total_memory


def _low(run: Run, device: Device) -> bool:
    return devices.resolve_precision(run.precision, device) == "bfloat16"


def _key(run: Run, device: Device) -> str:
    words = (
        device.name,
        f"torch {torch.__version__}",
        run.arch,
        f"batch {run.recipe.batch_size}",
        devices.resolve_precision(run.precision, device),
        f"{torch.get_num_threads()} threads",
    )
    return ", ".join(words)
