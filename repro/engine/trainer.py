"""What `train.py` asks of whoever takes a network through an epoch, and what it tells.

Two do: `resident.py` for small images that lie on the device, `streamed.py` for photographs read on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from repro.run import Run


@dataclass(frozen=True)
class Sums:
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
    """What an observer hears after each epoch."""

    run: Run
    epoch: int
    images: int
    seconds: float
    train_top1: float
    test_top1: float | None


class OutOfTime(Exception):
    """The work would not end within the time budget; the last state is kept."""


class Halted(Exception):
    """An epoch ended early, politely: ``sums`` say where, so that it can be gone on with."""

    def __init__(self, sums: Sums) -> None:
        self.sums = sums


Stop = Callable[[], bool]
"""Asked between batches: whether to end here."""


Progress = Callable[[int, float, float], None]
"""Images done in this epoch, images/s, share of the time spent waiting for images."""


class Trainer(Protocol):
    """Takes one network through epochs of one data set."""

    strategy: str
    resumes_within: bool
    """Whether an epoch can be left in the middle, by `Halted`; else by `OutOfTime`, and it is lost."""

    def epoch(self, epoch: int, rate: float, begun: Sums, stop: Stop) -> Sums:
        """Train 0-based ``epoch`` at learning rate ``rate``, from where ``begun`` stands."""

    def top1(self) -> float:
        """Accuracy on the test set, per cent."""

    def settle(self) -> None:
        """Bring the network into the state that is evaluated and kept, equal on all ranks."""

    def facts(self) -> dict[str, Any]:
        """For the Record's provenance: where the time went, images that could not be read."""
