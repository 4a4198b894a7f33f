"""Training throughput on small images: every strategy in waves of every size, plain loops, floor, in one run.

    python benchmarks/waves.py [--data-dir DIR] [--arch resnet20] [--batch 128] [--precision auto] [--json]
    python benchmarks/waves.py --strategy "streams, compiled:1,3,16" --strategy fused:16,32    # these alone
    python benchmarks/waves.py --profile streams:16        # where the time of a step goes

Plain: this repository's network and data on the device, every operation launched from Python, one network; what
the others are held against. Textbook: the loop of a tutorial (textbook.py). All train the same network, by the
paper profile's recipe, under the engine's deterministic settings (the textbook under PyTorch's). Rows take turns,
so that a machine that drifts hurts all alike; ratios are medians over turns of the ratio within a turn.

The floor is the larger of operations over the best matrix product of this device in that precision and the fewest
bytes over its copy bandwidth, both measured here (roofline.py counts).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import textbook
import torch
from common import headline, measured_on, settings_of, strategy_of
from roofline import copy_bandwidth, floor_of, matmul_flops
from torch.profiler import ProfilerActivity, profile

from repro import data
from repro.config.recipe import CIFAR_ARCHS
from repro.data import cifar10
from repro.data.images import Images
from repro.engine import calibration
from repro.engine import device as devices
from repro.engine.device import Device
from repro.engine.speeds import Speeds, keep
from repro.engine.strategies import ONE_BY_ONE, available, first_valid
from repro.errors import ReproError
from repro.experiments import Study
from repro.report.tables import markdown_table
from repro.run import Run

PLAIN, TEXTBOOK = "plain", "textbook"
# What kernels and operations are called, on either device: the first that fits.
KINDS = {
    "convolutions": ("conv", "wgrad", "dgrad", "fprop", "gemm", "xmma", "cutlass", "sm90", "implicit"),
    "BatchNorm": ("batch_norm", "bn_", "batchnorm"),
    "ReLU, additions": ("threshold", "relu", "clamp", "add", "elementwise"),
    "fused by torch.compile": ("triton_", "cpp_fused", "graph_"),
    "crops, flips, normalisation": ("index", "gather"),
    "casts and copies": ("copy", "cast", "fill", "zero_"),
}


@dataclass
class Row:
    """One loop and its turns."""

    strategy: str
    lanes: int
    precision: str
    speeds: list[float] = field(default_factory=list)
    refused: str = ""


def turn(row: Row, run: Run, device: Device, images: Images, seconds: float) -> None:
    """Time ``row`` once more."""
    if row.refused:
        return
    try:
        if row.strategy == TEXTBOOK:
            steps = 200 if device.cuda else 12
            speed = textbook.images_per_second(run.arch, run.recipe, images, device, steps)
        else:
            name = "eager" if row.strategy == PLAIN else row.strategy
            speed = calibration.time_lanes(name, replace(run, precision=row.precision), device, row.lanes, seconds)
        row.speeds.append(speed)
        print(f"{row.strategy}, {row.precision}, {row.lanes}: {speed:,.0f} images/s", file=sys.stderr, flush=True)
    except RuntimeError as error:
        row.refused = str(error).partition("\n")[0]
        print(f"{row.strategy}, {row.lanes}: {row.refused}", file=sys.stderr, flush=True)


def rows_for(args: argparse.Namespace, device: Device, precision: str) -> Iterator[Row]:
    """The loops to time, the plain one first."""
    yield Row(PLAIN, 1, precision)
    if args.textbook:
        yield Row(TEXTBOOK, 1, "float32")
    chosen = args.strategy or [(name, []) for name in available(device.torch, compiled=not args.no_compile)]
    for name, counts in chosen:
        for lanes in [1] if name in ONE_BY_ONE else counts or args.lanes:
            if (name, lanes) != ("eager", 1):
                yield Row(name, lanes, precision)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rows, and what they were measured on."""
    device = devices.choose(args.device)
    precision = devices.resolve_precision(args.precision, device)
    images = data.load("cifar10" if cifar10.find([args.data_dir]) else "synthetic", [args.data_dir])
    study = Study(settings_of(args.batch), images.fingerprint)
    args.lanes = args.lanes or ([1, 2, 4, 8, 16, 32] if device.cuda else [1, 2, 4])
    ceilings = {p: ceiling(device, p) for p in {row.precision for row in rows_for(args, device, precision)}}
    bandwidth = copy_bandwidth(device)
    reports = []
    for arch in args.arch or CIFAR_ARCHS:
        run = replace(study.dense(arch, 0), precision=precision)
        least = floor_of(arch, run.recipe, torch.empty(0, dtype=devices.use_precision(precision)).element_size())
        floor = least.images_per_second(ceilings[precision], bandwidth)
        rows = list(rows_for(args, device, precision))
        for _ in range(args.repeats):
            for row in rows:
                turn(row, run, device, images, args.seconds)
                if args.runs_dir:  # at once: a machine that is lent may end before the last row
                    keep(args.runs_dir / calibration.CACHE, calibration.key_of(run, device), kept_of(rows))
        reports.append(
            {
                "arch": arch,
                "batch_size": run.recipe.batch_size,
                "gflop_per_image": round(least.operations / 1e9, 4),
                "mbyte_per_image": round(least.bytes / 1e6, 3),
                "floor": round(floor),
                "bound_by": least.bound_by(ceilings[precision], bandwidth),
                "rows": [summary(row, rows[0], least.operations, ceilings, floor) for row in rows if row.speeds],
                "refused": {f"{row.strategy}, {row.lanes}": row.refused for row in rows if row.refused},
            }
        )
    return measured_on(device, precision) | {
        "data": images.source,
        "repeats": args.repeats,
        "matmul_tflops": {p: round(value / 1e12, 3) for p, value in ceilings.items()},
        "copy_gbytes": round(bandwidth / 1e9, 1),
        "networks": reports,
    }


