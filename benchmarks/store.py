"""What a store of thousands of Runs costs: opening, listing, planning, rendering, and adding one more Run.

    python benchmarks/store.py [--seeds 3,6,12]

A ledger of invented Records (curves and probes of real length, random values) for all Runs of the paper profile
on CIFAR-10, some 830 for each seed, in a temporary folder. Prints seconds by the number of Runs, and how many
times as long the largest store takes as the smallest: linear is the ratio of their Runs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from repro.commands.priorities import imagined
from repro.commands.report import decided
from repro.commands.runs import list_runs
from repro.options import Options
from repro.record import DONE, Record
from repro.report import document
from repro.run import Photos, Run, ancestors
from repro.store import Store, ledger
from repro.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[3, 6, 12])
    columns: list[dict[str, float]] = [measure(count) for count in parser.parse_args().seeds]
    names = [*columns[0]]
    for name in names:
        values = [column[name] for column in columns]
        shown = [f"{value:,.0f}" if name == "Runs" else f"{value:.2f} s" for value in values]
        times = f"{values[-1] / max(values[0], 1e-9):.1f} times"
        print(f"{name:<34}" + "".join(f"{text:>12}" for text in shown) + f"{times:>14}")


def measure(seeds: int) -> dict[str, float]:
    """Seconds of each step, with all Runs of so many seeds finished."""
    with tempfile.TemporaryDirectory() as folder:
        places = Path(folder)
        options = Options(
            profile="paper", seeds=seeds, runs_dir=places / "runs", out=places / "out", ignore_shipped=True
        )
        work = Workspace(options)
        runs = [run for run in ancestors(work.every_run()) if not isinstance(run.data, Photos)]
        records = [invented(run, work.store) for run in runs]
        found = {"Runs": float(len(runs))}

        def timed(name: str, step: Callable[[], object]) -> None:
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                step()
            found[name] = time.perf_counter() - start

        timed("adding all Records", lambda: work.store.add(records[:-1]))
        timed("adding one more", lambda: work.store.add(records[-1:]))
        ledger._known.clear()  # as a new process finds it
        timed("opening: params, ledger", lambda: Workspace(options))
        timed("repro runs list", lambda: list_runs(options))
        timed("repro plan, what is missing", lambda: Workspace(options).plan())
        fresh = Workspace(options)
        timed("rendering, all but the pictures", lambda: render(fresh))
        timed("claims", lambda: decided(fresh))
        return found


def render(work: Workspace) -> None:
    """Every artifact as JSON, CSV and Markdown; drawing takes the same however many Runs there are."""
    for artifact in work.artifacts:
        made = work.render(artifact, write=False)
        for text in (document.as_json, document.as_csv, document.as_markdown):
            text(made)


def invented(run: Run, store: Store) -> Record:
    """A Record with random values."""
    random, record = Random(run.key), imagined(run, store)
    curve = {
        name: [random.uniform(1, 90) for _ in values] if "epoch" not in name else values
        for name, values in record.curve.items()
    }
    probe = {
        name: {layer: [random.uniform(0.1, 0.9) for _ in column] for layer, column in values.items()}
        if isinstance(values, dict)
        else values
        for name, values in record.probe.items()
    }
    start = record.start | ({"mask_distance": random.random()} if record.start else {})
    return Record.ended(run, DONE, curve, start=start, probe=probe)


if __name__ == "__main__":
    main()
