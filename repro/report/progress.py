"""Report progress on stderr: a bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

from rich import progress
from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

from repro.data.imagenet import preparation
from repro.engine.events import EpochReport, Observer, StepReport
from repro.plan import Plan, cost
from repro.record import Record
from repro.report.terminal import duration, speed
from repro.run import Photos, Run
from repro.store import Store
from repro.words import counted

LINE_EVERY = 10.0  # seconds between plain lines
LOOK_EVERY = 1.0  # seconds; each look at the workers' Runs reads the store
BAR = 24  # columns
SHOWN = 3  # running Runs on one line
# Multiply-adds of an image, in those of ResNet20 on 32 pixels; of ResNet18 and ResNet50 on NATIVE pixels.
WORK = {"resnet20": 1.0, "resnet56": 3.1, "resnet18": 44.5, "resnet50": 100.0}
NATIVE = 224


class Progress:
    """Show a bar on a terminal; elsewhere print a plain line when ``line_every`` seconds have passed."""

    LEFT = "left"

    def __init__(self, console: Console, line_every: float = LINE_EVERY) -> None:
        self._console, self._line_every = console, line_every
        self._bar: _Bar | None = None
        self._last = -math.inf

    def open(self, what: str, total: float | None) -> None:
        """Start the clock; on a terminal, show a bar unless ``total`` is 0. A ``total`` of None is unknown."""
        self._began, self._total = time.monotonic(), total
        if self._console.is_terminal and total != 0:
            self._bar = _Bar(console=self._console)
            self._task = self._bar.add_task(what, total=total, note="")
            self._bar.start()

    def show(self, what: str, *notes: str, done: float | None = None, total: float | None = None) -> None:
        """Update the bar or print a line, if one is due. The bar keeps ``done`` and ``total`` if they are None."""
        note = ", ".join(filter(None, notes))
        if self._bar:
            self._bar.update(self._task, description=what, note=note, completed=done, total=total)
        elif time.monotonic() - self._last >= self._line_every:
            self._last = time.monotonic()
            self.said(f"{what}, {note}" if note else what)

    def said(self, line: str) -> None:
        """Print a line now."""
        self._console.print(line, markup=False)

    def left(self, done: float) -> str:
        """Tell the time until the end if all work takes as long as what is ``done``; empty without any."""
        spent = time.monotonic() - self._began
        return f"{duration(spent * ((self._total or 0.0) / done - 1))} {self.LEFT}" if done else ""

    def ended(self) -> None:
        """Stop the bar. Its last state stays on the screen."""
        if self._bar:
            self._bar.stop()
            self._bar = None


class ImagesProgress(Progress, preparation.Observer):
    """Report the number of images done, images/s and the time left."""

    def track(self, what: str, total: int, chunks: Iterable[int]) -> Iterator[int]:
        self.open(what, total)
        self._last, done = self._began, 0  # the first line is due later: a short part needs none
        try:
            for images in chunks:
                done += images
                so_far = speed(done / max(time.monotonic() - self._began, 1e-3))
                self.show(what, f"{done:,} of {total:,}", so_far, self.left(done), done=done)
                yield images
        finally:
            self.ended()


class TrainingProgress(Progress, Observer):
    """Report which Run trains or which are with a worker, the epoch, accuracy, images/s, and the time left."""

    LEFT = "left for everything"

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
        self._out: dict[str, Run] = {}  # the Runs that are with a worker
        self._finished, self._done, self._looked = 0, 0.0, -math.inf

    def started(self, plan: Plan, where: str) -> None:
        work = cost(plan.missing, self._store)
        self._work = {run.key: self._work_left(run) for run in plan.missing}
        self.said(f"{counted(work.runs, 'Run')} to train, {counted(work.epochs, 'epoch')}, on {where}")
        for run in plan.missing:
            if run.key in plan.replays:
                self.said(f"{run.label} is trained again: a checkpoint of it is needed and not here")
        self.open("starting", sum(self._work.values()))

    def measuring(self, what: str) -> None:
        self.show(f"timing {what}")

    def run_started(self, run: Run) -> None:
        if run.epochs:
            next_epoch = run.first_epoch + self._store.progress(run) + 1
            self.show(f"{self._where(run, min(next_epoch, run.last_epoch))} begins", self.left(self._done))

    def step_done(self, report: StepReport) -> None:
        """Report images within a long epoch, and the share of the time in which none were ready."""
        run, done = report.run, self._done + report.images * work_per_image(report.run)
        images = f"{report.images:,} of {run.data.train:,} images"
        waiting = f"{report.waiting:.0%} waiting for images" if report.waiting >= 0.01 else ""
        self.show(self._where(run, report.epoch), images, speed(report.speed), waiting, self.left(done), done=done)

    def epoch_done(self, report: EpochReport) -> None:
        run, wave = report.run, report.wave
        images = report.images + (run.data.test // 3 if run.evaluates_after(report.epoch) else 0)
        self._done += images * work_per_image(run)
        together = speed(wave * images / report.seconds)  # the lanes of a wave train in step
        several = f"{wave} Runs at a time" if wave > 1 else ""
        top1 = "" if report.test_top1 is None else f"top-1 {report.test_top1:.2f} %"
        left = self.left(self._done)
        self.show(self._where(run, report.epoch), together, several, top1, left, done=self._done)

    def run_done(self, run: Run, record: Record, left: int) -> None:
        if self._out.pop(run.key, None):  # a worker's epochs were not reported
            self._done += self._work[run.key]
        self._finished += 1
        if run.epochs:
            about = record.provenance
            end = "" if record.top1 is None else f"top-1 {record.top1:.2f} %"
            end = end or f"diverged at epoch {about['diverged_at']}"
            self.said(f"done {self._finished}/{len(self._work)}  {run.label}: {end}, {duration(about['wall_s'])}")
        self._then()

    def handed_out(self, run: Run) -> None:
        self._out[run.key] = run

    def worker_died(self, run: Run, why: str, again: bool, last: list[str]) -> None:
        self._out.pop(run.key, None)
        then = "another one goes on from its last state" if again else "given up"
        self.said(f"{run.label}: its worker {why}; {then}")
        for line in last if not again else ():
            self.said(f"  {line}")

    def looked(self) -> None:
        if time.monotonic() - self._looked < min(self._line_every, LOOK_EVERY):
            return
        self._looked = time.monotonic()
        running, done = [], self._done
        for run in self._out.values():
            epoch = run.first_epoch + self._store.progress(run)
            running.append(f"{run.label} epoch {epoch}/{run.last_epoch}")
            done += max(0.0, self._work[run.key] - self._work_left(run))
        more = f" and {counted(len(running) - SHOWN, 'other')}" if len(running) > SHOWN else ""
        what = f"{self._finished} of {counted(len(self._work), 'Run')} done, {len(running)} running"
        what += f": {', '.join(running[:SHOWN])}{more}"
        self.show(what, self.left(done), done=done)

    def _where(self, run: Run, epoch: int) -> str:
        return f"[{self._finished + 1}/{len(self._work)}] {run.label}: epoch {epoch}/{run.last_epoch}"

    def _work_left(self, run: Run) -> float:
        """Return the work of a Run, less the epochs that the store has of it."""
        return cost([run], self._store).images * work_per_image(run)


def work_per_image(run: Run) -> float:
    """Return the multiply-adds of one of its images, in those of ResNet20 on CIFAR-10."""
    side = run.data.crop / NATIVE if isinstance(run.data, Photos) else 1.0
    return WORK[run.arch] * side**2


class _Bar(progress.Progress):
    """A bar between the task's description and its note, as one text: words that do not fit on a line move to the
    next."""

    _spinner = Spinner("dots", style="progress.spinner")  # turns during a long epoch or a compilation

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            bar = self.console.render(ProgressBar(task.total, task.completed, width=BAR))
            parts = [(part.text, part.style or "") for part in bar]
            share = (f" {task.percentage:3.0f}% ", "progress.percentage")
            self._spinner.update(text=Text.assemble(task.description, " ", *parts, share, task.fields["note"]))
            yield self._spinner
