"""How fast ResNet18 and ResNet50 train on photographs, what share of the device that is, and what Table 3 costs.

    python benchmarks/imagenet.py [--images DIR] [--arch resnet50] [--crop 224] [--seconds 20] [--json]

For each network, in one run: the textbook loop (torchvision's network in NCHW, eager, torch.optim.SGD, one
forward and backward a batch in float32), and the engine's (parts of a batch, channels_last, the profile's
precision, compiled on CUDA), both on random images that are there already. Then the engine fed by each loader
there is with the JPEGs under DIR, shown again and again, with the share of the time in which it waited for them.
A GFLOP is counted from the layers' shapes (backward as two forward), and the ceiling is the best matrix product
of this device in that precision, measured here. Hours of Table 3 are its images (an image tested counts a third)
over the speed on random images.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torchvision import models

from repro import artifacts, params
from repro.data.photos import OFFICIAL
from repro.data.photos.augment import draw_crops, to_input
from repro.data.photos.loader import Loader, Request, make_loader
from repro.engine import calibrate
from repro.engine import device as devices
from repro.engine.calibrate import matmul_flops, synchronize
from repro.engine.device import Device
from repro.engine.floor import flops_per_image
from repro.engine.network import Network
from repro.engine.photo_step import COMPILE_FROM, PhotoNet
from repro.engine.ranks import alone
from repro.errors import ReproError
from repro.experiments import Study
from repro.machine import cores
from repro.params import IMAGENET_ARCHS, MicroBatchRecipe
from repro.plan import cost
from repro.report.document import markdown_table
from repro.run import ancestors

ROOT = Path(__file__).resolve().parent.parent


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

    return size / min(calibrate.times(step, device, seconds))


def fed(
    arch: str, recipe: MicroBatchRecipe, precision: str, device: Device, loader: Loader, seconds: float
) -> tuple[float, float]:
    """Images/s of the engine on a loader's images, and the share of the time in which it waited."""
    network = Network(arch, 0, device.torch)
    network.model.train()
    dtype = devices.dtype_of(devices.resolve_precision(precision, device))
    net = PhotoNet(network, dtype, alone(device.torch), COMPILE_FROM)
    size, rate = recipe.batch_size // recipe.micro_batches, torch.tensor(0.1, device=device.torch)
    waited = 0.0
    with contextlib.closing(loader.batches(_requests(len(loader.split), size))) as feed:
        for part in itertools.count():
            if part == recipe.micro_batches:  # compiled, and the loader's threads are running
                synchronize(device)
                start, waited = time.perf_counter(), 0.0
            batch = next(feed)
            waited += batch.waited
            images, labels = (t.to(device.torch, non_blocking=True) for t in (batch.images, batch.labels))
            net.backward(to_input(images, None), labels, recipe.batch_size, True)
            if (part + 1) % recipe.micro_batches == 0:
                network.update(recipe, rate)
                if part > recipe.micro_batches and time.perf_counter() - start > seconds:
                    break
    synchronize(device)
    spent = time.perf_counter() - start
    return (part + 1 - recipe.micro_batches) * size / spent, waited / spent


def _requests(count: int, size: int) -> Iterator[Request]:
    random = np.random.default_rng(0)
    for number in itertools.count():
        yield Request(random.integers(0, count, size), draw_crops("benchmark", 0, number, size))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rows, and what they were measured on."""
    device = devices.choose(args.device)
    settings = params.settings(ROOT / "params.yaml", "paper")
    recipe, precision = settings.profile.imagenet.recipe, settings.profile.precision
    if args.batch:
        recipe = replace(recipe, batch_size=args.batch)
    if not device.cuda:
        precision = "auto"
    resolved = devices.resolve_precision(precision, device)
    dtype = devices.dtype_of(resolved)
    ceilings = {each: matmul_flops(device, each) for each in {dtype, torch.float32}}
    study = Study(settings, "any", photos=OFFICIAL)
    work = cost(ancestors(artifacts.get("table3").runs(study, range(1)))).images_by_arch
    rows = []
    for arch in args.arch or IMAGENET_ARCHS:
        flops = flops_per_image(arch, args.crop)
        plain = textbook(arch, recipe, device, args.crop, args.seconds)
        ours = calibrate.measure(arch, recipe, precision, device, None, args.seconds, args.crop).speed(1)
        rows.append(_row(arch, "textbook, random images", torch.float32, plain, plain, flops, ceilings))
        rows.append(_row(arch, "ours, random images", dtype, ours, plain, flops, ceilings))
        rows[-1]["table3_hours"] = round(work[arch] / ours / 3600, 1)
        for kind in _kinds(device) if args.images else ():
            with contextlib.closing(
                make_loader(Folder(args.images), args.crop, 256, device.torch, kind)
            ) as loader:
                speed, waiting = fed(arch, recipe, precision, device, loader, args.seconds)
                row = _row(arch, f"ours, {loader.name}", dtype, speed, plain, flops, ceilings)
                rows.append(row | {"waiting": round(waiting, 3)})
    where = devices.provenance(device, resolved) | {"cores": cores()}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    shape = {"batch": recipe.batch_size, "parts": recipe.micro_batches, "crop": args.crop}
    return {"date": date, "where": where, **shape, "rows": rows}


def _kinds(device: Device) -> list[str]:
    return ["cpu", "nvjpeg"] if device.cuda else ["cpu"]


def _row(
    arch: str,
    loop: str,
    precision: torch.dtype,
    speed: float,
    textbook_speed: float,
    flops: float,
    ceilings: dict[torch.dtype, float],
) -> dict[str, Any]:
    return {
        "arch": arch,
        "loop": loop,
        "precision": str(precision).removeprefix("torch."),
        "images_per_second": round(speed, 1),
        "ratio": round(speed / textbook_speed, 2),
        "share_of_ceiling": round(speed * flops / ceilings[precision], 4),
        "gflop_per_image": round(flops / 1e9, 2),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    where = result["where"]
    packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    lines = [
        f"{result['date']}  {where['device']}, {where['cores']} cores for everything",
        f"python {where['python']}, {packages}" + (f", CUDA {where['cuda']}" if "cuda" in where else ""),
        f"batch {result['batch']} in {result['parts']} parts, {result['crop']} px",
    ]
    body = [
        [
            row["arch"],
            row["loop"],
            row["precision"],
            f"{row['images_per_second']:,.0f}",
            f"{row['ratio']:.2f}",
            f"{row['share_of_ceiling']:.1%}",
            f"{row['waiting']:.0%}" if "waiting" in row else "",
            f"{row['table3_hours']:,}" if "table3_hours" in row else "",
        ]
        for row in result["rows"]
    ]
    head = ["network", "loop", "precision", "images/s", "x textbook", "of matmul ceiling", "waiting", "Table 3, h"]
    return "\n".join([*lines, "", markdown_table(head, body)])


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="JPEGs to train on as well", metavar="DIR")
    parser.add_argument("--arch", action="append", choices=IMAGENET_ARCHS, help="default: both")
    parser.add_argument("--crop", type=int, default=224, help="side of the network's input, pixels")
    parser.add_argument("--batch", type=int, help="global batch (default: the recipe's)")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each row")
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
