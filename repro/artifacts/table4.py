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
RATE, DELTA, PRUNING, RETRAINING = "pruning rate", "accuracy delta", "pruning epochs", "retraining epochs"


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
    own = study.block("table4", Iterative)
    networks = (own.arch, *IMAGENET_ARCHS)
    found: list[Cell] = []
    for arch in networks:
        window = best_window(study, results, seeds, arch)
        pruned = [study.gradual(arch, seed, *window) for seed in seeds] if window else []
        counts = {PRUNING: window[1] if window else 0, RETRAINING: study.schedule_of(arch)}
        found += _row(study, results, pruned, (GRADUAL, arch), 100 * study.settings.profile.sparsity, counts)
    # To a tenth, as the paper prints it: 79.03 is its 79.0.
    rate = round(100 * iterative_sparsity(own.share, own.trainings - 1), 1)
    for arch in networks:
        counts = {"epochs": own.trainings * study.schedule_of(arch)}
        found += _row(study, results, last_trainings(study, seeds, arch), (ITERATIVE, arch), rate, counts)
    return found


def _row(
    study: Study, results: Results, pruned: Sequence[Run], at: tuple[str, str], rate: float, counts: dict[str, int]
) -> list[Cell]:
    """Return the row ``at`` (series, network) of the pruned Runs, one a seed: the ``rate``, their top-1 less that
    of the dense network of their seed, and ``counts``; without any such difference, the row has no values."""
    printed, noise = published.lookup("table4"), study.settings.profile.replicate_sd.get(at[1])
    pairs = [results.top1([run, study.dense(run.arch, run.seed)]) for run in pruned]
    deltas = [tops[0] - tops[1] for tops in pairs if len(tops) == 2]
    found = []
    for column, number in {RATE: rate, DELTA: None, **counts}.items():
        # Noise of a difference between two Runs; what is counted has none.
        sd = 0.0 if number is not None else math.sqrt(2) * noise if noise else None
        values = deltas if number is None else [float(number) for _ in deltas[:1]]
        found.append(
            cell(*at, column, values, replicate_sd=sd, published=printed.get((*at, column)),
                 comparable=study.comparable_for(at[1]), diverged=results.diverged(pruned))
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


ARTIFACT = Artifact(
    name="table4",
    title="Performance gain of gradual pruning at the early ticket (GP + EWT) over iterative pruning (IP + WT)",
    place="Table 4, Section 4.3",
    own_runs=runs,
    own_cells=cells,
    optional=optional,
    settings=Iterative,
    assumptions=("iterative", "best_window", "gradual_steps", "gradual_momentum", "ticket",
                 *CIFAR10, *IMAGENET, "result"),
    unit="pruning rate in %, accuracy delta in points, epochs",
    counted=(PRUNING, RETRAINING, "epochs"),
    axes=("network", ""),
    note="GP: gradual pruning, EWT: early winning ticket, IP: iterative pruning, WT: winning ticket; "
    "accuracy delta: pruned minus dense",
    drawing=Bars(
        parts={PRUNING: "pruning", RETRAINING: "retraining", "epochs": "all trainings of iterative pruning"},
        unit="epochs",
        texts={RATE: "% pruned", DELTA: "points"},
    ),
)  # fmt: skip
