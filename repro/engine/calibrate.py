"""How fast this machine trains on photographs: measured once, then kept, so that a plan can say how long it takes.
(On small images: `tuning.py`.)"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from repro.config.params import MicroBatchRecipe
from repro.data.photos.augment import to_input
from repro.engine.device import Device, dtype_of, resolve_precision, use_tf32
from repro.engine.network import Network
from repro.engine.photo_model import COMPILE_FROM, PhotoModel
from repro.engine.ranks import single_process
from repro.engine.speed_cache import EAGER, Choice, now, read, write

CACHE = ".calibration.json"  # in the store of Runs
WARM_UP = 2  # steps: kernels are chosen and memory is allocated in the first
LEAST = 3  # steps or products timed
PATIENCE = 10.0  # seconds after which one is enough: emulated bfloat16 takes that long for a step


def measure(
    arch: str,
    recipe: MicroBatchRecipe,
    precision: str,
    device: Device,
    cache: Path | None,
    seconds: float = 2.0,
    crop: int = 224,
    observe: Callable[[str], None] = lambda what: None,
    anew: bool = False,
    runs_from: str | None = None,
) -> Choice:
    """Training speed of ``arch`` on ``device``, from real steps on random images (`typical` step time).

    Measured for about ``seconds``, then remembered in ``cache``, a JSON file, by all that it depends on; ``anew``
    measures whatever that holds; ``runs_from`` as in `Choice` (default: now). ``crop`` is the side of the images,
    which are there already, so that reading them is not in the time. ``observe`` hears what is timed. A cache that
    is damaged, or that cannot be written, only costs another measurement.
    """
    resolved = resolve_precision(precision, device)
    use_tf32(resolved)
    kept = known(arch, recipe, precision, device, cache, crop)
    if kept.speeds and not anew:
        return kept
    observe(f"{arch}: a part of a batch")
    speed = _measure(arch, recipe, dtype_of(resolved), device, seconds, crop)
    date = now()
    found = Choice({EAGER: {1: speed}}, measured=date, runs_from=date if runs_from is None else runs_from)
    write(cache, _key(arch, recipe, resolved, device, crop), found)
    return found


def known(
    arch: str, recipe: MicroBatchRecipe, precision: str, device: Device, cache: Path | None, crop: int = 224
) -> Choice:
    """What ``cache`` holds of that; no speeds where it holds nothing."""
    kept = read(cache, _key(arch, recipe, resolve_precision(precision, device), device, crop))
    return kept if kept.speeds.get(EAGER, {}).get(1) else Choice()


def _measure(
    arch: str, recipe: MicroBatchRecipe, precision: torch.dtype, device: Device, seconds: float, crop: int
) -> float:
    network = Network(arch, 0, device.torch)
    network.model.train()
    return trained(
        network,
        PhotoModel(network, precision, single_process(device.torch), COMPILE_FROM),
        recipe,
        device,
        seconds,
        crop,
    )


def trained(
    network: Network, net: PhotoModel, recipe: MicroBatchRecipe, device: Device, seconds: float, crop: int
) -> float:
    """Images a second of ``net`` over parts of a batch and updates, as `photo_trainer.PhotoTrainer` makes them."""
    size = recipe.batch_size // recipe.micro_batches
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (size, 3, crop, crop), dtype=torch.uint8, generator=random)
    pixels = pixels.contiguous(memory_format=torch.channels_last).to(device.torch)
    labels = torch.randint(0, 1000, (size,), generator=random).to(device.torch)
    rate = torch.tensor(recipe.lr, device=device.torch)

    def part() -> None:
        net.backward(to_input(pixels, None), labels, recipe.batch_size, True)

    update = functools.partial(network.update, recipe, rate)
    parts, updates = (typical(times(work, device, seconds / 2), device) for work in (part, update))
    return size / (parts + updates / recipe.micro_batches)


def times(work: Callable[[], object], device: Device, seconds: float) -> list[float]:
    """Seconds that ``work`` takes, again and again for about ``seconds``, after a warm-up."""
    # Never the first time, however long: torch.compile may be in it.
    patience = time.perf_counter() + PATIENCE
    for _ in range(WARM_UP):
        work()
        synchronize(device)
        if time.perf_counter() > patience:
            break
    times: list[float] = []
    stop = time.perf_counter() + seconds
    while not times or time.perf_counter() < stop or (len(times) < LEAST and time.perf_counter() < patience):
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return times


def typical(times: Sequence[float], device: Device) -> float:
    """The median, as a GPU is one's own; on a CPU the shortest, as whatever else it does only ever delays."""
    return median(times) if device.cuda else min(times)


def synchronize(device: Device) -> None:
    """Wait until the device has done what it was asked to."""
    if device.cuda:
        torch.cuda.synchronize(device.torch)


def _key(arch: str, recipe: MicroBatchRecipe, resolved: str, device: Device, crop: int) -> str:
    words = (
        device.name,
        f"torch {torch.__version__}",
        arch,
        f"batch {recipe.batch_size}",
        f"{recipe.micro_batches} parts, {crop} px",
        resolved,
        f"{torch.get_num_threads()} threads",
    )
    return ", ".join(words)
