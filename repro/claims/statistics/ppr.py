"""Sections 3.3 and 4: pseudo-pruned-then-retrained models (Figs. 4 and 6) and where their curves settle."""

from __future__ import annotations

import math

from repro.claims.expressions import (
    Expression,
    FirstEpochWithin,
    Linear,
    Max,
    Min,
    Sum,
    Unmeasured,
    difference,
    magnitude,
    mean,
)
from repro.claims.statistics.fig1 import first_ticket
from repro.claims.statistics.registry import require_any, statistic
from repro.claims.tables import IMAGENET_EPOCHS, PAPER_EPOCHS, CellIndex, MissingCells
from repro.claims.terms import TENTHS, dense_at, one_shot, ppr, require_cell, stated

LARGE, SMALL = "ppr 0.1", "ppr 0.01"
ARCH = "resnet20"  # of Fig. 4
LATE, EARLY = (100, 200), (20, 60)
FALL = 120
CIFAR10, IMAGENET = 0.5, 1.0  # points of accuracy that count as the same
CHECKED = {  # network: figure, table, schedule, margin
    "resnet20": ("fig4", "table2", PAPER_EPOCHS, CIFAR10),
    "resnet56": ("fig6", "table2", PAPER_EPOCHS, CIFAR10),
    "resnet18": ("fig6", "table3", IMAGENET_EPOCHS, IMAGENET),
}


@statistic
def worst_block_of_ppr_01_minus_baseline(index: CellIndex) -> Expression:
    width = PAPER_EPOCHS // TENTHS
    blocks = [_gap(index, first + 1, first + width) for first in range(0, PAPER_EPOCHS, width)]
    return Min(
        tuple(require_any([block for block in blocks if block.terms], f"{LARGE} beside a baseline in fig4"))
    )


@statistic
def ppr_01_minus_baseline_before_120(index: CellIndex) -> Expression:
    found = _gap(index, EARLY[0], FALL - 1)
    if not found.terms:
        raise MissingCells(f"there is no {LARGE} beside a baseline in fig4 at epochs {EARLY[0]} to {FALL - 1}")
    return found


@statistic
def late_minus_early_ppr(index: CellIndex, rate: str) -> Expression:
    return _window(index, f"ppr {rate}", *LATE) - _window(index, f"ppr {rate}", *EARLY)


@statistic
def epoch_where_ppr_settles(index: CellIndex, arch: str) -> Expression:
    return settled(index, arch)


@statistic
def ppr_minus_ticket_epoch(index: CellIndex) -> Expression:
    return difference(settled(index, "resnet20"), first_ticket(index))


@statistic
def largest_ppr_error_of_schedule(index: CellIndex) -> Expression:
    parts: list[Expression] = []
    for arch, (_, _, schedule, _) in CHECKED.items():
        try:
            miss = difference(settled(index, arch), first_one_shot(index, arch))
        except MissingCells as absent:
            parts.append(Unmeasured(str(absent)))
        else:
            parts.append(magnitude(Sum(tuple((weight / schedule, part) for weight, part in miss.terms))))
    if all(isinstance(part, Unmeasured) for part in parts):
        raise MissingCells("there is no network with both a PPR curve and one-shot tickets")
    return Max(tuple(parts))


# ---- curves ------------------------------------------------------------------------------------------------


def settled(index: CellIndex, arch: str) -> Expression:
    """Return the first epoch from which the curve has settled.

    Its mean over the next tenth of the schedule then stays within the accuracy margin of its mean over the last
    quarter. Of the paper, which draws the curve only, it is the epoch that the text states.
    """
    if index.printed:
        return stated(index, "epoch", arch, "PPR settles")
    figure, _, schedule, margin = CHECKED[arch]
    epochs = require_any(index.epochs(figure, SMALL, arch), f"{SMALL} of {arch} in {figure}")
    points = {epoch: ppr(index, figure, SMALL, arch, epoch, schedule) for epoch in epochs}
    final = [point for epoch, point in points.items() if epoch > schedule * 3 / 4]
    end = mean(require_any(final, f"{SMALL} of {arch} in the last quarter of {figure}"))
    width = math.ceil(schedule / TENTHS)
    starts = [epoch for epoch in epochs if 0 < epoch <= schedule - width + 1]
    gaps = [mean(points[e] for e in epochs if start <= e < start + width) - end for start in starts]
    return FirstEpochWithin(tuple(starts), tuple((gap, -gap) for gap in gaps), margin)


def first_one_shot(index: CellIndex, arch: str) -> FirstEpochWithin:
    """Return the first one-shot column from which every cell is within the accuracy margin of the last one."""
    _, table, schedule, margin = CHECKED[arch]
    columns = require_any(index.epochs(table, "one-shot", arch), f"one-shot {arch} in {table}")
    last = one_shot(index, table, arch, columns[-1], schedule)
    gaps = [one_shot(index, table, arch, column, schedule) - last for column in columns]
    return FirstEpochWithin(tuple(columns), tuple((gap, -gap) for gap in gaps), margin)


def _window(index: CellIndex, series: str, first: int, last: int) -> Linear:
    epochs = [epoch for epoch in index.epochs("fig4", series, ARCH) if first <= epoch <= last]
    points = [ppr(index, "fig4", series, ARCH, epoch, PAPER_EPOCHS) for epoch in epochs]
    return mean(require_any(points, f"{series} in fig4 at epochs {first} to {last}"))


def _gap(index: CellIndex, first: int, last: int) -> Linear:
    """Return the mean of PPR at 0.1 minus the baseline over the epochs that have both; empty where none has."""
    epochs = [epoch for epoch in index.epochs("fig4", LARGE, ARCH) if first <= epoch <= last]
    gaps = [
        ppr(index, "fig4", LARGE, ARCH, epoch, PAPER_EPOCHS)
        - dense_at(index, require_cell(index, "fig4", "baseline", ARCH, str(epoch)), ARCH)
        for epoch in epochs
        if index.has("fig4", "baseline", ARCH, str(epoch))
    ]
    return mean(gaps) if gaps else Linear()
