"""What an artifact is. Pure: no torch, no files, no screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from repro.artifacts.drawing import Drawing
from repro.cells import Cell, cell
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
    published: float | None = None
    value: Callable[[Record], float | None] = accuracy
    noise: str | None = ""
    comparable: bool = True

    def cell(self, study: Study, results: Results) -> Cell:
        """Return the cell that ``results`` give."""
        done, arch = results.done(self.runs), self.runs[0].arch if self.runs else ""
        values = [value for record in done if (value := self.value(record)) is not None]
        whole = self.noise == "" and self.value is accuracy
        declared = None if self.noise is None else study.settings.replicate_sd.get(self.noise or arch)
        return cell(
            self.series,
            self.row,
            self.col,
            values,
            best=[record.best_top1 for record in done if whole and record.best_top1 is not None],
            published=self.published,
            replicate_sd=None if self.noise and len(values) >= 3 else declared,
            comparable=self.comparable and study.comparable_for(arch),
            diverged=results.diverged(self.runs),
        )


Table = Callable[[Study, Sequence[int]], Iterable[Entry]]
"""The cells of an artifact with their Runs, for a study and seeds."""


def runs_of(table: Table) -> Callable[[Study, Sequence[int]], list[Run]]:
    """Return `Artifact.runs` of a table: the Runs of all its entries, each once."""
    return lambda study, seeds: list({run.key: run for e in table(study, seeds) for run in e.runs}.values())


def cells_of(table: Table) -> Callable[[Study, Results, Sequence[int]], list[Cell]]:
    """Return `Artifact.cells` of a table: a cell for each of its entries."""
    return lambda study, results, seeds: [entry.cell(study, results) for entry in table(study, seeds)]


@dataclass(frozen=True)
class Artifact:
    """One figure or table. ``runs(study, seeds)`` are the Runs that it needs, ``cells(study, results, seeds)``
    what it makes of them; both are pure, and `runs_of` and `cells_of` make them from one table of entries.
    ``assumptions`` are names from params.yaml that bear on it. ``place`` is where the paper has it, if it does.

    ``settings`` is the type of the artifact's block in a profile of params.yaml, a dataclass for instance; its
    functions get it from ``study.block(name, settings)``.

    ``second_stage(study, results, seeds)`` are further Runs, which only the results of ``runs`` can name (Table
    1's number of examples): the best guess until these are finished. ``optional(study, seeds)`` are Runs that
    count where they are finished, and that only ``--with-iterative`` asks for (Table 4's iterative pruning on
    ImageNet).
    ``digits`` are those shown after the point, but of the columns ``counted``, which are whole numbers.

    The rest is presentation. ``axes`` name rows and columns in tables; ``rows`` and ``columns`` name them in
    pictures, where that takes more words. ``epochs`` says which of ``row`` and ``column`` count epochs (or windows
    of epochs) of the profile's schedule. ``note`` explains abbreviations, ``drawing`` chooses the picture.
    """

    name: str
    title: str
    runs: Callable[[Study, Sequence[int]], list[Run]]
    cells: Callable[[Study, Results, Sequence[int]], list[Cell]]
    assumptions: tuple[str, ...]
    settings: Any = None
    place: str = ""
    unit: str = "top-1 accuracy, %"
    second_stage: Callable[[Study, Results, Sequence[int]], list[Run]] | None = None
    optional: Callable[[Study, Sequence[int]], list[Run]] | None = None
    digits: int = 2
    counted: tuple[str, ...] = ()
    axes: tuple[str, str] = ("row", "column")
    rows: str = ""
    columns: str = ""
    epochs: tuple[str, ...] = ()
    note: str = ""
    drawing: Drawing | None = None

    @property
    def long_axes(self) -> tuple[str, str]:
        """Return the names of rows and columns with as many words as they need."""
        return self.rows or self.axes[0], self.columns or self.axes[1]

    def digits_of(self, column: str) -> int:
        """Return the number of decimals in ``column``."""
        return 0 if column in self.counted else self.digits
