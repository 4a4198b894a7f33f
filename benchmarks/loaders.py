"""How fast photographs are loaded, in one run: by torchvision's ImageFolder, and by the loaders of this package.

    python benchmarks/loaders.py DIR [--cores 1] [--threads 1] [--seconds 4] [--turns 5] [--images 200] [--json]

DIR holds JPEGs, in folders or not. ImageFolder: Pillow, torchvision's usual transforms, a DataLoader with batches
of 32 in this process (with --threads of 2 and more: in as many worker processes). Ours: `repro.data.imagenet`,
batches of 32 as they go to the device, uint8; and with what the device would do, to float32, mirrored and
normalised, on the same cores, which is what ImageFolder's batches are. From the files, and from copies with
smaller images, as `repro data prepare imagenet --resize` writes. All run on --cores cores, the files in memory.

The loaders take turns, so that a machine that drifts hurts all alike; a turn begins with batches off the clock.
Ratios are medians over turns of the ratio within a turn. Last, pixels: evaluation's preprocessing against
ImageFolder's, in levels of 0 to 255.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder

from repro.data.imagenet.augment import MEAN, STD, Floats, crop_box, draw_crops, normalize
from repro.data.imagenet.decode import decode, evaluation, training
from repro.data.imagenet.layout import ImageFiles
from repro.data.imagenet.loader import Loader, Request
from repro.data.imagenet.pillow import shrink
from repro.engine import device as devices
from repro.report.tables import markdown_table

BATCH, CROP, RESIZE = 32, 224, 256
WARM_UP = 6  # batches off the clock, more than a loader works ahead
Batches = Iterator[Tensor]


class Photos(ImageFolder):
    """Of some images under a folder, whatever their classes."""

    def __init__(self, root: Path, count: int, transform: Callable[[Image.Image], Any] | None) -> None:
        super().__init__(str(root), transform)
        step = max(1, len(self.samples) // count)
        self.samples = self.samples[::step][:count]

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        return ["."], {".": 0}


class Processes(Dataset[Tensor]):
    """Our decoding and cropping, an image at a time, for worker processes."""

    def __init__(self, split: ImageFiles, crops: Floats | None) -> None:
        self.split, self.crops = split, crops

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Tensor:
        image = decode(self.split.read(index))
        if self.crops is None:
            return evaluation(image, RESIZE, CROP)
        return training(image, crop_box(self.crops[index], image.shape[2], image.shape[1]), CROP)


def transform(train: bool) -> transforms.Compose:
    """torchvision's, as everybody has it; without the last two steps for pixels."""
    geometry = (
        [transforms.RandomResizedCrop(CROP), transforms.RandomHorizontalFlip()]
        if train
        else [transforms.Resize(RESIZE), transforms.CenterCrop(CROP)]
    )
    mean, std = (np.array(values) / 255 for values in (MEAN, STD))
    return transforms.Compose(
        [*geometry, transforms.ToTensor(), transforms.Normalize(mean.tolist(), std.tolist())]
    )


def through_dataloader(dataset: Dataset[Any], workers: int) -> Batches:
    """Endless batches in a random order."""
    order = RandomSampler(dataset, num_samples=10**9)  # type: ignore[arg-type]
    for found in DataLoader(dataset, BATCH, sampler=order, num_workers=workers):
        yield found[0] if isinstance(found, list) else found


def through_loader(split: ImageFiles, train: bool, threads: int, as_input: bool) -> Batches:
    """Endless batches in a random order."""
    loader = Loader(split, CROP, RESIZE, torch.device("cpu"), threads)
    for batch in loader.batches(_requests(len(split), train)):
        yield normalize(batch.images, batch.flip) if as_input else batch.images


def _requests(count: int, train: bool) -> Iterator[Request]:
    random = np.random.default_rng(0)
    for batch in itertools.count():
        crops = draw_crops("benchmark", 0, batch, BATCH) if train else None
        yield Request(random.integers(0, count, BATCH), crops)


@dataclass
class Row:
    """One loader and its turns."""

    name: str
    batches: str
    start: Callable[[], Batches]
    speeds: list[float] = field(default_factory=list)

    def turn(self, seconds: float) -> float:
        """Load for so long, and return images a second."""
        batches = self.start()
        for _ in range(WARM_UP):
            next(batches)
        begin, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - begin) < seconds:
            count += len(next(batches))
        batches.close()  # type: ignore[attr-defined]
        self.speeds.append(count / spent)
        return self.speeds[-1]


def rows(args: argparse.Namespace, scratch: Path, train: bool) -> list[Row]:
    """ImageFolder first."""
    files = file_split(args.dir, args.images)
    workers = args.threads if args.threads > 1 else 0

    def ours(split: ImageFiles, as_input: bool) -> Callable[[], Batches]:
        return lambda: through_loader(split, train, args.threads, as_input)

    peer = Photos(args.dir, args.images, transform(train))
    found = [Row("ImageFolder", "float32", lambda: through_dataloader(peer, workers))]
    found.append(Row("ours", "uint8", ours(files, False)))
    found.append(Row("ours", "float32", ours(files, True)))
    if workers:
        crops = draw_crops("benchmark", 0, 0, len(files)) if train else None
        processes = Processes(files, crops)
        found.append(Row("ours, in processes", "uint8", lambda: through_dataloader(processes, workers)))
    for side in (512, 256) if train else ():
        found.append(Row(f"ours, {side} pixels", "uint8", ours(resized(files, side, scratch), False)))
    return found


