"""What Fig. 4 and 6 share: PPR accuracy at every epoch of the dense training, beside the dense accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repro.artifacts.base import Artifact, Results, accuracy_cell
from repro.artifacts.drawing import Curves
from repro.cells import Cell, cell
from repro.config.profile import PprParams
from repro.experiments import Study
from repro.run import Run


def artifact(name: str, title: str, assumptions: tuple[str, ...]) -> Artifact:
    """Return the artifact whose networks, rates and epochs are under ``name`` in the profile.

    The paper draws these curves and prints no numbers.
    """

    def rows(study: Study) -> Mapping[str, PprParams]:
        found: Mapping[str, PprParams] = getattr(study.settings.profile, name)
        return found

    return Artifact(
        name=name,
        title=title,
        runs=lambda study, seeds: runs(study, seeds, rows(study)),
        cells=lambda study, results, seeds: cells(study, results, seeds, rows(study)),
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
        dense = results.done([study.dense(arch, seed) for seed in seeds])
        for epoch in epochs(study, arch, asked):
            values = [top1 for record in dense if (top1 := record.top1_at(epoch)) is not None]
            found.append(cell("baseline", arch, str(epoch), values))
    return found


def epochs(study: Study, arch: str, asked: PprParams) -> range:
    """Return the epochs that are checked."""
    return range(asked.every, study.schedule_of(arch) + 1, asked.every)


def _name(series: str) -> str:
    return "dense baseline" if series == "baseline" else series.replace("ppr ", "PPR, rate ")
