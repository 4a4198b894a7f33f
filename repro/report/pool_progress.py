"""Progress of many workers: one bar on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from repro.plan import Plan, cost
from repro.record import Record
from repro.report.bar import open_bar
from repro.report.progress import LINE_EVERY, outcome, say_replays
from repro.report.terminal import duration
from repro.run import Run
from repro.store import Store
from repro.words import counted

LOOK_EVERY = 1.0  # seconds between looks at what the running ones have behind them
SHOWN = 3  # of the running ones, on one line


class PoolReporter:
    """Tells how many Runs of how many are done, which are with a worker and at which epoch, and the time left."""

    def __init__(self, console: Console, store: Store, then: Callable[[], None] = lambda: None) -> None:
        """``then`` is called after each Run."""
        self._console, self._then = console, then
        self._store = store
        self._bar: Progress | None = None
        self._out: dict[str, Run] = {}
        self._images: dict[str, int] = {}  # what each Run has left when it begins
        self._done = self._finished = 0
        self._last_line = self._last_look = 0.0
        self._note = ""

    def started(self, plan: Plan, where: str) -> None:
        self._images = {run.key: cost([run], self._store).images for run in plan.missing}
        self._total, self._runs = sum(self._images.values()), len(plan.missing)
        self._began = time.monotonic()
        epochs = cost(plan.missing, self._store).epochs
        self._console.print(
            f"{counted(self._runs, 'Run')} to train, {counted(epochs, 'epoch')}: {where}", markup=False
        )
        say_replays(plan, self._console)
        if self._console.is_terminal:
            self._bar, self._task = open_bar(self._console, self._total)

    def handed_out(self, run: Run) -> None:
        self._out[run.key] = run

    def run_done(self, run: Run, record: Record, left: int) -> None:
        self._out.pop(run.key, None)
        self._finished += 1
        self._done += self._images[run.key]
        if run.epochs:
            self._say(f"done {self._finished}/{self._runs}  {run.label}: {outcome(record)}")
        self._then()

    def worker_died(self, run: Run, why: str, again: bool, last: list[str]) -> None:
        self._out.pop(run.key, None)
        then = "another one goes on from its last state" if again else "given up"
        self._say(f"{run.label}: its worker {why}; {then}")
        for line in last if not again else ():
            self._say(f"  {line}")

    def looked(self, note: str) -> None:
        now = time.monotonic()
        if note and note != self._note:
            self._say(note)
        self._note = note
        if now - self._last_look < (LOOK_EVERY if self._bar else LINE_EVERY):
            return
        self._last_look = now
        running, done = self._running()
        left = (now - self._began) * (self._total - done) / done if done else None
        rest = "" if left is None else f"{duration(left)} left for everything"
        where = f"{self._finished} of {counted(self._runs, 'Run')} done, {len(self._out)} running"
        if self._bar:
            self._bar.update(self._task, completed=done, description=escape(f"{where}: {running}"), note=rest)
        else:
            self._say(f"{where}: {running}{', ' + rest if rest else ''}")

    def ended(self) -> None:
        if self._bar:
            self._bar.stop()

    def _running(self) -> tuple[str, int]:
        """The running ones in words, and the images done by now, theirs included."""
        words, done = [], self._done
        for run in self._out.values():
            epochs = self._store.progress(run)
            left = cost([run], self._store).images
            done += max(0, self._images[run.key] - left)
            words.append(f"{run.label} epoch {run.first_epoch + epochs}/{run.last_epoch}")
        more = f" and {len(words) - SHOWN} others" if len(words) > SHOWN else ""
        return ", ".join(words[:SHOWN]) + more, done

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False)
