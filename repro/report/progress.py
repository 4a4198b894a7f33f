"""Progress of a session: a bar on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from repro.plan import Plan, cost
from repro.record import DONE, Record
from repro.report.bar import open_bar
from repro.report.terminal import duration
from repro.report.time_left import TimeLeft
from repro.run import Run
from repro.store import Store
from repro.words import counted

if TYPE_CHECKING:
    from repro.engine.reports import EpochReport, StepReport

LINE_EVERY = 10.0  # seconds between plain lines about epochs


class Reporter:
    """Tells which Run of how many trains, its epoch, images/s of it and all beside it, accuracy, and the time left
    for everything."""

    def __init__(
        self,
        console: Console,
        store: Store,
        line_every: float = LINE_EVERY,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """``line_every`` seconds a plain line about epochs; 0 for a line each. ``then`` is called after a Run."""
        self._console, self._then = console, then
        self._line_every = line_every
        self._store = store
        self._bar: Progress | None = None
        self._last_line = 0.0

    def started(self, plan: Plan, device: str) -> None:
        work = cost(plan.missing, self._store)
        self._runs, self._finished, self._work = work.runs, 0, TimeLeft(plan.missing, self._store)
        self._began = time.monotonic()
        self._console.print(f"{counted(work.runs, 'Run')} to train, {counted(work.epochs, 'epoch')}, on {device}")
        say_replays(plan, self._console)
        if self._console.is_terminal:
            self._bar, self._task = open_bar(self._console, self._work.total)

    def run_started(self, run: Run) -> None:
        where = (
            f"[{self._finished + 1}/{self._runs}] {run.label}: epoch {run.first_epoch + 1}/{run.last_epoch} begins"
        )
        if self._bar:
            self._bar.update(self._task, description=escape(where))
        elif run.epochs and time.monotonic() - self._last_line >= self._line_every:
            self._last_line = time.monotonic()
            self._console.print(where, markup=False)

    def step_done(self, report: StepReport) -> None:
        """Within a long epoch: the same line, with the share of the time in which no images were ready."""
        run = report.run
        waiting = f", {report.waiting:.0%} waiting for images" if report.waiting >= 0.01 else ""
        left = self._work.seconds(time.monotonic() - self._began, run, report.images)
        where = f"[{self._finished + 1}/{self._runs}] {run.label}: epoch {report.epoch}/{run.last_epoch}"
        note = f"{report.images:,} of {run.data.train:,} images, {report.speed:,.0f} images/s{waiting}"
        note += f", {duration(left)} left for everything"
        self._tell(where, note, self._work.done(run, report.images))

    def epoch_done(self, report: EpochReport) -> None:
        run = report.run
        tests = run.data.test // 3 if run.evaluates_after(report.epoch) else 0
        self._work.add(run, report.images + tests, report.seconds / report.wave)
        left = self._work.seconds(time.monotonic() - self._began)
        top1 = "" if report.test_top1 is None else f", top-1 {report.test_top1:.2f} %"
        several = f", {report.wave} Runs at a time" if report.wave > 1 else ""
        # Lanes go in step, so that what one does the others do as well.
        speed = report.wave * (report.images + tests) / report.seconds
        where = f"[{self._finished + 1}/{self._runs}] {run.label}: epoch {report.epoch}/{run.last_epoch}"
        note = f"{speed:,.0f} images/s{several}{top1}, {duration(left)} left for everything"
        self._tell(where, note, self._work.done())

    def _tell(self, where: str, note: str, done: float) -> None:
        if self._bar:
            self._bar.update(self._task, completed=done, description=escape(where), note=note)
        elif time.monotonic() - self._last_line >= self._line_every:
            self._last_line = time.monotonic()
            self._console.print(f"{where}, {note}", markup=False)

    def measuring(self, what: str) -> None:
        """How this device trains fastest is found out, once."""
        if self._bar:
            self._bar.update(self._task, description=escape(f"timing {what}"))
        else:
            self._console.print(f"timing {what}", markup=False)

    def run_done(self, run: Run, record: Record, left: int) -> None:
        self._finished += 1
        if run.epochs:
            done = f"done {self._finished}/{self._runs}"
            self._console.print(f"{done}  {run.label}: {outcome(record)}", markup=False)
        self._then()

    def ended(self) -> None:
        if self._bar:
            self._bar.stop()


def say_replays(plan: Plan, console: Console) -> None:
    """Why finished Runs are trained again."""
    for run in plan.missing:
        if run.key in plan.replays:
            console.print(f"{run.label} is trained again: a Run that grows from it needs its checkpoint")


def outcome(record: Record) -> str:
    """How a Run ended, and how long it took."""
    if record.status == DONE:
        return f"top-1 {record.top1:.2f} %, {duration(record.provenance['wall_s'])}"
    return f"diverged at epoch {record.provenance['diverged_at']}, {duration(record.provenance['wall_s'])}"
