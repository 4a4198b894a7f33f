"""How fast ResNet18 and ResNet50 train on photographs, what share of the device that is, and what Table 3 costs.

    python benchmarks/imagenet.py [--images DIR] [--arch resnet50] [--crop 224] [--seconds 20] [--budget 150]

For each network: the engine's loop (parts of a batch, channels_last, the profile's precision, compiled on CUDA) on
random images that are there already; then fed by the loader with the JPEGs under DIR, shown again and
again, with the share of the time in which it waited for them; and the textbook loop (torchvision's network in
NCHW, eager, torch.optim.SGD, one forward and backward a batch in float32) on random images. What matters most is
measured first, each row is told on stderr as it comes, and none is begun after the budget.

A GFLOP is counted from the layers' shapes (backward as two forward). Matrix products are the best of this device
in that precision, measured here; the peak is what the card's data sheet says of bfloat16 without sparsity. Hours
of Table 3 are its images (an image tested counts a third) over the speed on random images.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from roofline import flops_per_image, matmul_flops
from torchvision import models

from repro import artifacts
from repro.config import params
from repro.config.recipe import IMAGENET_ARCHS, MicroBatchRecipe
from repro.data.imagenet.augment import draw_crops, normalize
from repro.data.imagenet.index import OFFICIAL
from repro.data.imagenet.loader import Loader, Request
from repro.engine import calibration
from repro.engine import device as devices
from repro.engine.device import Device
from repro.engine.network import Network
from repro.engine.photo_trainer import COMPILE_FROM, PhotoModel
from repro.engine.ranks import Ranks
from repro.errors import ReproError
from repro.experiments import Study
from repro.machine import cores
from repro.plan import cost
from repro.report import terminal
from repro.report.tables import markdown_table
from repro.run import ancestors

ROOT = Path(__file__).resolve().parent.parent
RANDOM, TEXTBOOK = "ours, random images", "textbook, random images"
PEAKS = {"H200": 989.5, "H100 PCIe": 756.5, "H100": 989.5, "A100": 312.0, "L40S": 362.0}
"""TFLOP/s of cards in bfloat16, dense, as their data sheets say; the first whose name fits counts."""


@dataclass
class Folder:
    """JPEGs under a folder, whatever its layout, as a split that a loader takes."""

    root: Path

    def __post_init__(self) -> None:
        self._paths = sorted(p for p in self.root.rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))
        if not self._paths:
            raise SystemExit(f"imagenet: no JPEG under {self.root}")
        self.names = [path.name for path in self._paths]
        self.labels = np.arange(len(self._paths)) % 1000

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> bytes:
        """The encoded image."""
        return self._paths[index].read_bytes()


def textbook(arch: str, recipe: MicroBatchRecipe, device: Device, crop: int, seconds: float) -> float:
    """Images/s of the loop of a tutorial."""
    model = getattr(models, arch)().to(device.torch).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, recipe.momentum, weight_decay=recipe.weight_decay)
    size = recipe.batch_size if device.cuda else recipe.batch_size // recipe.micro_batches
    images = torch.randn(size, 3, crop, crop, device=device.torch)
    labels = torch.randint(0, 1000, (size,), device=device.torch)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return size / min(calibration.times(step, device, seconds))


@dataclass
class Ours:
    """The engine's network, compiled once for all that is measured of it."""

    arch: str
    recipe: MicroBatchRecipe
    device: Device
    precision: torch.dtype

    def __post_init__(self) -> None:
        self.network = Network(self.arch, 0, self.device.torch)
        self.network.model.train()
        self.net = PhotoModel(self.network, self.precision, Ranks(), COMPILE_FROM)

    def random(self, crop: int, seconds: float) -> float:
        """Images/s on images that are there."""
        return calibration.time_photographs(self.network, self.net, self.recipe, self.device, seconds / 2, crop)

    def fed(self, loader: Loader, seconds: float) -> tuple[float, float]:
        """Images/s on a loader's images, and the share of the time in which it waited."""
        recipe, device = self.recipe, self.device
        size, rate = recipe.batch_size // recipe.micro_batches, torch.tensor(0.1, device=device.torch)
        waited = 0.0
        with contextlib.closing(loader.batches(_requests(len(loader.split), size))) as feed:
            for part in itertools.count():
                if part == recipe.micro_batches:  # the loader's threads are running
                    device.synchronize()
                    start, waited = time.perf_counter(), 0.0
                batch = next(feed)
                waited += batch.waited
                images, labels = (t.to(device.torch, non_blocking=True) for t in (batch.images, batch.labels))
                self.net.backward(normalize(images, None), labels, recipe.batch_size)
                if (part + 1) % recipe.micro_batches == 0:
                    self.network.update(recipe, rate)
                    if part > recipe.micro_batches and time.perf_counter() - start > seconds:
                        break
        device.synchronize()
        spent = time.perf_counter() - start
        return (part + 1 - recipe.micro_batches) * size / spent, waited / spent


