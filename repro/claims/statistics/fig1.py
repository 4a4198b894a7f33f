"""Section 3.1: tickets with structure from epoch s (columns of Fig. 1) and weights from epoch v (rows)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from repro.claims.expressions import Expression, Extreme, FirstEpochWithin, Linear, Sum, mean
from repro.claims.index import CellIndex, MissingCells, required

REWOUND = 5  # the first row of rewound weights: the initial ones stand apart
WITHIN = 0.1  # points by which a column may fall short of the last one


def ticket(index: CellIndex, v: int, s: int) -> Linear:
    """Return the ticket with structure from epoch ``s`` and weights from epoch ``v``."""
    return index.term("fig1", "tickets", v, s)


def columns(index: CellIndex, first: int, last: int) -> dict[int, Linear]:
    """Return for each s from ``first`` to ``last`` the mean over v >= 5 of the tickets with that structure."""
    chosen = [s for s in index.epochs("fig1", "tickets") if first <= s <= last]
    required(chosen, f"column of fig1 with s from {first} to {last}")
    return {s: column(index, s) for s in chosen}


def column(index: CellIndex, s: int) -> Linear:
    """Return the mean over v >= 5 of the tickets with structure from ``s``."""
    found = [ticket(index, v, s) for v in _rewound(index) if index.has("fig1", "tickets", v, s)]
    return mean(required(found, f"ticket of fig1 with s = {s} and v >= {REWOUND}"))


def first_ticket(index: CellIndex) -> FirstEpochWithin:
    """Return the first s from which no column mean is more than 0.1 points below the last one."""
    last = column(index, 200)
    return FirstEpochWithin({s: (last - one,) for s, one in columns(index, 0, 200).items()}, WITHIN)


def span(linears: Sequence[Linear]) -> Extreme:
    """Return the range: the largest difference between any two."""
    return Extreme(max, [a - b for a in linears for b in linears if a is not b], floor=0.0)


def _rewound(index: CellIndex) -> list[int]:
    return [v for v in map(int, index.rows("fig1", "tickets")) if v >= REWOUND]


def _between(index: CellIndex, first: int, last: int) -> Linear:
    return mean(columns(index, first, last).values())


def _smallest_step(index: CellIndex) -> Extreme:
    steps = [later - sooner for sooner, later in itertools.pairwise(columns(index, 0, 80).values())]
    return Extreme(min, required(steps, "pair of columns of fig1 up to s = 80"))


def _ranges(index: CellIndex) -> Sum:
    chosen, every = columns(index, 100, 200), columns(index, 0, 200)
    rows = [mean(ticket(index, v, s) for s in chosen) for v in _rewound(index)]
    if len(rows) < 2 or len(every) < 2:
        raise MissingCells("fig1 has no two rows v >= 5, or no two columns")
    return Sum({span(rows): 1.0, span([*every.values()]): -1.0})


STATISTICS: dict[str, Callable[..., Expression]] = {
    "early_minus_last_ticket": lambda index: _between(index, 100, 180) - ticket(index, 200, 200),
    "worst_early_column_minus_last_column": lambda index: Extreme(
        min, [early - column(index, 200) for early in columns(index, 100, 180).values()]
    ),
    "early_tickets_minus_baseline": lambda index: (
        _between(index, 100, 200) - index.term("fig1", "baseline", "baseline", 200)
    ),
    "too_early_minus_early": lambda index: _between(index, 0, 80) - _between(index, 100, 200),
    "smallest_step_up_to_80": _smallest_step,
    "column_80_minus_early": lambda index: column(index, 80) - _between(index, 100, 200),
    "very_early_minus_early": lambda index: _between(index, 0, 40) - _between(index, 100, 200),
    "rewound_minus_initial_at_200": lambda index: column(index, 200) - ticket(index, 0, 200),
    "rewound_minus_initial": lambda index: mean(
        one - ticket(index, 0, s) for s, one in columns(index, 100, 200).items()
    ),
    "row_range_minus_column_range": _ranges,
    "ticket_200_minus_ticket_100": lambda index: ticket(index, 100, 200) - ticket(index, 100, 100),
}
