"""What a wave costs beside the steps of the device, and how long a device of some speed waits for it.

    python benchmarks/host.py [--data-dir DIR] [--arch resnet20] [--wave 16] [--epochs 5] [--speed 400000] [--json]

The paper's Runs through the engine, with all that a host does for them: orders, histories, masks, checkpoints,
states, Records. Only the convolutions are not there: a step does nothing, or sleeps for as long as a device that
trains ``--speed`` images a second would take (a third of that where it only evaluates). Printed: the host's own
time where steps take none, and the share of the time that the pretended device has nothing to do, starts included.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from repro import data
from repro.config import params
from repro.config.recipe import CIFAR_ARCHS
from repro.data import cifar10
from repro.data.images import random_images
from repro.engine import device as devices
from repro.engine.data_source import InMemoryData
from repro.engine.events import Observer
from repro.engine.lanes import Lane
from repro.engine.wave import Waves
from repro.experiments import Study
from repro.machine import cores
from repro.report.tables import markdown_table
from repro.run import Run
from repro.store import Store

ROOT = Path(__file__).resolve().parent.parent
EVALUATION = 1 / 3  # of a training image's operations


class Pretended:
    """A device that trains ``speed`` images a second and computes nothing; ``busy`` seconds so far."""

    name = "pretended"

    def __init__(self, speed: float) -> None:
        self._speed, self.busy = speed, 0.0

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        """Takes its time."""
        self._work(len(group) * steps * size)

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        """Takes its time."""
        self._work(len(group) * size * EVALUATION)

    def _work(self, images: float) -> None:
        if math.isfinite(self._speed):
            start = time.perf_counter()
            time.sleep(images / self._speed)
            self.busy += time.perf_counter() - start


def gone_through(
    runs: Sequence[Run], data: InMemoryData, dense: Run, folder: Path, speed: float, wave: int
) -> tuple[float, float]:
    """Seconds from the first Run's start to the last Record, and those in which the device was busy."""
    store = Store(folder, folder / "runs.jsonl")
    keep = {dense.key: set(range(dense.last_epoch + 1))}
    waves = Waves(data, store, keep, Observer(), lambda seconds: True)
    device = Pretended(speed)
    with patch("repro.engine.wave.first_valid", lambda *_: device):
        start = time.perf_counter()
        for finished in waves.train(runs, ["eager"], min(wave, len(runs))):
            store.finish(finished)
        return time.perf_counter() - start, device.busy


def parts_of(study: Study, dense: Run, wave: int) -> dict[str, list[Run]]:
    """The dense network, a wave of its tickets, and a wave of PPR models, by name."""
    epochs, tickets, models = dense.last_epoch, list[Run](), list[Run]()
    for number in range(wave):
        epoch = number % epochs + 1
        ticket = study.ticket(dense.arch, 0, epoch, 0, 0.5 + 0.4 * number / wave)
        model = study.ppr(dense.arch, 0, epoch, 0.1 / (number + 1))
        tickets.append(replace(grown(ticket, dense), last_epoch=epochs))
        models.append(grown(model, dense))
    return {"dense network": [dense], "tickets": tickets, "PPR models": models}


def grown(run: Run, dense: Run) -> Run:
    """``run`` from the shorter ``dense`` network's checkpoints."""
    assert run.weights and run.mask
    mask = replace(run.mask, of=replace(run.mask.of, run=dense))
    return replace(run, weights=replace(run.weights, run=dense), mask=mask)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Of each kind of Run the milliseconds an epoch, and the share that the device waits."""
    device = devices.choose(args.device)
    found = cifar10.find([args.data_dir])
    images = data.load("cifar10", [args.data_dir]) if found else random_images(50_000, 10_000)
    bench = InMemoryData(images, device)
    profile = params.settings(ROOT / "params.yaml", "paper", {"precision": "auto", "precision_of": {}})
    study = Study(profile, images.fingerprint)
    dense = replace(study.dense(args.arch, 0), last_epoch=args.epochs)
    parts = parts_of(study, dense, args.wave)
    rows = {name: dict[str, float]() for name in parts}
    for speed in (math.inf, args.speed):
        with tempfile.TemporaryDirectory(dir=args.runs_dir) as folder:
            for name, runs in parts.items():
                total, busy = gone_through(runs, bench, dense, Path(folder), speed, args.wave)
                row, epochs = rows[name], sum(run.epochs for run in runs)
                if math.isinf(speed):
                    row |= {"host_ms": 1000 * total / epochs, "at_most": epochs * len(images.train.labels) / total}
                else:
                    row["waits"] = 1 - busy / total
    return {
        "device": device.name, "cores": cores(), "data": images.source, "arch": args.arch, "wave": args.wave,
        "epochs": args.epochs, "speed": args.speed, "rows": rows,
    }  # fmt: skip


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="of CIFAR-10; else random images")
    parser.add_argument(
        "--runs-dir", type=Path, help="a disk to keep states on while it lasts (default: the system's)"
    )
    parser.add_argument("--arch", choices=CIFAR_ARCHS, default="resnet20")
    parser.add_argument("--wave", type=int, default=16, help="Runs at a time (default 16)")
    parser.add_argument("--epochs", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--speed", type=float, default=400_000, help="images/s of the device (default 400,000)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = measure(args)
    if args.json:
        print(json.dumps(result, indent=1))
        return 0
    print(f"{result['device']}, {result['cores']} cores; {result['data']}; {args.arch}, {args.wave} at a time")
    head = [
        "Runs",
        "host alone, ms an epoch",
        "at most, images/s",
        f"a device of {args.speed:,.0f} images/s waits",
    ]
    body = [
        [name, f"{row['host_ms']:,.1f}", f"{row['at_most']:,.0f}", f"{row['waits']:.1%}"]
        for name, row in result["rows"].items()
    ]
    print(markdown_table(head, body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
