"""Fig. 4 and 6: PPR accuracy at every epoch of the dense training, beside the dense accuracy (3.3, 4.1, 4.2).

The paper draws these curves and prints no numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from repro.artifacts.base import CIFAR10, IMAGENET, Artifact, Entry
from repro.artifacts.drawing import Curves
from repro.config.fields import POSITIVE, at_least
from repro.config.recipe import NO_REPETITION, Arch
from repro.experiments import Study
from repro.record import Record
from repro.run import Run


@dataclass(frozen=True)
class Checks:
    """One network: after every ``every``-th epoch, retrain for one epoch at each constant rate."""

    rates: Annotated[tuple[Annotated[float, POSITIVE], ...], NO_REPETITION]
    every: Annotated[int, at_least(1)]


NETWORKS = dict[Arch, Checks]


def _artifact(name: str, place: str, title: str, assumptions: tuple[str, ...]) -> Artifact:
    """Return the artifact whose networks, rates and epochs are under ``name`` in the profile."""

    def networks(study: Study) -> Iterator[tuple[str, Sequence[float], range]]:
        """Yield every network with its rates and the epochs that are checked."""
        for arch, own in study.block(name, NETWORKS).items():
            yield arch, own.rates, range(own.every, study.schedule_of(arch) + 1, own.every)

    def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
        """Return the dense networks, and one epoch's retraining from every checked epoch at every rate."""
        found = [study.dense(arch, seed) for arch, _, _ in networks(study) for seed in seeds]
        for arch, rates, epochs in networks(study):
            for rate in rates:
                found += [study.ppr(arch, seed, epoch, rate) for seed in seeds for epoch in epochs]
        return found

    def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
        """Yield the series ``ppr <rate>`` for every rate, then ``baseline``; row = network, col = epoch."""
        for arch, rates, epochs in networks(study):
            for rate in rates:
                for epoch in epochs:
                    ppr = [study.ppr(arch, seed, epoch, rate) for seed in seeds]
                    yield Entry(f"ppr {rate:g}", arch, str(epoch), ppr)
            dense = [study.dense(arch, seed) for seed in seeds]
            for epoch in epochs:
                accuracy = functools.partial(Record.top1_at, epoch=epoch)
                yield Entry("baseline", arch, str(epoch), dense, value=accuracy)

    return Artifact(
        name=name,
        title=title,
        place=place,
        table=table,
        own_runs=runs,
        settings=NETWORKS,
        assumptions=("ppr", *assumptions),
        axes=("network", "epoch"),
        columns="epoch of the dense training",
        epochs=("column",),
        drawing=Curves(
            name=lambda series: series.replace("ppr ", "PPR, rate "), order=("ppr 0.1", "ppr 0.01"), levels=True
        ),
    )


FIG4 = _artifact(
    "fig4",
    "Fig. 4, Section 3.3",
    "Accuracy of pseudo-pruned-then-retrained (PPR) models from every epoch, ResNet20",
    CIFAR10,
)
FIG6 = _artifact(
    "fig6",
    "Fig. 6, Section 4.1",
    "PPR accuracy check: ResNet56 on CIFAR-10 and ResNet18 on ImageNet",
    (*CIFAR10, *IMAGENET),
)
