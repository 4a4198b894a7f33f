"""Goes through a plan with many workers: each Run as soon as those that it grows from are finished."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from repro import signals, words
from repro.engine.events import Observer
from repro.errors import BudgetSpent, CheckpointGone, MissingInput, ReproError, RunFailed, UsageError
from repro.launch.queue import Queue
from repro.launch.task import Launcher, Task
from repro.plan import Plan, cost, diverged
from repro.record import Record
from repro.run import Run
from repro.store import Store

TRIES = 3  # times in a row that a worker may die without a whole epoch in between
PATIENCE = 3  # Runs in a row that may be given up before everything stops
LOOK_EVERY = 0.5  # seconds
ARRIVES_IN = 60.0  # seconds that a file of another machine may take to be seen here (NFS)
OVERTIME = 5.0  # seconds past the deadline in which workers may still end by themselves
STOPPED = (-signal.SIGTERM, 128 + signal.SIGINT)


def execute(
    plan: Plan,
    store: Store,
    launcher: Launcher,
    observer: Observer,
    task_for: Callable[[Run, float | None], Task],
    workers: int,
    deadline: float | None,
) -> None:
    """Train what ``plan`` misses, up to ``workers`` Runs at a time. ``deadline`` is on `time.monotonic`'s clock.

    Raises `UsageError` or `MissingInput` with a worker's own words where it found one; after all that could be
    trained `RunFailed` for Runs that diverged or whose workers died again and again, `CheckpointGone` where a
    finished Run's checkpoint turned out to be damaged; `BudgetSpent` at the deadline. A signal ends the workers
    politely before it takes its usual effect.
    """
    with store.lock(), signals.deferred(patient=True) as pending:
        driver = _Driver(plan, store, launcher, observer, task_for, workers, deadline)
        observer.started(plan, launcher.name)
        try:
            driver.drive(pending)
        finally:
            launcher.cancel()
            observer.ended()
    driver.conclude()


class _Driver:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        launcher: Launcher,
        observer: Observer,
        task_for: Callable[[Run, float | None], Task],
        workers: int,
        deadline: float | None,
    ) -> None:
        self._plan, self._store, self._launcher, self._observer = plan, store, launcher, observer
        self._task_for, self._workers, self._deadline = task_for, workers, deadline
        self._queue = Queue(plan, store)
        self._running: dict[str, tuple[Run, Task, int]] = {}  # with the length of its log when it began
        self._deaths: dict[str, tuple[int, int]] = {}  # how many in a row, at which epoch
        self._given_up: dict[str, str] = {}  # by key, why
        self._in_a_row = 0
        self._out_of_time = False
        self._error: ReproError | None = None

    def drive(self, pending: signals.Pending) -> None:
        """Hand out and take in until nothing is left that can be trained, or something says stop."""
        while not pending and self._error is None:
            left = None if self._deadline is None else self._deadline - time.monotonic()
            self._out_of_time = self._out_of_time or (left is not None and left <= 0)
            if not self._out_of_time:
                self._hand_out(left)
            if not self._running or (left is not None and left < -OVERTIME):
                return
            for key, status in self._launcher.wait(LOOK_EVERY):
                self._take_in(*self._running.pop(key), status)
            self._observer.looked(self._launcher.note())

    def conclude(self) -> None:
        """Raise what has to be said, if anything has."""
        if self._error:
            raise self._error
        if self._out_of_time:
            rest = cost(self._queue.left(), self._store)
            raise BudgetSpent(words.budget_spent(rest.runs, rest.epochs))
        failed = [run.label for run in self._plan.runs if diverged(self._store, run)]
        said = [words.not_finite(failed)] if failed else []
        said += self._given_up.values()
        if said:
            left = [run for run in (*self._queue.left(), *self._plan.blocked) if run.key not in self._given_up]
            blocked = sum(self._store.record(run) is None for run in left)
            grown = [words.blocked(blocked)] if blocked else []
            raise RunFailed("; ".join([*said, *grown]))
        for run in self._queue.left():
            raise CheckpointGone(f"{run.label}: a checkpoint that it grows from is gone or was damaged")

    def _hand_out(self, left: float | None) -> None:
        for run in self._queue.take(self._workers - len(self._running)):
            task = self._task_for(run, left)
            size = task.log.stat().st_size if task.log.exists() else 0
            try:
                self._launcher.submit(task)
            except ReproError as error:
                self._error = error
                return
            self._running[run.key] = (run, task, size)
            self._observer.handed_out(run)

    def _take_in(self, run: Run, task: Task, began: int, status: int | None) -> None:
        record = self._result(run, status)
        if record:
            self._store.add([record])
            self._queue.finished(run)
            self._in_a_row = 0
            self._observer.run_done(run, record, len(self._queue.left()) + len(self._running))
            return
        self._queue.put_back(run)
        last = _last_lines(task, began)
        words = next((line.removeprefix("repro: ") for line in reversed(last) if line.startswith("repro: ")), "")
        if status == UsageError.exit_code:
            self._error = UsageError(words or f"{run.label}: its worker refused; see {task.log}")
        elif status == BudgetSpent.exit_code and self._deadline is not None:
            self._out_of_time = True
        else:
            self._died(run, task, status, words, last)

    def _result(self, run: Run, status: int | None) -> Record | None:
        """The Record that the worker left. One that was lost may have finished before, and one that reported
        success may have done so on a machine whose files take a moment to be seen here."""
        deadline = time.monotonic() + (ARRIVES_IN if status == 0 else 0)
        while not (record := self._store.record(run)) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
        if run.key not in self._plan.replays:
            return record
        kept = all(self._store.has_checkpoint(run, epoch) for epoch in self._plan.keep.get(run.key, ()))
        return record if status == 0 and kept else None  # it had a Record all along: it lacked its checkpoints

    def _died(self, run: Run, task: Task, status: int | None, words: str, last: list[str]) -> None:
        reached = self._store.progress(run)
        before, at = self._deaths.get(run.key, (0, reached))
        deaths = before + 1 if reached == at else 1
        self._deaths[run.key] = deaths, reached
        again = deaths < TRIES
        self._observer.worker_died(run, _how(status), again, last)
        if again:
            return
        why = f"{run.label}: its worker {_how(status)} {TRIES} times; {words or f'see {task.log}'}"
        self._queue.give_up(run)
        self._given_up[run.key] = why
        self._in_a_row += 1
        if status == MissingInput.exit_code:
            self._error = MissingInput(words or why)
        elif self._in_a_row >= PATIENCE:
            self._error = RunFailed("; ".join(self._given_up.values()))


def _how(status: int | None) -> str:
    if status is None:
        return "was lost with its machine"
    if status in STOPPED:
        return "was asked to end"
    if status < 0:
        return f"was killed ({signal.Signals(-status).name})"
    return f"ended with status {status}"


def _last_lines(task: Task, began: int, count: int = 8) -> list[str]:
    """The last lines of a worker's log that it wrote since the log had ``began`` bytes."""
    try:
        with open(task.log, "rb") as log:
            log.seek(began)
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-count:]
