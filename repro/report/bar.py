"""A bar on a terminal, with words that are never cut: what does not fit on one line goes on the next."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import Progress, Task, TaskID
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

BAR = 24  # columns


def open_bar(console: Console, total: float) -> tuple[Progress, TaskID]:
    """A bar over ``total`` images or other units of work, already on the screen. Its words are the task's
    ``description`` and, after the share that is done, its field ``note``."""
    bar = _Bar(console=console)
    task = bar.add_task("starting", total=total, note="")
    bar.start()
    return bar, task


class _Bar(Progress):
    # It turns while a long epoch or a compilation goes on.
    _spinner = Spinner("dots", style="progress.spinner")

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            yield _Told(task, self._spinner)


class _Told:
    def __init__(self, task: Task, spinner: Spinner) -> None:
        self._task, self._spinner = task, spinner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        task = self._task
        turning = self._spinner.render(console.get_time())
        head = Text.assemble(turning if isinstance(turning, Text) else "", " ", Text.from_markup(task.description))
        done = Text.assemble((f"{task.percentage:3.0f}%", "progress.percentage"), " ", str(task.fields["note"]))
        bar = ProgressBar(max(task.total or 0, 1), task.completed, width=BAR)
        if head.cell_len + 1 + BAR + 1 + done.cell_len <= options.max_width:
            yield _beside(head, bar, done)
            return
        yield head
        yield _beside(bar, done) if BAR + 1 + done.cell_len <= options.max_width else done


def _beside(*parts: RenderableType) -> Table:
    found = Table.grid(padding=(0, 1))
    found.add_row(*parts)
    return found