def _requests(count: int, size: int) -> Iterator[Request]:
    random = np.random.default_rng(0)
    for number in itertools.count():
        yield Request(random.integers(0, count, size), draw_crops("benchmark", 0, number, size))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rows, and what they were measured on."""
    began = time.perf_counter()
    device = devices.choose(args.device)
    settings = params.settings(ROOT / "params.yaml", "paper")
    recipe, precision = settings.profile.imagenet.recipe, settings.profile.precision
    if args.batch:
        recipe = replace(recipe, batch_size=args.batch)
    if not device.cuda:
        precision = "auto"
    resolved = devices.resolve_precision(precision, device)
    dtype = devices.use_precision(resolved)
    peak = _peak(device)
    ceilings = {each: matmul_flops(device, each) for each in {dtype, torch.float32}}
    study = Study(settings, "any", photos=OFFICIAL)
    archs = args.arch or list(IMAGENET_ARCHS)
    table3 = ancestors(artifacts.get("table3").runs(study, range(1)))
    work = {arch: cost([run for run in table3 if run.arch == arch]).images for arch in archs}
    ours = {arch: Ours(arch, recipe, device, dtype) for arch in archs}
    tasks: list[tuple[str, str, torch.dtype, Callable[[], tuple[float, float | None]]]] = []

    def ask(loop: str, precision: torch.dtype, measured: Callable[[str], tuple[float, float | None]]) -> None:
        tasks.extend((arch, loop, precision, functools.partial(measured, arch)) for arch in archs)

    ask(RANDOM, dtype, lambda arch: (ours[arch].random(args.crop, args.seconds), None))
    if args.images:
        ask("ours, JPEGs", dtype, functools.partial(_from_jpegs, ours, args))
    ask(TEXTBOOK, torch.float32, lambda arch: (textbook(arch, recipe, device, args.crop, args.seconds), None))
    rows: list[dict[str, Any]] = []
    left_out = []
    for arch, loop, own, timed in tasks:
        if time.perf_counter() - began > args.budget:
            left_out.append(f"{arch}, {loop}")
            continue
        speed, waiting = timed()
        flops = speed * flops_per_image(arch, args.crop)
        rows.append(
            {
                "arch": arch,
                "loop": loop,
                "precision": str(own).removeprefix("torch."),
                "images_per_second": round(speed, 1),
                "share_of_ceiling": round(flops / ceilings[own], 4),
                "share_of_peak": round(flops / peak, 4) if peak and own == torch.bfloat16 else None,
                "waiting": None if waiting is None else round(waiting, 3),
                "table3_hours": round(work[arch] / speed / 3600, 1) if loop == RANDOM else None,
            }
        )
        print(f"{time.perf_counter() - began:4.0f} s  {arch}, {loop}: {terminal.speed(speed)}", file=sys.stderr)
    plain = {row["arch"]: row["images_per_second"] for row in rows if row["loop"] == TEXTBOOK}
    for row in rows:
        own_plain = plain.get(row["arch"])
        row["ratio"] = round(row["images_per_second"] / own_plain, 2) if own_plain else None
    rows.sort(key=lambda row: archs.index(row["arch"]))
    where = devices.provenance(device, resolved) | {"cores": cores()}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    shape = {"batch": recipe.batch_size, "parts": recipe.micro_batches, "crop": args.crop}
    tera = {"ceiling_tflops": float(f"{ceilings[dtype] / 1e12:.3g}"), "peak_tflops": peak and peak / 1e12}
    return {"date": date, "where": where, **shape, **tera, "rows": rows, "left_out": left_out}


def _from_jpegs(ours: Mapping[str, Ours], args: argparse.Namespace, arch: str) -> tuple[float, float]:
    own = ours[arch]
    return own.fed(Loader(Folder(args.images), args.crop, 256, own.device.torch), args.seconds)


def _peak(device: Device) -> float | None:
    """FLOP/s in bfloat16 by the card's data sheet; None for a device that is not listed."""
    return next((1e12 * tera for name, tera in PEAKS.items() if device.cuda and name in device.name), None)


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    where, peak = result["where"], result["peak_tflops"] or "none known"
    packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    lines = [
        f"{result['date']}  {where['device']}, {where['cores']} cores for everything",
        f"python {where['python']}, {packages}" + (f", CUDA {where['cuda']}" if "cuda" in where else ""),
        f"batch {result['batch']} in {result['parts']} parts, {result['crop']} px",
        f"TFLOP/s: {result['ceiling_tflops']:,} in matrix products here, {peak} by the data sheet",
        *(f"left out, no time: {name}" for name in result["left_out"]),
    ]

    def said(row: dict[str, Any], name: str, form: str) -> str:
        return "" if row[name] is None else format(row[name], form)

    forms = {"images_per_second": ",.0f", "ratio": ".2f", "share_of_ceiling": ".1%", "share_of_peak": ".1%",
             "waiting": ".0%", "table3_hours": ",.1f"}  # fmt: skip
    body = [
        [row["arch"], row["loop"], row["precision"], *(said(row, name, form) for name, form in forms.items())]
        for row in result["rows"]
    ]
    head = ["network", "loop", "precision", "images/s", "x textbook", "of matrix products", "of the peak",
            "waiting", "Table 3, h"]  # fmt: skip
    return "\n".join([*lines, "", markdown_table(head, body)])


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="JPEGs to train on as well", metavar="DIR")
    parser.add_argument("--arch", action="append", choices=IMAGENET_ARCHS, help="default: both")
    parser.add_argument("--crop", type=int, default=224, help="side of the network's input, pixels")
    parser.add_argument("--batch", type=int, help="global batch (default: the recipe's)")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each row")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds after which no row is begun")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    try:
        result = measure(args)
    except ReproError as error:
        print(f"imagenet: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=2) if args.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
