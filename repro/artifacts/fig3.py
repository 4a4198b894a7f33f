"""Fig. 3: Hamming distance between the structures that two epochs of the dense training give."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.artifacts.base import Artifact, Entry
from repro.artifacts.drawing import Heat
from repro.config.recipe import CifarArch, Epochs
from repro.experiments import Study
from repro.record import Record


@dataclass(frozen=True)
class Distances:
    """Structures from epochs ``s``, compared pairwise."""

    arch: CifarArch
    s: Epochs


def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
    """Yield the upper triangle, x in rows and y in columns. On the diagonal it is 0 for every dense network."""
    own = study.block("fig3", Distances)
    dense = [study.dense(own.arch, seed) for seed in seeds]
    for x, y in itertools.combinations_with_replacement(sorted(own.s), 2):
        apart = [study.mask_distance(own.arch, seed, x, y) for seed in seeds] if x < y else dense
        yield Entry("hamming", str(x), str(y), apart, observed, noise="hamming")


def observed(record: Record) -> float:
    """Return the distance that a Run observes; a dense network's of a mask and itself."""
    return record.mask_distance if record.spec.get("mask") else 0.0


ARTIFACT = Artifact(
    name="fig3",
    title="Hamming distance between the structures of two epochs",
    place="Fig. 3, Section 3.2",
    settings=Distances,
    table=table,
    assumptions=("prunable", "shortcut", "batch_size", "augmentation", "initialisation", "weight_decay"),
    unit="share of prunable weights on which two masks differ",
    digits=4,
    axes=("x", "y"),
    rows="structure of epoch x",
    columns="structure of epoch y",
    epochs=("row", "column"),
    drawing=Heat(),
)
