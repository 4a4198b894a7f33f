"""Sections 3.3 and 3.4: accuracy on random labels (Fig. 5, Table 1)."""

from __future__ import annotations

from repro.claims.forms import Form, Linear, Smallest, mean
from repro.claims.sources import capacity, stepwise
from repro.claims.statistics.registry import Statistic, some
from repro.claims.tables import Grid

TOO_EARLY, EARLY, LATE = 20, 120, 200
ONE_SHOT, STEPWISE = "1-shot", "4-shot gradual"
FIRST = 120  # Table 1's first column is one and the same network in both series


def largest_minus_smallest_size(grid: Grid) -> Form:
    """Mean over rows of the largest size minus the smallest."""
    rows = sorted(int(row) for row in grid.rows("fig5", "memorization"))
    small, large = sizes(grid)[0], sizes(grid)[-1]
    return mean(capacity(grid, row, large) - capacity(grid, row, small) for row in rows)


def epoch_20_minus_later(grid: Grid) -> Form:
    """Mean over sizes of row 20 minus the mean of rows 120 and 200."""
    return mean(_lag(grid, size) for size in sizes(grid))


def gap_at_largest_minus_smallest_size(grid: Grid) -> Form:
    """How far row 20 lies behind at the largest size, minus the same at the smallest."""
    return _lag(grid, sizes(grid)[-1]) - _lag(grid, sizes(grid)[0])


def epoch_120_minus_200(grid: Grid) -> Form:
    """Mean over sizes of row 120 minus row 200."""
    return mean(capacity(grid, EARLY, size) - capacity(grid, LATE, size) for size in sizes(grid))


def one_shot_at_60_minus_80(grid: Grid) -> Form:
    """Table 1, 1-shot: 60 % (epoch 160) minus 80 % (epoch 240)."""
    return stepwise(grid, ONE_SHOT, 160) - stepwise(grid, ONE_SHOT, 240)


def gradual_minus_one_shot_memorization(grid: Grid) -> Form:
    """Table 1: mean of 4-shot minus 1-shot, the first column left out."""
    return mean(_gaps(grid))


def smallest_gradual_gap(grid: Grid) -> Form:
    """Table 1: smallest of 4-shot minus 1-shot, the first column left out."""
    return Smallest(_gaps(grid))


def sizes(grid: Grid) -> list[int]:
    """Numbers of examples of Fig. 5, increasing."""
    return list(some(grid.epochs("fig5", "memorization"), "memorization in fig5"))


def _lag(grid: Grid, size: int) -> Linear:
    later = mean(capacity(grid, row, size) for row in (EARLY, LATE))
    return capacity(grid, TOO_EARLY, size) - later


def _gaps(grid: Grid) -> tuple[Linear, ...]:
    epochs = [epoch for epoch in grid.epochs("table1", STEPWISE) if epoch > FIRST]
    gaps = [stepwise(grid, STEPWISE, epoch) - stepwise(grid, ONE_SHOT, epoch) for epoch in epochs]
    return tuple(some(gaps, f"{STEPWISE} in table1 after epoch {FIRST}"))


ALL: tuple[Statistic, ...] = (
    largest_minus_smallest_size,
    epoch_20_minus_later,
    gap_at_largest_minus_smallest_size,
    epoch_120_minus_200,
    one_shot_at_60_minus_80,
    gradual_minus_one_shot_memorization,
    smallest_gradual_gap,
)
