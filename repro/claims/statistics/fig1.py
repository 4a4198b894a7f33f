"""Section 3.1: tickets with structure from epoch s (columns of Fig. 1) and weights from epoch v (rows)."""

from __future__ import annotations

import itertools

from repro.claims.expressions import Expression, FirstEpochWithin, Linear, Min, difference, mean, span
from repro.claims.statistics.registry import require_any, statistic
from repro.claims.tables import CellIndex, MissingCells
from repro.claims.terms import dense_at, require_cell, ticket

REWOUND, EARLY, LATEST, FALLS, LAST = 5, 100, 180, 80, 200
WITHIN = 0.1  # points by which a column may fall short of the last one
NEAR = 40


@statistic
def early_minus_last_ticket(index: CellIndex) -> Expression:
    return mean(columns(index, EARLY, LATEST)) - ticket(index, LAST, LAST)


@statistic
def worst_early_column_minus_last_column(index: CellIndex) -> Expression:
    return Min(tuple(c - column(index, LAST) for c in columns(index, EARLY, LATEST)))


@statistic
def early_tickets_minus_baseline(index: CellIndex) -> Expression:
    end = require_cell(index, "fig1", "baseline", "baseline", str(LAST))
    return early(index) - dense_at(index, end, arch(index))


@statistic
def too_early_minus_early(index: CellIndex) -> Expression:
    return mean(columns(index, 0, FALLS)) - early(index)


@statistic
def smallest_step_up_to_80(index: CellIndex) -> Expression:
    steps = [later - sooner for sooner, later in itertools.pairwise(columns(index, 0, FALLS))]
    return Min(tuple(require_any(steps, "pair of columns of fig1 up to s = 80")))


@statistic
def column_80_minus_early(index: CellIndex) -> Expression:
    return column(index, FALLS) - early(index)


@statistic
def very_early_minus_early(index: CellIndex) -> Expression:
    return mean(columns(index, 0, NEAR)) - early(index)


@statistic
def rewound_minus_initial_at_200(index: CellIndex) -> Expression:
    return column(index, LAST) - ticket(index, 0, LAST)


@statistic
def rewound_minus_initial(index: CellIndex) -> Expression:
    return mean(column(index, s) - ticket(index, 0, s) for s in structures(index, EARLY, LAST))


@statistic
def row_range_minus_column_range(index: CellIndex) -> Expression:
    chosen = structures(index, EARLY, LAST)
    rows = [mean(ticket(index, v, s) for s in chosen if has(index, v, s)) for v in rewound(index)]
    every = columns(index, 0, LAST)
    if len(rows) < 2 or len(every) < 2:
        raise MissingCells("fig1 has no two rows v >= 5, or no two columns")
    return difference(span(rows), span(every))


@statistic
def ticket_200_minus_ticket_100(index: CellIndex) -> Expression:
    return ticket(index, EARLY, LAST) - ticket(index, EARLY, EARLY)


def first_ticket(index: CellIndex) -> FirstEpochWithin:
    """Return the first s from which no column mean is more than 0.1 points below the last one."""
    last = column(index, LAST)
    chosen = structures(index, 0, LAST)
    return FirstEpochWithin(chosen, tuple((last - column(index, s),) for s in chosen), WITHIN)


# ---- columns of the grid -----------------------------------------------------------------------------------


def arch(index: CellIndex) -> str:
    """Return the network of Fig. 1."""
    return index.setting.arch if index.setting else "resnet20"


def structures(index: CellIndex, first: int, last: int) -> tuple[int, ...]:
    """Return the columns s from ``first`` to ``last``."""
    found = [s for s in index.epochs("fig1", "tickets") if first <= s <= last]
    return tuple(require_any(found, f"column of fig1 with s from {first} to {last}"))


def rewound(index: CellIndex) -> list[int]:
    """Return the rows with v >= 5: the initial weights stand apart."""
    return [v for v in map(int, index.rows("fig1", "tickets")) if v >= REWOUND]


def has(index: CellIndex, v: int, s: int) -> bool:
    """Return whether the grid has the ticket."""
    return index.has("fig1", "tickets", str(v), str(s))


def column(index: CellIndex, s: int) -> Linear:
    """Return the mean over v >= 5 of the tickets with structure from ``s``."""
    found = [ticket(index, v, s) for v in rewound(index) if has(index, v, s)]
    return mean(require_any(found, f"ticket of fig1 with s = {s} and v >= 5"))


def columns(index: CellIndex, first: int, last: int) -> list[Linear]:
    """Return the columns with s from ``first`` to ``last``."""
    return [column(index, s) for s in structures(index, first, last)]


def early(index: CellIndex) -> Linear:
    """Return the mean of the tickets at s >= 100."""
    return mean(columns(index, EARLY, LAST))
