"""Fig. 7, which the paper does not have: how sparse may an early ticket be?

Tickets whose structure comes from the middle of the dense training, at several sparsities, beside those whose
structure comes from its end. Run it with

    REPRO_ARTIFACTS=examples/fig7.py repro fig7 --profile smoke
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.artifacts.base import Artifact, Entry
from repro.experiments import Study


@dataclass(frozen=True)
class Settings:
    """What a profile of params.yaml may set, under ``fig7:``."""

    sparsities: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)


def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
    """Row = pruning epoch, col = sparsity; each cell shows the accuracy of one ticket (s, s) a seed.

    At 80 % these are the Runs of Fig. 1 and Table 2: trained once for all. The dense networks behind them come by
    themselves. Early tickets emerge in the middle of the dense training.
    """
    for s in (study.schedule // 2, study.schedule):
        for sparsity in study.block("fig7", Settings).sparsities:
            tickets = [study.ticket("resnet20", seed, s, s, sparsity) for seed in seeds]
            yield Entry("tickets", str(s), f"{sparsity:.0%}", tickets)


ARTIFACT = Artifact(
    "fig7",
    "How sparse may an early ticket be?",
    table,
    assumptions=("ticket", "prunable"),
    settings=Settings,
    axes=("pruned at epoch", "share of weights pruned"),
)
