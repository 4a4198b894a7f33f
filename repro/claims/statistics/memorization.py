"""Sections 3.3 and 3.4: accuracy on random labels (Fig. 5, Table 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repro.claims.expressions import Expression, Linear, Min, mean
from repro.claims.tables import CellIndex, required
from repro.claims.terms import term

FIRST = 120  # Table 1's first column is one and the same network in both series


def _memorized(index: CellIndex, s: int, size: int) -> Linear:
    """Return what the structure of epoch ``s`` memorizes of ``size`` random labels."""
    return term(index, "fig5", "memorization", s, size)


def _sizes(index: CellIndex) -> Sequence[int]:
    return required(index.epochs("fig5", "memorization"), "memorization in fig5")


def _growth(index: CellIndex) -> Linear:
    small, large = _sizes(index)[0], _sizes(index)[-1]
    rows = sorted(map(int, index.rows("fig5", "memorization")))
    return mean(_memorized(index, row, large) - _memorized(index, row, small) for row in rows)


def _lag(index: CellIndex, size: int) -> Linear:
    return _memorized(index, 20, size) - mean(_memorized(index, row, size) for row in (120, 200))


def _after_pruning(index: CellIndex, series: str, epoch: int) -> Linear:
    """Return a cell of Table 1, which has a row for its network."""
    return term(index, "table1", series, required(index.rows("table1", series), f"{series} in table1")[0], epoch)


def _gaps(index: CellIndex) -> Sequence[Linear]:
    epochs = [epoch for epoch in index.epochs("table1", "4-shot gradual") if epoch > FIRST]
    gaps = [_after_pruning(index, "4-shot gradual", e) - _after_pruning(index, "1-shot", e) for e in epochs]
    return required(gaps, f"4-shot gradual in table1 after epoch {FIRST}")


STATISTICS: dict[str, Callable[[CellIndex], Expression]] = {
    "largest_minus_smallest_size": _growth,
    "epoch_20_minus_later": lambda index: mean(_lag(index, size) for size in _sizes(index)),
    "gap_at_largest_minus_smallest_size": lambda index: (
        _lag(index, _sizes(index)[-1]) - _lag(index, _sizes(index)[0])
    ),
    "epoch_120_minus_200": lambda index: mean(
        _memorized(index, 120, size) - _memorized(index, 200, size) for size in _sizes(index)
    ),
    "one_shot_at_60_minus_80": lambda index: (
        _after_pruning(index, "1-shot", 160) - _after_pruning(index, "1-shot", 240)
    ),
    "gradual_minus_one_shot_memorization": lambda index: mean(_gaps(index)),
    "smallest_gradual_gap": lambda index: Min(_gaps(index)),
}
