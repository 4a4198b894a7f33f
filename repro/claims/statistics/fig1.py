"""Section 3.1: tickets with structure from epoch s (columns of Fig. 1) and weights from epoch v (rows)."""

from __future__ import annotations

import itertools

from repro.claims.forms import First, Form, Linear, Smallest, difference, mean, span
from repro.claims.sources import dense_at, need, ticket
from repro.claims.statistics.registry import Statistic, some
from repro.claims.tables import Absent, Grid

REWOUND, EARLY, LATEST, FALLS, LAST = 5, 100, 180, 80, 200
WITHIN = 0.1  # points by which a column may fall short of the last one
NEAR = 40


def early_minus_last_ticket(grid: Grid) -> Form:
    """Mean of the tickets at s = 100 to 180 minus (200, 200)."""
    return mean(columns(grid, EARLY, LATEST)) - ticket(grid, LAST, LAST)


def worst_early_column_minus_last_column(grid: Grid) -> Form:
    """Smallest column mean over s = 100 to 180, minus column 200."""
    return Smallest(tuple(c - column(grid, LAST) for c in columns(grid, EARLY, LATEST)))


def early_tickets_minus_baseline(grid: Grid) -> Form:
    """Mean of the tickets at s >= 100 minus the dense network at its end."""
    end = need(grid, "fig1", "baseline", "baseline", str(LAST))
    return early(grid) - dense_at(grid, end, arch(grid))


def too_early_minus_early(grid: Grid) -> Form:
    """Mean of the columns up to s = 80 minus those from 100 on."""
    return mean(columns(grid, 0, FALLS)) - early(grid)


def smallest_step_up_to_80(grid: Grid) -> Form:
    """Smallest step between neighbouring columns up to s = 80."""
    steps = [later - sooner for sooner, later in itertools.pairwise(columns(grid, 0, FALLS))]
    return Smallest(tuple(some(steps, "pair of columns of fig1 up to s = 80")))


def column_80_minus_early(grid: Grid) -> Form:
    """Column 80 minus the tickets at s >= 100."""
    return column(grid, FALLS) - early(grid)


def very_early_minus_early(grid: Grid) -> Form:
    """Mean of the columns up to s = 40 minus those from 100 on."""
    return mean(columns(grid, 0, NEAR)) - early(grid)


def rewound_minus_initial_at_200(grid: Grid) -> Form:
    """Column 200: rows v >= 5 minus row 0."""
    return column(grid, LAST) - ticket(grid, 0, LAST)


def rewound_minus_initial(grid: Grid) -> Form:
    """Mean over s >= 100 of the rows v >= 5 minus row 0."""
    return mean(column(grid, s) - ticket(grid, 0, s) for s in structures(grid, EARLY, LAST))


def row_range_minus_column_range(grid: Grid) -> Form:
    """How far rows differ (over s >= 100) minus how far columns differ (over v >= 5)."""
    chosen = structures(grid, EARLY, LAST)
    rows = [mean(ticket(grid, v, s) for s in chosen if has(grid, v, s)) for v in rewound(grid)]
    every = columns(grid, 0, LAST)
    if len(rows) < 2 or len(every) < 2:
        raise Absent("fig1 has no two rows v >= 5, or no two columns")
    return difference(span(rows), span(every))


def ticket_200_minus_ticket_100(grid: Grid) -> Form:
    """Weights of epoch 100: the structure of epoch 200 minus that of epoch 100."""
    return ticket(grid, EARLY, LAST) - ticket(grid, EARLY, EARLY)


def first_ticket(grid: Grid) -> First:
    """The first s from which no column mean is more than 0.1 points below the last one."""
    last = column(grid, LAST)
    chosen = structures(grid, 0, LAST)
    return First(chosen, tuple((last - column(grid, s),) for s in chosen), WITHIN)


# ---- columns of the grid -----------------------------------------------------------------------------------


def arch(grid: Grid) -> str:
    """The network of Fig. 1."""
    return grid.setting.arch if grid.setting else "resnet20"


def structures(grid: Grid, first: int, last: int) -> tuple[int, ...]:
    """The columns s from ``first`` to ``last``."""
    found = [s for s in grid.epochs("fig1", "tickets") if first <= s <= last]
    return tuple(some(found, f"column of fig1 with s from {first} to {last}"))


def rewound(grid: Grid) -> list[int]:
    """The rows with v >= 5: the initial weights stand apart."""
    return [v for v in map(int, grid.rows("fig1", "tickets")) if v >= REWOUND]


def has(grid: Grid, v: int, s: int) -> bool:
    """Whether the grid has the ticket."""
    return grid.has("fig1", "tickets", str(v), str(s))


def column(grid: Grid, s: int) -> Linear:
    """The mean over v >= 5 of the tickets with structure from ``s``."""
    found = [ticket(grid, v, s) for v in rewound(grid) if has(grid, v, s)]
    return mean(some(found, f"ticket of fig1 with s = {s} and v >= 5"))


def columns(grid: Grid, first: int, last: int) -> list[Linear]:
    """The columns with s from ``first`` to ``last``."""
    return [column(grid, s) for s in structures(grid, first, last)]


def early(grid: Grid) -> Linear:
    """The mean of the tickets at s >= 100."""
    return mean(columns(grid, EARLY, LAST))


ALL: tuple[Statistic, ...] = (
    early_minus_last_ticket,
    worst_early_column_minus_last_column,
    early_tickets_minus_baseline,
    too_early_minus_early,
    smallest_step_up_to_80,
    column_80_minus_early,
    very_early_minus_early,
    rewound_minus_initial_at_200,
    rewound_minus_initial,
    row_range_minus_column_range,
    ticket_200_minus_ticket_100,
)
