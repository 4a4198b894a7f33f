"""Fig. 4 and 6: PPR accuracy at every epoch of the dense training, beside the dense accuracy (3.3, 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repro.artifacts.base import CIFAR10, IMAGENET, Artifact, Results, accuracy_cell, joined
from repro.artifacts.drawing import Curves
from repro.cells import Cell, cell
from repro.config.profile import PprParams
from repro.experiments import Study
from repro.run import Run


def _artifact(name: str, title: str, assumptions: tuple[str, ...]) -> Artifact:
    """Return the artifact whose networks, rates and epochs are under ``name`` in the profile.

    The paper draws these curves and prints no numbers.
    """
    return Artifact(
        name=name,
        title=title,
        runs=lambda study, seeds: runs(study, seeds, getattr(study.settings.profile, name)),
        cells=lambda study, results, seeds: cells(study, results, seeds, getattr(study.settings.profile, name)),
        assumptions=("ppr", *assumptions),
        axes=("network", "epoch"),
        columns="epoch of the dense training",
        epochs=("column",),
        drawing=Curves(name=_name, order=("ppr 0.1", "ppr 0.01"), levels=True),
    )


def runs(study: Study, seeds: Sequence[int], rows: Mapping[str, PprParams]) -> list[Run]:
    """Return the dense networks, and one epoch's retraining from every checked epoch at every rate."""
    found = [study.dense(arch, seed) for arch in rows for seed in seeds]
    for arch, asked in rows.items():
        for rate in asked.rates:
            found += [study.ppr(arch, s, epoch, rate) for s in seeds for epoch in epochs(study, arch, asked)]
    return found


def cells(study: Study, results: Results, seeds: Sequence[int], rows: Mapping[str, PprParams]) -> list[Cell]:
    """Return the series ``ppr <rate>`` for every rate, then ``baseline``; row = network, col = epoch."""
    found = []
    for arch, asked in rows.items():
        for rate in asked.rates:
            for epoch in epochs(study, arch, asked):
                ppr = [study.ppr(arch, seed, epoch, rate) for seed in seeds]
                found.append(accuracy_cell(study, results, ppr, (f"ppr {rate:g}", arch, str(epoch)), None))
        dense = [study.dense(arch, seed) for seed in seeds]
        for epoch in epochs(study, arch, asked):
            found.append(cell("baseline", arch, str(epoch), results.top1(dense, epoch)))
    return found


def epochs(study: Study, arch: str, asked: PprParams) -> range:
    """Return the epochs that are checked."""
    return range(asked.every, study.schedule_of(arch) + 1, asked.every)


def _name(series: str) -> str:
    return "dense baseline" if series == "baseline" else series.replace("ppr ", "PPR, rate ")


FIG4 = _artifact(
    "fig4", "Accuracy of pseudo-pruned-then-retrained (PPR) models from every epoch, ResNet20", CIFAR10
)
FIG6 = _artifact(
    "fig6", "PPR accuracy check: ResNet56 on CIFAR-10 and ResNet18 on ImageNet", joined(CIFAR10, IMAGENET)
)
