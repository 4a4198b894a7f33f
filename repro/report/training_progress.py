"""Report the progress of Runs: of those that this process trains, or of those that workers train."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from rich.console import Console

from repro.engine.events import EpochReport, Observer, StepReport
from repro.plan import Plan, cost
from repro.record import DONE, Record
from repro.report.progress import LINE_EVERY, Progress
from repro.report.terminal import duration
from repro.report.time_left import TimeLeft
from repro.run import Run
from repro.store import Store
from repro.words import counted

SHOWN = 3  # running Runs on one line


class _PlanProgress(Progress, Observer):
    """Report which Runs of a plan are done, and the time left for everything."""

    def __init__(
        self,
        console: Console,
        store: Store,
        line_every: float = LINE_EVERY,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Call ``then`` after each Run."""
        super().__init__(console, line_every)
        self._store, self._then = store, then

    def started(self, plan: Plan, where: str) -> None:
        work = cost(plan.missing, self._store)
        self._runs, self._finished, self._work = work.runs, 0, TimeLeft(plan.missing, self._store)
        self.said(f"{counted(work.runs, 'Run')} to train, {counted(work.epochs, 'epoch')}, on {where}")
        for run in plan.missing:
            if run.key in plan.replays:
                self.said(f"{run.label} is trained again: a Run that grows from it needs its checkpoint")
        self.open("starting", self._work.total)

    def run_done(self, run: Run, record: Record, left: int) -> None:
        self._finished += 1
        if run.epochs:
            end = f"top-1 {record.top1:.2f} %" if record.status == DONE else ""
            end = end or f"diverged at epoch {record.provenance['diverged_at']}"
            took = duration(record.provenance["wall_s"])
            self.said(f"done {self._finished}/{self._runs}  {run.label}: {end}, {took}")
        self._then()

    def _left(self, within: Counter[str] | None = None) -> str:
        """Return the time left; empty while nothing is done. ``within`` as in `TimeLeft.done`."""
        left = self._work.seconds(time.monotonic() - self._began, within)
        return f"{duration(left)} left for everything" if self._work.done(within) else ""


class TrainingProgress(_PlanProgress):
    """Report which Run of how many trains, its epoch, accuracy, images/s of all Runs trained together, and the
    time left for everything."""

    def run_started(self, run: Run) -> None:
        if run.epochs:
            self.show(f"{self._where(run, run.first_epoch + 1)} begins", self._left())

    def step_done(self, report: StepReport) -> None:
        """Report images within a long epoch, and the share of the time in which none were ready."""
        run, within = report.run, Counter({report.run.arch: report.images})
        waiting = f", {report.waiting:.0%} waiting for images" if report.waiting >= 0.01 else ""
        note = f"{report.images:,} of {run.data.train:,} images, {report.speed:,.0f} images/s{waiting}"
        self.show(self._where(run, report.epoch), f"{note}, {self._left(within)}", self._work.done(within))

    def epoch_done(self, report: EpochReport) -> None:
        run, wave = report.run, report.wave
        images = report.images + (run.data.test // 3 if run.evaluates_after(report.epoch) else 0)
        self._work.add(run, images, report.seconds / wave)
        several = f", {wave} Runs at a time" if wave > 1 else ""
        top1 = "" if report.test_top1 is None else f", top-1 {report.test_top1:.2f} %"
        # All lanes of a wave train in step, so each has the same speed.
        note = f"{wave * images / report.seconds:,.0f} images/s{several}{top1}, {self._left()}"
        self.show(self._where(run, report.epoch), note, self._work.done())

    def measuring(self, what: str) -> None:
        """Report a measurement of how this device trains fastest."""
        (self.show if self._bar else self.said)(f"timing {what}")

    def _where(self, run: Run, epoch: int) -> str:
        return f"[{self._finished + 1}/{self._runs}] {run.label}: epoch {epoch}/{run.last_epoch}"


class PoolProgress(_PlanProgress):
    """Report how many Runs of how many are done, which are with a worker and at which epoch, and the time left."""

    bar_every = 1.0  # each update reads the store

    def started(self, plan: Plan, where: str) -> None:
        self._images = {run.key: cost([run], self._store).images for run in plan.missing}
        self._out: dict[str, Run] = {}
        self._note = ""
        super().started(plan, where)

    def handed_out(self, run: Run) -> None:
        self._out[run.key] = run

    def run_done(self, run: Run, record: Record, left: int) -> None:
        self._out.pop(run.key, None)
        self._work.add(run, self._images[run.key])
        super().run_done(run, record, left)

    def worker_died(self, run: Run, why: str, again: bool, last: list[str]) -> None:
        self._out.pop(run.key, None)
        then = "another one goes on from its last state" if again else "given up"
        self.said(f"{run.label}: its worker {why}; {then}")
        for line in last if not again else ():
            self.said(f"  {line}")

    def looked(self, note: str) -> None:
        if note and note != self._note:
            self.said(note)
        self._note = note
        if not self.due():
            return
        running, within = [], Counter[str]()
        for run in self._out.values():
            epoch = run.first_epoch + self._store.progress(run)
            running.append(f"{run.label} epoch {epoch}/{run.last_epoch}")
            within[run.arch] += max(0, self._images[run.key] - cost([run], self._store).images)
        more = f" and {counted(len(running) - SHOWN, 'other')}" if len(running) > SHOWN else ""
        what = f"{self._finished} of {counted(self._runs, 'Run')} done, {len(running)} running"
        what += f": {', '.join(running[:SHOWN])}{more}"
        self.show(what, self._left(within), self._work.done(within))
