"""Progress of a search: a bar on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from repro.errors import BudgetSpent
from repro.report.progress import LINE_EVERY
from repro.report.terminal import duration
from repro.ticket.events import Event
from repro.words import counted


class Reporter:
    """An observer for `find_ticket`: phase, epoch, images/s, accuracy, and the time left for everything.

    A context manager: the bar goes when it ends. Raises `BudgetSpent` after the last epoch that ends before
    ``deadline`` (on `time.monotonic`'s clock), as far as the one before can tell.
    """

    def __init__(self, console: Console, deadline: float | None = None) -> None:
        self._console, self._deadline = console, deadline
        self._last = self._began = time.monotonic()
        self._behind: int | None = None  # epochs that earlier calls trained
        self._last_line = 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> Reporter:
        if self._console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24))
            note = TextColumn("{task.fields[note]}")
            self._bar = Progress(*columns, TaskProgressColumn(), note, console=self._console)
            self._task = self._bar.add_task("dense: epoch 1 begins", total=None, note="")
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        if event.kind not in ("epoch", "check"):
            self._console.print(str(event), markup=False)
            return
        self._show(event)
        now, before = time.monotonic(), self._last
        self._last = now
        if self._deadline is not None and event.left and 2 * now - before > self._deadline:
            left = counted(event.left, "epoch")
            raise BudgetSpent(f"the time budget is spent with at most {left} left; the same command goes on")

    def _show(self, event: Event) -> None:
        if self._behind is None:
            self._behind = event.spent - 1
        spent = time.monotonic() - self._began
        left = spent * event.left / max(1, event.spent - self._behind)
        speed = "" if event.images_per_second is None else f"{event.images_per_second:,.0f} images/s, "
        note = f"{speed}{duration(left)} left for everything at most"
        if self._bar:
            total = event.spent + event.left
            self._bar.update(
                self._task, description=escape(str(event)), completed=event.spent, total=total, note=note
            )
        elif time.monotonic() - self._last_line >= LINE_EVERY:
            self._last_line = time.monotonic()
            self._console.print(f"{event}, {note}", markup=False)
