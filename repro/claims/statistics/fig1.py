"""Section 3.1: tickets with structure from epoch s (columns of Fig. 1) and weights from epoch v (rows)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from repro.claims.expressions import Expression, FirstEpochWithin, Linear, Min, Sum, difference, mean, span
from repro.claims.tables import CellIndex, MissingCells, required
from repro.claims.terms import term

REWOUND = 5  # the first row of rewound weights: the initial ones stand apart
WITHIN = 0.1  # points by which a column may fall short of the last one


def ticket(index: CellIndex, v: int, s: int) -> Linear:
    """Return the ticket with structure from epoch ``s`` and weights from epoch ``v``."""
    return term(index, "fig1", "tickets", v, s)


def column(index: CellIndex, s: int) -> Linear:
    """Return the mean over v >= 5 of the tickets with structure from ``s``."""
    found = [ticket(index, v, s) for v in _rewound(index) if index.has("fig1", "tickets", v, s)]
    return mean(required(found, f"ticket of fig1 with s = {s} and v >= 5"))


def columns(index: CellIndex, first: int, last: int) -> list[Linear]:
    """Return the columns with s from ``first`` to ``last``."""
    return [column(index, s) for s in structures(index, first, last)]


def structures(index: CellIndex, first: int, last: int) -> list[int]:
    """Return the epochs s from ``first`` to ``last``."""
    found = [s for s in index.epochs("fig1", "tickets") if first <= s <= last]
    required(found, f"column of fig1 with s from {first} to {last}")
    return found


def first_ticket(index: CellIndex) -> FirstEpochWithin:
    """Return the first s from which no column mean is more than 0.1 points below the last one."""
    chosen, last = structures(index, 0, 200), column(index, 200)
    return FirstEpochWithin(chosen, [(last - column(index, s),) for s in chosen], WITHIN)


def _rewound(index: CellIndex) -> list[int]:
    return [v for v in map(int, index.rows("fig1", "tickets")) if v >= REWOUND]


def _early(index: CellIndex) -> Linear:
    return mean(columns(index, 100, 200))


def _smallest_step(index: CellIndex) -> Min:
    steps = [later - sooner for sooner, later in itertools.pairwise(columns(index, 0, 80))]
    return Min(required(steps, "pair of columns of fig1 up to s = 80"))


def _ranges(index: CellIndex) -> Sum:
    chosen, every = structures(index, 100, 200), columns(index, 0, 200)
    cells = [[ticket(index, v, s) for s in chosen if index.has("fig1", "tickets", v, s)] for v in _rewound(index)]
    if len(cells) < 2 or len(every) < 2:
        raise MissingCells("fig1 has no two rows v >= 5, or no two columns")
    return difference(span([mean(row) for row in cells]), span(every))


STATISTICS: dict[str, Callable[[CellIndex], Expression]] = {
    "early_minus_last_ticket": lambda index: mean(columns(index, 100, 180)) - ticket(index, 200, 200),
    "worst_early_column_minus_last_column": lambda index: Min(
        [early - column(index, 200) for early in columns(index, 100, 180)]
    ),
    "early_tickets_minus_baseline": lambda index: _early(index) - term(index, "fig1", "baseline", "baseline", 200),
    "too_early_minus_early": lambda index: mean(columns(index, 0, 80)) - _early(index),
    "smallest_step_up_to_80": _smallest_step,
    "column_80_minus_early": lambda index: column(index, 80) - _early(index),
    "very_early_minus_early": lambda index: mean(columns(index, 0, 40)) - _early(index),
    "rewound_minus_initial_at_200": lambda index: column(index, 200) - ticket(index, 0, 200),
    "rewound_minus_initial": lambda index: mean(
        column(index, s) - ticket(index, 0, s) for s in structures(index, 100, 200)
    ),
    "row_range_minus_column_range": _ranges,
    "ticket_200_minus_ticket_100": lambda index: ticket(index, 100, 200) - ticket(index, 100, 100),
}
