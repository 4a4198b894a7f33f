"""Report the progress of a search: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console

from repro.errors import BudgetSpent
from repro.report.progress import Progress
from repro.report.terminal import duration
from repro.ticket.events import Event
from repro.words import counted


class SearchProgress(Progress):
    """An observer for `find_ticket`, and a context manager that stops the bar at the end.

    Raises `BudgetSpent` once the next epoch would end after ``deadline`` (on `time.monotonic`'s clock) if it took
    as long as the last one.
    """

    def __init__(self, console: Console, deadline: float | None = None) -> None:
        super().__init__(console)
        self._deadline = deadline
        self._previous = time.monotonic()
        self._earlier: int | None = None  # epochs that earlier calls trained

    def __enter__(self) -> SearchProgress:
        self.open("dense: epoch 1 begins", None)
        return self

    def __exit__(self, *error: object) -> None:
        self.ended()

    def __call__(self, event: Event) -> None:
        if event.kind not in ("epoch", "check"):
            self.said(str(event))
            return
        now, previous = time.monotonic(), self._previous
        self._previous = now
        if self._earlier is None:
            self._earlier = event.spent - 1
        left = (now - self._began) * event.left / max(1, event.spent - self._earlier)
        speed = "" if event.images_per_second is None else f"{event.images_per_second:,.0f} images/s, "
        note = f"{speed}{duration(left)} left for everything at most"
        self.show(str(event), note, event.spent, event.spent + event.left)
        if self._deadline is not None and event.left and 2 * now - previous > self._deadline:
            epochs = counted(event.left, "epoch")
            raise BudgetSpent(
                f"the time budget is spent with at most {epochs} left; run the same command again to resume"
            )
