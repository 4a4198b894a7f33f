"""What an artifact is. Pure: no torch, no files, no screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repro.artifacts.drawing import Drawing
from repro.cells import Cell, cell
from repro.experiments import Study
from repro.record import DIVERGED, DONE, Record
from repro.run import Run

# Assumptions that bear on every training of a network of CIFAR-10, and of ImageNet.
CIFAR10 = ("batch_size", "augmentation", "initialisation", "shortcut", "weight_decay", "last_batch", "prunable")
IMAGENET = (
    "imagenet_network", "imagenet_batch", "imagenet_last_batch", "imagenet_augmentation", "imagenet_unreadable",
    "weight_decay", "prunable",
)  # fmt: skip


def joined(*groups: Sequence[str]) -> tuple[str, ...]:
    """Return the names of several groups, each once."""
    return tuple(dict.fromkeys(name for group in groups for name in group))


@dataclass(frozen=True)
class Results:
    """Finished Runs by key, seen from an artifact."""

    records: dict[str, Record]

    def done(self, runs: Sequence[Run]) -> list[Record]:
        """Return the Records of those of ``runs`` that finished, in order."""
        found = [self.records.get(run.key) for run in runs]
        return [record for record in found if record and record.status == DONE]

    def top1(self, runs: Sequence[Run], epoch: int | None = None) -> list[float]:
        """Return the top-1 in % of those that finished: at the end, or after ``epoch`` where it was measured."""
        found = [record.top1 if epoch is None else record.top1_at(epoch) for record in self.done(runs)]
        return [top1 for top1 in found if top1 is not None]

    def diverged(self, runs: Sequence[Run]) -> bool:
        """Return whether any of ``runs`` ended without a result."""
        return any((r := self.records.get(run.key)) is not None and r.status == DIVERGED for run in runs)


@dataclass(frozen=True)
class Artifact:
    """One figure or table. ``runs(study, seeds)`` are the Runs that it needs, ``cells(study, results, seeds)``
    what it makes of them; both are pure. ``assumptions`` are names from params.yaml that bear on it.

    ``second_stage(study, results, seeds)`` are further Runs, which only the results of ``runs`` can name (Table
    1's number of examples): the best guess until these are finished. ``optional(study, seeds)`` are Runs that
    count where they are finished, and that only ``--with-iterative`` asks for (Table 4's iterative pruning on
    ImageNet).
    ``digits`` are those shown after the point, but of the columns ``counted``, which are whole numbers.

    The rest is presentation. ``axes`` name rows and columns in tables; ``rows`` and ``columns`` name them in
    pictures, where that takes more words. ``epochs`` says which of ``row`` and ``column`` count epochs (or windows
    of epochs) of the profile's schedule. ``note`` explains abbreviations, ``drawing`` chooses the picture.

    ``params`` is the dataclass of the artifact's block in params.yaml, under ``artifacts:`` of a profile; `runs`
    and `cells` get it from ``study.settings.profile.block(name, params)``.
    """

    name: str
    title: str
    runs: Callable[[Study, Sequence[int]], list[Run]]
    cells: Callable[[Study, Results, Sequence[int]], list[Cell]]
    assumptions: tuple[str, ...]
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
    params: type | None = None

    @property
    def long_axes(self) -> tuple[str, str]:
        """Return the names of rows and columns with as many words as they need."""
        return self.rows or self.axes[0], self.columns or self.axes[1]

    def digits_of(self, column: str) -> int:
        """Return the number of decimals in ``column``."""
        return 0 if column in self.counted else self.digits


def accuracy_cell(
    study: Study, results: Results, runs: Sequence[Run], place: tuple[str, str, str], published: float | None
) -> Cell:
    """Test accuracy of ``runs`` (one a seed) at ``place`` = (series, row, col), beside the ``published`` one."""
    return cell(
        *place,
        results.top1(runs),
        best=[record.best_top1 for record in results.done(runs) if record.best_top1 is not None],
        published=published,
        replicate_sd=study.settings.replicate_sd.get(runs[0].arch),
        comparable=study.comparable_for(runs[0].arch),
        diverged=results.diverged(runs),
    )
