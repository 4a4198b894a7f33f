"""Fig. 3: Hamming distance between the structures that two epochs of the dense training give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repro import published
from repro.artifacts.base import Artifact, Results
from repro.artifacts.drawing import Heat
from repro.cells import Cell, cell
from repro.config.recipe import CifarArch, Epochs
from repro.experiments import Study
from repro.run import Run


@dataclass(frozen=True)
class Distances:
    """Structures from epochs ``s``, compared pairwise."""

    arch: CifarArch
    s: Epochs

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The epochs (x, y) with x <= y."""
        epochs = sorted(self.s)
        return [(x, y) for i, x in enumerate(epochs) for y in epochs[i:]]


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return the dense networks and, for every pair x < y, a Run without epochs that observes the masks' distance.

    A mask and itself need none.
    """
    own = study.block("fig3", Distances)
    apart = [study.mask_distance(own.arch, seed, x, y) for x, y in own.pairs if x < y for seed in seeds]
    return [*(study.dense(own.arch, seed) for seed in seeds), *apart]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the upper triangle, x in rows and y in columns; on the diagonal 0 for every trained dense network."""
    own = study.block("fig3", Distances)
    dense = [study.dense(own.arch, seed) for seed in seeds]
    itself = [0.0 for _ in results.done(dense)]
    diverged = not itself and results.diverged(dense)
    found = []
    for x, y in own.pairs:
        apart = [study.mask_distance(own.arch, seed, x, y) for seed in seeds] if x < y else []
        values = [record.mask_distance for record in results.done(apart)] if apart else itself
        found.append(distance_cell(study, own.arch, (x, y), values, (str(x), str(y)), diverged))
    return found


def distance_cell(
    study: Study,
    arch: str,
    epochs: tuple[int, int],
    values: Sequence[float],
    at: tuple[str, str],
    diverged: bool,
    comparable: bool = True,
) -> Cell:
    """Return the distance between the masks of two epochs, one value a seed, beside the one that Fig. 3 prints.

    ``at`` is the cell's row and column. The printed number is for orientation only where it is not ``comparable``.
    """
    x, y = (study.published_epoch(epoch, arch) or "" for epoch in epochs)
    return cell(
        "hamming",
        *at,
        values,
        published=published.lookup("fig3").get(("hamming", x, y)) if arch == "resnet20" else None,
        # The declared noise, until three seeds measure it.
        replicate_sd=study.settings.replicate_sd.get("hamming") if len(values) < 3 else None,
        comparable=comparable and study.comparable_for(arch),
        diverged=diverged,
    )


ARTIFACT = Artifact(
    name="fig3",
    title="Hamming distance between the structures of two epochs",
    place="Fig. 3, Section 3.2",
    settings=Distances,
    runs=runs,
    cells=cells,
    assumptions=("prunable", "shortcut", "batch_size", "augmentation", "initialisation", "weight_decay"),
    unit="share of prunable weights on which two masks differ",
    digits=4,
    axes=("x", "y"),
    rows="structure of epoch x",
    columns="structure of epoch y",
    epochs=("row", "column"),
    drawing=Heat(),
)
