"""Compiles all kernels of a network in parallel processes into Triton's cache on disk, in seconds, not a minute.
A kernel that fails here is compiled again, and reports its error, when it is first used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

import repro
from repro.engine.lanes import Lanes
from repro.engine.strategies.fused.layout import TILES, StageTiles
from repro.machine import cores

Launched = tuple[Any, tuple[Any, ...], dict[str, int]]
"""A kernel with arguments and sizes."""


def compile_ahead(lanes: Lanes, pdl: bool = False) -> None:
    """Compile for the network and batch size of ``lanes``, once for all processes and for these sources."""
    from triton import __version__, knobs

    major, minor = torch.cuda.get_device_capability(lanes.device)
    wanted = [lanes.arch, str(lanes.recipe.batch_size), str(10 * major + minor), str(int(pdl))]
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    digest = hashlib.sha256(b"".join([*sources, __version__.encode(), " ".join(wanted).encode()])).hexdigest()
    done = Path(knobs.cache.dir) / f"repro-{digest[:16]}"
    if done.exists():
        return
    count = min(12, cores())
    command = [sys.executable, "-m", __name__, *wanted]
    # So that they find this package in any current folder, with a relative PYTHONPATH too.
    path = os.pathsep.join([str(Path(repro.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}
    workers = [subprocess.Popen([*command, str(part), str(count)], env=env) for part in range(count)]
    if not any([worker.wait() for worker in workers]):
        with contextlib.suppress(OSError):  # it only saves time
            done.touch()


def launches(arch: str, batch: int, tiles: Mapping[int, StageTiles] = TILES, pdl: bool = False) -> list[Launched]:
    """Return the kernels of a step and an evaluation, each once, slowest to compile first."""
    from repro.config.recipe import Recipe
    from repro.engine.calibration import random_lanes
    from repro.engine.device import Device
    from repro.engine.strategies.fused.network import FusedNetwork

    found: dict[object, Launched] = {}

    def record(kernel: Any, grid: tuple[int, ...], *args: Any, **sizes: int) -> None:
        found.setdefault((kernel.fn.__name__, tuple(sizes.items())), (kernel, args, sizes))

    recipe = Recipe(1, batch, 0.1, (), 0.1, 0.9, 1e-4, augment=True, evaluate_every=1)
    lanes = random_lanes(arch, 1, recipe, torch.bfloat16, Device(torch.device("cpu"), ""))
    network = FusedNetwork(lanes, record, tiles=tiles, pdl=pdl)
    network.step()
    network.prepare_evaluation()
    network.evaluate()
    return sorted(found.values(), key=lambda one: "DW" not in one[2])


def name_target(capability: int) -> None:
    """Compile for GPUs of ``capability`` (90 for 9.0) from now on in this process, which runs no kernel."""
    import triton
    from triton.backends.compiler import GPUTarget

    driver = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", capability, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda device=0: 0,
        get_active_torch_device=lambda: torch.device("cpu"),
    )
    triton.runtime.driver.set_active(driver)


def compiled(kernel: Any, args: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
    """Return an entry of `launches`, compiled; Triton keeps it in its cache."""
    from repro.engine.strategies.fused.network import options

    return kernel.warmup(*args, grid=(1,), **options(sizes))


def compile_all(work: Iterable[Launched], capability: int) -> int:
    """Compile the entries of `launches`; prints the errors and returns their number."""
    torch.set_num_threads(1)  # of many processes
    name_target(capability)
    failed = 0
    for kernel, args, sizes in work:
        try:
            compiled(kernel, args, sizes)
        except Exception as error:
            failed += 1
            print(f"{kernel.fn.__name__}, {sizes}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    batch, capability, early, part, parts = map(int, numbers)
    raise SystemExit(compile_all(launches(name, batch, pdl=bool(early))[part::parts], capability) > 0)
