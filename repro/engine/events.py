"""What is reported to an observer while Runs train, and how an epoch may end. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.run import Run

if TYPE_CHECKING:
    from repro.plan import Plan
    from repro.record import Record


@dataclass(frozen=True)
class EpochTotals:
    """Totals of the first ``batches`` batches of an epoch: images ``seen``, loss in nats, correct answers."""

    batches: int = 0
    seen: int = 0
    loss: float = 0.0
    correct: int = 0


@dataclass(frozen=True)
class StepReport:
    """Progress within a long epoch: ``images`` trained, at ``speed`` images/s; ``waiting`` is the fraction of the
    time in which no images were ready."""

    run: Run
    epoch: int
    images: int
    speed: float
    waiting: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch of one Run, top-1 in per cent. ``wave`` Runs trained side by side, this one included."""

    run: Run
    epoch: int
    images: int
    seconds: float
    test_top1: float | None
    wave: int = 1


class Observer:
    """Is told how training goes; engine and driver print nothing. Subclasses override what they report."""

    def started(self, plan: Plan, where: str) -> None:
        """Before the first Run; ``where`` names the device, or the workers."""

    def measuring(self, what: str) -> None:
        """Before each measurement of how this device trains fastest."""

    def run_started(self, run: Run) -> None:
        """Before the first epoch of every Run."""

    def step_done(self, report: StepReport) -> None:
        """Now and then within a long epoch."""

    def epoch_done(self, report: EpochReport) -> None:
        """After every epoch."""

    def run_done(self, run: Run, record: Record, left: int) -> None:
        """After every Run; ``left`` Runs remain."""

    def handed_out(self, run: Run) -> None:
        """The driver gave ``run`` to a worker, to start or to resume."""

    def worker_died(self, run: Run, why: str, again: bool, last: list[str]) -> None:
        """A worker ended without a result; ``last`` are the last lines of its log. ``again``: another resumes."""

    def looked(self) -> None:
        """Whenever the driver has checked its workers."""

    def ended(self) -> None:
        """After everything else, whatever the reason."""


class OutOfTime(Exception):
    """The work would not end within the time budget; the last state is kept."""
