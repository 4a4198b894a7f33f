"""Table 1: what networks memorize that were pruned in one step or in several, to the same rate."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from repro import published
from repro.artifacts import fig5
from repro.artifacts.base import Artifact, Entry, Results, runs_of
from repro.artifacts.drawing import Dots
from repro.cells import Cell
from repro.config.fields import FRACTION, Check, at_least
from repro.config.recipe import CifarArch, Recipe, Sizes
from repro.experiments import Study, branch
from repro.run import Checkpoint, Mask, Run

ONE_SHOT, STEPWISE = "1-shot", "4-shot gradual"
FIRST_CELL = (ONE_SHOT, "resnet20", "120")  # the number of examples is calibrated on it
Steps = Annotated[
    tuple[tuple[Annotated[int, at_least(0)], Annotated[float, FRACTION]], ...],
    Check(lambda steps: len(steps) >= 2, "are too few: at least two are needed"),
    Check(
        lambda steps: all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(steps)),
        "do not increase in epoch and in rate",
    ),
]


@dataclass(frozen=True)
class Stepwise:
    """Pruning ``steps`` of (epoch, rate) along the dense schedule. Beyond its end, training continues with
    ``further_milestones``. The number of examples is calibrated among ``sizes``."""

    arch: CifarArch
    steps: Steps
    further_milestones: tuple[int, ...]
    sizes: Sizes


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return what does not depend on the number of examples, and the calibration of that number (seed 0 alone)."""
    last, _ = study.block("table1", Stepwise).steps[-1]
    ends = [dense_at(study, seed, last).run for seed in seeds]
    return [*ends, *(stepwise(study, seed) for seed in seeds), *_calibration(study).values()]


def second_stage(study: Study, results: Results, seeds: Sequence[int]) -> list[Run]:
    """Return both rows at the calibrated number of examples, or at the largest one until that is known."""
    size = calibrated(study, results) or study.block("table1", Stepwise).sizes[-1]
    return runs_of(_rows(study, seeds, size))


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the series ``1-shot`` and ``4-shot gradual`` (row = network, col = epoch), then ``calibration``.

    The columns of ``calibration`` are numbers of examples. The first column calibrates and is not compared.
    """
    arch, ladder = study.block("table1", Stepwise).arch, _calibration(study)
    entries = [*_rows(study, seeds, calibrated(study, results))]
    entries += [Entry("calibration", arch, str(size), [run]) for size, run in ladder.items()]
    return ARTIFACT.filled(entries, study, results)


def calibrated(study: Study, results: Results) -> int | None:
    """Return the number of examples at which the first cell comes nearest to the printed one, once all are
    tried."""
    ladder = _calibration(study)
    if any(run.key not in results.records for run in ladder.values()):
        return None
    tops = {size: top1 for size, run in ladder.items() for top1 in results.top1([run])}
    target = published.lookup("table1")[FIRST_CELL]
    return min(tops, key=lambda size: (abs(tops[size] - target), size), default=max(ladder))


def dense_at(study: Study, seed: int, epoch: int) -> Checkpoint:
    """Return the dense network at ``epoch``; beyond the schedule it is trained on at a lower rate."""
    own = study.block("table1", Stepwise)
    dense = study.dense(own.arch, seed)
    if epoch <= study.schedule:
        return Checkpoint(dense, epoch)
    start, recipe = Checkpoint(dense, study.schedule), replace(_longer(study), evaluate_every=1)
    more = branch(dense, "dense", recipe, start, first_epoch=study.schedule, last_epoch=own.steps[-1][0])
    return Checkpoint(more, epoch)


def stepwise(study: Study, seed: int) -> Run:
    """Return the gradual pruning: the first step on the dense weights, the others during further training."""
    own = study.block("table1", Stepwise)
    (first, rate), *others = own.steps
    start = dense_at(study, seed, first)
    return branch(
        study.dense(own.arch, seed), "gradual", _longer(study), start, Mask(start, rate), first_epoch=first,
        last_epoch=others[-1][0], prune_at=tuple(others),
    )  # fmt: skip


def _longer(study: Study) -> Recipe:
    """Return the dense recipe, extended to the last step."""
    own, recipe = study.block("table1", Stepwise), study.settings.profile.recipe
    if (first := min(own.further_milestones, default=recipe.epochs)) < recipe.epochs:
        raise ValueError(f"further_milestones: {first} lies within the schedule of {recipe.epochs}")
    last = max(own.steps[-1][0], recipe.epochs)
    return replace(recipe, epochs=last, milestones=(*recipe.milestones, *own.further_milestones))


def _calibration(study: Study) -> dict[int, Run]:
    own = study.block("table1", Stepwise)
    epoch, rate = own.steps[0]
    mask = Mask(dense_at(study, 0, epoch), rate)
    return {size: study.memorization(own.arch, 0, mask, size) for size in own.sizes}


def _rows(study: Study, seeds: Sequence[int], size: int | None) -> Iterator[Entry]:
    """Yield both rows at ``size`` examples; without Runs until it is known.

    No replicate noise of the whole schedule is known: there is a band from three seeds on.
    """
    own = study.block("table1", Stepwise)
    first = own.steps[0][0]  # one network in both rows
    for series in (ONE_SHOT, STEPWISE):
        for epoch, rate in own.steps:
            asked = []
            for seed in seeds if size else ():
                mask = Mask(dense_at(study, seed, epoch), rate)
                if series == STEPWISE and epoch != first:
                    mask = Mask(Checkpoint(stepwise(study, seed), epoch), None)
                asked.append(study.memorization(own.arch, seed, mask, size or 0))
            yield Entry(series, own.arch, str(epoch), asked, noise=None, comparable=epoch != first)


ARTIFACT = Artifact(
    name="table1",
    title="Memorization capacity of one-shot and stepwise gradual pruning",
    place="Table 1, Section 3.4",
    own_runs=runs,
    own_cells=cells,
    second_stage=second_stage,
    settings=Stepwise,
    assumptions=("calibration", "beyond_the_schedule", "gradual_momentum", *fig5.ASSUMPTIONS),
    unit="accuracy on random labels, %",
    axes=("network", "pruned at"),
    columns="pruned at epoch",
    epochs=("column",),
    drawing=Dots(ladder="calibration", series={"calibration": "number of examples with random labels"}),
)
