"""Sections 3.3 and 3.4: accuracy on random labels (Fig. 5, Table 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repro.claims.expressions import Expression, Linear, Min, mean
from repro.claims.tables import CellIndex, required
from repro.claims.terms import capacity, stepwise

ONE_SHOT, STEPWISE = "1-shot", "4-shot gradual"
FIRST = 120  # Table 1's first column is one and the same network in both series


def _sizes(index: CellIndex) -> Sequence[int]:
    """Return the numbers of examples of Fig. 5, increasing."""
    return required(index.epochs("fig5", "memorization"), "memorization in fig5")


def _growth(index: CellIndex) -> Linear:
    small, large = _sizes(index)[0], _sizes(index)[-1]
    rows = sorted(map(int, index.rows("fig5", "memorization")))
    return mean(capacity(index, row, large) - capacity(index, row, small) for row in rows)


def _lag(index: CellIndex, size: int) -> Linear:
    return capacity(index, 20, size) - mean(capacity(index, row, size) for row in (120, 200))


def _gaps(index: CellIndex) -> Sequence[Linear]:
    epochs = index.epochs("table1", STEPWISE, first=FIRST + 1)
    gaps = [stepwise(index, STEPWISE, epoch) - stepwise(index, ONE_SHOT, epoch) for epoch in epochs]
    return required(gaps, f"{STEPWISE} in table1 after epoch {FIRST}")


STATISTICS: dict[str, Callable[[CellIndex], Expression]] = {
    "largest_minus_smallest_size": _growth,
    "epoch_20_minus_later": lambda index: mean(_lag(index, size) for size in _sizes(index)),
    "gap_at_largest_minus_smallest_size": lambda index: (
        _lag(index, _sizes(index)[-1]) - _lag(index, _sizes(index)[0])
    ),
    "epoch_120_minus_200": lambda index: mean(
        capacity(index, 120, size) - capacity(index, 200, size) for size in _sizes(index)
    ),
    "one_shot_at_60_minus_80": lambda index: stepwise(index, ONE_SHOT, 160) - stepwise(index, ONE_SHOT, 240),
    "gradual_minus_one_shot_memorization": lambda index: mean(_gaps(index)),
    "smallest_gradual_gap": lambda index: Min(_gaps(index)),
}
