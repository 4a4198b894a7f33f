"""Fig. 2: (a) the standard deviation of each layer's weights while the dense network trains, with the slope
that Eq. 5 predicts; (b) each layer's share of a pruning that is not done."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.artifacts.base import CIFAR10, Artifact, Results
from repro.artifacts.drawing import Curves
from repro.cells import Cell, cell
from repro.config.recipe import CifarArch
from repro.experiments import Study
from repro.record import PROBED, Record
from repro.run import Run
from repro.schedule import predicted_shrinkage, updates_per_epoch


@dataclass(frozen=True)
class Curve:
    """The dense training of one network."""

    arch: CifarArch


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return the dense networks, which record W_std and per-layer rates after every epoch."""
    return [study.dense(study.block("fig2", Curve).arch, seed) for seed in seeds]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the series ``w_std``, ``w_mean`` and ``layer pruning rate`` (row = layer, col = epoch), and Eq. 5.

    From the first fall of the rate on, ``w_std predicted`` is Eq. 5 starting from the measured value there.
    """
    records = results.done(runs(study, seeds))
    if not records:
        return [cell("w_std", "", "", [])]
    for record in records:
        if not record.probe or _shape(record) != _shape(records[0]):
            raise record.faulty("has no probe, or of other epochs or layers than another seed's")
    found = []
    epochs = records[0].probe["epoch"]
    for series, field in (("w_std", "w_std"), ("w_mean", "w_mean"), ("layer pruning rate", "layer_rates")):
        for layer in records[0].probe[field]:
            for index, epoch in enumerate(epochs):
                values = [record.probe[field][layer][index] for record in records]
                found.append(cell(series, layer, str(epoch), values))
    recipe = study.settings.profile.recipe
    first = min(recipe.milestones, default=recipe.epochs)
    for layer in records[0].probe["w_std"] if first in epochs else ():
        measured = statistics.fmean(record.probe["w_std"][layer][epochs.index(first)] for record in records)
        line = predicted(study, first, measured)
        found += [cell("w_std predicted", layer, str(epoch), [value]) for epoch, value in line]
    return found


def predicted(study: Study, first: int, value: float) -> Iterator[tuple[int, float]]:
    """Yield (epoch, W_std) along Eq. 5, from the ``value`` at epoch ``first`` on."""
    profile = study.settings.profile
    updates = updates_per_epoch(profile.data.train, profile.recipe.batch_size)
    yield first, value
    for epoch in range(first, profile.recipe.epochs):
        value *= predicted_shrinkage(profile.recipe, epoch, updates)
        yield epoch + 1, value


def _shape(record: Record) -> list[object]:
    return [record.probe["epoch"], *(list(record.probe[field]) for field in PROBED)]


ARTIFACT = Artifact(
    name="fig2",
    title="Standard deviation of weights and pseudo per-layer pruning rate while the dense network trains",
    place="Fig. 2, Section 3.2",
    settings=Curve,
    own_runs=runs,
    own_cells=cells,
    assumptions=CIFAR10,
    unit="standard deviation of weights; share of weights removed",
    digits=4,
    axes=("layer", "epoch"),
    epochs=("column",),
    drawing=Curves(
        panel="series",
        titles={"w_std": "Standard deviation of each layer's weights",
                "layer pruning rate": "Pseudo per-layer pruning rate: nothing is pruned"},
        units={"w_std": "standard deviation (log scale)",
               "layer pruning rate": "share of the layer's weights removed"},
        log="w_std",
        predicted="predicted by Eq. 5 from the first drop of the learning rate on",
        partial="layers that are never pruned (first, last)",
    ),
)  # fmt: skip
