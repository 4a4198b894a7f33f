"""Sections 3.3 and 4: pseudo-pruned-then-retrained models (Figs. 4 and 6) and where their curves settle."""

from __future__ import annotations

import math

from repro.claims.forms import (
    First,
    Form,
    Largest,
    Linear,
    Smallest,
    Sum,
    Unmeasured,
    difference,
    magnitude,
    mean,
)
from repro.claims.sources import TENTHS, dense_at, need, one_shot, ppr, stated
from repro.claims.statistics.fig1 import first_ticket
from repro.claims.statistics.registry import Statistic, some
from repro.claims.tables import IMAGENET_EPOCHS, PAPER_EPOCHS, Absent, Grid

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


def worst_block_of_ppr_01_minus_baseline(grid: Grid) -> Form:
    """Smallest over the ten blocks of 20 epochs of the mean of PPR at 0.1 minus the baseline."""
    width = PAPER_EPOCHS // TENTHS
    blocks = [_gap(grid, first + 1, first + width) for first in range(0, PAPER_EPOCHS, width)]
    return Smallest(tuple(some([block for block in blocks if block.terms], f"{LARGE} beside a baseline in fig4")))


def ppr_01_minus_baseline_before_120(grid: Grid) -> Form:
    """Mean over epochs 20 to 119 of PPR at 0.1 minus the baseline."""
    found = _gap(grid, EARLY[0], FALL - 1)
    if not found.terms:
        raise Absent(f"there is no {LARGE} beside a baseline in fig4 at epochs {EARLY[0]} to {FALL - 1}")
    return found


def late_minus_early_ppr_01(grid: Grid) -> Form:
    """PPR at 0.1: mean over epochs 100 to 200 minus mean over 20 to 60."""
    return _late_minus_early(grid, LARGE)


def late_minus_early_ppr_001(grid: Grid) -> Form:
    """PPR at 0.01: mean over epochs 100 to 200 minus mean over 20 to 60."""
    return _late_minus_early(grid, SMALL)


def epoch_where_ppr_settles_resnet20(grid: Grid) -> Form:
    """The epoch at which Fig. 4's curve at 0.01 has settled."""
    return settled(grid, "resnet20")


def epoch_where_ppr_settles_resnet56(grid: Grid) -> Form:
    """The epoch at which ResNet56's curve has settled."""
    return settled(grid, "resnet56")


def epoch_where_ppr_settles_resnet18(grid: Grid) -> Form:
    """The epoch at which ResNet18's curve has settled."""
    return settled(grid, "resnet18")


def ppr_minus_ticket_epoch(grid: Grid) -> Form:
    """The epoch at which PPR at 0.01 settles minus the first s from which tickets match."""
    return difference(settled(grid, "resnet20"), first_ticket(grid))


def largest_ppr_error_of_schedule(grid: Grid) -> Form:
    """Largest over networks of |settled PPR epoch - first matching one-shot epoch|, of the schedule."""
    parts: list[Form] = []
    for arch, (_, _, schedule, _) in CHECKED.items():
        try:
            miss = difference(settled(grid, arch), first_one_shot(grid, arch))
        except Absent as absent:
            parts.append(Unmeasured(str(absent)))
        else:
            parts.append(magnitude(Sum(tuple((weight / schedule, part) for weight, part in miss.terms))))
    if all(isinstance(part, Unmeasured) for part in parts):
        raise Absent("there is no network with both a PPR curve and one-shot tickets")
    return Largest(tuple(parts))


# ---- curves ------------------------------------------------------------------------------------------------


def settled(grid: Grid, arch: str) -> Form:
    """The first epoch from which the curve's mean over the next tenth of the schedule stays within the accuracy
    margin of its mean over the last quarter; as the text states it where the paper draws the curve only."""
    if grid.printed:
        return stated(grid, "epoch", arch, "PPR settles")
    figure, _, schedule, margin = CHECKED[arch]
    epochs = some(grid.epochs(figure, SMALL, arch), f"{SMALL} of {arch} in {figure}")
    points = {epoch: ppr(grid, figure, SMALL, arch, epoch, schedule) for epoch in epochs}
    final = [point for epoch, point in points.items() if epoch > schedule * 3 / 4]
    end = mean(some(final, f"{SMALL} of {arch} in the last quarter of {figure}"))
    width = math.ceil(schedule / TENTHS)
    starts = [epoch for epoch in epochs if 0 < epoch <= schedule - width + 1]
    gaps = [mean(points[e] for e in epochs if start <= e < start + width) - end for start in starts]
    return First(tuple(starts), tuple((gap, -gap) for gap in gaps), margin)


def first_one_shot(grid: Grid, arch: str) -> First:
    """The first one-shot column from which every cell is within the accuracy margin of the last one."""
    _, table, schedule, margin = CHECKED[arch]
    columns = some(grid.epochs(table, "one-shot", arch), f"one-shot {arch} in {table}")
    last = one_shot(grid, table, arch, columns[-1], schedule)
    gaps = [one_shot(grid, table, arch, column, schedule) - last for column in columns]
    return First(tuple(columns), tuple((gap, -gap) for gap in gaps), margin)


def _late_minus_early(grid: Grid, series: str) -> Linear:
    return _window(grid, series, *LATE) - _window(grid, series, *EARLY)


def _window(grid: Grid, series: str, first: int, last: int) -> Linear:
    epochs = [epoch for epoch in grid.epochs("fig4", series, ARCH) if first <= epoch <= last]
    points = [ppr(grid, "fig4", series, ARCH, epoch, PAPER_EPOCHS) for epoch in epochs]
    return mean(some(points, f"{series} in fig4 at epochs {first} to {last}"))


def _gap(grid: Grid, first: int, last: int) -> Linear:
    """Mean of PPR at 0.1 minus the baseline over the epochs that have both; empty where none has."""
    epochs = [epoch for epoch in grid.epochs("fig4", LARGE, ARCH) if first <= epoch <= last]
    gaps = [
        ppr(grid, "fig4", LARGE, ARCH, epoch, PAPER_EPOCHS)
        - dense_at(grid, need(grid, "fig4", "baseline", ARCH, str(epoch)), ARCH)
        for epoch in epochs
        if grid.has("fig4", "baseline", ARCH, str(epoch))
    ]
    return mean(gaps) if gaps else Linear()


ALL: tuple[Statistic, ...] = (
    worst_block_of_ppr_01_minus_baseline,
    ppr_01_minus_baseline_before_120,
    late_minus_early_ppr_01,
    late_minus_early_ppr_001,
    epoch_where_ppr_settles_resnet20,
    epoch_where_ppr_settles_resnet56,
    epoch_where_ppr_settles_resnet18,
    ppr_minus_ticket_epoch,
    largest_ppr_error_of_schedule,
)
