"""Does a strategy or a precision change what Runs come to? Paired differences of final accuracy, with an interval.

    python benchmarks/paired.py --data-dir DIR --runs-dir DIR eager:float32:1 eager:bfloat16:1 compiled:bfloat16:1

Each way is strategy:precision:Runs at a time. Every way trains the same dense ResNet20s (seeds 0, 1, ...) on the
same batches in the same order; the first way is the one that the others are held against. What is finished under
``--runs-dir`` is not trained again. ``--set`` changes the profile as everywhere (say to a shorter schedule).
``--widened``, on a processor without bfloat16, multiplies bfloat16 numbers in float32 and rounds: what bfloat16
hardware does, orders of summation aside, at a speed that one can wait for.

Printed: the difference to the first way, Run by Run; its mean, and the 95 % interval by Student's t.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repro import data
from repro.config import params
from repro.config.recipe import CIFAR_ARCHS
from repro.data import cifar10
from repro.engine import device as devices
from repro.engine.data_source import InMemoryData
from repro.engine.events import EpochReport, Observer
from repro.engine.wave import Waves
from repro.errors import ReproError, UsageError
from repro.experiments import Study
from repro.quantiles import student
from repro.record import DONE, Record
from repro.report.tables import markdown_table
from repro.store import Store

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Way:
    """How Runs are trained."""

    strategy: str
    precision: str
    wave: int

    @classmethod
    def parse(cls, text: str) -> Way:
        """``strategy:precision:Runs at a time``."""
        strategy, precision, wave = text.split(":")
        return cls(strategy, precision, int(wave))

    def __str__(self) -> str:
        return f"{self.strategy}, {self.precision}, {self.wave} at a time"


def train(way: Way, args: argparse.Namespace, data: InMemoryData, fingerprint: str) -> list[Record]:
    """The Records of all seeds, in their order."""
    overrides = dict(params.parse_override(text) for text in args.overrides)
    overrides |= {"precision": way.precision, "precision_of": {}}
    study = Study(params.settings(ROOT / "params.yaml", args.profile, overrides), fingerprint)
    runs = [study.dense(args.arch, seed) for seed in range(args.runs)]
    folder = args.runs_dir / f"{way.strategy}-{way.wave}".replace(", ", "-")
    store = Store(folder, folder / "runs.jsonl")
    left = [run for run in runs if store.record(run) is None]

    class Ends(Observer):
        def epoch_done(self, report: EpochReport) -> None:
            if report.epoch == report.run.last_epoch:
                print(f"{way}: {report.run.label}, {report.test_top1:.2f} %", file=sys.stderr, flush=True)

    if left:
        with store.lock():
            waves = Waves(data, store, {}, Ends(), lambda seconds: True)
            for finished in waves.train(left, [way.strategy], min(way.wave, len(left))):
                store.finish(finished)
    records = [record for run in runs if (record := store.record(run))]
    for record in records:
        if record.provenance["strategy"] != way.strategy:
            raise UsageError(f"{record.label} was trained by {record.provenance['strategy']}, not {way.strategy}")
    return records


def compare(ways: dict[Way, list[Record]]) -> list[dict[str, Any]]:
    """A row a way: its mean and standard deviation, and how it differs from the first."""
    rows: list[dict[str, Any]] = []
    first = next(iter(ways.values()))
    for way, records in ways.items():
        both = [(a, b) for a, b in zip(records, first, strict=True) if a.status == b.status == DONE]
        own = [float(a.top1 or 0.0) for a, _ in both]
        differences = [float(a.top1 or 0.0) - float(b.top1 or 0.0) for a, b in both]
        half = student(len(both) - 1, 0.025) * statistics.stdev(differences) / len(both) ** 0.5
        mean = statistics.fmean(differences)
        rows.append(
            {
                "way": str(way),
                "runs": len(both),
                "diverged": sum(record.status != DONE for record in records),
                "mean": round(statistics.fmean(own), 3),
                "sd": round(statistics.stdev(own), 3),
                "difference": round(mean, 3),
                "interval": [round(mean - half, 3), round(mean + half, 3)],
            }
        )
    return rows


def widen_convolutions() -> None:
    """Every convolution from here on: its operands' values in float32, its result rounded to their type, in the
    forward and in the backward pass."""
    narrow = torch.nn.functional.conv2d

    def wide(images: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Tensor:
        low = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
        operands = [None if each is None else each.to(low).float() for each in (images, weight, bias)]
        with torch.autocast("cpu", enabled=False):
            return narrow(*operands, *args, **kwargs).to(low)

    torch.nn.functional.conv2d = wide


def main() -> int:
    """Parse, train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="+", type=Way.parse, help="strategy:precision:Runs at a time")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=16, help="seeds (default 16)")
    parser.add_argument("--arch", choices=CIFAR_ARCHS, default="resnet20")
    parser.add_argument("--profile", default="pilot")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--widened", action="store_true", help="bfloat16 convolutions computed in float32")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.widened:
        widen_convolutions()
    try:
        device = devices.choose(args.device)
        images = data.load("cifar10" if cifar10.find([args.data_dir]) else "synthetic", [args.data_dir])
        bench = InMemoryData(images, device)
        ways = {way: train(way, args, bench, images.fingerprint) for way in args.ways}
    except ReproError as error:
        print(f"paired: {error}", file=sys.stderr)
        return error.exit_code
    rows = compare(ways)
    if args.json:
        print(
            json.dumps(
                {"device": device.name, "widened": args.widened, "data": images.source, "rows": rows}, indent=1
            )
        )
        return 0
    how = ", bfloat16 convolutions widened" if args.widened else ""
    print(f"{device.name}{how}; {images.source}; {args.arch}, profile {args.profile} {' '.join(args.overrides)}\n")
    body = []
    for row in rows:
        low, high = row["interval"]
        difference = "" if row is rows[0] else f"{row['difference']:+.2f} ({low:+.2f} to {high:+.2f})"
        counts = [str(row["runs"]), str(row["diverged"])]
        body.append([row["way"], *counts, f"{row['mean']:.2f}", f"{row['sd']:.2f}", difference])
    print(
        markdown_table(
            ["way", "Runs", "diverged", "mean, %", "sd", "difference to the first, paired (95 %)"], body
        )
    )
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
