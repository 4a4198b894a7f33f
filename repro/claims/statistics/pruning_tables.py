"""Section 4 and appendix: one-shot and gradual pruning (Tables 2 and 3), gain (Table 4), the dense networks."""

from __future__ import annotations

from collections.abc import Sequence

from repro.claims.forms import Form, Largest, Linear, Quantity, Smallest, mean
from repro.claims.sources import dense, gradual, gradual_delta, iterative_delta, need, one_shot
from repro.claims.statistics.registry import Statistic, some
from repro.claims.tables import IMAGENET_EPOCHS, PAPER_EPOCHS, Cell, Grid

CIFAR10, IMAGENET = "table2", "table3"
EARLY, LAST = 100, 200
START = 75
GRADUAL, ITERATIVE = "GP + EWT", "IP + WT"
CHOSEN = "40-70"  # the window whose accuracy the paper quotes for ImageNet
SCHEDULES = {CIFAR10: PAPER_EPOCHS, IMAGENET: IMAGENET_EPOCHS}


def one_shot_early_minus_last_resnet20(grid: Grid) -> Form:
    """ResNet20 at once: epochs 100 to 160 minus epoch 200."""
    return _one_shot_early_minus_last(grid, "resnet20")


def one_shot_early_minus_last_resnet56(grid: Grid) -> Form:
    """ResNet56 at once: epochs 100 to 160 minus epoch 200."""
    return _one_shot_early_minus_last(grid, "resnet56")


def one_shot_too_early_minus_early(grid: Grid) -> Form:
    """At once, mean over networks: epochs before 100 minus those from 100 on."""
    rows = some(grid.rows(CIFAR10, "one-shot"), "one-shot row in table2")
    return mean(
        one_shots(grid, CIFAR10, row, 1, EARLY - 1) - one_shots(grid, CIFAR10, row, EARLY, LAST) for row in rows
    )


def gradual_75_minus_later(grid: Grid) -> Form:
    """Gradually: 75-125 minus the windows that start later."""
    return gradual(grid, CIFAR10, "resnet20", "75-125") - windows(grid, CIFAR10, START + 1, LAST)


def gradual_too_early_minus_later(grid: Grid) -> Form:
    """Gradually: windows that start before 75 minus the others."""
    return windows(grid, CIFAR10, 0, START - 1) - windows(grid, CIFAR10, START, LAST)


def gradual_minus_one_shot_resnet20(grid: Grid) -> Form:
    """ResNet20: windows that start at 75 or later minus one-shot from 100 on."""
    return windows(grid, CIFAR10, START, LAST) - one_shots(grid, CIFAR10, "resnet20", EARLY, LAST)


def one_shot_45_minus_later(grid: Grid) -> Form:
    """ResNet18 at once: epoch 45 minus those from 60 on."""
    return one_shots(grid, IMAGENET, "resnet18", 45, 45) - one_shots(grid, IMAGENET, "resnet18", 60, 90)


def gradual_minus_one_shot_resnet18(grid: Grid) -> Form:
    """ResNet18: windows that start at 40 or later minus one-shot from 60 on."""
    return windows(grid, IMAGENET, 40, 90) - one_shots(grid, IMAGENET, "resnet18", 60, 90)


def gradual_minus_baseline_resnet18(grid: Grid) -> Form:
    """ResNet18: window 40-70 minus the dense network."""
    return gradual(grid, IMAGENET, "resnet18", CHOSEN) - dense(grid, "resnet18")


def gradual_minus_baseline_resnet50(grid: Grid) -> Form:
    """ResNet50: window 40-70 minus the dense network."""
    return gradual(grid, IMAGENET, "resnet50", CHOSEN) - dense(grid, "resnet50")


def gradual_resnet50(grid: Grid) -> Form:
    """ResNet50: window 40-70."""
    return gradual(grid, IMAGENET, "resnet50", CHOSEN)


def share_of_epochs_resnet50(grid: Grid) -> Form:
    """ResNet50: epochs of gradual pruning and retraining, in percent of those of iterative pruning."""
    return Linear({Quantity(_costs(grid, "resnet50"), _share): 1.0})


def smallest_cost_ratio(grid: Grid) -> Form:
    """Smallest over ResNet20 and 50 of the epochs of iterative pruning over those of gradual pruning."""
    return Smallest(tuple(Linear({Quantity(_costs(grid, row), _ratio): 1.0}) for row in ("resnet20", "resnet50")))


