"""What those who train tell those who listen, and how an epoch may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from repro.run import Run


@dataclass(frozen=True)
class EpochTotals:
    """Over the first ``batches`` batches of an epoch: loss in nats and right answers, of ``seen`` images."""

    batches: int = 0
    seen: int = 0
    loss: float = 0.0
    correct: int = 0


@dataclass(frozen=True)
class StepReport:
    """Within a long epoch: ``images`` of it are done, ``speed`` is in images/s, ``waiting`` the share of the time
    in which nothing was there to train on."""

    run: Run
    epoch: int
    images: int
    speed: float
    waiting: float


@dataclass(frozen=True)
class EpochReport:
    """What an observer hears after each epoch of each Run. ``wave`` Runs train side by side, this one included."""

    run: Run
    epoch: int
    images: int
    seconds: float
    train_top1: float
    test_top1: float | None
    wave: int = 1


@dataclass(frozen=True)
class Listener:
    """Who hears how a Run goes on: after every epoch, and now and then within a long one."""

    epoch_done: Callable[[EpochReport], None]
    step_done: Callable[[StepReport], None] = lambda report: None


class OutOfTime(Exception):
    """The work would not end within the time budget; the last state is kept."""


class StoppedMidEpoch(Exception):
    """An epoch ended early, politely: ``sums`` say where, so that it can be gone on with."""

    def __init__(self, sums: EpochTotals) -> None:
        self.sums = sums


Stop = Callable[[], bool]
"""Asked between batches: whether to end here."""


Progress = Callable[[int, float, float], None]
"""Images done in this epoch, images/s, share of the time spent waiting for images."""
