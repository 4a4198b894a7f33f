"""Sections 3.3 and 4: pseudo-pruned-then-retrained models (Figs. 4 and 6) and where their curves settle."""

from __future__ import annotations

import math
from collections.abc import Callable

from repro.claims.expressions import (
    Expression,
    FirstEpochWithin,
    Linear,
    Max,
    Min,
    Sum,
    difference,
    magnitude,
    mean,
)
from repro.claims.statistics.fig1 import first_ticket
from repro.claims.tables import IMAGENET_EPOCHS, PAPER_EPOCHS, CellIndex, MissingCells, required
from repro.claims.terms import TENTHS, average, term, terms

LARGE, SMALL = "ppr 0.1", "ppr 0.01"
CIFAR10, IMAGENET = 0.5, 1.0  # points of accuracy that count as the same
CHECKED = {  # network: figure, table, schedule, margin
    "resnet20": ("fig4", "table2", PAPER_EPOCHS, CIFAR10),
    "resnet56": ("fig6", "table2", PAPER_EPOCHS, CIFAR10),
    "resnet18": ("fig6", "table3", IMAGENET_EPOCHS, IMAGENET),
}


def settled(index: CellIndex, arch: str) -> Expression:
    """Return the first epoch from which the curve has settled.

    Its mean over the next tenth of the schedule then stays within the accuracy margin of its mean over the last
    quarter. Of the paper, which draws the curve only, it is the epoch that the text states.
    """
    if index.printed:
        return term(index, "text", "epoch", arch, "PPR settles")
    figure, _, schedule, margin = CHECKED[arch]
    epochs = required(index.epochs(figure, SMALL, arch), f"{SMALL} of {arch} in {figure}")
    points = {epoch: term(index, figure, SMALL, arch, epoch) for epoch in epochs}
    final = [point for epoch, point in points.items() if epoch > schedule * 3 / 4]
    end = mean(required(final, f"{SMALL} of {arch} in the last quarter of {figure}"))
    width = math.ceil(schedule / TENTHS)
    starts = [epoch for epoch in epochs if 0 < epoch <= schedule - width + 1]
    gaps = [mean(points[e] for e in epochs if start <= e < start + width) - end for start in starts]
    return FirstEpochWithin(starts, [(gap, -gap) for gap in gaps], margin)


def first_one_shot(index: CellIndex, arch: str) -> FirstEpochWithin:
    """Return the first one-shot column from which every cell is within the accuracy margin of the last one."""
    _, table, _, margin = CHECKED[arch]
    required(index.epochs(table, "one-shot", arch), f"one-shot {arch} in {table}")
    cells = dict(terms(index, table, "one-shot", arch))
    gaps = [cell - cells[max(cells)] for cell in cells.values()]
    return FirstEpochWithin([*cells], [(gap, -gap) for gap in gaps], margin)


def _largest_error(index: CellIndex) -> Max:
    """Return the largest difference between `settled` and `first_one_shot`, as a share of the schedule."""
    parts, unknown = [], []
    for arch, (_, _, schedule, _) in CHECKED.items():
        try:
            ends = settled(index, arch), first_one_shot(index, arch)
        except MissingCells as absent:
            unknown.append(str(absent))
        else:
            parts.append(magnitude(Sum(((1 / schedule, ends[0]), (-1 / schedule, ends[1])))))
    return Max(required(parts, "network with both a PPR curve and one-shot tickets"), unknown=unknown)


def _gaps(index: CellIndex, first: int, last: int) -> list[Linear]:
    """Return PPR at 0.1 minus the baseline, at the epochs of Fig. 4 that have both."""
    epochs = [epoch for epoch in index.epochs("fig4", LARGE, "resnet20") if first <= epoch <= last]
    both = [epoch for epoch in epochs if index.has("fig4", "baseline", "resnet20", epoch)]
    ppr, dense = ("fig4", LARGE, "resnet20"), ("fig4", "baseline", "resnet20")
    return [term(index, *ppr, epoch) - term(index, *dense, epoch) for epoch in both]


def _late_minus_early(index: CellIndex, rate: str) -> Linear:
    curve = ("fig4", f"ppr {rate}", "resnet20")
    return average(index, *curve, 100) - average(index, *curve, 20, 60)


def _worst_block(index: CellIndex) -> Min:
    width = PAPER_EPOCHS // TENTHS
    blocks = [_gaps(index, first + 1, first + width) for first in range(0, PAPER_EPOCHS, width)]
    return Min(required([mean(gaps) for gaps in blocks if gaps], f"{LARGE} beside a baseline in fig4"))


STATISTICS: dict[str, Callable[..., Expression]] = {
    "worst_block_of_ppr_01_minus_baseline": _worst_block,
    "ppr_01_minus_baseline_before_120": lambda index: mean(
        required(_gaps(index, 20, 119), f"{LARGE} beside a baseline in fig4 at epochs 20 to 119")
    ),
    "late_minus_early_ppr": _late_minus_early,
    "epoch_where_ppr_settles": settled,
    "ppr_minus_ticket_epoch": lambda index: difference(settled(index, "resnet20"), first_ticket(index)),
    "largest_ppr_error_of_schedule": _largest_error,
}
