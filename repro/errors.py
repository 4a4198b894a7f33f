"""Errors that a user can act on: one clear line each, and the exit code of the command line.

Exit codes: 0 done, 1 cells outside their band (``repro diff`` only), 2 usage, 3 missing input,
4 a Run failed, 5 the time budget is spent with work left, 6 nothing was compared (``repro diff`` only),
130 interrupted, 141 nobody reads what is printed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repro.run import Run

OUTSIDE_BAND, NOTHING_COMPARED = 1, 6


def one_line(error: BaseException) -> str:
    """What ``error`` is and says, in one line: of a long message the first, and the next where that only leads to
    it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


class ReproError(Exception):
    """Base of every error shown as one line; ``exit_code`` is what the process returns."""

    exit_code = 4


class UsageError(ReproError):
    """Something asked for is not valid: what is wrong, where, and what would be right."""

    exit_code = 2


class MissingInput(ReproError):
    """Something needed is not there or not usable: data, room on the disk, a writable folder."""

    exit_code = 3


class CheckpointGone(MissingInput):
    """A checkpoint that a Run starts from is absent or was damaged; if known, ``run`` has to be trained again."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class RankLost(ReproError):
    """A process that trained a Run together with this one died or did not answer."""

    exit_code = 4

    def __init__(self, rank: int, why: BaseException) -> None:
        first = re.sub(r"^\[[^]]*\]\s*", "", str(why).partition("\n")[0])  # without a line of gloo's source
        super().__init__(
            f"rank {rank} lost contact with another one ({first}); the same command goes on from the last state"
        )


class NobodyReads(ReproError):
    """What read our output closed its end (``| head``): quiet, with a shell's exit code for SIGPIPE."""

    exit_code = 141


class Interrupted(BaseException):
    """Ctrl-C, a polite kill, a preempted node: not an Exception, so that nothing on the way takes it for one."""


class RunFailed(ReproError):
    """A Run ended without a result, a diverged loss for instance."""

    exit_code = 4


class BudgetSpent(ReproError):
    """``--time-budget`` ended with work left; the same command goes on from there."""

    exit_code = 5
