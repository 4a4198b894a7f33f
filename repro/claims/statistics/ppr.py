"""Sections 3.3 and 4: pseudo-pruned-then-retrained models (Figs. 4 and 6) and where their curves settle."""

from __future__ import annotations

import math
from collections.abc import Callable

from repro.claims.expressions import Expression, Extreme, FirstEpochWithin, Linear, Sum, mean
from repro.claims.index import TENTHS, CellIndex, MissingCells, required
from repro.claims.statistics.fig1 import first_ticket
from repro.claims.tables import PAPER_EPOCHS
from repro.experiments import paper_epochs

LARGE, SMALL = "ppr 0.1", "ppr 0.01"
CHECKED = {  # network: figure, table, points of accuracy that count as the same
    "resnet20": ("fig4", "table2", 0.5),
    "resnet56": ("fig6", "table2", 0.5),
    "resnet18": ("fig6", "table3", 1.0),
}


def settled(index: CellIndex, arch: str) -> Expression:
    """Return the first epoch from which the curve has settled.

    Its mean over the next tenth of the schedule then stays within the accuracy margin of its mean over the last
    quarter. Of the paper, which draws the curve only, it is the epoch that the text states.
    """
    if index.printed:
        return index.term("text", "epoch", arch, "PPR settles")
    (figure, _, margin), schedule = CHECKED[arch], paper_epochs(arch)
    epochs = required(index.epochs(figure, SMALL, arch), f"{SMALL} of {arch} in {figure}")
    points = {epoch: index.term(figure, SMALL, arch, epoch) for epoch in epochs}
    final = [point for epoch, point in points.items() if epoch > schedule * 3 / 4]
    end = mean(required(final, f"{SMALL} of {arch} in the last quarter of {figure}"))
    width = math.ceil(schedule / TENTHS)
    starts = [epoch for epoch in epochs if 0 < epoch <= schedule - width + 1]
    means = {start: mean(points[e] for e in epochs if start <= e < start + width) for start in starts}
    return _within(means, end, margin)


def first_one_shot(index: CellIndex, arch: str) -> FirstEpochWithin:
    """Return the first one-shot column from which every cell is within the accuracy margin of the last one."""
    _, table, margin = CHECKED[arch]
    epochs = required(index.epochs(table, "one-shot", arch), f"one-shot {arch} in {table}")
    cells = {epoch: index.term(table, "one-shot", arch, epoch) for epoch in epochs}
    return _within(cells, cells[max(cells)], margin)


def _within(curve: dict[int, Linear], end: Linear, margin: float) -> FirstEpochWithin:
    gaps = {epoch: point - end for epoch, point in curve.items()}
    return FirstEpochWithin({epoch: (gap, -gap) for epoch, gap in gaps.items()}, margin)


def _largest_error(index: CellIndex) -> Extreme:
    """Return the largest difference between `settled` and `first_one_shot`, as a share of the schedule."""
    parts, unknown = [], []
    for arch in CHECKED:
        share = 1 / paper_epochs(arch)
        try:
            error = Sum({settled(index, arch): share, first_one_shot(index, arch): -share})
        except MissingCells as absent:
            unknown.append(str(absent))
        else:
            parts.append(Extreme(max, (error, Sum({error: -1.0})), floor=0.0))  # its absolute value
    return Extreme(max, required(parts, "network with both a PPR curve and one-shot tickets"), unknown=unknown)


def _gaps(index: CellIndex, first: int, last: int) -> list[Linear]:
    """Return PPR at 0.1 minus the baseline, at the epochs of Fig. 4 that have both."""
    ppr, dense = ("fig4", LARGE, "resnet20"), ("fig4", "baseline", "resnet20")
    both = [epoch for epoch in index.epochs(*ppr) if first <= epoch <= last and index.has(*dense, epoch)]
    return [index.term(*ppr, epoch) - index.term(*dense, epoch) for epoch in both]


def _late_minus_early(index: CellIndex, rate: str) -> Linear:
    curve = ("fig4", f"ppr {rate}", "resnet20")
    return index.average(*curve, 100) - index.average(*curve, 20, 60)


def _worst_block(index: CellIndex) -> Extreme:
    width = PAPER_EPOCHS // TENTHS
    blocks = [_gaps(index, first + 1, first + width) for first in range(0, PAPER_EPOCHS, width)]
    return Extreme(min, required([mean(gaps) for gaps in blocks if gaps], f"{LARGE} beside a baseline in fig4"))


STATISTICS: dict[str, Callable[..., Expression]] = {
    "worst_block_of_ppr_01_minus_baseline": _worst_block,
    "ppr_01_minus_baseline_before_120": lambda index: mean(
        required(_gaps(index, 20, 119), f"{LARGE} beside a baseline in fig4 at epochs 20 to 119")
    ),
    "late_minus_early_ppr": _late_minus_early,
    "epoch_where_ppr_settles": settled,
    "ppr_minus_ticket_epoch": lambda index: Sum({settled(index, "resnet20"): 1.0, first_ticket(index): -1.0}),
    "largest_ppr_error_of_schedule": _largest_error,
}
