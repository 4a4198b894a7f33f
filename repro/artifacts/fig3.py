"""Fig. 3: Hamming distance between the structures that two epochs of the dense training give."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro import published
from repro.artifacts.base import Artifact, Entry, cells_of, runs_of
from repro.artifacts.drawing import Heat
from repro.config.recipe import CifarArch, Epochs
from repro.experiments import Study
from repro.record import Record
from repro.run import Run


@dataclass(frozen=True)
class Distances:
    """Structures from epochs ``s``, compared pairwise."""

    arch: CifarArch
    s: Epochs


def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
    """Yield the upper triangle, x in rows and y in columns. On the diagonal it is 0 for every dense network."""
    own = study.block("fig3", Distances)
    dense, epochs = [study.dense(own.arch, seed) for seed in seeds], sorted(own.s)
    for x, y in itertools.combinations_with_replacement(epochs, 2):
        apart = [study.mask_distance(own.arch, seed, x, y) for seed in seeds] if x < y else dense
        yield distance(study, (x, y), apart, (str(x), str(y)))


def distance(
    study: Study, epochs: tuple[int, int], runs: Sequence[Run], at: tuple[str, str], comparable: bool = True
) -> Entry:
    """Return the distance between the masks of two epochs that ``runs`` observe, beside the one that is printed.

    ``at`` is the cell's row and column. The printed number is for orientation only where it is not ``comparable``.
    """
    printed = published.lookup("fig3") if runs[0].arch == "resnet20" else {}
    x, y = (study.published_epoch(epoch, runs[0].arch) or "" for epoch in epochs)
    number = printed.get(("hamming", x, y))
    return Entry("hamming", *at, runs, number, value=_observed, noise="hamming", comparable=comparable)


def _observed(record: Record) -> float:
    return record.mask_distance if record.spec.get("mask") else 0.0  # of a mask and itself


ARTIFACT = Artifact(
    name="fig3",
    title="Hamming distance between the structures of two epochs",
    place="Fig. 3, Section 3.2",
    settings=Distances,
    runs=runs_of(table),
    cells=cells_of(table),
    assumptions=("prunable", "shortcut", "batch_size", "augmentation", "initialisation", "weight_decay"),
    unit="share of prunable weights on which two masks differ",
    digits=4,
    axes=("x", "y"),
    rows="structure of epoch x",
    columns="structure of epoch y",
    epochs=("row", "column"),
    drawing=Heat(),
)
