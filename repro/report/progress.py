"""Report progress on stderr: a bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from rich import progress
from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

from repro.data.imagenet.parallel import Observer
from repro.report.terminal import duration

LINE_EVERY = 10.0  # seconds between plain lines
BAR = 24  # columns


class Progress:
    """Show a bar on a terminal; elsewhere print a plain line when ``line_every`` seconds have passed."""

    def __init__(self, console: Console, line_every: float = LINE_EVERY) -> None:
        self._console, self._line_every = console, line_every
        self._bar: _Bar | None = None
        self._last = -math.inf

    def open(self, what: str, total: float | None) -> None:
        """Start the clock; on a terminal, show a bar unless ``total`` is 0. A ``total`` of None is unknown."""
        self._began = time.monotonic()
        if self._console.is_terminal and total != 0:
            self._bar = _Bar(console=self._console)
            self._task = self._bar.add_task(what, total=total, note="")
            self._bar.start()

    def due(self, bar_every: float = 0.0) -> bool:
        """Tell whether `show` would show anything now, if the bar changed every ``bar_every`` seconds at most."""
        return time.monotonic() - self._last >= (bar_every if self._bar else self._line_every)

    def show(self, what: str, note: str = "", done: float | None = None, total: float | None = None) -> None:
        """Update the bar or print a line, if one is due. The bar keeps ``done`` and ``total`` if they are None."""
        if not self.due():
            return
        self._last = time.monotonic()
        if self._bar:
            self._bar.update(self._task, description=what, note=note, completed=done, total=total)
        else:
            self.said(", ".join(filter(None, (what, note))))

    def said(self, line: str) -> None:
        """Print a line now."""
        self._console.print(line, markup=False)

    def ended(self) -> None:
        """Stop the bar. Its last state stays on the screen."""
        if self._bar:
            self._bar.stop()
            self._bar = None


class ImagesProgress(Progress, Observer):
    """Report the number of images done, images/s and the time left."""

    def began(self, what: str, total: int) -> None:
        """Begin a part of the work. The first line is due later: a short part needs none."""
        self._what, self._total, self._done = what, total, 0
        self.open(what, total)
        self._last = self._began

    def advanced(self, images: int) -> None:
        """Add ``images`` to those done."""
        self._done += images
        speed = max(self._done, 1) / max(time.monotonic() - self._began, 1e-3)
        left = duration((self._total - self._done) / speed)
        note = f"{self._done:,} of {self._total:,}, {speed:,.0f} images/s, {left} left"
        self.show(self._what, note, self._done)


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
