"""The driver: trains a plan with many workers, each Run as soon as its parents are finished."""

from __future__ import annotations

import math
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro import signals
from repro.engine.events import Observer
from repro.errors import BudgetSpent, CheckpointGone, MissingInput, RunFailed, UsageError
from repro.launch.task import LOST, Launcher, Task
from repro.plan import Plan, budget_spent, check_trained, diverged
from repro.record import Record
from repro.run import Run
from repro.store import Store, progress_of

TRIES = 3  # times in a row that a worker may die before its Run is given up; a later state starts again
PATIENCE = 3  # Runs given up in a row before everything stops
LOOK_EVERY = 0.2  # seconds
ARRIVES_IN = 60.0  # seconds after which a file written on another machine is visible here (NFS)
OVERTIME = 5.0  # seconds past the deadline in which workers may still end by themselves
STOPPED = (-signal.SIGTERM, 128 + signal.SIGINT)


@dataclass
class Worker:
    """The launcher's ``job`` trains ``run``; its output goes to ``log``, behind the first ``log_size`` bytes."""

    run: Run
    job: Any
    log: Path
    log_size: int


@dataclass
class Driver:
    """Trains the missing Runs of ``plan``, ``workers`` at a time; ``deadline`` is on `time.monotonic`'s clock."""

    plan: Plan
    store: Store
    launcher: Launcher
    observer: Observer
    task_for: Callable[[Run, float], Task]
    workers: int
    deadline: float

    def __post_init__(self) -> None:
        waiting = descendants(self.plan.missing)
        order = sorted(self.plan.missing, key=lambda run: -waiting[run.key])  # equals in the plan's order
        self._unfinished = {run.key: run for run in order}
        self._blocked: set[str] = set()  # given up, or a parent's checkpoint is not there
        self._running: dict[str, Worker] = {}
        self._deaths: Counter[tuple[str, tuple[int, int] | None]] = Counter()  # of workers, by key and progress
        self._given_up: dict[str, str] = {}  # by key, why
        self._given_up_in_a_row = 0
        self._out_of_time = False

    def train(self) -> None:
        """Train, and return when all Runs are finished.

        Raises:
            UsageError, MissingInput: a worker reported one, in its own words.
            BudgetSpent: the deadline has come.
            RunFailed: after all others were trained, Runs diverged or their workers died again and again.
            CheckpointGone: a finished Run's checkpoint turned out to be damaged.

        A signal takes its usual effect after all workers have been asked to end, and have.
        """
        with self.store.lock(), signals.deferred(patient=True) as pending:
            self.observer.started(self.plan, self.launcher.name)
            try:
                self._drive(pending)
            finally:
                self.launcher.cancel([worker.job for worker in self._running.values()])
                self.observer.ended()
        if self._out_of_time:
            raise budget_spent(self.plan, self.store)
        check_trained(self.plan, self.store, self._given_up)
        if self._unfinished:
            run = next(iter(self._unfinished.values()))
            raise CheckpointGone(f"{run.label}: a checkpoint that it starts from is missing or damaged")

    def _drive(self, pending: signals.Pending) -> None:
        """Start and collect workers until nothing more can be trained, time is over, or a signal comes."""
        while not pending:
            left = self.deadline - time.monotonic()
            self._out_of_time = self._out_of_time or left <= 0
            if not self._out_of_time:
                self._start_ready(left)
            if not self._running or left < -OVERTIME:
                return
            ended = False
            for key, worker in list(self._running.items()):
                if (status := self.launcher.poll(worker.job)) is not None:
                    del self._running[key]
                    self._collect(worker, status)
                    ended = True
            self.observer.looked()
            if not ended:
                time.sleep(LOOK_EVERY)

    def _start_ready(self, left: float) -> None:
        """Start Runs whose parents are finished, those first that most others wait for."""
        for run in self._unfinished.values():
            if len(self._running) == self.workers:
                return
            if run.key in self._running or run.key in self._blocked:
                continue
            if any(parent.run.key in self._unfinished for parent in run.parents):
                continue
            if not self.store.can_continue(run) or any(diverged(self.store, p.run) for p in run.parents):
                self._blocked.add(run.key)
                continue
            task = self.task_for(run, left)
            log_size = task.log.stat().st_size if task.log.exists() else 0
            self._running[run.key] = Worker(run, self.launcher.start(task), task.log, log_size)
            self.observer.handed_out(run)

    def _collect(self, worker: Worker, status: int) -> None:
        """Store the Record of a worker that ended, or decide what its failure means: the Run is tried again or
        given up, or nothing more is started, or `train` raises."""
        run = worker.run
        if record := self._result(run, status):
            self.store.add([record])
            del self._unfinished[run.key]
            self._given_up_in_a_row = 0
            self.observer.run_done(run, record, len(self._unfinished))
            return
        last = _last_lines(worker)
        message = next((line.removeprefix("repro: ") for line in reversed(last) if line.startswith("repro: ")), "")
        if status == UsageError.exit_code:
            raise UsageError(message or f"{run.label}: its worker refused; see {worker.log}")
        if status == BudgetSpent.exit_code and self.deadline < math.inf:
            self._out_of_time = True
            return
        state = self.store.newest_state(run)
        reached = run.key, progress_of(state) if state else None
        self._deaths[reached] += 1
        deaths = self._deaths[reached]
        self.observer.worker_died(run, _how(status), deaths < TRIES, last)
        if deaths < TRIES:
            return
        why = f"{run.label}: its worker {_how(status)} {TRIES} times; {message or f'see {worker.log}'}"
        if status == MissingInput.exit_code:
            raise MissingInput(message or why)
        self._blocked.add(run.key)
        self._given_up[run.key] = why
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row == PATIENCE:
            raise RunFailed("; ".join(self._given_up.values()))

    def _result(self, run: Run, status: int) -> Record | None:
        """Return the Record that the worker left. A lost worker may have finished before, and the files of one
        that reported success on another machine may take a moment to be visible here."""
        deadline = time.monotonic() + (ARRIVES_IN if status == 0 else 0)
        while not (record := self.store.record(run)) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
        if run.key not in self.plan.replays:
            return record
        kept = all(self.store.checkpoint(run, epoch) for epoch in self.plan.keep.get(run.key, ()))
        return record if status == 0 and kept else None  # it had a Record before: its checkpoints were missing


def descendants(runs: Sequence[Run]) -> dict[str, int]:
    """Count how many of ``runs`` start from each of them, directly or not. Parents come before their children."""
    children: dict[str, set[str]] = {run.key: set() for run in runs}
    for run in reversed(runs):
        for parent in run.parents:
            if parent.run.key in children:
                children[parent.run.key] |= {run.key} | children[run.key]
    return {key: len(keys) for key, keys in children.items()}


def _how(status: int) -> str:
    if status == LOST:
        return "was lost with its machine"
    if status in STOPPED:
        return "was asked to end"
    if status < 0:
        return f"was killed ({signal.Signals(-status).name})"
    return f"ended with status {status}"


def _last_lines(worker: Worker) -> list[str]:
    """Return the last eight lines of its output."""
    try:
        with open(worker.log, "rb") as log:
            log.seek(worker.log_size)
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-8:]
