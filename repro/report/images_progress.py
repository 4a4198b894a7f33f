"""Progress of work on many images: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from repro.report.bar import open_bar
from repro.report.terminal import duration

LINE_EVERY = 10.0  # seconds


class ImagesProgress:
    """Tells what goes on, how many images of how many are done, images/s, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def began(self, what: str, total: int) -> None:
        """A part of the work begins; with nothing to do it is not worth a line."""
        self._what, self._total, self._done = what, total, 0
        self._since = self._last_line = time.monotonic()
        if self._console.is_terminal and total:
            self._bar, self._task = open_bar(self._console, total)
            self._bar.update(self._task, description=escape(what))

    def advanced(self, images: int) -> None:
        """So many more are done."""
        self._done += images
        now = time.monotonic()
        rate = max(self._done, 1) / max(now - self._since, 1e-3)
        left = duration((self._total - self._done) / rate)
        told = f"{self._done:,} of {self._total:,}, {rate:,.0f} images/s, {left} left"
        if self._bar:
            self._bar.update(self._task, completed=self._done, note=told)
        elif now - self._last_line >= LINE_EVERY:
            self._last_line = now
            self._console.print(f"{self._what}: {told}", markup=False)

    def ended(self) -> None:
        """The part is over, finished or not."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def said(self, line: str) -> None:
        """Print a note."""
        self._console.print(line, markup=False, soft_wrap=True)
