"""What an artifact is. Pure: no torch, no screen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from repro import published
from repro.artifacts.drawing import Drawing
from repro.cells import Cell, cell
from repro.config.recipe import CIFAR_ARCHS
from repro.experiments import Study
from repro.record import DIVERGED, DONE, Record
from repro.run import Run, ancestors

# Assumptions that bear on every training of a network of CIFAR-10, and of ImageNet.
CIFAR10 = ("batch_size", "augmentation", "initialisation", "shortcut", "weight_decay", "last_batch", "prunable")
IMAGENET = (
    "imagenet_network", "imagenet_batch", "imagenet_last_batch", "imagenet_augmentation", "imagenet_unreadable",
    "weight_decay", "prunable",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """Finished Runs by key, seen from an artifact."""

    records: dict[str, Record]

    def done(self, runs: Sequence[Run]) -> list[Record]:
        """Return the Records of those of ``runs`` that finished, in order."""
        found = [self.records.get(run.key) for run in runs]
        return [record for record in found if record and record.status == DONE]

    def top1(self, runs: Sequence[Run]) -> list[float]:
        """Return the top-1 in % of those that finished."""
        return [record.top1 for record in self.done(runs) if record.top1 is not None]

    def diverged(self, runs: Sequence[Run]) -> bool:
        """Return whether any of ``runs``, or of those that they start from, ended without a result."""
        found = [self.records.get(run.key) for run in ancestors(list(runs))]
        return any(record.status == DIVERGED for record in found if record)


def accuracy(record: Record) -> float | None:
    """Return the top-1 of a Run in %."""
    return record.top1


@dataclass(frozen=True)
class Entry:
    """A cell before it has a value: its place, and the ``runs``, one a seed, that give it their ``value``.

    ``noise`` names the declared seed-to-seed noise (``replicate_sd`` in params.yaml): by default the network's,
    None if there is none. Of other kinds than networks the measured noise replaces it from three seeds on.
    """

    series: str
    row: str
    col: str
    runs: Sequence[Run]
    value: Callable[[Record], float | None] = accuracy
    noise: str | None = ""
    comparable: bool = True
    beside: tuple[str, str, str, str] | None = None
    """The (artifact, series, row, column) whose printed number it is compared with; by default its own place."""


Table = Callable[[Study, Sequence[int]], Iterable[Entry]]
"""The cells of an artifact with their Runs, for a study and seeds."""


def runs_of(entries: Iterable[Entry]) -> list[Run]:
    """Return the Runs of ``entries``, each once."""
    return list({run.key: run for entry in entries for run in entry.runs}.values())


@dataclass(frozen=True, eq=False)
class Artifact:
    """One figure or table: a ``table`` of entries, or else two functions, ``own_runs(study, seeds)`` for the Runs
    that it needs and ``own_cells(study, results, seeds)`` for what it makes of them. All are pure.
    ``assumptions`` are names from params.yaml that bear on it. ``place`` is where the paper has it, if it does.

    ``settings`` is the type of the artifact's block in a profile of params.yaml, a dataclass for instance; its
    functions get it from ``study.block(name, settings)``.

    ``second_stage(study, results, seeds)`` are further Runs, which only the results of `runs` can name (Table 1's
    number of examples): the best guess until these are finished. ``optional(study, seeds)`` are Runs that count
    where they are finished, and that only ``--with-iterative`` asks for (Table 4's iterative pruning on ImageNet).
    ``digits`` are those shown after the point, but of the columns ``counted``, which are whole numbers.

    The rest is presentation. ``axes`` name rows and columns in tables; ``rows`` and ``columns`` name them in
    pictures, where that takes more words. ``epochs`` says which of ``row`` and ``column`` count epochs (or windows
    of epochs) of the profile's schedule. ``note`` explains abbreviations, ``drawing`` chooses the picture.
    """

    name: str
    title: str
    table: Table = lambda study, seeds: ()
    assumptions: tuple[str, ...] = ()
    settings: Any = None
    place: str = ""
    own_runs: Callable[[Study, Sequence[int]], list[Run]] | None = None
    own_cells: Callable[[Study, Results, Sequence[int]], list[Cell]] | None = None
    second_stage: Callable[[Study, Results, Sequence[int]], list[Run]] | None = None
    optional: Callable[[Study, Sequence[int]], list[Run]] | None = None
    unit: str = "top-1 accuracy, %"
    digits: int = 2
    counted: tuple[str, ...] = ()
    axes: tuple[str, str] = ("row", "column")
    rows: str = ""
    columns: str = ""
    epochs: tuple[str, ...] = ()
    note: str = ""
    drawing: Drawing | None = None

    def runs(self, study: Study, seeds: Sequence[int]) -> list[Run]:
        """Return the Runs that it needs."""
        return self.own_runs(study, seeds) if self.own_runs else runs_of(self.table(study, seeds))

    def cells(self, study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
        """Return what it makes of their results."""
        if self.own_cells:
            return self.own_cells(study, results, seeds)
        return self.filled(self.table(study, seeds), study, results)

    def filled(self, entries: Iterable[Entry], study: Study, results: Results) -> list[Cell]:
        """Return the cells of ``entries``, beside the printed numbers of the same epochs of the paper's schedule.

        Where the rows do not name networks, the paper's numbers are ResNet20's.
        """
        lookup, found = functools.cache(published.lookup), []
        noise = study.settings.profile.replicate_sd
        for entry in entries:
            done, archs = results.done(entry.runs), {run.arch for run in entry.runs}
            arch = next(iter(archs), CIFAR_ARCHS[0])
            values = [value for record in done if (value := entry.value(record)) is not None]
            whole = entry.noise == "" and entry.value is accuracy
            declared = None if entry.noise is None else noise.get(entry.noise or arch)
            name, *place = entry.beside or (self.name, entry.series, entry.row, entry.col)
            series, row, col = (study.published_epochs(label, arch) or "" for label in place)
            printed = lookup(name).get((series, row, col)) if archs <= {entry.row, "resnet20"} else None
            found.append(
                cell(
                    entry.series,
                    entry.row,
                    entry.col,
                    values,
                    best=[record.best_top1 for record in done if whole and record.best_top1 is not None],
                    published=printed,
                    replicate_sd=None if entry.noise and len(values) >= 3 else declared,
                    comparable=entry.comparable and study.comparable_for(arch),
                    diverged=results.diverged(entry.runs),
                )
            )
        return found

    @property
    def long_axes(self) -> tuple[str, str]:
        """Return the names of rows and columns with as many words as they need."""
        return self.rows or self.axes[0], self.columns or self.axes[1]

    def digits_of(self, column: str) -> int:
        """Return the number of decimals in ``column``."""
        return 0 if column in self.counted else self.digits
