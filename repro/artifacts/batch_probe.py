"""The batch probe, which the paper does not have: at which batch size do masks move as far as its Fig. 3 prints?

The paper never states its batch size. The dense network of an epoch goes on at several (docs/batch-size.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from repro.artifacts.base import Artifact, Entry
from repro.artifacts.drawing import Curves
from repro.artifacts.fig3 import Distances, observed
from repro.config.fields import INCREASING, Check, at_least
from repro.config.recipe import CifarArch, Sizes
from repro.experiments import Study, branch
from repro.run import Checkpoint, Mask, Run


@dataclass(frozen=True)
class Probe:
    """One network: continue its dense training from epoch ``start`` at each of ``batch_sizes``, and measure after
    each of ``epochs`` how far its mask has moved."""

    start: Annotated[int, at_least(0)]
    epochs: Annotated[tuple[int, ...], INCREASING, Check(bool, "are none, and do not increase")]
    batch_sizes: Sizes

    def __post_init__(self) -> None:
        if self.epochs[0] <= self.start:
            raise ValueError(f"epochs: {list(self.epochs)} do not increase from the start at {self.start}")


NETWORKS = dict[CifarArch, Probe]


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return every network that is trained on, and for every cell a Run without epochs, which observes the
    distance."""
    found: list[Run] = []
    for entry in table(study, seeds):
        found += [*(run.parents[0].run for run in entry.runs), *entry.runs]
    return found


def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
    """Yield the cells: row = batch size, col = epoch; then the dense network itself, where Fig. 3 looks at it.

    Fig. 3 judges those at the profile's batch size: any other is another hypothesis.
    """
    series = "hamming"  # and its noise is declared as that of the distances in Fig. 3
    networks, fig3 = study.block("batch-probe", NETWORKS), study.block("fig3", Distances)
    for arch, asked in networks.items():
        prefix = f"{arch}, " if len(networks) > 1 else ""
        beside = {epoch: ("fig3", series, str(asked.start), str(epoch)) for epoch in asked.epochs}
        for size in asked.batch_sizes:
            branches = [branched(study, arch, seed, asked.start, asked.epochs[-1], size) for seed in seeds]
            own, row = size == study.settings.profile.recipe_of(arch).batch_size, f"{prefix}batch {size}"
            for epoch in asked.epochs:
                runs = [moved(study, branch, epoch) for branch in branches]
                yield Entry(series, row, str(epoch), runs, observed, series, own, beside[epoch])
        for epoch in asked.epochs:
            if fig3.arch == arch and {asked.start, epoch} <= {*fig3.s}:
                apart = [study.mask_distance(arch, seed, asked.start, epoch) for seed in seeds]
                yield Entry(series, f"{prefix}dense", str(epoch), apart, observed, series, True, beside[epoch])


def branched(study: Study, arch: str, seed: int, first: int, last: int, batch_size: int) -> Run:
    """Return the dense network of epoch ``first``, trained to ``last`` at another batch size."""
    recipe, dense = replace(study.settings.profile.recipe_of(arch), batch_size=batch_size), study.dense(arch, seed)
    return branch(dense, "batch-probe", recipe, Checkpoint(dense, first), first_epoch=first, last_epoch=last)


def moved(study: Study, branched: Run, epoch: int) -> Run:
    """Return the mask at the start of ``branched`` on its weights of ``epoch``, untrained: how far it moved."""
    dense = study.dense(branched.arch, branched.seed)
    mask = Mask(Checkpoint(dense, branched.first_epoch), study.settings.profile.sparsity)
    return branch(dense, "batch-probe", branched.recipe, Checkpoint(branched, epoch), mask, last_epoch=0)


ARTIFACT = Artifact(
    name="batch-probe",
    title="How far the mask moves at one batch size and at another",
    table=table,
    own_runs=runs,
    settings=NETWORKS,
    assumptions=(
        "batch_probe", "batch_size", "last_batch", "augmentation", "initialisation", "shortcut", "weight_decay",
        "prunable",
    ),
    unit="share of weights on which two masks differ",
    digits=4,
    axes=("trained at", "epoch"),
    columns="epoch of the dense schedule",
    epochs=("column",),
    drawing=Curves(panel="series", source="Fig. 3"),
)  # fmt: skip
