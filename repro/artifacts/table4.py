"""Table 4: what gradual pruning saves against iterative pruning. Computed from Runs of Tables 2 and 3, with
iterative pruning really trained: on CIFAR-10 always, on ImageNet where ``--with-iterative`` asks for it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from repro import published
from repro.artifacts.base import CIFAR10, IMAGENET, Artifact, Results
from repro.artifacts.drawing import Bars
from repro.artifacts.pruning_table import windows_of
from repro.cells import Cell, cell
from repro.config.fields import FRACTION, at_least
from repro.config.recipe import IMAGENET_ARCHS, CifarArch, ImageNetArch
from repro.experiments import Study, iterative_round
from repro.run import Run
from repro.schedule import iterative_sparsity

GRADUAL, ITERATIVE = "GP + EWT", "IP + WT"
COLUMNS = {
    GRADUAL: ("pruning rate", "accuracy delta", "pruning epochs", "retraining epochs"),
    ITERATIVE: ("pruning rate", "accuracy delta", "epochs"),
}
Values = dict[str, list[float]]
"""One value a seed of every column."""


@dataclass(frozen=True)
class Iterative:
    """``trainings`` of the whole schedule; after each but the last, prune ``share`` of the remaining weights and
    rewind to epoch ``rewind`` of the dense training. ``imagenet`` is the network of ImageNet for
    ``--with-iterative``."""

    arch: CifarArch
    imagenet: ImageNetArch
    trainings: Annotated[int, at_least(2)]
    share: Annotated[float, FRACTION]
    rewind: Annotated[int, at_least(0)]


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return the dense networks, the gradual windows of Tables 2 and 3, and iterative pruning on CIFAR-10."""
    own = study.block("table4", Iterative).arch
    found: list[Run] = []
    for arch in (own, *IMAGENET_ARCHS):
        windows = windows_of(study, arch)
        if windows or arch == own:
            found += [study.dense(arch, seed) for seed in seeds]
        found += [study.gradual(arch, seed, *window) for window in windows for seed in seeds]
    return [*found, *last_trainings(study, seeds, own)]


def optional(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return iterative pruning on ImageNet: eight whole schedules, one after the other."""
    return last_trainings(study, seeds, study.block("table4", Iterative).imagenet)


def last_trainings(study: Study, seeds: Sequence[int], arch: str) -> list[Run]:
    """Return the last training of iterative pruning, where the profile has it for this network."""
    own = study.block("table4", Iterative)
    known = arch == own.arch or (arch == own.imagenet and bool(windows_of(study, arch)))
    return [iterative(study, arch, seed, own.trainings) for seed in seeds] if known else []


def iterative(study: Study, arch: str, seed: int, training: int) -> Run:
    """Return the n-th training of iterative pruning; the first is the dense one."""
    own, run = study.block("table4", Iterative), study.dense(arch, seed)
    for pruned in range(1, training):
        sparsity = iterative_sparsity(own.share, pruned)
        recipe = study.settings.profile.recipe_of(arch)
        run = iterative_round(study.dense(arch, seed), recipe, run, own.rewind, sparsity)
    return run


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the series ``GP + EWT`` and ``IP + WT``, row = network: rates in %, deltas to the dense one in
    points."""
    printed, found = published.lookup("table4"), []
    for series, of_network in ((GRADUAL, _gradually), (ITERATIVE, _iteratively)):
        for arch in (study.block("table4", Iterative).arch, *IMAGENET_ARCHS):
            asked, values = of_network(study, results, seeds, arch)
            noise = study.settings.replicate_sd.get(arch)
            for column in COLUMNS[series]:
                # Of a difference between two Runs; what is counted has none.
                sd = (math.sqrt(2) * noise if noise else None) if column == "accuracy delta" else 0.0
                found.append(
                    cell(series, arch, column, values.get(column, []), replicate_sd=sd,
                         published=printed.get((series, arch, column)), comparable=study.comparable_for(arch),
                         diverged=results.diverged(asked))
                )  # fmt: skip
    return found


def best_window(study: Study, results: Results, seeds: Sequence[int], arch: str) -> tuple[int, int] | None:
    """Return the gradual window with the highest mean accuracy, over the seeds for which all windows ran."""
    windows = windows_of(study, arch)
    tops = [[results.top1([study.gradual(arch, seed, *window)]) for window in windows] for seed in seeds]
    whole = [[top for (top,) in of_seed] for of_seed in tops if all(of_seed)]
    if not windows or not whole:
        return None
    means = [statistics.fmean(of_window) for of_window in zip(*whole, strict=True)]
    return windows[means.index(max(means))]


def _gradually(study: Study, results: Results, seeds: Sequence[int], arch: str) -> tuple[list[Run], Values]:
    """Return the Runs of the best window, and their values."""
    window = best_window(study, results, seeds, arch)
    if window is None:
        return [], {}
    asked = [study.gradual(arch, seed, *window) for seed in seeds]
    return asked, {
        "pruning rate": [100 * study.settings.profile.sparsity],
        "accuracy delta": _deltas(study, results, seeds, asked),
        "pruning epochs": [float(window[1])],
        "retraining epochs": [float(study.schedule_of(arch))],
    }


def _iteratively(study: Study, results: Results, seeds: Sequence[int], arch: str) -> tuple[list[Run], Values]:
    """Return the last trainings of iterative pruning, and their values."""
    own, asked = study.block("table4", Iterative), last_trainings(study, seeds, arch)
    deltas = _deltas(study, results, seeds, asked)
    if not deltas:
        return asked, {}
    return asked, {
        # To a tenth, as the paper prints it: 79.03 is its 79.0.
        "pruning rate": [round(100 * iterative_sparsity(own.share, own.trainings - 1), 1)],
        "accuracy delta": deltas,
        "epochs": [float(own.trainings * study.schedule_of(arch))],
    }


def _deltas(study: Study, results: Results, seeds: Sequence[int], pruned: Sequence[Run]) -> list[float]:
    """Return the top-1 of each pruned Run less that of the dense network of its seed, in points."""
    pairs = [[run, study.dense(run.arch, seed)] for seed, run in zip(seeds, pruned, strict=False)]
    return [tops[0] - tops[1] for pair in pairs if len(tops := results.top1(pair)) == 2]


ARTIFACT = Artifact(
    name="table4",
    title="Performance gain of gradual pruning at the early ticket (GP + EWT) over iterative pruning (IP + WT)",
    place="Table 4, Section 4.3",
    runs=runs,
    cells=cells,
    optional=optional,
    settings=Iterative,
    assumptions=("iterative", "best_window", "gradual_steps", "gradual_momentum", "ticket",
                 *CIFAR10, *IMAGENET, "result"),
    unit="pruning rate in %, accuracy delta in points, epochs",
    counted=("pruning epochs", "retraining epochs", "epochs"),
    axes=("network", ""),
    note="GP: gradual pruning, EWT: early winning ticket, IP: iterative pruning, WT: winning ticket; "
    "accuracy delta: pruned minus dense",
    drawing=Bars(
        parts={"pruning epochs": "pruning", "retraining epochs": "retraining",
               "epochs": "all trainings of iterative pruning"},
        unit="epochs",
        texts={"pruning rate": "% pruned", "accuracy delta": "points"},
    ),
)  # fmt: skip
