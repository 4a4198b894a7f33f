"""Section 4 and appendix: one-shot and gradual pruning (Tables 2 and 3), gain (Table 4), the dense networks."""

from __future__ import annotations

from collections.abc import Sequence

from repro.claims.expressions import Expression, Linear, Max, Min, Quantity, mean
from repro.claims.statistics.registry import require_any, statistic
from repro.claims.tables import IMAGENET_EPOCHS, PAPER_EPOCHS, Cell, CellIndex
from repro.claims.terms import dense, gradual, gradual_delta, iterative_delta, one_shot, require_cell

CIFAR10, IMAGENET = "table2", "table3"
EARLY, LAST = 100, 200
START = 75
GRADUAL, ITERATIVE = "GP + EWT", "IP + WT"
BOTH = ("resnet20", "resnet50")  # networks that Table 4 prunes in both ways
CHOSEN = "40-70"  # the window whose accuracy the paper quotes for ImageNet
SCHEDULES = {CIFAR10: PAPER_EPOCHS, IMAGENET: IMAGENET_EPOCHS}


@statistic
def one_shot_early_minus_last(index: CellIndex, row: str) -> Expression:
    return one_shots(index, CIFAR10, row, EARLY, LAST - 1) - one_shots(index, CIFAR10, row, LAST, LAST)


@statistic
def one_shot_too_early_minus_early(index: CellIndex) -> Expression:
    rows = require_any(index.rows(CIFAR10, "one-shot"), "one-shot row in table2")
    return mean(
        one_shots(index, CIFAR10, row, 1, EARLY - 1) - one_shots(index, CIFAR10, row, EARLY, LAST) for row in rows
    )


@statistic
def gradual_75_minus_later(index: CellIndex) -> Expression:
    return gradual(index, CIFAR10, "resnet20", "75-125") - windows(index, CIFAR10, START + 1, LAST)


@statistic
def gradual_too_early_minus_later(index: CellIndex) -> Expression:
    return windows(index, CIFAR10, 0, START - 1) - windows(index, CIFAR10, START, LAST)


@statistic
def gradual_minus_one_shot_resnet20(index: CellIndex) -> Expression:
    return windows(index, CIFAR10, START, LAST) - one_shots(index, CIFAR10, "resnet20", EARLY, LAST)


@statistic
def one_shot_45_minus_later(index: CellIndex) -> Expression:
    return one_shots(index, IMAGENET, "resnet18", 45, 45) - one_shots(index, IMAGENET, "resnet18", 60, 90)


@statistic
def gradual_minus_one_shot_resnet18(index: CellIndex) -> Expression:
    return windows(index, IMAGENET, 40, 90) - one_shots(index, IMAGENET, "resnet18", 60, 90)


@statistic
def gradual_minus_baseline(index: CellIndex, arch: str) -> Expression:
    return gradual(index, IMAGENET, arch, CHOSEN) - dense(index, arch)


@statistic
def gradual_resnet50(index: CellIndex) -> Expression:
    return gradual(index, IMAGENET, "resnet50", CHOSEN)


@statistic
def share_of_epochs(index: CellIndex, arch: str) -> Expression:
    return Linear({Quantity(_costs(index, arch), _share): 1.0})


@statistic
def smallest_cost_ratio(index: CellIndex) -> Expression:
    return Min(tuple(Linear({Quantity(_costs(index, row), _ratio): 1.0}) for row in BOTH))


@statistic
def worst_gradual_minus_iterative(index: CellIndex) -> Expression:
    return Min(tuple(gradual_delta(index, row) - iterative_delta(index, row) for row in BOTH))


@statistic
def largest_pruning_minus_retraining_epochs(index: CellIndex) -> Expression:
    rows = require_any(index.rows("table4", GRADUAL), f"{GRADUAL} in table4")
    cells = [[require_cell(index, "table4", GRADUAL, row, f"{kind} epochs") for kind in ("pruning", "retraining")]
             for row in rows]  # fmt: skip
    return Max(tuple(Linear({Quantity((a,)): 1.0, Quantity((b,)): -1.0}) for a, b in cells))


@statistic
def accuracy_delta(index: CellIndex, arch: str) -> Expression:
    return gradual_delta(index, arch)


@statistic
def baseline_accuracy(index: CellIndex, arch: str) -> Expression:
    return dense(index, arch)


# ---- rows of the tables ------------------------------------------------------------------------------------


def one_shots(index: CellIndex, table: str, row: str, first: int, last: int) -> Linear:
    """Return the mean of the one-shot cells pruned at epochs ``first`` to ``last``."""
    columns = [column for column in index.epochs(table, "one-shot", row) if first <= column <= last]
    cells = [one_shot(index, table, row, column, SCHEDULES[table]) for column in columns]
    return mean(require_any(cells, f"one-shot {row} in {table} at epochs {first} to {last}"))


def windows(index: CellIndex, table: str, first: int, last: int) -> Linear:
    """Return the mean of the gradual cells whose windows start at epochs ``first`` to ``last``, of the table's
    network that has one-shot cells beside them."""
    row = "resnet20" if table == CIFAR10 else "resnet18"
    found = [name for name in index.columns(table, "gradual", row) if first <= int(name.split("-")[0]) <= last]
    cells = [gradual(index, table, row, name) for name in found]
    return mean(require_any(cells, f"gradual {row} in {table} that starts at epochs {first} to {last}"))


def _costs(index: CellIndex, row: str) -> tuple[Cell, ...]:
    gradually = [
        require_cell(index, "table4", GRADUAL, row, f"{kind} epochs") for kind in ("pruning", "retraining")
    ]
    return (*gradually, require_cell(index, "table4", ITERATIVE, row, "epochs"))


def _ratio(epochs: Sequence[float]) -> float:
    pruning, retraining, iterative = epochs
    return iterative / (pruning + retraining)


def _share(epochs: Sequence[float]) -> float:
    return 100 / _ratio(epochs)
