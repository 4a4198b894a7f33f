"""Fig. 6a: the PPR accuracy check for ResNet56 (section 4.1). 6b, ResNet18 on ImageNet, is not regenerated yet."""

from __future__ import annotations

from collections.abc import Sequence

from repro.artifacts import ppr
from repro.artifacts.base import Artifact, Results
from repro.compare import Cell
from repro.experiments import Study
from repro.run import Run


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """The dense networks and their PPR models."""
    return ppr.runs(study, seeds, study.settings.profile.fig6)


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """As in `ppr.cells`; the paper draws these curves and prints no numbers."""
    return ppr.cells(study, results, seeds, study.settings.profile.fig6)


ARTIFACT = Artifact(
    name="fig6",
    title="PPR accuracy check: ResNet56 on CIFAR-10",
    runs=runs,
    cells=cells,
    assumptions=ppr.ASSUMPTIONS,
)
