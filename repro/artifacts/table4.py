"""Table 4: what gradual pruning saves against iterative pruning. Computed from Runs of other artifacts, with
iterative pruning really trained."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from repro import published
from repro.artifacts.base import Artifact, Results
from repro.compare import Cell, cell
from repro.experiments import Study
from repro.run import Run
from repro.schedule import iterative_sparsity

GRADUAL, ITERATIVE = "GP + EWT", "IP + WT"
IMAGENET = ("resnet18", "resnet50")
COLUMNS = {
    GRADUAL: ("pruning rate", "accuracy delta", "pruning epochs", "retraining epochs"),
    ITERATIVE: ("pruning rate", "accuracy delta", "epochs"),
}


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """The dense networks, Table 2's gradual windows, and the last training of iterative pruning."""
    own = study.settings.profile.table4
    found = [study.dense(own.arch, seed) for seed in seeds]
    found += [run for first, last in _windows(study) for run in _gradual(study, seeds, first, last)]
    return [*found, *_iterative(study, seeds)]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Series ``GP + EWT`` and ``IP + WT``, row = network: rates in %, deltas to the dense one in points."""
    profile, printed = study.settings.profile, published.lookup("table4")
    own, found = profile.table4, []
    window = best_window(study, results, seeds)
    gradual = _gradual(study, seeds, *window) if window else []
    values: dict[tuple[str, str], list[float]] = {
        (GRADUAL, "pruning rate"): [100 * profile.sparsity] if window else [],
        (GRADUAL, "accuracy delta"): _deltas(study, results, seeds, gradual),
        (GRADUAL, "pruning epochs"): [float(window[1])] if window else [],
        (GRADUAL, "retraining epochs"): [float(study.schedule)] if window else [],
    }
    iterative = _iterative(study, seeds)
    deltas = _deltas(study, results, seeds, iterative)
    ran = bool(deltas)
    values[ITERATIVE, "accuracy delta"] = deltas
    values[ITERATIVE, "pruning rate"] = [100 * iterative_sparsity(own.share, own.trainings - 1)] if ran else []
    values[ITERATIVE, "epochs"] = [float(own.trainings * study.schedule)] if ran else []
    noise = study.settings.replicate_sd.get(own.arch)
    for series, columns in COLUMNS.items():
        for arch in (own.arch, *IMAGENET):
            for column in columns:
                delta = column == "accuracy delta"
                if arch in IMAGENET:
                    found.append(cell(series, arch, column, [], published=printed.get((series, arch, column))))
                    continue
                found.append(
                    cell(
                        series, arch, column, values[series, column], comparable=study.comparable,
                        published=printed.get((series, arch, column)),
                        # Of a difference between two Runs; what is counted has none.
                        replicate_sd=(math.sqrt(2) * noise if noise else None) if delta else 0.0,
                        diverged=results.diverged(gradual if series == GRADUAL else iterative),
                    )
                )  # fmt: skip
    return found


def best_window(study: Study, results: Results, seeds: Sequence[int]) -> tuple[int, int] | None:
    """The gradual window with the highest mean accuracy, over the seeds for which all windows ran."""
    tops = {window: _tops(study, results, seeds, window) for window in _windows(study)}
    whole = [seed for seed in seeds if all(seed in found for found in tops.values())]
    if not tops or not whole:
        return None
    return max(tops, key=lambda window: statistics.fmean(tops[window][seed] for seed in whole))


def _tops(study: Study, results: Results, seeds: Sequence[int], window: tuple[int, int]) -> dict[int, float]:
    records = {seed: results.done(_gradual(study, [seed], *window)) for seed in seeds}
    return {seed: top for seed, found in records.items() for r in found if (top := r.top1) is not None}


def _windows(study: Study) -> Sequence[tuple[int, int]]:
    profile = study.settings.profile
    row = profile.table2.get(profile.table4.arch)
    return row.windows if row else ()


def _gradual(study: Study, seeds: Sequence[int], first: int, last: int) -> list[Run]:
    return [study.gradual(study.settings.profile.table4.arch, seed, first, last) for seed in seeds]


def _iterative(study: Study, seeds: Sequence[int]) -> list[Run]:
    own = study.settings.profile.table4
    return [study.iterative(own.arch, seed, own.trainings) for seed in seeds]


def _deltas(study: Study, results: Results, seeds: Sequence[int], pruned: Sequence[Run]) -> list[float]:
    """Top-1 of each pruned Run less that of the dense network of its seed, in points."""
    found = []
    for seed, run in zip(seeds, pruned, strict=False):
        pair = results.done([run, study.dense(study.settings.profile.table4.arch, seed)])
        tops = [record.top1 for record in pair if record.top1 is not None]
        found += [tops[0] - tops[1]] if len(tops) == 2 else []
    return found


ARTIFACT = Artifact(
    name="table4",
    title="Performance gain of gradual pruning at the early winning ticket over iterative pruning",
    runs=runs,
    cells=cells,
    assumptions=("iterative", "best_window", "gradual_steps", "gradual_momentum", "ticket", "batch_size",
                 "augmentation", "initialisation", "shortcut", "weight_decay", "last_batch", "prunable", "result"),
    unit="pruning rate in %, accuracy delta in points, epochs",
)  # fmt: skip
