"""Others' loops beside ours, in one run, on the device at hand.

    python benchmarks/peers.py [--openlth DIR] [--compile] [--batch 64] [--arch resnet20] [--budget 120]
    python benchmarks/peers.py --ours "streams:1" --ours "fused:16,32" --seconds 1.5 --json FILE

OpenLTH: its own training (openlth.py), dense and 80 % pruned, with its default of no workers and with --workers of
them; for those who name a checkout of it. Strong loop: what an afternoon gives on one network (strong.py),
launched from Python, on CUDA as one graph too, with --compile by torch.compile; ratios are to the first of these.
Processes: that first loop several times at once. Ours: the engine's strategies, timed as its calibration times
them, under its deterministic settings; the others have PyTorch's. All at the same batch size, on random images.
Rows that no longer fit into the budget are left out, and named.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openlth
from common import headline, measured_on, settings_of, strategy_of
from strong import SideBySide, StrongLoop

from repro.config.recipe import CIFAR_ARCHS
from repro.data.images import Images, random_images
from repro.engine import calibration
from repro.engine import device as devices
from repro.engine.device import Device
from repro.engine.strategies import ONE_BY_ONE
from repro.errors import ReproError
from repro.experiments import Study
from repro.machine import cores, threads
from repro.report.tables import markdown_table
from repro.run import Run

IMAGES = 50_000
OURS = {"cpu": [("eager", [1])], "cuda": [("streams", [1, 16]), ("fused", [1, 16, 32])]}
AT_ONCE = {"cpu": (1, 2), "cuda": (1, 4, 8)}
# Seconds that a row takes besides --seconds, seen on an H200 and on two cores: what decides whether it still fits.
SETTING_UP, STARTING, COMPILING = 2.0, 12.0, 50.0


@dataclass
class Row:
    """A loop, what it takes to begin, and what came of it."""

    loop: str
    how: str
    networks: int
    work: Callable[[], float]
    begins: float = SETTING_UP
    images_per_second: float = 0.0
    left_out: str = ""


class InMemoryData:
    """What the loops train, and the processes that wait for their rows."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device: Device = devices.choose(args.device)
        self.precision = devices.resolve_precision(args.precision, self.device)
        self.images: Images = random_images(IMAGES, 1)
        dense = Study(settings_of(args.batch), self.images.fingerprint).dense(args.arch, 0)
        self.run: Run = replace(dense, precision=self.precision)
        self._processes: SideBySide | None = None
        self._compiled: StrongLoop | None = None

    def rows(self) -> Iterator[Row]:
        """The loops, the one that others are held against first, the one that takes longest to begin last."""
        args, cuda = self.args, self.device.cuda
        masked = f"{self.precision}, channels_last, masked"
        yield Row("strong loop", f"eager, {masked}", 1, self._strong)
        if cuda:
            yield Row("strong loop", f"a CUDA graph, {masked}", 1, lambda: self._strong(graph=True))
        for name, counts in args.ours or OURS[self.device.torch.type]:
            for lanes in [1] if name in ONE_BY_ONE else counts or [1]:
                begins = COMPILING if "compiled" in name else SETTING_UP
                yield Row("ours", f"{name}, {self.precision}", lanes, self._ours(name, lanes), begins)
        for workers in (0, args.workers):
            for pruned in (False, True):
                how = f"{workers} workers, float32, {'80 % pruned' if pruned else 'dense'}"
                yield Row("OpenLTH", how, 1, self._openlth(workers, pruned))
        for number, count in enumerate(AT_ONCE[self.device.torch.type]):
            begins = SETTING_UP if number else STARTING
            yield Row("processes of the strong loop", f"eager, {masked}", count, self._side_by_side(count), begins)
        if args.compile:
            yield Row("strong loop", f"torch.compile, {masked}", 1, lambda: self._strong(fused=True), COMPILING)
            if cuda:
                how = f"torch.compile in a CUDA graph, {masked}"
                yield Row("strong loop", how, 1, lambda: self._strong(fused=True, graph=True))

    def _strong(self, fused: bool = False, graph: bool = False) -> float:
        loop = self._compiled if fused else None
        if loop is None:
            loop = StrongLoop(self.args.arch, self.run.recipe, self.images, self.device, self.precision, fused)
        if fused:
            self._compiled = loop  # its second row need not compile again
        return loop.images_per_second(self.args.seconds, graph)

    def _ours(self, name: str, lanes: int) -> Callable[[], float]:
        return lambda: calibration.time_lanes(name, self.run, self.device, lanes, self.args.seconds)

    def _openlth(self, workers: int, pruned: bool) -> Callable[[], float]:
        args, batch = self.args, self.run.recipe.batch_size

        def work() -> float:
            if not args.openlth:
                raise ReproError("name a checkout of github.com/facebookresearch/open_lth with --openlth")
            checkout = openlth.open_checkout(args.openlth)
            return openlth.images_per_second(
                checkout, args.arch, batch, self.images, self.device, workers, pruned, args.seconds
            )

        return work

    def _side_by_side(self, count: int) -> Callable[[], float]:
        args, batch = self.args, self.run.recipe.batch_size

        def work() -> float:
            if self._processes is None:
                most = max(AT_ONCE[self.device.torch.type])
                self._processes = SideBySide(most, args.arch, batch, self.precision, args.device, IMAGES)
            return self._processes.images_per_second(count, max(1, threads() // count), args.seconds)

        return work

    def close(self) -> None:
        """Ends the processes."""
        if self._processes:
            self._processes.close()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rows, and what they were measured on."""
    start = time.monotonic()
    bench = InMemoryData(args)
    rows = list(bench.rows())
    for row in rows:
        left = args.budget - (time.monotonic() - start)
        if row.begins + args.seconds > left:
            row.left_out = f"{left:.0f} s of the budget are left, this takes {row.begins + args.seconds:.0f}"
        else:
            try:
                row.images_per_second = row.work()
            except Exception as error:  # others' code fails in ways of its own; the next row can do without
                row.left_out = (str(error) or type(error).__name__).partition("\n")[0]
        said = f"left out: {row.left_out}" if row.left_out else f"{row.images_per_second:,.0f} images/s"
        print(f"{time.monotonic() - start:5.1f} s  {row.loop}, {row.how}, {row.networks}: {said}", file=sys.stderr)
    bench.close()
    kept = [{key: value for key, value in vars(row).items() if key not in ("work", "begins")} for row in rows]
    return measured_on(bench.device, bench.precision) | {
        "arch": args.arch,
        "batch_size": bench.run.recipe.batch_size,
        "seconds": args.seconds,
        "rows": kept,
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    rows = [row for row in result["rows"] if not row["left_out"]]
    eager = next((row["images_per_second"] for row in rows if row["loop"] == "strong loop"), 0.0)
    head = ["loop", "how", "networks at a time", "images/s", "x the strong loop, eager"]
    body = [
        [
            row["loop"],
            row["how"],
            str(row["networks"]),
            f"{row['images_per_second']:,.0f}",
            f"{row['images_per_second'] / eager:.2f}" if eager else "",
        ]
        for row in sorted(rows, key=lambda row: row["images_per_second"])
    ]
    lines = [*headline(result, "random images"), f"{result['arch']}, batch {result['batch_size']}", ""]
    lines.append(markdown_table(head, body))
    left_out = [row for row in result["rows"] if row["left_out"]]
    lines += [f"left out: {row['loop']}, {row['how']}, {row['networks']}: {row['left_out']}" for row in left_out]
    return "\n".join(lines)


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openlth", type=Path, metavar="DIR", help="a checkout of it; is not written to")
    parser.add_argument("--workers", type=int, default=min(8, cores()), help="of OpenLTH's loader, besides 0")
    parser.add_argument("--compile", action="store_true", help="with torch.compile, which takes most of a minute")
    parser.add_argument(
        "--ours", type=strategy_of, action="append", metavar="NAME[:RUNS,...]", help="a strategy and its waves"
    )
    parser.add_argument("--batch", type=int, help="images a step (default: the paper profile's)")
    parser.add_argument("--arch", choices=CIFAR_ARCHS, default="resnet20")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="not OpenLTH's"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="a row (default 2)")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for all rows (default 120)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    args = parser.parse_args()
    try:
        result = measure(args)
    except ReproError as error:
        print(f"peers: {error}", file=sys.stderr)
        return error.exit_code
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
