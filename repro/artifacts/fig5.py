"""Fig. 5: what structures from different epochs can memorize, against the number of random labels."""

from __future__ import annotations

from collections.abc import Sequence

from repro.artifacts.base import Artifact, Results, accuracy_cell
from repro.artifacts.drawing import Curves
from repro.cells import Cell
from repro.experiments import Study
from repro.run import Checkpoint, Mask, Run


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return a training on random labels for every structure and number of examples."""
    own = study.settings.profile.fig5
    return [run for s in own.s for size in own.sizes for run in _runs(study, seeds, s, size)]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the series ``memorization``: row = pruning epoch, col = number of examples; accuracy on those
    examples."""
    own = study.settings.profile.fig5
    return [
        accuracy_cell(study, results, _runs(study, seeds, s, size), ("memorization", str(s), str(size)), None)
        for s in own.s
        for size in own.sizes
    ]


def _runs(study: Study, seeds: Sequence[int], s: int, size: int) -> list[Run]:
    profile = study.settings.profile
    arch = profile.fig5.arch
    masks = [Mask(Checkpoint(study.dense(arch, seed), s), profile.sparsity) for seed in seeds]
    return [study.memorization(arch, seed, mask, size) for seed, mask in zip(seeds, masks, strict=True)]


ASSUMPTIONS = ("memorization", "memorization_schedule", "batch_size", "initialisation", "shortcut", "weight_decay",
               "last_batch", "prunable")  # fmt: skip
ARTIFACT = Artifact(
    name="fig5",
    title="Memorization capacity of structures from different epochs",
    runs=runs,
    cells=cells,
    assumptions=ASSUMPTIONS,
    unit="accuracy on random labels, %",
    axes=("pruned at", "examples"),
    rows="pruned at epoch",
    columns="number of examples with random labels",
    epochs=("row",),
    drawing=Curves(panel="series", name="pruned at epoch {}".format),
)
