"""Fig. 4: PPR accuracy from every epoch of the dense ResNet20 at a large and a small rate (section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from repro.artifacts import ppr
from repro.artifacts.base import Artifact, Results
from repro.compare import Cell
from repro.experiments import Study
from repro.run import Run


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """The dense networks and their PPR models."""
    return ppr.runs(study, seeds, study.settings.profile.fig4)


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """As in `ppr.cells`; the paper draws these curves and prints no numbers."""
    return ppr.cells(study, results, seeds, study.settings.profile.fig4)


ARTIFACT = Artifact(
    name="fig4",
    title="Accuracy of pseudo-pruned-then-retrained (PPR) models from every epoch, ResNet20",
    runs=runs,
    cells=cells,
    assumptions=ppr.ASSUMPTIONS,
)
