"""Report the progress of Runs: of those that this process trains, or of those that workers train."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from rich.console import Console

from repro.engine.events import EpochReport, Observer, StepReport
from repro.plan import Plan, cost
from repro.record import DONE, Record
from repro.report.progress import LINE_EVERY, Progress
from repro.report.terminal import duration
from repro.run import Photos, Run
from repro.store import Store
from repro.words import counted

SHOWN = 3  # running Runs on one line
LOOK_EVERY = 1.0  # seconds; each look at the workers' Runs reads the store
# Multiply-adds of an image, in those of ResNet20 on 32 pixels; of ResNet18 and ResNet50 on NATIVE pixels.
WORK = {"resnet20": 1.0, "resnet56": 3.1, "resnet18": 44.5, "resnet50": 100.0}
NATIVE = 224


class TrainingProgress(Progress, Observer):
    """Report which Run trains or which are with a worker, the epoch, accuracy, images/s, and the time left."""

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
        self._note = ""

    def started(self, plan: Plan, where: str) -> None:
        work = cost(plan.missing, self._store)
        self._images = {run.key: cost([run], self._store).images for run in plan.missing}
        self._runs, self._finished, self._work = work.runs, 0, TimeLeft(plan.missing, self._store)
        self.said(f"{counted(work.runs, 'Run')} to train, {counted(work.epochs, 'epoch')}, on {where}")
        for run in plan.missing:
            if run.key in plan.replays:
                self.said(f"{run.label} is trained again: a Run that grows from it needs its checkpoint")
        self.open("starting", self._work.total)

    def measuring(self, what: str) -> None:
        (self.show if self._bar else self.said)(f"timing {what}")

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

    def run_done(self, run: Run, record: Record, left: int) -> None:
        if self._out.pop(run.key, None):  # a worker's epochs were not reported
            self._work.add(run, self._images[run.key])
        self._finished += 1
        if run.epochs:
            end = f"top-1 {record.top1:.2f} %" if record.status == DONE else ""
            end = end or f"diverged at epoch {record.provenance['diverged_at']}"
            took = duration(record.provenance["wall_s"])
            self.said(f"done {self._finished}/{self._runs}  {run.label}: {end}, {took}")
        self._then()

    def handed_out(self, run: Run) -> None:
        self._out[run.key] = run

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
        if not self.due(LOOK_EVERY):
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

    def _where(self, run: Run, epoch: int) -> str:
        return f"[{self._finished + 1}/{self._runs}] {run.label}: epoch {epoch}/{run.last_epoch}"

    def _left(self, within: Counter[str] | None = None) -> str:
        """Return the time left; empty while nothing is done. ``within`` as in `TimeLeft.done`."""
        left = self._work.seconds(time.monotonic() - self._began, within)
        return f"{duration(left)} left for everything" if self._work.done(within) else ""


class TimeLeft:
    """The work of a plan, by network.

    A network that has trained is taken at the speed that it showed; until then it is taken to be slower than those
    that have by its multiply-adds. What happens between epochs (tests, files) is spread over the rest.
    """

    def __init__(self, runs: Iterable[Run], store: Store | None = None) -> None:
        """Count the work of ``runs``, less the epochs that ``store`` has of them."""
        self._left, self._seen = Counter[str](), Counter[str]()
        self._work: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        for run in runs:
            self._left[run.arch] += cost([run], store).images
            self._work[run.arch] = work_per_image(run)
        self.total = self._sum(self._left)

    def add(self, run: Run, images: int, seconds: float = 0.0) -> None:
        """Add ``images`` of ``run`` to those done. They took ``seconds`` of the device; 0 if unknown."""
        self._left[run.arch] -= images
        self._seen[run.arch] += images
        self._seconds[run.arch] = self._seconds.get(run.arch, 0.0) + seconds

    def done(self, within: Counter[str] | None = None) -> float:
        """Return the work done, of `total`. ``within``: images not yet added, by network."""
        return self._sum(self._seen + (within or Counter()))

    def seconds(self, spent: float, within: Counter[str] | None = None) -> float:
        """Estimate the seconds left after ``spent`` seconds in all; ``within`` as in `done`."""
        busy = sum(self._seconds.values())
        if not busy:
            return spent * (self.total / max(self.done(within), 1e-9) - 1)
        of_work = busy / self._sum(self._seen)
        left = self._left - (within or Counter())
        rest = sum(
            count * (self._seconds[arch] / self._seen[arch] if arch in self._seen else of_work * self._work[arch])
            for arch, count in left.items()
        )
        return rest * max(1.0, spent / busy)

    def _sum(self, images: Counter[str]) -> float:
        return sum(count * self._work[arch] for arch, count in images.items())


def work_per_image(run: Run) -> float:
    """Return the multiply-adds of one of its images, in those of ResNet20 on CIFAR-10."""
    side = run.data.crop / NATIVE if isinstance(run.data, Photos) else 1.0
    return WORK[run.arch] * side**2
