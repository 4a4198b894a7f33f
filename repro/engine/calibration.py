"""Which strategy, in how many lanes, trains fastest on this device: timed once on random images, then kept.

Read in this order: `choose` is what a session asks; `measure` times what the cache (`speeds.py`) lacks; `key_of`
says what a speed depends on; `time_lanes` and `time_photographs` time real steps. On small images every strategy
of the device is timed in 1, 2, 4, ... lanes until more lanes gain nothing or memory ends. Photographs have one
strategy and one lane.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from repro.config.recipe import MicroBatchRecipe, Recipe
from repro.data.imagenet.augment import normalize
from repro.data.images import random_images
from repro.engine import device as devices
from repro.engine import speeds as cached
from repro.engine.data_source import InMemoryData
from repro.engine.device import Device
from repro.engine.lanes import EVAL_BATCH, Lanes
from repro.engine.network import Network
from repro.engine.ranks import ALONE
from repro.engine.speeds import EAGER, GAIN, Choice, Speeds
from repro.engine.strategies import ONE_BY_ONE, available, checked
from repro.run import Data, Photos, Run

if TYPE_CHECKING:
    from repro.engine.photo_trainer import PhotoModel

CACHE = ".waves.json"  # in the store of Runs
# A calibration pays from so many images on, one with torch.compile (a minute a strategy) from so many: on a CPU
# the images of the Run, so that its strategy follows from the Run alone; on CUDA those of the session.
CALIBRATE_FROM = 1_000_000
COMPILE_FROM = {"cpu": 1_000_000, "cuda": 50_000_000}
LANES = (1, 2, 4, 8, 16, 32)
UNMEASURED = {"cpu": (EAGER, 1), "cuda": ("streams", 8)}
STEPS = 8  # in the epoch of random images that is repeated
MEMORY = 0.8  # fraction of the device's memory that lanes may use
WARM_UP = 2  # steps: the first chooses kernels and allocates memory
LEAST = 3  # measurements of a time
FEW = 2  # images in a step that is timed in emulated bfloat16
PATIENCE = 10.0  # seconds after which one measurement is enough: a step in emulated bfloat16 takes that long

Report = Callable[[str], object]


def choose(
    run: Run,
    device: Device,
    cache: Path,
    images: int,
    report: Report = lambda message: None,
    until: float = math.inf,
) -> Choice:
    """Choose strategy and lanes for Runs on small images like ``run``.

    Args:
        cache: JSON file of earlier measurements; new ones are added. A file that is damaged or cannot be written
            only costs another measurement.
        images: left to train in this session. Where they are few, nothing is timed.
        report: called with a message before each measurement.
        until: time on `time.monotonic`'s clock after which no measurement begins.
    """
    if device.cuda:
        if images < CALIBRATE_FROM:
            return known(run, device, cache)
        compiled = images >= COMPILE_FROM["cuda"]
    else:  # where compiled steps in bfloat16 are all that may be faster than eager ones
        compiled = run.epochs * run.data.train >= COMPILE_FROM["cpu"]
        if not compiled or devices.resolve_precision(run.precision, device) != "bfloat16":
            return Choice()
    return measure(run, device, cache, available(device.torch, compiled), report, until=until)


def known(run: Run, device: Device, cache: Path) -> Choice:
    """Return what ``cache`` holds for Runs like ``run``, without the strategies that do not work here."""
    kept = cached.read(cache, key_of(run, device))
    unmeasured = (EAGER, 1) if isinstance(run.data, Photos) else UNMEASURED[device.torch.type]
    return replace(kept, speeds=_working(kept.speeds), unmeasured=unmeasured)


def _working(speeds: Speeds) -> Speeds:
    return {name: counts for name, counts in speeds.items() if any(counts.values())}


def measure(
    run: Run,
    device: Device,
    cache: Path,
    names: Sequence[str] = (),
    report: Report = lambda message: None,
    seconds: float = 1.0,
    until: float = math.inf,
    again: bool = False,
) -> Choice:
    """Time the strategies ``names`` as far as ``cache`` lacks them, and choose among all that is known.

    By default ``names`` are those that are timed within seconds; photographs have one strategy. Each number of
    lanes is timed for about ``seconds``; no measurement begins after ``until``. With ``again``, all that the cache
    holds for such Runs is deleted first.
    """
    key = key_of(run, device)
    if again:
        cached.keep(cache, key, {}, again=True)
    speeds = dict(cached.read(cache, key).speeds)
    if isinstance(run.data, Photos):
        names = [EAGER]
    for name in names or available(device.torch, compiled=False):
        counts = dict(speeds.get(name, {}))
        for count in LANES[:1] if name in ONE_BY_ONE else LANES:
            if count <= max(counts, default=0):
                continue
            if not _gains(counts) or time.monotonic() >= until:
                break
            report(f"{run.arch}: {name}, {count} at a time")
            counts[count] = _time_or_fail(name, _with_few_images(run, device), device, count, seconds, report)
            speeds[name] = counts
            cached.keep(cache, key, {name: counts})
    return replace(known(run, device, cache), speeds=_working(speeds))


def key_of(run: Run, device: Device) -> str:
    """Return all that the speed of a Run's steps depends on, as the cache's key."""
    recipe = run.recipe
    words = [device.name, f"torch {torch.__version__}", run.arch, f"batch {recipe.batch_size}"]
    if isinstance(run.data, Photos) and isinstance(recipe, MicroBatchRecipe):
        words.append(f"{recipe.micro_batches} parts, {run.data.crop} px")
    words += [devices.resolve_precision(run.precision, device), f"{torch.get_num_threads()} threads"]
    return ", ".join(words)


def _gains(counts: Mapping[int, float]) -> bool:
    """Return whether more lanes may be faster than those measured: the last number works and gained something."""
    if not counts:
        return True
    last = max(counts)
    others = (speed for count, speed in counts.items() if count < last)
    return counts[last] > 0 and (last <= 2 or counts[last] >= GAIN * max(others, default=0.0))


def _with_few_images(run: Run, device: Device) -> Run:
    """Return ``run`` with steps of few images on a CPU that emulates bfloat16: there each image takes seconds, and
    as many in a small step as in a large one."""
    if devices.resolve_precision(run.precision, device) != "bfloat16" or devices.fast_bfloat16(device):
        return run
    if isinstance(run.recipe, MicroBatchRecipe):
        return replace(run, recipe=replace(run.recipe, batch_size=FEW, micro_batches=1))
    return replace(run, recipe=replace(run.recipe, batch_size=FEW))


def _time_or_fail(name: str, run: Run, device: Device, count: int, seconds: float, report: Report) -> float:
    """Return the images a second, or 0 if the strategy fails or its lanes do not fit into memory. After half as
    many lanes on CUDA, twice their memory has to be there."""
    if device.cuda:
        peak = torch.cuda.max_memory_reserved(device.torch)
        if count > 1 and 2 * peak > MEMORY * torch.cuda.get_device_properties(device.torch).total_memory:
            return 0.0
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device.torch)
    try:
        if isinstance(run.data, Photos):
            return time_photos_of(run, device, seconds)
        return time_lanes(name, run, device, count, seconds)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError):
            report(str(error))
        return 0.0


def time_lanes(name: str, run: Run, device: Device, count: int, seconds: float) -> float:
    """Return the images a second of ``count`` lanes together by strategy ``name``, from the `typical` time of real
    steps on random images. Raises `RuntimeError` if the strategy fails or differs from eager steps."""
    precision = devices.resolve_precision(run.precision, device)
    lanes = random_lanes(run.arch, count, run.recipe, devices.use_precision(precision), device)
    strategy = checked(name, lanes, lanes.all)
    # On CUDA the host runs ahead and waits only now and then, as in training.
    size, steps = run.recipe.batch_size, STEPS if device.cuda else 1

    def work() -> None:
        lanes.position.zero_()
        strategy.train(lanes.all, steps, size)

    return count * size * steps / typical(work, device, seconds)


def random_lanes(arch: str, count: int, recipe: Recipe, precision: torch.dtype, device: Device) -> Lanes:
    """Make lanes at the start of an epoch of random images, each with weights and an order of its own."""
    size = STEPS * recipe.batch_size
    data = InMemoryData(random_images(size, EVAL_BATCH), device)
    subset = data.subset(Data("random", size, EVAL_BATCH, "random"))
    lanes = Lanes(arch, count, data, recipe, precision)
    for lane in lanes.all:
        lane.network.reset(lane.number)
        lane.enter(subset)
        lane.start_epoch(subset.draw_epoch(f"calibration {lane.number}", 0, recipe.augment), recipe.lr)
    return lanes


def time_photos_of(run: Run, device: Device, seconds: float) -> float:
    """Return `time_photographs` of the network, recipe, crop and precision of ``run``."""
    from repro.engine.photo_trainer import COMPILE_FROM, PhotoModel  # seconds of imports, only for photographs

    assert isinstance(run.data, Photos) and isinstance(run.recipe, MicroBatchRecipe)
    precision = devices.use_precision(devices.resolve_precision(run.precision, device))
    network = Network(run.arch, 0, device.torch)
    network.model.train()
    model = PhotoModel(network, precision, ALONE, images=COMPILE_FROM)
    return time_photographs(network, model, run.recipe, device, seconds, run.data.crop)


def time_photographs(
    network: Network, model: PhotoModel, recipe: MicroBatchRecipe, device: Device, seconds: float, crop: int
) -> float:
    """Return the images a second of the steps that `photo_trainer.PhotoTrainer` makes, on random images of
    ``crop`` pixels a side that are on the device already; parts of a batch and updates are timed for ``seconds``
    each."""
    size = recipe.batch_size // recipe.micro_batches
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (size, 3, crop, crop), dtype=torch.uint8, generator=random)
    pixels = pixels.contiguous(memory_format=torch.channels_last).to(device.torch)
    labels = torch.randint(0, 1000, (size,), generator=random).to(device.torch)
    rate = torch.tensor(recipe.lr, device=device.torch)

    def part() -> None:
        model.backward(normalize(pixels, None), labels, recipe.batch_size)

    update = functools.partial(network.update, recipe, rate)
    parts, updates = (typical(work, device, seconds) for work in (part, update))
    return size / (parts + updates / recipe.micro_batches)


def times(work: Callable[[], object], device: Device, seconds: float) -> list[float]:
    """Return the seconds that each call of ``work`` takes, repeated for about ``seconds`` after a warm-up.

    The first call never counts, however long it takes: torch.compile may be part of it.
    """
    taken: list[float] = []
    start, measured = time.perf_counter(), 0.0
    while len(taken) < WARM_UP + LEAST or measured < seconds:
        began = time.perf_counter()
        work()
        device.synchronize()
        taken.append(time.perf_counter() - began)
        measured += taken[-1] if len(taken) > WARM_UP else 0.0
        if len(taken) > 1 and time.perf_counter() - start > PATIENCE + seconds:
            break
    return taken[WARM_UP:] or taken[1:]


def typical(work: Callable[[], object], device: Device, seconds: float) -> float:
    """Return the median of `times` on a GPU, which is used alone; on a CPU the shortest, since other processes
    only ever delay."""
    return (median if device.cuda else min)(times(work, device, seconds))