def kept_of(rows: list[Row]) -> Speeds:
    """What training asks for: images a second by strategy and lanes, 0 where a strategy does not work."""
    speeds: Speeds = {}
    for row in rows:
        if row.strategy != TEXTBOOK and (row.speeds or row.refused):
            own = speeds.setdefault("eager" if row.strategy == PLAIN else row.strategy, {})
            own[row.lanes] = median(row.speeds) if row.speeds else 0.0
    return speeds


def ceiling(device: Device, precision: str) -> float:
    """FLOP/s of the best matrix product in ``precision``."""
    return matmul_flops(device, devices.use_precision(precision))


def summary(row: Row, plain: Row, flops: float, ceilings: dict[str, float], floor: float) -> dict[str, Any]:
    """What a row's turns come to."""
    speed = median(row.speeds)
    ratios = [own / other for own, other in zip(row.speeds, plain.speeds, strict=False)]
    return {
        "strategy": row.strategy,
        "lanes": row.lanes,
        "precision": row.precision,
        "images_per_second": [round(each, 1) for each in row.speeds],
        "median": round(speed, 1),
        "ratio": round(median(ratios), 3),
        "share_of_floor": round(speed / floor, 4),
        "gflops": round(speed * flops / 1e9, 1),
        "share_of_ceiling": round(speed * flops / ceilings[row.precision], 4),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    ceilings = ", ".join(f"{value * 1000:,.0f} GFLOP/s {name}" for name, value in result["matmul_tflops"].items())
    lines = [
        *headline(result, result["data"]),
        f"matrix products {ceilings}; copies {result['copy_gbytes']:,} GB/s; {result['repeats']} turns",
    ]
    head = ["strategy", "Runs", "precision", "images/s (min-max)", "x plain", "of the floor", "of matrix products"]
    for network in result["networks"]:
        costs = f"{network['gflop_per_image']} GFLOP and {network['mbyte_per_image']} MB an image"
        floor = f"floor {network['floor']:,} images/s, by {network['bound_by']}"
        lines += ["", f"{network['arch']}, batch {network['batch_size']}: {costs}; {floor}", ""]
        body = []
        for row in network["rows"]:
            speeds = row["images_per_second"]
            spread = f"{row['median']:,.0f} ({min(speeds):,.0f}-{max(speeds):,.0f})"
            shares = [f"{row['ratio']:.2f}", f"{row['share_of_floor']:.1%}", f"{row['share_of_ceiling']:.1%}"]
            body.append([row["strategy"], str(row["lanes"]), row["precision"], spread, *shares])
        lines.append(markdown_table(head, body))
        lines += [f"refused: {name}: {why}" for name, why in network["refused"].items()]
    return "\n".join(lines)


def where_time_goes(args: argparse.Namespace) -> str:
    """Shares of a step's time by kind of operation, for the strategy and lanes of ``--profile``."""
    name, _, lanes_text = args.profile.rpartition(":")
    device = devices.choose(args.device)
    precision = devices.resolve_precision(args.precision, device)
    recipe = settings_of(args.batch).profile.recipe
    parts = []
    for arch in args.arch or CIFAR_ARCHS:
        lanes = calibration.random_lanes(arch, int(lanes_text), recipe, devices.use_precision(precision), device)
        strategy = first_valid([name], lanes, lanes.all)
        strategy.train(lanes.all, 2, recipe.batch_size)
        device.synchronize()
        activities = [ProfilerActivity.CUDA] if device.cuda else [ProfilerActivity.CPU]
        with profile(activities=activities, acc_events=True) as seen:
            lanes.position.zero_()
            strategy.train(lanes.all, 4, recipe.batch_size)
            device.synchronize()
        spent: dict[str, float] = {}
        for event in seen.key_averages():
            own = event.self_device_time_total if device.cuda else event.self_cpu_time_total
            spent[kind_of(event.key)] = spent.get(kind_of(event.key), 0.0) + own
        total = sum(spent.values())
        body = [[kind, f"{own / total:.1%}"] for kind, own in sorted(spent.items(), key=lambda pair: -pair[1])]
        what = f"{arch}, {strategy.name}, {lanes_text} Runs, {precision}, {device.name}"
        parts += [f"{what}: {total / 4000:,.1f} ms a step", "", markdown_table(["kind", "share"], body), ""]
    return "\n".join(parts)


def kind_of(name: str) -> str:
    """Which of `KINDS` an operation belongs to."""
    low = name.lower()
    if "fused" in low or low.startswith("triton_"):
        return "fused by torch.compile"
    return next((kind for kind, words in KINDS.items() if any(word in low for word in words)), "other")


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = Path(os.environ.get("REPRO_DATA", "data"))
    parser.add_argument("--data-dir", type=Path, default=place, help="of CIFAR-10; else synthetic images")
    parser.add_argument("--runs-dir", type=Path, help="keep what was measured there: training times nothing twice")
    parser.add_argument("--arch", choices=CIFAR_ARCHS, action="append", help="default: both")
    parser.add_argument("--precision", choices=("auto", "float32", "tf32", "bfloat16"), default="auto")
    parser.add_argument("--batch", type=int, help="images a step (default: the paper profile's)")
    parser.add_argument("--lanes", type=int, action="append", help="wave sizes (default 1, 2, 4, ...)")
    parser.add_argument(
        "--strategy", type=strategy_of, action="append", metavar="NAME[:RUNS,...]",
        help="this one, in waves of its own sizes if it has any (default: all that run here)",
    )  # fmt: skip
    parser.add_argument("--no-compile", action="store_true", help="leave out what takes a minute to begin")
    parser.add_argument("--textbook", action="store_true", help="with the tutorial's loop as well")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each loop (default 3)")
    parser.add_argument("--seconds", type=float, default=1.5, help="a turn (default 1.5)")
    parser.add_argument("--profile", metavar="STRATEGY:RUNS", help="say where the time goes instead")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    try:
        if args.profile:
            print(where_time_goes(args))
            return 0
        result = measure(args)
    except ReproError as error:
        print(f"waves: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=2) if args.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
