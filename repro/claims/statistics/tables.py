"""Sections 3.3, 3.4, 4 and appendix: accuracy on random labels (Fig. 5, Table 1), one-shot and gradual pruning
(Tables 2 and 3), gain (Table 4), the dense networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repro.claims.expressions import Expression, Extreme, Linear, Quantity, mean
from repro.claims.index import CellIndex, MissingCells, chosen, required

STEPS_FROM = 120  # Table 1's first column is one and the same network in both series
ONE_SHOT_20, GRADUAL_20 = ("table2", "one-shot", "resnet20"), ("table2", "gradual", "resnet20")
ONE_SHOT_18, GRADUAL_18 = ("table3", "one-shot", "resnet18"), ("table3", "gradual", "resnet18")
BOTH = ("resnet20", "resnet50")  # networks that Table 4 prunes in both ways


def _memorized(index: CellIndex, s: int, size: int) -> Linear:
    """Return what the structure of epoch ``s`` memorizes of ``size`` random labels."""
    return index.term("fig5", "memorization", s, size)


def _sizes(index: CellIndex) -> Sequence[int]:
    return required(index.epochs("fig5", "memorization"), "memorization in fig5")


def _growth(index: CellIndex) -> Linear:
    small, large = _sizes(index)[0], _sizes(index)[-1]
    rows = sorted(map(int, index.rows("fig5", "memorization")))
    return mean(_memorized(index, row, large) - _memorized(index, row, small) for row in rows)


def _lag(index: CellIndex, size: int) -> Linear:
    return _memorized(index, 20, size) - mean(_memorized(index, row, size) for row in (120, 200))


def _after_pruning(index: CellIndex, series: str, epoch: int) -> Linear:
    """Return a cell of Table 1, which has a row for its network."""
    return index.term("table1", series, index.rows("table1", series)[0], epoch)


def _gaps(index: CellIndex) -> Sequence[Linear]:
    epochs = [epoch for epoch in index.epochs("table1", "4-shot gradual") if epoch > STEPS_FROM]
    gaps = [_after_pruning(index, "4-shot gradual", e) - _after_pruning(index, "1-shot", e) for e in epochs]
    return required(gaps, f"4-shot gradual in table1 after epoch {STEPS_FROM}")


def _too_early(index: CellIndex) -> Linear:
    rows = [("table2", "one-shot", row) for row in index.rows("table2", "one-shot")]
    return mean(index.average(*row, 1, 99) - index.average(*row, 100, 200) for row in rows)


def _dense(index: CellIndex, arch: str) -> Linear:
    """Return the dense network's accuracy at the end of its schedule (the text's "baseline")."""
    if not index.has("text", "accuracy", arch, "baseline"):
        raise MissingCells(f"there is no dense {arch}")
    return index.term("text", "accuracy", arch, "baseline")


def _gradual_delta(index: CellIndex, arch: str) -> Linear:
    """Return the accuracy of gradual pruning less the dense network's (Table 4, GP + EWT).

    Our own Runs use the window that the paper chose: the best of several would look better by chance.
    """
    if index.printed or not index.has(*chosen(arch)):
        return index.term("table4", "GP + EWT", arch, "accuracy delta")
    return index.term(*chosen(arch)) - _dense(index, arch)


def _cost(index: CellIndex, arch: str, compute: Callable[[Sequence[float]], float]) -> Linear:
    """Return a number computed from the epochs of gradual pruning (two cells) and of iterative pruning."""
    spent = [index.cell("table4", "GP + EWT", arch, f"{kind} epochs") for kind in ("pruning", "retraining")]
    return Linear({Quantity((*spent, index.cell("table4", "IP + WT", arch, "epochs")), compute): 1.0})


def _ratio(epochs: Sequence[float]) -> float:
    pruning, retraining, iterative = epochs
    return iterative / (pruning + retraining)


def _pruning_minus_retraining(index: CellIndex, arch: str) -> Linear:
    row = ("table4", "GP + EWT", arch)
    return index.term(*row, "pruning epochs") - index.term(*row, "retraining epochs")


STATISTICS: dict[str, Callable[..., Expression]] = {
    "largest_minus_smallest_size": _growth,
    "epoch_20_minus_later": lambda index: mean(_lag(index, size) for size in _sizes(index)),
    "gap_at_largest_minus_smallest_size": lambda index: (
        _lag(index, _sizes(index)[-1]) - _lag(index, _sizes(index)[0])
    ),
    "epoch_120_minus_200": lambda index: mean(
        _memorized(index, 120, size) - _memorized(index, 200, size) for size in _sizes(index)
    ),
    "one_shot_at_60_minus_80": lambda index: (
        _after_pruning(index, "1-shot", 160) - _after_pruning(index, "1-shot", 240)
    ),
    "gradual_minus_one_shot_memorization": lambda index: mean(_gaps(index)),
    "smallest_gradual_gap": lambda index: Extreme(min, _gaps(index)),
    "one_shot_early_minus_last": lambda index, arch: (
        index.average("table2", "one-shot", arch, 100, 199) - index.average("table2", "one-shot", arch, 200)
    ),
    "one_shot_too_early_minus_early": _too_early,
    "gradual_75_minus_later": lambda index: index.term(*GRADUAL_20, "75-125") - index.average(*GRADUAL_20, 76),
    "gradual_too_early_minus_later": lambda index: (
        index.average(*GRADUAL_20, 0, 74) - index.average(*GRADUAL_20, 75)
    ),
    "gradual_minus_one_shot_resnet20": lambda index: (
        index.average(*GRADUAL_20, 75) - index.average(*ONE_SHOT_20, 100)
    ),
    "one_shot_45_minus_later": lambda index: (
        index.average(*ONE_SHOT_18, 45, 45) - index.average(*ONE_SHOT_18, 60, 90)
    ),
    "gradual_minus_one_shot_resnet18": lambda index: (
        index.average(*GRADUAL_18, 40, 90) - index.average(*ONE_SHOT_18, 60, 90)
    ),
    "gradual_minus_baseline": lambda index, arch: index.term(*chosen(arch)) - _dense(index, arch),
    "gradual_resnet50": lambda index: index.term(*chosen("resnet50")),
    "share_of_epochs": lambda index, arch: _cost(index, arch, lambda epochs: 100 / _ratio(epochs)),
    "smallest_cost_ratio": lambda index: Extreme(min, [_cost(index, arch, _ratio) for arch in BOTH]),
    "worst_gradual_minus_iterative": lambda index: Extreme(
        min, [_gradual_delta(index, a) - index.term("table4", "IP + WT", a, "accuracy delta") for a in BOTH]
    ),
    "largest_pruning_minus_retraining_epochs": lambda index: Extreme(
        max, [_pruning_minus_retraining(index, arch) for arch in index.rows("table4", "GP + EWT")]
    ),
    "accuracy_delta": _gradual_delta,
    "baseline_accuracy": _dense,
}
