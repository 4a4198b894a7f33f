"""Fig. 7, which the paper does not have: how sparse may an early ticket be?

Tickets whose structure comes from the middle of the dense training, at several sparsities, beside those whose
structure comes from its end. Run it with

    REPRO_ARTIFACTS=examples/fig7.py repro fig7 --profile smoke
"""

from collections.abc import Sequence
from dataclasses import dataclass

from repro.artifacts.base import Artifact, Results, accuracy_cell
from repro.cells import Cell
from repro.experiments import Study
from repro.run import Run


@dataclass(frozen=True)
class Params:
    """What a profile of params.yaml may set, under ``artifacts: {fig7: ...}``."""

    sparsities: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)


def tickets(study: Study, seeds: Sequence[int], s: int, sparsity: float) -> list[Run]:
    """One ticket (s, s) a seed. At 0.8 these are the Runs of Fig. 1 and Table 2: trained once for all."""
    return [study.ticket("resnet20", seed, s, s, sparsity) for seed in seeds]


def sparsities(study: Study) -> tuple[float, ...]:
    """The shares of weights that are pruned."""
    return study.settings.profile.block("fig7", Params).sparsities


def epochs(study: Study) -> tuple[int, int]:
    """The middle of the dense training, where the paper's early tickets emerge, and its end."""
    return study.schedule // 2, study.schedule


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """The Runs that the figure needs; the dense networks behind them come by themselves."""
    return [run for s in epochs(study) for p in sparsities(study) for run in tickets(study, seeds, s, p)]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """What it makes of their results: row = pruning epoch, col = sparsity. The paper prints nothing (None)."""
    return [
        accuracy_cell(study, results, tickets(study, seeds, s, p), ("tickets", str(s), f"{p:.0%}"), None)
        for s in epochs(study)
        for p in sparsities(study)
    ]


ARTIFACT = Artifact(
    "fig7",
    "How sparse may an early ticket be?",
    runs,
    cells,
    assumptions=("ticket", "prunable"),
    axes=("pruned at epoch", "share of weights pruned"),
    params=Params,
)
