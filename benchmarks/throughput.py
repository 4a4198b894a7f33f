"""Training throughput, side by side in one run: the textbook loop, and the engine of this repository.

    python benchmarks/throughput.py [--data-dir DIR] [--arch resnet20] [--images N] [--repeats 5] [--json]

Textbook: torchvision's RandomCrop, RandomHorizontalFlip, ToTensor and Normalize on PIL images, a DataLoader
with two workers, eager float32 in NCHW, torch.optim.SGD, PyTorch's default settings. Ours: the classes that
`repro.engine.train` trains with, used as it uses them, under its deterministic settings. Both train the same
network (repro.nets) on the same images, batch size and device.

The loops take turns, so that a machine that drifts hurts all alike. Every turn begins with a few steps off
the clock: what the loader's workers had ready is used up, and what they still do for the loop before is over.
On a CPU the workers compete with the training for the same cores: that is how this loop behaves there.
Ratios are medians over turns of the ratio within a turn. A GFLOP is counted from the layers' shapes (backward
as two forward), and the ceiling is the best matrix product of this machine in that precision, measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from repro.engine.step import COMPILE_FROM, Batches, make_stepper
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from repro import data, nets, params
from repro.data import cifar10
from repro.data.batches import DeviceImages, EpochOrder
from repro.data.images import Images, Split
from repro.engine import device as devices
from repro.engine.calibrate import flops_per_image, matmul_flops, synchronize
from repro.engine.device import Device
from repro.engine.network import Network
from repro.errors import ReproError
from repro.machine import cores
from repro.params import CIFAR_ARCHS, Recipe
from repro.report.document import markdown_table

ROOT = Path(__file__).resolve().parent.parent
WORKERS, PREFETCH = 2, 2
WARM_UP = WORKERS * PREFETCH + 2  # steps off the clock, more than the loader keeps ready


class PilImages(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR10 gives them: a PIL image through the transforms at every access."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]) -> None:
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        return len(self.split.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.split.images[index])), int(self.split.labels[index])


class Textbook:
    """The loop of a tutorial."""

    name, precision = "textbook", torch.float32

    def __init__(self, arch: str, recipe: Recipe, images: Images, device: Device, total: int) -> None:
        mean, std = (np.array(values) / 255 for values in images.statistics)
        transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean.tolist(), std.tolist()),
            ]
        )
        dataset = PilImages(images.train, transform)
        loader = DataLoader(
            dataset,
            batch_size=recipe.batch_size,
            # One endless epoch, shuffled: nobody waits for workers to start within a turn.
            sampler=RandomSampler(dataset, num_samples=total),
            num_workers=WORKERS,
            prefetch_factor=PREFETCH,
            persistent_workers=True,
            pin_memory=device.cuda,
        )
        self.batches = iter(loader)
        self.device = device.torch
        self.model = nets.build(arch, seed=0).to(self.device).train()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.loss = torch.zeros((), device=self.device)

    def warm_up(self) -> None:
        """A few steps off the clock."""
        self.steps(WARM_UP)

    def steps(self, count: int) -> float:
        """Train ``count`` batches."""
        cudnn = torch.backends.cudnn
        ours = (cudnn.deterministic, cudnn.allow_tf32)
        cudnn.deterministic, cudnn.allow_tf32 = False, True  # PyTorch's defaults
        try:
            for _ in range(count):
                images, labels = next(self.batches)
                images = images.to(self.device, non_blocking=True)
                labels = labels.to(self.device, non_blocking=True)
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(images), labels)
                loss.backward()
                self.optimizer.step()
                self.loss += loss.detach()
        finally:
            cudnn.deterministic, cudnn.allow_tf32 = ours
        return float(self.loss)


class Ours:
    """An epoch as in `repro.engine.train.train`, again and again until there were enough steps."""

    def __init__(
        self, arch: str, recipe: Recipe, images: DeviceImages, device: Device, precision: torch.dtype, run: int
    ) -> None:
        self.name, self.precision, self.recipe, self.images = "ours", precision, recipe, images
        self.batches = Batches(Network(arch, 0, device.torch), images, recipe, precision)
        self.batches.network.model.train()
        self._start_epoch(0)
        self.stepper = make_stepper(self.batches, run)
        self.name = f"ours, {self.stepper.name}"

    def warm_up(self) -> None:
        """A few steps off the clock."""
        self._start_epoch(0)
        for _ in range(WARM_UP):
            self.batches.position.zero_()
            self.stepper.step(self.recipe.batch_size)

    def steps(self, count: int) -> float:
        """Train ``count`` batches, the drawing of each epoch's order included."""
        per_epoch = len(self.images) // self.recipe.batch_size
        for done in range(count):
            if done % per_epoch == 0:
                self._start_epoch(done // per_epoch)
            self.stepper.step(self.recipe.batch_size)
        return float(self.batches.loss_sum)

    def _start_epoch(self, epoch: int) -> None:
        order = EpochOrder.draw("throughput", epoch, len(self.images), self.recipe.augment)
        self.batches.start_epoch(order, self.recipe.lr)


@dataclass
class Row:
    """One loop and its turns."""

    loop: Textbook | Ours
    speeds: list[float] = field(default_factory=list)

    @property
    def precision(self) -> str:
        """For people."""
        return str(self.loop.precision).removeprefix("torch.")

    def turn(self, count: int, batch_size: int, device: Device) -> None:
        """Time ``count`` steps."""
        self.loop.warm_up()
        synchronize(device)
        start = time.perf_counter()
        self.loop.steps(count)
        synchronize(device)
        self.speeds.append(count * batch_size / (time.perf_counter() - start))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rows, and what they were measured on."""
    device = devices.choose(args.device)
    recipe = params.settings(ROOT / "params.yaml", "paper").profile.recipe
    folder = args.data_dir
    images = data.load("cifar10" if cifar10.find([folder]) else "synthetic", [folder])
    steps = -(-(args.images or (50_000 if device.cuda else 2_560)) // recipe.batch_size)
    auto = devices.resolve_precision("auto", device)
    flops = flops_per_image(args.arch)
    precisions = sorted({auto, torch.float32}, key=str)
    ceilings = {precision: matmul_flops(device, precision) for precision in precisions}

    total = (steps + WARM_UP) * recipe.batch_size * (args.repeats + 1)
    rows = [Row(Textbook(args.arch, recipe, images, device, total))]
    resident = DeviceImages(images.train, images.statistics, device.torch)
    # As a Run of the paper trains (200 epochs), and as a short one: on a CPU the strategies may differ.
    ours = [Ours(args.arch, recipe, resident, device, p, run) for p in precisions for run in (COMPILE_FROM, 0)]
    rows += [Row(loop) for loop in {(loop.name, loop.precision): loop for loop in ours}.values()]
    for repeat in range(args.repeats):
        for row in rows:
            row.turn(steps, recipe.batch_size, device)
            said = f"turn {repeat + 1}/{args.repeats}: {row.loop.name}, {row.precision}"
            print(f"{said}: {row.speeds[-1]:,.0f} images/s", file=sys.stderr)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": images.source if images.source.startswith("synthetic") else f"CIFAR-10 ({images.source})",
        "arch": args.arch,
        "batch_size": recipe.batch_size,
        "images_per_turn": steps * recipe.batch_size,
        "repeats": args.repeats,
        "gflop_per_image": round(flops / 1e9, 4),
        "where": devices.provenance(device, auto) | {"cores": cores()},
        "rows": [_summary(row, rows[0], flops, ceilings[row.loop.precision]) for row in rows],
    }


def _summary(row: Row, textbook: Row, flops: float, ceiling: float) -> dict[str, Any]:
    speed = median(row.speeds)
    ratios = [own / other for own, other in zip(row.speeds, textbook.speeds, strict=True)]
    return {
        "loop": row.loop.name,
        "precision": row.precision,
        "images_per_second": [round(each, 1) for each in row.speeds],
        "median": round(speed, 1),
        "ratio": round(median(ratios), 3),
        "gflops": round(speed * flops / 1e9, 1),
        "ceiling_gflops": round(ceiling / 1e9, 1),
        "share": round(speed * flops / ceiling, 4),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    where = result["where"]
    packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    lines = [
        f"{result['date']}  {where['device']}, {where['cores']} cores for everything",
        f"python {where['python']}, {packages}" + (f", CUDA {where['cuda']}" if "cuda" in where else ""),
        f"{result['arch']}, batch {result['batch_size']}, {result['gflop_per_image']} GFLOP an image, on "
        f"{result['data']}; {result['repeats']} turns of {result['images_per_turn']:,} images",
    ]
    body = []
    for row in result["rows"]:
        speeds = row["images_per_second"]
        body.append(
            [
                row["loop"],
                row["precision"],
                f"{row['median']:,.0f} ({min(speeds):,.0f}-{max(speeds):,.0f})",
                f"{row['ratio']:.2f}",
                f"{row['gflops']:,.0f}",
                f"{row['share']:.1%} of {row['ceiling_gflops']:,.0f}",
            ]
        )
    head = ["loop", "precision", "images/s (min-max)", "x textbook", "GFLOP/s", "of matmul ceiling"]
    return "\n".join([*lines, "", markdown_table(head, body)])


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("REPRO_DATA", "data")),
        help="where CIFAR-10 is (default: $REPRO_DATA, or data/); without it synthetic images are used",
    )
    parser.add_argument("--arch", choices=CIFAR_ARCHS, default="resnet20")
    parser.add_argument(
        "--images", type=_positive, help="a loop trains in a turn (default 2560, on CUDA 50000)", metavar="N"
    )
    parser.add_argument("--repeats", type=_positive, default=5, help="turns of each loop (default 5)", metavar="N")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    try:
        result = measure(args)
    except ReproError as error:
        print(f"throughput: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=2) if args.json else table(result))
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
