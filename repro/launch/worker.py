"""A worker: `repro runs train KEY` trains one Run in this process."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console

from repro.commands.runs import by_key
from repro.errors import CheckpointGone, RunFailed
from repro.launch.task import STARTED_BY, exit_with_parent
from repro.options import Options, placed
from repro.plan import Plan, diverged, forgotten
from repro.record import Record
from repro.report import terminal
from repro.report.progress import TrainingProgress
from repro.run import Photos, Run, ancestors
from repro.store import Store
from repro.workspace import Workspace


class RunStore(Store):
    """The store of a worker, which holds its Run's lock and leaves the ledger to the driver."""

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Lock nothing: other workers use the store at the same time."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def run_lock(self, run: Run, deadline: float = math.inf) -> Iterator[None]:
        """Lock nothing: the worker did."""
        yield

    def add(self, records: Sequence[Record]) -> None:
        """Add nothing: the driver reads the Record in the Run's folder."""


def train_run(options: Options, key: str, names: Sequence[str] = (), given: str | None = None) -> None:
    """Train the Run whose key begins with ``key`` from its last state, unless it is finished. ``given`` are the
    options of the driver that started this process, instead of ``options``.

    Writes the Run's folder, not the ledger, and saves the checkpoints that any artifact needs. Trains a finished
    Run again if ``--keep-final`` asks for final weights that were not kept.

    Raises `UsageError` if no Run or several match ``key``, `CheckpointGone` if a parent is not finished,
    `RunFailed` if the Run diverges, `BudgetSpent` at the end of ``--time-budget``.
    """
    exit_with_parent()
    options = Options.of_worker(given) if given else options
    work = Workspace(options, names)
    runs = ancestors([*work.every_run(), *work.asked()])
    hint = "an artifact's --dry-run lists them (with the same --set, --arch, --precision and --seeds)"
    run = by_key(runs, key, work.settings.name, hint)
    run_lock = work.store.run_lock(run, options.deadline)
    work.store = RunStore(work.store.runs_dir, work.store.ledger, work.store.shipped)
    if options.gpus > 1 and placed().ranks == 1 and isinstance(run.data, Photos):
        from repro.engine import ranks

        with run_lock:  # waits for an orphan here, not in every rank
            pass
        os.environ[STARTED_BY] = str(os.getpid())  # the ranks end with this process
        ranks.launch(sys.argv[1:], options.gpus)
        return
    from repro.engine import session

    log = terminal.console(stderr=True)
    observer = partial(TrainingProgress, log, work.store, line_every=0.0)
    with (
        run_lock if options.is_main else contextlib.nullcontext(),
        session.trainer(work.store, work.folders, options, observer) as train,
    ):
        train(_alone(work, run, runs, log) if options.is_main else None)  # rank 0 plans


def _alone(work: Workspace, run: Run, runs: Sequence[Run], log: Console) -> Plan | None:
    """Return the plan of training only ``run``; None if it is finished and has all its checkpoints."""
    store, plan = work.store, work.plan(runs)
    if diverged(store, run):
        raise RunFailed(f"{run.label}: its loss was not finite; it is not trained again")
    again = {run.key} if work.options.keep_final and forgotten([run], store) else set()
    if store.record(run) and run not in plan.missing and not again:
        log.print(f"{run.label} is finished already", markup=False)
        return None
    for parent in run.parents:
        what = f"{run.label} starts from {parent.run.label} at epoch {parent.epoch}"
        train = f"train that first (repro runs train {parent.run.key})"
        if store.record(parent.run) is None:
            raise CheckpointGone(f"{what}, which is not finished: {train}")
        if diverged(store, parent.run):
            raise RunFailed(f"{what}, which diverged")
        if not store.can_continue(run) and not store.checkpoint(parent.run, parent.epoch):
            raise CheckpointGone(f"{what}, whose checkpoint is not at hand: {train}")
    return Plan((run,), (run,), plan.keep, plan.replays & {run.key} | again)
