"""Find the epoch from which pruning is safe: where PPR reaches its plateau (paper section 3.3). Pure.

The paper reads it off the whole curve ("increases until around 100 epoch, then it saturates"). To save epochs it
has to be found during training, from past checks only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Plateau:
    """A plateau in a PPR curve so far. ``epoch`` is where it begins (0 before the first check), and ``known_at``
    the epoch of the check that confirmed it, None without one."""

    epoch: int
    known_at: int | None

    @property
    def safe(self) -> int | None:
        """The epoch from which pruning is known to be safe, or None."""
        return self.epoch if self.known_at else None


def find_plateau(
    checks: Sequence[tuple[int, float]], patience: int, tolerance: float, chance: float = 0.0
) -> Plateau:
    """Find the plateau in ``checks``, pairs of epoch and PPR top-1 in per cent, in their order.

    A check that is better than the beginning of the current plateau by more than ``tolerance`` points begins a new
    one. ``patience`` checks in a row that are not confirm it; later checks are ignored. The first plateau has to
    be above ``chance``, the accuracy of guessing, by more than the tolerance.

    >>> find_plateau([(1, 50.0), (2, 60.0), (3, 60.3), (4, 59.8), (5, 70.0)], patience=2, tolerance=0.5)
    Plateau(epoch=2, known_at=4)
    """
    start, level, waited = 0, chance, 0
    for epoch, top1 in checks:
        if top1 > level + tolerance:
            start, level, waited = epoch, top1, 0
            continue
        waited += 1
        if start and waited >= patience:
            return Plateau(start, epoch)
    return Plateau(start, None)


def default_patience(epochs: int, check_every: int) -> int:
    """Return the number of checks in 15 % of a schedule, at least 2: 30 for 200 epochs.

    With 20, a curve that rises as slowly as Fig. 4's is often cut off halfway (tests/test_ticket_plateau.py draws
    such curves). Each further check costs one more epoch of waiting and one of checking.
    """
    return max(2, round(0.15 * epochs / max(1, check_every)))


def default_tolerance(images: int) -> float:
    """Return half the largest standard error of an accuracy on ``images`` test images, in points: 0.25 for 10,000.

    Half, since all checks use the same images and their errors are correlated.
    """
    return float(25 / images**0.5)
