"""Section 4 and appendix: one-shot and gradual pruning (Tables 2 and 3), gain (Table 4), the dense networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repro.claims.expressions import Expression, Linear, Max, Min, Quantity, mean
from repro.claims.tables import CellIndex, required
from repro.claims.terms import average, dense, gradual_delta, term

ONE_SHOT_20, GRADUAL_20 = ("table2", "one-shot", "resnet20"), ("table2", "gradual", "resnet20")
ONE_SHOT_18, GRADUAL_18 = ("table3", "one-shot", "resnet18"), ("table3", "gradual", "resnet18")
BOTH = ("resnet20", "resnet50")  # networks that Table 4 prunes in both ways
CHOSEN = "40-70"  # the window whose accuracy the paper quotes for ImageNet


def _too_early(index: CellIndex) -> Linear:
    rows = [("table2", "one-shot", row) for row in index.rows("table2", "one-shot")]
    required(rows, "one-shot row in table2")
    return mean(average(index, *row, 1, 99) - average(index, *row, 100, 200) for row in rows)


def _cost(index: CellIndex, row: str, compute: Callable[[Sequence[float]], float]) -> Linear:
    """Return a number computed from the epochs of gradual pruning (two cells) and of iterative pruning."""
    spent = [index.cell("table4", "GP + EWT", row, f"{kind} epochs") for kind in ("pruning", "retraining")]
    return Linear({Quantity((*spent, index.cell("table4", "IP + WT", row, "epochs")), compute): 1.0})


def _ratio(epochs: Sequence[float]) -> float:
    pruning, retraining, iterative = epochs
    return iterative / (pruning + retraining)


def _pruning_minus_retraining(index: CellIndex) -> Max:
    rows = [("table4", "GP + EWT", row) for row in index.rows("table4", "GP + EWT")]
    gaps = [term(index, *row, "pruning epochs") - term(index, *row, "retraining epochs") for row in rows]
    return Max(required(gaps, "GP + EWT in table4"))


STATISTICS: dict[str, Callable[..., Expression]] = {
    "one_shot_early_minus_last": lambda index, row: (
        average(index, "table2", "one-shot", row, 100, 199) - average(index, "table2", "one-shot", row, 200)
    ),
    "one_shot_too_early_minus_early": _too_early,
    "gradual_75_minus_later": lambda index: term(index, *GRADUAL_20, "75-125") - average(index, *GRADUAL_20, 76),
    "gradual_too_early_minus_later": lambda index: (
        average(index, *GRADUAL_20, 0, 74) - average(index, *GRADUAL_20, 75)
    ),
    "gradual_minus_one_shot_resnet20": lambda index: (
        average(index, *GRADUAL_20, 75) - average(index, *ONE_SHOT_20, 100)
    ),
    "one_shot_45_minus_later": lambda index: (
        average(index, *ONE_SHOT_18, 45, 45) - average(index, *ONE_SHOT_18, 60, 90)
    ),
    "gradual_minus_one_shot_resnet18": lambda index: (
        average(index, *GRADUAL_18, 40, 90) - average(index, *ONE_SHOT_18, 60, 90)
    ),
    "gradual_minus_baseline": lambda index, arch: (
        term(index, "table3", "gradual", arch, CHOSEN) - dense(index, arch)
    ),
    "gradual_resnet50": lambda index: term(index, "table3", "gradual", "resnet50", CHOSEN),
    "share_of_epochs": lambda index, arch: _cost(index, arch, lambda epochs: 100 / _ratio(epochs)),
    "smallest_cost_ratio": lambda index: Min([_cost(index, row, _ratio) for row in BOTH]),
    "worst_gradual_minus_iterative": lambda index: Min(
        [gradual_delta(index, row) - term(index, "table4", "IP + WT", row, "accuracy delta") for row in BOTH]
    ),
    "largest_pruning_minus_retraining_epochs": _pruning_minus_retraining,
    "accuracy_delta": gradual_delta,
    "baseline_accuracy": dense,
}
