"""The fused kernels: are they right here, how fast is a wave of each size, and where does the time of a step
go.

    python benchmarks/fused.py [--arch resnet20] [--batch 64] [--lanes 1,3,8,11,16,32] [--against streams]
                               [--where 11,32] [--tiles 11,32] [--pdl] [--runs-dir DIR]

Prints seconds from nothing to a step; the engine's own check against eager steps; whether a lane's bits are
those of a lane alone; images/s of each wave, beside other strategies in as many lanes (kept in DIR, as a
calibration); with --pdl whether programmatic dependent launch changes a bit, and each wave with it; for the
waves of --where what each kernel takes of a step; for those of --tiles what convolutions take with other tiles.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from common import headline, measured_on, settings_of
from roofline import copy_bandwidth

from repro.engine import calibration
from repro.engine import device as devices
from repro.engine.device import Device
from repro.engine.lanes import Lanes
from repro.engine.speeds import keep
from repro.engine.strategies import STRATEGIES, first_valid
from repro.engine.strategies.fused import Fused, ahead
from repro.engine.strategies.fused.layout import TILES, StageTiles, Tile
from repro.engine.strategies.fused.network import FusedNetwork, launch
from repro.experiments import Study
from repro.machine import cores
from repro.run import Run

Shown = tuple[str, str]
SECONDS = 0.5  # for which a wave is timed


def main() -> None:
    asked = arguments()
    if asked.compile:  # a worker's part of the tiles, in Triton's cache
        part, parts, capability = asked.compile
        work = [one for tiles in CHOICES for one in ahead.launches(asked.arch, asked.batch, tiles)]
        ahead.compile_all([one for one in work if "G" in one[2]][part::parts], capability)
        return
    device = devices.choose("cuda")
    print("\n".join(headline(measured_on(device, "bfloat16"), "random images")), flush=True)
    run = Study(settings_of(asked.batch), "").dense(asked.arch, 0)

    def lanes_of(count: int) -> Lanes:
        return calibration.random_lanes(asked.arch, count, run.recipe, torch.bfloat16, device)

    start = time.perf_counter()
    lanes = lanes_of(4)
    strategy = Fused(lanes)
    strategy.train(lanes.all, 1, asked.batch)
    torch.cuda.synchronize()
    print(f"from nothing to a step: {time.perf_counter() - start:.1f} s", flush=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        taken = first_valid(["fused"], lanes, lanes.all)
    print(f"checked against eager steps: {taken.name} {[str(one.message) for one in said]}", flush=True)
    print(f"bits of a lane alone: {bits(lanes_of, asked.batch)}", flush=True)
    if asked.pdl:
        STRATEGIES["fused, pdl"] = functools.partial(Fused, pdl=True)
        asked.against = ["fused, pdl", *asked.against]
        print(f"bits with programmatic dependent launch: {same_bits(lanes_of, asked.batch)}", flush=True)
    for count in asked.lanes:
        speeds = {name: speed(name, run, count, device) for name in ("fused", *asked.against)}
        ours = speeds.pop("fused")
        others = [f"; {name} {value:,.0f}, {ours / value:.2f} times" for name, value in speeds.items() if value]
        print(f"{count:3} lanes: {ours:,.0f} images/s{''.join(others)}", flush=True)
        if asked.runs_dir:
            keep(asked.runs_dir / calibration.CACHE, calibration.key_of(run, device), {"fused": {count: ours}})
    if asked.tiles:
        compare_tiles(lanes_of, asked.tiles, asked.batch)
    if asked.where:
        print(f"copies at {copy_bandwidth(device) / 1e12:.2f} TB/s")
    for count in asked.where:
        where(lanes_of(count), asked.batch)


T = Tile
CHOICES = [
    TILES,
    {
        16: StageTiles(T(True, 64, 32), T(True, 64, 32)),
        32: StageTiles(T(False, 64, 16), T(False, 64, 16), T(False, 64, 16)),
        64: StageTiles(T(False, 64, 8, warps=8), T(False, 64, 8, warps=8), T(False, 64, 8, groups=2, warps=8)),
    },
    {
        16: StageTiles(T(True, 64, 16, registers=128), T(True, 64, 16), T(True, 64, 16)),
        32: StageTiles(T(False, 64, 8, warps=8), T(False, 64, 8, warps=8), T(True, 64, 8, groups=2, warps=8)),
        64: StageTiles(T(False, 64, 4), T(False, 64, 4), T(False, 64, 8, groups=4)),
    },
    {
        16: StageTiles(T(True, 64, 8), T(True, 64, 8), T(True, 64, 32)),
        32: StageTiles(
            T(False, 64, 8, registers=128), T(False, 64, 16, registers=128), T(True, 64, 16, groups=2, warps=8)
        ),
        64: StageTiles(T(False, 64, 8, registers=168), T(False, 64, 8, registers=168), T(False, 64, 8)),
    },
    {
        16: StageTiles(T(True, 128, 16, warps=8), T(True, 128, 16, warps=8), T(True, 64, 16, groups=2)),
        32: StageTiles(T(True, 64, 8, warps=8), T(True, 64, 8, warps=8), T(True, 64, 16, warps=4)),
        64: StageTiles(T(False, 128, 8, warps=8), T(False, 128, 8, warps=8), T(False, 64, 4, groups=4)),
    },
]
"""Choices of tiles that --tiles compares."""


def compare_tiles(lanes_of: Callable[[int], Lanes], counts: list[int], batch: int) -> None:
    """Microseconds of each convolution's kernels by tiles and lanes."""
    capability = "".join(map(str, torch.cuda.get_device_capability()))
    start, parts = time.perf_counter(), min(14, cores())
    command = [sys.executable, __file__, "--compile"]
    workers = [subprocess.Popen([*command, f"{part},{parts},{capability}"]) for part in range(parts)]
    for worker in workers:
        worker.wait()
    print(f"tiles compiled in {time.perf_counter() - start:.0f} s")
    for tiles in CHOICES:
        found: dict[Shown, list[float]] = {}
        for count in counts:
            launches = noted(lanes_of(count), batch, tiles)
            for shown, micros in _times(
                {
                    s: again
                    for s, again in launches
                    if s[0] in ("forward", "backward", "weights") and "MODE" in s[1]
                }
            ).items():
                found.setdefault(shown, []).append(micros)
        for c, stage in tiles.items():
            for name, tile in (
                ("forward", stage.forward),
                ("backward", stage.backward),
                ("weights", stage.weights),
            ):
                rows = [
                    (told, micros) for (kind, told), micros in found.items() if kind == name and f"C{c} " in told
                ]
                for told, micros in sorted(rows):
                    print(f"{name:9}{told:20} {tile}: " + " ".join(f"{m:6.1f}" for m in micros), flush=True)


def arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet20")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lanes", type=numbers, default=[1, 3, 8, 11, 16, 32])
    parser.add_argument("--where", type=numbers, default=[11, 32])
    parser.add_argument("--tiles", type=numbers, default=[], help="lanes in which to compare CHOICES")
    parser.add_argument("--pdl", action="store_true")
    parser.add_argument("--runs-dir", type=Path)
    parser.add_argument("--compile", type=numbers, default=[], help=argparse.SUPPRESS)
    parser.add_argument("--against", nargs="*", default=["streams"])
    return parser.parse_args()


def bits(lanes_of: Callable[[int], Lanes], batch: int) -> bool:
    """Whether ten steps give lane 3 of 8, beside one that has diverged, what they give it alone."""
    wide, alone = lanes_of(8), lanes_of(1)
    alone.all[0].network.load(wide.all[3].network.snapshot()())
    alone.order.copy_(wide.order[:, 3:4])
    alone.labels.copy_(wide.labels[3:4])
    wide.rows.weights[2].fill_(float("nan"))
    for lanes in (wide, alone):
        strategy = Fused(lanes)
        for _ in range(2):
            lanes.position.zero_()
            strategy.train(lanes.all, 5, batch)
            strategy.train(lanes.all, 1, batch // 3)
    torch.cuda.synchronize()
    return all(
        torch.equal(getattr(wide.rows, name)[3], getattr(alone.rows, name)[0])
        for name in ("weights", "momentum", "statistics")
    ) and bool(torch.isfinite(alone.rows.weights).all())


def same_bits(lanes_of: Callable[[int], Lanes], batch: int) -> bool:
    """Whether forty steps of eleven lanes end on the same bits when each launch begins as the one before ends."""
    ends = []
    for early in (False, True):
        lanes = lanes_of(11)
        strategy = Fused(lanes, pdl=early)
        for _ in range(5):
            lanes.position.zero_()
            strategy.train(lanes.all, 8, batch)
        torch.cuda.synchronize()
        ends.append([lanes.rows.weights, lanes.rows.momentum, lanes.rows.statistics])
    return all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def speed(name: str, run: Run, count: int, device: Device) -> float:
    """Images a second of ``count`` lanes; 0 where the strategy is refused."""
    try:
        return calibration.time_lanes(name, run, device, count, SECONDS)
    except RuntimeError as refused:
        print(refused, file=sys.stderr)
        return 0.0


def noted(
    lanes: Lanes, batch: int, tiles: Mapping[int, StageTiles] = TILES
) -> list[tuple[Shown, Callable[[], None]]]:
    """Every launch of a step: what is shown of it, and how it is repeated."""
    launches: list[tuple[Shown, Callable[[], None]]] = []

    def note(kernel: Any, grid: tuple[int, ...], *args: Any, **sizes: int) -> None:
        def again() -> None:
            launch(kernel, grid, *args, **sizes)

        told = " ".join(f"{k}{sizes[k]}" for k in ("C", "SIDE", "MODE", "KIND", "DW") if k in sizes)
        launches.append(((kernel.fn.__name__.removesuffix("_kernel"), told), again))
        again()

    network = FusedNetwork(lanes, note, tiles=tiles)
    network.count.fill_(batch)
    network.step()
    torch.cuda.synchronize()
    return launches


def where(lanes: Lanes, batch: int) -> None:
    """Each kernel of a step alone, twenty times in a graph."""
    launches = noted(lanes, batch)
    counts = Counter(shown for shown, _ in launches)
    rows = [
        (counts[shown] * micro, shown, counts[shown], micro) for shown, micro in _times(dict(launches)).items()
    ]
    total = sum(row[0] for row in rows)
    print(f"\n{len(lanes)} lanes: {len(launches)} launches, {total:,.0f} us one by one, "
          f"{len(lanes) * batch / total:.3f} M images/s")  # fmt: skip
    for micros, (name, told), count, each in sorted(rows, reverse=True):
        print(f"  {name:<18}{told:<16}{count:>4} x {each:7.1f} us = {micros:8.1f} us {100 * micros / total:5.1f}%")


def _times(launches: dict[Shown, Callable[[], None]]) -> dict[Shown, float]:
    found = {}
    for shown, again in launches.items():
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(20):
                again()
        graph.replay()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        found[shown] = 1000 * begin.elapsed_time(end) / 40
    return found


if __name__ == "__main__":
    main()
