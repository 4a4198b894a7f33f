"""Table 1: what networks memorize that were pruned in one step or in several, to the same rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro import published
from repro.artifacts import fig5
from repro.artifacts.base import Artifact, Results, accuracy_cell
from repro.artifacts.drawing import Dots
from repro.cells import Cell, cell
from repro.experiments import Study
from repro.record import DONE
from repro.run import Checkpoint, Mask, Run

ONE_SHOT, STEPWISE = "1-shot", "4-shot gradual"
FIRST_CELL = (ONE_SHOT, "resnet20", "120")  # the number of examples is calibrated on it


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return what does not depend on the number of examples, and the calibration of that number (seed 0 alone)."""
    arch, steps = study.settings.profile.table1.arch, study.settings.profile.table1.steps
    ends = [study.extended_dense(arch, seed, steps[-1][0]).run for seed in seeds]
    return [*ends, *(study.stepwise(arch, seed) for seed in seeds), *_calibration(study).values()]


def second_stage(study: Study, results: Results, seeds: Sequence[int]) -> list[Run]:
    """Return both rows at the calibrated number of examples, or at the largest one until that is known."""
    size = calibrated(study, results) or study.settings.profile.table1.sizes[-1]
    found = [run for _, _, _, found in _table(study, seeds, size) for run in found]
    return list({run.key: run for run in found}.values())  # the first column is one network


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the series ``1-shot`` and ``4-shot gradual`` (row = network, col = epoch), then ``calibration``.

    The columns of ``calibration`` are numbers of examples. The first column calibrates and is not compared.
    """
    arch, printed = study.settings.profile.table1.arch, published.lookup("table1")
    size = calibrated(study, results)
    found = []
    for series, epoch, first, asked in _table(study, seeds, size or study.settings.profile.table1.sizes[-1]):
        place = (series, arch, study.published_epoch(epoch, arch) or "")
        found.append(
            # No replicate noise of the whole schedule is known: there is a band from three seeds on.
            cell(series, arch, str(epoch), results.top1(asked) if size else [], published=printed.get(place),
                 comparable=study.comparable_for(arch) and not first, diverged=results.diverged(asked))
        )  # fmt: skip
    for candidate, run in _calibration(study).items():
        found.append(accuracy_cell(study, results, [run], ("calibration", arch, str(candidate)), None))
    return found


def calibrated(study: Study, results: Results) -> int | None:
    """Return the number of examples at which the first cell comes nearest to the printed one, once all are
    tried."""
    ladder = _calibration(study)
    records = {size: results.records.get(run.key) for size, run in ladder.items()}
    if None in records.values():
        return None
    tops = {size: r.top1 for size, r in records.items() if r and r.status == DONE and r.top1 is not None}
    target = published.lookup("table1")[FIRST_CELL]
    return min(tops, key=lambda size: (abs(tops[size] - target), size), default=None)


def _calibration(study: Study) -> dict[int, Run]:
    own = study.settings.profile.table1
    epoch, rate = own.steps[0]
    mask = Mask(study.extended_dense(own.arch, 0, epoch), rate)
    return {size: study.memorization(own.arch, 0, mask, size) for size in own.sizes}


def _table(study: Study, seeds: Sequence[int], size: int) -> Iterator[tuple[str, int, bool, list[Run]]]:
    """Yield (series, epoch, whether it is the first column, Runs)."""
    arch, steps = study.settings.profile.table1.arch, study.settings.profile.table1.steps
    for series in (ONE_SHOT, STEPWISE):
        for epoch, rate in steps:
            first = epoch == steps[0][0]
            asked = []
            for seed in seeds:
                if series == ONE_SHOT or first:
                    mask = Mask(study.extended_dense(arch, seed, epoch), rate)
                else:
                    mask = Mask(Checkpoint(study.stepwise(arch, seed), epoch), None)
                asked.append(study.memorization(arch, seed, mask, size))
            yield series, epoch, first, asked


ARTIFACT = Artifact(
    name="table1",
    title="Memorization capacity of one-shot and stepwise gradual pruning",
    runs=runs,
    cells=cells,
    second_stage=second_stage,
    assumptions=("calibration", "beyond_the_schedule", "gradual_momentum", *fig5.ASSUMPTIONS),
    unit="accuracy on random labels, %",
    axes=("network", "pruned at"),
    columns="pruned at epoch",
    epochs=("column",),
    drawing=Dots(ladder="calibration", ladder_columns="number of examples with random labels"),
)
