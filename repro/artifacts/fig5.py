"""Fig. 5: what structures from different epochs can memorize, against the number of random labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.artifacts.base import Artifact, Entry
from repro.artifacts.drawing import Curves
from repro.config.recipe import CifarArch, Epochs, Sizes
from repro.experiments import Study
from repro.run import Checkpoint, Mask


@dataclass(frozen=True)
class Capacity:
    """Structures from epochs ``s``, trained on ``sizes`` randomly labelled examples."""

    arch: CifarArch
    s: Epochs
    sizes: Sizes


def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
    """Yield the series ``memorization``: row = pruning epoch, col = number of examples; accuracy on those
    examples."""
    own = study.block("fig5", Capacity)
    for s in own.s:
        dense = [(seed, study.dense(own.arch, seed)) for seed in seeds]
        masks = [(seed, Mask(Checkpoint(run, s), study.settings.profile.sparsity)) for seed, run in dense]
        for size in own.sizes:
            runs = [study.memorization(own.arch, seed, mask, size) for seed, mask in masks]
            yield Entry("memorization", str(s), str(size), runs)


ASSUMPTIONS = ("memorization", "memorization_schedule", "batch_size", "initialisation", "shortcut", "weight_decay",
               "last_batch", "prunable")  # fmt: skip
ARTIFACT = Artifact(
    name="fig5",
    title="Memorization capacity of structures from different epochs",
    place="Fig. 5, Section 3.3",
    table=table,
    settings=Capacity,
    assumptions=ASSUMPTIONS,
    unit="accuracy on random labels, %",
    axes=("pruned at", "examples"),
    rows="pruned at epoch",
    columns="number of examples with random labels",
    epochs=("row",),
    drawing=Curves(panel="series"),
)
