"""Errors that a user can act on: one clear line each, and the exit code of the command line.

Exit codes: 0 done, 1 cells outside their band (``repro diff`` only), 2 usage, 3 missing input,
4 a Run failed, 5 the time budget is spent with work left.
"""

import re


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
    """A checkpoint that a Run grows from is absent or was damaged: its Run has to be trained again."""


class RankLost(ReproError):
    """A process that trained a Run together with this one died or did not answer."""

    exit_code = 4

    def __init__(self, rank: int, why: BaseException) -> None:
        first = re.sub(r"^\[[^]]*\]\s*", "", str(why).partition("\n")[0])  # without a line of gloo's source
        super().__init__(
            f"rank {rank} lost contact with another one ({first}); the same command goes on from the last state"
        )


class Interrupted(BaseException):
    """Ctrl-C, a polite kill, a preempted node: not an Exception, so that nothing on the way takes it for one."""


class RunFailed(ReproError):
    """A Run ended without a result, a diverged loss for instance."""

    exit_code = 4


class BudgetSpent(ReproError):
    """``--time-budget`` ended with work left; the same command goes on from there."""

    exit_code = 5
