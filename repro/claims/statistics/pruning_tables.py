"""Section 4 and appendix: one-shot and gradual pruning (Tables 2 and 3), gain (Table 4), the dense networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repro.claims.expressions import Expression, Linear, Max, Min, Quantity, mean
from repro.claims.tables import IMAGENET_EPOCHS, PAPER_EPOCHS, Cell, CellIndex, required
from repro.claims.terms import dense, exact, gradual, gradual_delta, iterative_delta, one_shot

SCHEDULES = {"table2": PAPER_EPOCHS, "table3": IMAGENET_EPOCHS}
BOTH = ("resnet20", "resnet50")  # networks that Table 4 prunes in both ways
CHOSEN = "40-70"  # the window whose accuracy the paper quotes for ImageNet


def one_shots(index: CellIndex, table: str, row: str, first: int, last: int) -> Linear:
    """Return the mean of the one-shot cells pruned at epochs ``first`` to ``last``."""
    epochs = index.epochs(table, "one-shot", row, first, last)
    cells = [one_shot(index, table, row, epoch, SCHEDULES[table]) for epoch in epochs]
    return mean(required(cells, f"one-shot {row} in {table} at epochs {first} to {last}"))


def windows(index: CellIndex, table: str, first: int, last: int) -> Linear:
    """Return the mean of the gradual cells whose windows start at epochs ``first`` to ``last``, of the table's
    network that has one-shot cells beside them."""
    row = "resnet20" if table == "table2" else "resnet18"
    found = [name for name in index.columns(table, "gradual", row) if first <= int(name.split("-")[0]) <= last]
    cells = [gradual(index, table, row, name) for name in found]
    return mean(required(cells, f"gradual {row} in {table} that starts at epochs {first} to {last}"))


def _too_early(index: CellIndex) -> Linear:
    rows = required(index.rows("table2", "one-shot"), "one-shot row in table2")
    return mean(one_shots(index, "table2", row, 1, 99) - one_shots(index, "table2", row, 100, 200) for row in rows)


def _spent(index: CellIndex, row: str) -> list[Cell]:
    """Return the cells of gradual pruning's epochs: of pruning, of retraining."""
    return [index.cell("table4", "GP + EWT", row, f"{kind} epochs") for kind in ("pruning", "retraining")]


def _cost(index: CellIndex, row: str, compute: Callable[[Sequence[float]], float]) -> Linear:
    """Return a number computed from the epochs of gradual pruning (two cells) and of iterative pruning."""
    return Linear({Quantity((*_spent(index, row), index.cell("table4", "IP + WT", row, "epochs")), compute): 1.0})


def _ratio(epochs: Sequence[float]) -> float:
    pruning, retraining, iterative = epochs
    return iterative / (pruning + retraining)


def _pruning_minus_retraining(index: CellIndex) -> Max:
    rows = required(index.rows("table4", "GP + EWT"), "GP + EWT in table4")
    return Max(
        [exact(pruning) - exact(retraining) for pruning, retraining in (_spent(index, row) for row in rows)]
    )


STATISTICS: dict[str, Callable[..., Expression]] = {
    "one_shot_early_minus_last": lambda index, row: (
        one_shots(index, "table2", row, 100, 199) - one_shots(index, "table2", row, 200, 200)
    ),
    "one_shot_too_early_minus_early": _too_early,
    "gradual_75_minus_later": lambda index: (
        gradual(index, "table2", "resnet20", "75-125") - windows(index, "table2", 76, 200)
    ),
    "gradual_too_early_minus_later": lambda index: (
        windows(index, "table2", 0, 74) - windows(index, "table2", 75, 200)
    ),
    "gradual_minus_one_shot_resnet20": lambda index: (
        windows(index, "table2", 75, 200) - one_shots(index, "table2", "resnet20", 100, 200)
    ),
    "one_shot_45_minus_later": lambda index: (
        one_shots(index, "table3", "resnet18", 45, 45) - one_shots(index, "table3", "resnet18", 60, 90)
    ),
    "gradual_minus_one_shot_resnet18": lambda index: (
        windows(index, "table3", 40, 90) - one_shots(index, "table3", "resnet18", 60, 90)
    ),
    "gradual_minus_baseline": lambda index, arch: gradual(index, "table3", arch, CHOSEN) - dense(index, arch),
    "gradual_resnet50": lambda index: gradual(index, "table3", "resnet50", CHOSEN),
    "share_of_epochs": lambda index, arch: _cost(index, arch, lambda epochs: 100 / _ratio(epochs)),
    "smallest_cost_ratio": lambda index: Min([_cost(index, row, _ratio) for row in BOTH]),
    "worst_gradual_minus_iterative": lambda index: Min(
        [gradual_delta(index, row) - iterative_delta(index, row) for row in BOTH]
    ),
    "largest_pruning_minus_retraining_epochs": _pruning_minus_retraining,
    "accuracy_delta": gradual_delta,
    "baseline_accuracy": dense,
}