def file_split(root: Path, count: int) -> ImageFiles:
    """The images that ImageFolder has."""
    names = [os.path.relpath(path, root) for path, _ in Photos(root, count, None).samples]
    sizes = np.array([(root / name).stat().st_size for name in names], dtype=np.int64)
    return ImageFiles(root, names, np.zeros(len(names), dtype=np.int64), sizes)


def resized(files: ImageFiles, side: int, scratch: Path) -> ImageFiles:
    """The same images with a shorter side of ``side``."""
    names, sizes = [f"{side}-{i}.jpeg" for i in range(len(files))], []
    for i, name in enumerate(names):
        sizes.append((scratch / name).write_bytes(shrink(files.read(i), side)))
    return ImageFiles(scratch, names, files.labels, np.array(sizes, dtype=np.int64))


def differences(args: argparse.Namespace) -> dict[str, float]:
    """Evaluation's pixels against ImageFolder's: largest and mean difference in levels, share of equal values."""
    files = file_split(args.dir, args.images)
    geometry = transforms.Compose(
        [transforms.Resize(RESIZE), transforms.CenterCrop(CROP), transforms.PILToTensor()]
    )
    theirs = Photos(args.dir, args.images, geometry)
    gaps = []
    for i in range(len(files)):
        own = evaluation(decode(files.read(i)), RESIZE, CROP)
        gaps.append((own.int() - theirs[i][0].int()).abs().flatten())
    gap = torch.cat(gaps)
    return {
        "largest": int(gap.max()),
        "mean": round(gap.double().mean().item(), 6),
        "equal": round((gap == 0).double().mean().item(), 6),
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rows, and what they were measured on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0), reverse=True)[: args.cores])
    torch.set_num_threads(args.cores)
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "where": devices.cpu_name(),
        "torch": torch.__version__,
        "cores": args.cores,
        "threads": args.threads,
        "images": len(file_split(args.dir, args.images)),
        "turns": f"{args.turns} of {args.seconds:g} s",
    }
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("training", "evaluation"):
            measured = rows(args, Path(scratch), kind == "training")
            for turn, row in itertools.product(range(args.turns), measured):
                speed = row.turn(args.seconds)
                said = f"{kind}, turn {turn + 1}/{args.turns}: {row.name}, {row.batches}"
                print(f"{said}: {speed:,.0f} images/s", file=sys.stderr)
            result[kind] = [_summary(row, measured[0], args.cores) for row in measured]
    return result | {"pixels": differences(args)}


def _summary(row: Row, peer: Row, cores: int) -> dict[str, Any]:
    ratios = [own / other for own, other in zip(row.speeds, peer.speeds, strict=True)]
    return {
        "loader": row.name,
        "batches": row.batches,
        "images_per_second_and_core": [round(speed / cores, 1) for speed in row.speeds],
        "ratio": round(median(ratios), 2),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    body = []
    for kind in ("training", "evaluation"):
        for row in result[kind]:
            speeds = row["images_per_second_and_core"]
            speed = f"{median(speeds):,.0f} ({min(speeds):,.0f}-{max(speeds):,.0f})"
            body.append([kind, row["loader"], row["batches"], speed, f"{row['ratio']:.2f}"])
    pixels = result["pixels"]
    head = ["for", "loader", "batches", "images/s a core (min-max)", "x ImageFolder"]
    return "\n".join(
        [
            f"{result['date']}  {result['where']}, torch {result['torch']}: {result['cores']} core(s), "
            f"{result['threads']} thread(s); {result['images']} images, turns: {result['turns']}",
            "",
            markdown_table(head, body),
            "",
            f"Evaluation's pixels against ImageFolder's: {pixels['equal']:.2%} equal, the others at most "
            f"{pixels['largest']} level away, {pixels['mean']:.4f} on average.",
        ]
    )


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path, help="a folder of JPEGs, or of folders of JPEGs", metavar="DIR")
    parser.add_argument("--cores", type=_positive, default=1, help="to run on (default 1)", metavar="N")
    parser.add_argument("--threads", type=_positive, default=1, help="of our loaders (default 1)", metavar="N")
    parser.add_argument("--seconds", type=float, default=4, help="a turn takes (default 4)", metavar="S")
    parser.add_argument("--turns", type=_positive, default=5, help="of each loader (default 5)", metavar="N")
    parser.add_argument("--images", type=_positive, default=200, help="of DIR at most (default 200)", metavar="N")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    try:
        result = measure(args)
    except FileNotFoundError as error:
        print(f"loaders: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2) if args.json else table(result))
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
