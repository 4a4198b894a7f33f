"""From which epoch pruning is safe: the PPR curve has settled (paper section 3.3). Causal, and pure.

The paper reads this off the whole curve ("increases until around 100 epoch, then it saturates"). Whoever wants
to save epochs has to say it while the curve is still being drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Plateau:
    """What a PPR curve tells so far. ``epoch`` is where its plateau begins, as far as one can see by now (0
    before the first check); ``known_at`` the epoch of the check that settled it, None while nothing has."""

    epoch: int
    known_at: int | None


def find_plateau(
    checks: Sequence[tuple[int, float]], patience: int, tolerance: float, chance: float = 0.0
) -> Plateau:
    """Read (epoch, PPR top-1 in %) pairs in their order, and stop at the check that settles the curve.

    A check begins a new plateau where it is better than the beginning of the last one by more than
    ``tolerance`` points. Once ``patience`` checks in a row do not, the curve has settled, and pruning is safe
    from the epoch where the plateau began. Nothing after that check is looked at. A network that guesses is on no
    plateau: the first one has to rise above ``chance`` (in %) by more than the tolerance.

    >>> find_plateau([(1, 50.0), (2, 60.0), (3, 60.3), (4, 59.8), (5, 70.0)], patience=2, tolerance=0.5)
    Plateau(epoch=2, known_at=4)
    """
    began, level = 0, chance
    waited = 0
    for epoch, top1 in checks:
        if top1 > level + tolerance:
            began, level, waited = epoch, top1, 0
            continue
        waited += 1
        if began and waited >= patience:
            return Plateau(began, epoch)
    return Plateau(began, None)


def default_patience(epochs: int, check_every: int) -> int:
    """Checks in three twentieths of a schedule of ``epochs``, two at least: 30 for 200 epochs.

    With 20, a curve that rises as slowly as Fig. 4's is often taken for settled at half of its way
    (tests/test_ticket_plateau.py draws such curves); each check more is waited for, and paid.
    """
    return max(2, round(0.15 * epochs / max(1, check_every)))


def default_tolerance(images: int) -> float:
    """Half the largest standard error of an accuracy on ``images`` test images, in points: 0.25 for 10,000.

    Half, since all checks are taken on the same images and err together.
    """
    return float(25 / images**0.5)
