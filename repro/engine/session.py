"""Goes through a plan: waves in order, images onto the device, results into the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from repro.engine import interrupt, ranks
from repro.engine.bench import Bench, PhotoBench, open_bench
from repro.engine.device import Device
from repro.engine.ranks import Ranks
from repro.engine.train import Listener
from repro.engine.trainer import EpochReport, OutOfTime, StepReport
from repro.engine.wave import train_wave
from repro.errors import BudgetSpent, RunFailed, UsageError
from repro.plan import Plan, cost, diverged
from repro.record import Record
from repro.run import Data, Photos, Run
from repro.store import Store

MARGIN = 1.3  # an epoch is begun only if the budget holds this many times what the last one took


class Observer(Protocol):
    """Hears how the work goes; the engine itself prints nothing."""

    def started(self, plan: Plan, device: str) -> None:
        """Before the first wave."""

    def run_started(self, run: Run) -> None:
        """Before the first epoch of every Run."""

    def epoch_done(self, report: EpochReport) -> None:
        """After every epoch."""

    def step_done(self, report: StepReport) -> None:
        """Now and then within a long epoch."""

    def run_done(self, run: Run, record: Record, left: int) -> None:
        """After every Run; ``left`` Runs remain."""

    def ended(self) -> None:
        """When nothing more comes, whatever the reason."""


def execute(
    plan: Plan,
    store: Store,
    folders: Sequence[Path],
    device: Device,
    observer: Observer,
    deadline: float | None,
    loader: str = "auto",
    group: Ranks | None = None,
) -> None:
    """Train what is missing, all ranks of ``group`` together. ``deadline`` is on `time.monotonic`'s clock,
    ``loader`` says how photographs are decoded.

    Raises `BudgetSpent` at the deadline, `RunFailed` after the last wave if a Run diverged, `MissingInput`
    for data that is not there or not the data that the plan was made for.
    """
    group = group or ranks.alone(device.torch)
    with store.lock() if group.chief else contextlib.nullcontext():
        observer.started(plan, device.name)
        try:
            _go_through(plan, store, folders, device, group, observer, deadline, loader)
        except OutOfTime:
            missing = [run for run in plan.missing if store.record(run) is None]
            rest = cost(missing, store)
            raise BudgetSpent(
                f"time budget spent: {len(missing)} Runs ({rest.epochs:,} epochs) are left; "
                "the same command goes on"
            ) from None
        finally:
            observer.ended()
    if not group.chief:
        return
    failed = [run.label for run in plan.runs if diverged(store, run)]
    if failed:
        blocked = sum(store.record(run) is None for run in (*plan.missing, *plan.blocked))
        grown = f"; {blocked} Runs that grow from them could not be trained" if blocked else ""
        raise RunFailed(f"the loss of {len(failed)} Runs was not finite: {', '.join(failed)}{grown}")


def _go_through(
    plan: Plan,
    store: Store,
    folders: Sequence[Path],
    device: Device,
    group: Ranks,
    observer: Observer,
    deadline: float | None,
    loader: str,
) -> None:
    def has_time(seconds: float) -> bool:
        return deadline is None or time.monotonic() + MARGIN * seconds < deadline

    left = len(plan.missing)
    listener = Listener(observer.epoch_done, observer.step_done)
    bench: Bench | PhotoBench | None = None
    bench_of: Data | None = None  # of one data set at a time: memorization needs many
    try:
        for planned in plan.waves:
            ready = [run for run in planned if all(store.has_checkpoint(p.run, p.epoch) for p in run.parents)]
            wave: list[Run] = group.share(ready)
            left -= len(planned) - len(wave)
            if not wave:
                continue
            if bench is None or wave[0].data != bench_of:
                if bench:
                    bench.close()
                bench_of = wave[0].data
                bench = open_bench(bench_of, folders, store.runs_dir, device, group, loader)
            for run, record in train_wave(
                wave, bench, store, plan.keep, observer.run_started, listener, has_time, deadline
            ):
                left -= 1
                if group.chief:
                    store.finish(run, record)
                observer.run_done(run, record, left)
                interrupt.raise_noted()
    finally:
        if bench:
            bench.close()


def agreed(plan: Plan | None, group: Ranks) -> Plan | None:
    """Rank 0's plan on all ranks: another one may have seen a store that was written to meanwhile.

    Raises `UsageError` for Runs that only one process can train.
    """
    shared: Plan | None = group.share(plan)
    if shared is not None and group.count > 1:
        small = [run.label for run in shared.missing if not isinstance(run.data, Photos)]
        if small:
            others = f" and {len(small) - 1} others" if small[1:] else ""
            raise UsageError(f"{small[0]}{others} train on one GPU: run the same command without torchrun first")
    return shared
