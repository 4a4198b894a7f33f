"""Sections 3.3 and 3.4: accuracy on random labels (Fig. 5, Table 1)."""

from __future__ import annotations

from repro.claims.expressions import Expression, Linear, Min, mean
from repro.claims.statistics.registry import require_any, statistic
from repro.claims.tables import CellIndex
from repro.claims.terms import capacity, stepwise

TOO_EARLY, EARLY, LATE = 20, 120, 200
ONE_SHOT, STEPWISE = "1-shot", "4-shot gradual"
FIRST = 120  # Table 1's first column is one and the same network in both series


@statistic
def largest_minus_smallest_size(index: CellIndex) -> Expression:
    rows = sorted(int(row) for row in index.rows("fig5", "memorization"))
    small, large = sizes(index)[0], sizes(index)[-1]
    return mean(capacity(index, row, large) - capacity(index, row, small) for row in rows)


@statistic
def epoch_20_minus_later(index: CellIndex) -> Expression:
    return mean(_lag(index, size) for size in sizes(index))


@statistic
def gap_at_largest_minus_smallest_size(index: CellIndex) -> Expression:
    return _lag(index, sizes(index)[-1]) - _lag(index, sizes(index)[0])


@statistic
def epoch_120_minus_200(index: CellIndex) -> Expression:
    return mean(capacity(index, EARLY, size) - capacity(index, LATE, size) for size in sizes(index))


@statistic
def one_shot_at_60_minus_80(index: CellIndex) -> Expression:
    return stepwise(index, ONE_SHOT, 160) - stepwise(index, ONE_SHOT, 240)


@statistic
def gradual_minus_one_shot_memorization(index: CellIndex) -> Expression:
    return mean(_gaps(index))


@statistic
def smallest_gradual_gap(index: CellIndex) -> Expression:
    return Min(_gaps(index))


def sizes(index: CellIndex) -> list[int]:
    """Return the numbers of examples of Fig. 5, increasing."""
    return list(require_any(index.epochs("fig5", "memorization"), "memorization in fig5"))


def _lag(index: CellIndex, size: int) -> Linear:
    later = mean(capacity(index, row, size) for row in (EARLY, LATE))
    return capacity(index, TOO_EARLY, size) - later


def _gaps(index: CellIndex) -> tuple[Linear, ...]:
    epochs = [epoch for epoch in index.epochs("table1", STEPWISE) if epoch > FIRST]
    gaps = [stepwise(index, STEPWISE, epoch) - stepwise(index, ONE_SHOT, epoch) for epoch in epochs]
    return tuple(require_any(gaps, f"{STEPWISE} in table1 after epoch {FIRST}"))
