"""One Run in this process: what `repro runs train KEY` does, and what every worker of a pool is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console

from repro.commands.runs import by_key
from repro.errors import CheckpointGone, RunFailed
from repro.launch.task import STARTED_BY, end_with_starter
from repro.options import Options, ranked
from repro.plan import Plan, diverged, forgotten, keeping_final
from repro.record import Record
from repro.report import terminal
from repro.report.training_progress import TrainingProgress
from repro.run import Photos, Run, ancestors
from repro.store import Store
from repro.workspace import Workspace


class RunStore(Store):
    """The store as one Run's worker sees it: it holds that Run's lock, and the ledger is the driver's."""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Nothing: other workers train into the store meanwhile."""
        yield

    def add(self, records: Sequence[Record]) -> int:
        """Nothing: the driver reads the Record in the Run's folder."""
        return 0


def train_run(options: Options, names: Sequence[str], key: str) -> None:
    """Train the Run whose key begins with ``key``, from its last state, unless it is finished. It writes the Run's
    folder, not the ledger; the checkpoints kept are those that any artifact needs. A finished Run is trained again
    where ``--keep-final`` asks for final weights that were not kept.

    Raises `UsageError` for a key that no Run has, or several; `CheckpointGone` where a Run that it grows from is
    not finished; `RunFailed` if it diverges, `BudgetSpent` when ``--time-budget`` ends.
    """
    end_with_starter()
    work = Workspace(options, names)
    work.store = RunStore(work.store.runs_dir, work.store.ledger, work.store.shipped)
    runs = ancestors([*work.every_run(), *work.asked()])
    run = find(runs, key, work.settings.name)
    if options.gpus > 1 and not ranked() and isinstance(run.data, Photos):
        from repro.engine import torchrun

        with work.store.run_lock(run, options.deadline):  # what an orphan is at is waited for here, not by ranks
            pass
        os.environ[STARTED_BY] = str(os.getpid())  # the ranks end with this process
        torchrun.run(sys.argv[1:], options.gpus)
        return
    with work.store.run_lock(run, options.deadline) if options.is_main else contextlib.nullcontext():
        _train(work, run, runs)


def _train(work: Workspace, run: Run, runs: Sequence[Run]) -> None:
    """Train ``run``, or take this rank's part in it; what there is to decide, rank 0 decides."""
    from repro.engine import session

    options, log = work.options, terminal.console(stderr=True)
    how = session.SessionOptions(options.deadline, options.strategy, options.wave)
    observer = partial(TrainingProgress, log, work.store, line_every=0.0)
    with session.trainer(work.store, work.folders, options.device, observer, how) as train:
        train(_alone(work, run, runs, log) if options.is_main else None)


def _alone(work: Workspace, run: Run, runs: Sequence[Run], log: Console) -> Plan | None:
    """The plan of training ``run`` and nothing else; None where it is finished, checkpoints and all."""
    if diverged(work.store, run):
        raise RunFailed(f"{run.label}: its loss was not finite; it is not trained again")
    plan = work.plan_for(runs)
    again = forgotten([run], work.store) if work.options.keep_final else []
    if work.store.record(run) and run not in (*plan.missing, *again):
        log.print(f"{run.label} is finished already", markup=False)
        return None
    _check_parents(work.store, run)
    replays = (plan.replays & {run.key}) | {its.key for its in again}
    return Plan((run,), (run,), keeping_final(plan, again).keep if again else plan.keep, replays)


def find(runs: Sequence[Run], key: str, profile: str) -> Run:
    """The one of ``runs`` whose key begins with ``key``. Raises `UsageError` where none does, or several do."""
    hint = "an artifact's --dry-run lists them (with the same --set, --arch, --precision and --seeds)"
    return by_key(runs, key, profile, hint)


def _check_parents(store: Store, run: Run) -> None:
    for parent in run.parents:
        what = f"{run.label} grows from {parent.run.label} at epoch {parent.epoch}"
        train = f"train that first (repro runs train {parent.run.key})"
        if store.record(parent.run) is None:
            raise CheckpointGone(f"{what}, which is not finished: {train}")
        if diverged(store, parent.run):
            raise RunFailed(f"{what}, which diverged")
        if not store.can_continue(run) and not store.has_checkpoint(parent.run, parent.epoch):
            raise CheckpointGone(f"{what}, whose checkpoint is not at hand: {train}")
