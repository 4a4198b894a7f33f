"""Errors that a user can act on, each shown as one line, and the exit codes of the command line.

Exit codes: 0 done, 1 cells outside their band (``repro diff`` only), 2 usage, 3 missing input, 4 a Run failed, 5
the time budget ended before the work, 6 nothing was compared (``repro diff`` only), 130 interrupted, 141 the
reader of the output closed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repro.run import Run

OUTSIDE_BAND, NOTHING_COMPARED, INTERRUPTED, NOBODY_READS = 1, 6, 130, 141


def one_line(error: BaseException) -> str:
    """Describe ``error`` in one line: its type and first line, and the second if the first ends in a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


class ReproError(Exception):
    """Base of all errors that are shown as one line; ``exit_code`` is the process's exit code."""

    exit_code = 4


class UsageError(ReproError):
    """A request is not valid; the message says what is wrong, where, and what would be right."""

    exit_code = 2


class MissingInput(ReproError):
    """Something needed is missing or unusable: data, disk space, a writable folder."""

    exit_code = 3


class CheckpointGone(MissingInput):
    """A checkpoint that a Run starts from is missing or damaged; ``run``, if known, must be trained again."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or a preempted node. Not an Exception, so that no handler on the way catches it."""


class RunFailed(ReproError):
    """A Run ended without a result, for instance because its loss diverged."""


class BudgetSpent(ReproError):
    """``--time-budget`` ended before the work; running the same command again resumes."""

    exit_code = 5