def worst_gradual_minus_iterative(grid: Grid) -> Form:
    """Smallest over ResNet20 and 50 of the accuracy delta of gradual minus iterative pruning."""
    return Smallest(
        tuple(gradual_delta(grid, row) - iterative_delta(grid, row) for row in ("resnet20", "resnet50"))
    )


def largest_pruning_minus_retraining_epochs(grid: Grid) -> Form:
    """Largest over networks of the pruning epochs minus the retraining epochs."""
    rows = some(grid.rows("table4", GRADUAL), f"{GRADUAL} in table4")
    cells = [[need(grid, "table4", GRADUAL, row, f"{kind} epochs") for kind in ("pruning", "retraining")]
             for row in rows]  # fmt: skip
    return Largest(tuple(Linear({Quantity((a,)): 1.0, Quantity((b,)): -1.0}) for a, b in cells))


def accuracy_delta_resnet20(grid: Grid) -> Form:
    """ResNet20: gradual pruning over 100-150 minus the dense network."""
    return gradual_delta(grid, "resnet20")


def baseline_accuracy_resnet20(grid: Grid) -> Form:
    """Dense ResNet20 at the end of its schedule."""
    return dense(grid, "resnet20")


def baseline_accuracy_resnet56(grid: Grid) -> Form:
    """Dense ResNet56 at the end of its schedule."""
    return dense(grid, "resnet56")


def baseline_accuracy_resnet18(grid: Grid) -> Form:
    """Dense ResNet18 at the end of its schedule."""
    return dense(grid, "resnet18")


def baseline_accuracy_resnet50(grid: Grid) -> Form:
    """Dense ResNet50 at the end of its schedule."""
    return dense(grid, "resnet50")


# ---- rows of the tables ------------------------------------------------------------------------------------


def one_shots(grid: Grid, table: str, row: str, first: int, last: int) -> Linear:
    """The mean of the one-shot cells pruned at epochs ``first`` to ``last``."""
    columns = [column for column in grid.epochs(table, "one-shot", row) if first <= column <= last]
    cells = [one_shot(grid, table, row, column, SCHEDULES[table]) for column in columns]
    return mean(some(cells, f"one-shot {row} in {table} at epochs {first} to {last}"))


def windows(grid: Grid, table: str, first: int, last: int) -> Linear:
    """The mean of the gradual cells whose windows start at epochs ``first`` to ``last``, of the table's network
    that has one-shot cells beside them."""
    row = "resnet20" if table == CIFAR10 else "resnet18"
    found = [name for name in grid.columns(table, "gradual", row) if first <= int(name.split("-")[0]) <= last]
    cells = [gradual(grid, table, row, name) for name in found]
    return mean(some(cells, f"gradual {row} in {table} that starts at epochs {first} to {last}"))


def _one_shot_early_minus_last(grid: Grid, row: str) -> Linear:
    return one_shots(grid, CIFAR10, row, EARLY, LAST - 1) - one_shots(grid, CIFAR10, row, LAST, LAST)


def _costs(grid: Grid, row: str) -> tuple[Cell, ...]:
    gradually = [need(grid, "table4", GRADUAL, row, f"{kind} epochs") for kind in ("pruning", "retraining")]
    return (*gradually, need(grid, "table4", ITERATIVE, row, "epochs"))


def _ratio(epochs: Sequence[float]) -> float:
    pruning, retraining, iterative = epochs
    return iterative / (pruning + retraining)


def _share(epochs: Sequence[float]) -> float:
    return 100 / _ratio(epochs)


ALL: tuple[Statistic, ...] = (
    one_shot_early_minus_last_resnet20,
    one_shot_early_minus_last_resnet56,
    one_shot_too_early_minus_early,
    gradual_75_minus_later,
    gradual_too_early_minus_later,
    gradual_minus_one_shot_resnet20,
    one_shot_45_minus_later,
    gradual_minus_one_shot_resnet18,
    gradual_minus_baseline_resnet18,
    gradual_minus_baseline_resnet50,
    gradual_resnet50,
    share_of_epochs_resnet50,
    smallest_cost_ratio,
    worst_gradual_minus_iterative,
    largest_pruning_minus_retraining_epochs,
    accuracy_delta_resnet20,
    baseline_accuracy_resnet20,
    baseline_accuracy_resnet56,
    baseline_accuracy_resnet18,
    baseline_accuracy_resnet50,
)
