"""The options of a search, its rule for the safe epoch, and all that shapes it as a frozen value."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from repro import files
from repro.config.fields import POSITIVE, Check, at_least, build, one_of
from repro.config.recipe import PRECISIONS, Recipe
from repro.errors import UsageError
from repro.options import DEVICES
from repro.run import Data
from repro.ticket.datasets import kind_of

ONE_SHOT, ITERATIVE = "one-shot", "iterative"
BASELINES = (ONE_SHOT, ITERATIVE)
PRUNED_PER_ROUND = 0.2  # of the remaining weights, in iterative pruning (Frankle & Carbin; Table 4)
TOLERANCE = Check(lambda value: 0 <= value < math.inf, "is not 0 or more")
WINDOW = Check(lambda value: 0 < value <= 1, "is no share of the schedule, as 0.25 for a quarter is")


@dataclass(frozen=True)
class SearchOptions:
    """How `find_ticket` searches. Epochs are epochs of the recipe's schedule.

    Args:
        check_every: epochs of dense training between two PPR checks.
        ppr_rate: the learning rate of a check's single epoch; default: a tenth of the recipe's.
        patience: checks without a gain after which PPR has reached its plateau; default: those in 15 % of the
            schedule, at least 2.
        tolerance: accuracy points that do not count as a gain; default: 25 / sqrt(test examples), 0.25 for 10,000.
        window: the length of gradual pruning, as a share of the schedule; it ends with the schedule at the latest.
        rewind: the epoch that iterative pruning rewinds to; default: a fortieth of the schedule, at least 1.
        prunable: names of the weights to prune; default: `repro.ticket.network.choose_prunable`.
        seed: of data order, augmentation and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``float32``, ``tf32`` or ``bfloat16``.
        workers: processes that read a Dataset; 0 reads in this one.
    """

    check_every: int = 1
    ppr_rate: Annotated[float, POSITIVE] | None = None
    patience: Annotated[int, at_least(1)] | None = None
    tolerance: Annotated[float, TOLERANCE] | None = None
    window: Annotated[float, WINDOW] = 0.25
    rewind: int | None = None
    prunable: tuple[str, ...] | None = None
    seed: Annotated[int, at_least(0)] = 0
    device: Annotated[str, one_of(DEVICES)] = "auto"
    precision: Annotated[str, one_of(PRECISIONS)] = "float32"
    workers: Annotated[int, at_least(0)] = 0

    def resolved(self, recipe: Recipe, tested: int) -> dict[str, Any]:
        """Return the numbers of a search on ``tested`` test examples, with the defaults filled in.

        Raises `UsageError` for epochs beyond the schedule.
        """
        if not 1 <= self.check_every <= recipe.epochs:
            raise UsageError(f"check_every {self.check_every}: choose 1 to {recipe.epochs}, the schedule")
        if not 0 <= (self.rewind or 0) <= recipe.epochs:
            raise UsageError(f"rewind {self.rewind}: choose an epoch from 0 to {recipe.epochs}")
        defaults = {
            "ppr_rate": recipe.lr / 10,
            # Of 200 epochs 30. With 20, a curve that rises as slowly as Fig. 4's is often cut off halfway
            # (tests/test_ticket_plateau.py draws such curves); each further check costs two epochs.
            "patience": max(2, round(0.15 * recipe.epochs / self.check_every)),
            # Half the largest standard error of an accuracy, in points: 0.25 for 10,000 images. Half, since all
            # checks use the same images and their errors are correlated.
            "tolerance": 25 / tested**0.5,
            "rewind": min(max(1, round(recipe.epochs / 40)), recipe.epochs),
        }
        given = {name: getattr(self, name) for name in ("check_every", *defaults, "window", "seed")}
        return {name: defaults[name] if value is None else value for name, value in given.items()}


def checked(kind: Any, value: Any, name: str) -> Any:
    """Return ``value``, or a mapping of its fields, as ``kind``. Raises `UsageError` naming a wrong field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if dataclasses.is_dataclass(kind) and not isinstance(value, dict):
        raise UsageError(f"{name}: a {getattr(kind, '__name__', kind)} was expected, not {kind_of(value)}")
    # Through JSON, since fields are checked like those of a file: lists for tuples, plain numbers for NumPy's.
    plain = json.dumps(value, default=lambda thing: thing.item() if isinstance(thing, np.generic) else repr(thing))
    try:
        return build(kind, json.loads(plain), name)
    except ValueError as error:
        raise UsageError(str(error)) from None


class Plateau(NamedTuple):
    """A plateau in a PPR curve so far. ``epoch`` is where it begins (0 before the first check), and ``known_at``
    the epoch of the check that confirmed it, None without one."""

    epoch: int
    known_at: int | None

    @property
    def safe(self) -> int | None:
        """The epoch from which pruning is known to be safe, or None."""
        return self.epoch if self.known_at else None


def find_plateau(
    checks: Sequence[tuple[int, float]], patience: int, tolerance: float, chance: float = 0.0
) -> Plateau:
    """Find the plateau in ``checks``, pairs of epoch and PPR top-1 in per cent, in their order.

    The paper reads the epoch from which pruning is safe off the whole curve ("increases until around 100 epoch,
    then it saturates", section 3.3). To save epochs it is found here from past checks only: a check that is better
    than the beginning of the current plateau by more than ``tolerance`` points begins a new one, and ``patience``
    checks in a row that are not confirm it. Later checks are ignored. The first plateau has to be above
    ``chance``, the accuracy of guessing, by more than the tolerance.

    >>> find_plateau([(1, 50.0), (2, 60.0), (3, 60.3), (4, 59.8), (5, 70.0)], patience=2, tolerance=0.5)
    Plateau(epoch=2, known_at=4)
    """
    start, level, waited = 0, chance, 0
    for epoch, top1 in checks:
        if top1 > level + tolerance:
            start, level, waited = epoch, top1, 0
            continue
        waited += 1
        if start and waited >= patience:
            return Plateau(start, epoch)
    return Plateau(start, None)


@dataclass(frozen=True)
class SearchSpec:
    """The settings of a search, which a folder is bound to.

    ``network`` names the class and a hash of its modules and initial weights, ``chance`` is the accuracy of
    guessing in per cent, the other fields are those of `SearchOptions`.
    """

    network: str
    prunable: tuple[str, ...]
    data: Data
    recipe: Recipe
    precision: str
    sparsity: float
    check_every: int
    ppr_rate: float
    patience: int
    tolerance: float
    window: float
    chance: float
    rewind: int
    seed: int

    @property
    def schedule(self) -> int:
        """The number of epochs of the whole schedule."""
        return self.recipe.epochs

    @property
    def rounds(self) -> int:
        """The number of prunings of iterative pruning that comes closest to the sparsity; 7 for 80 %."""
        return max(1, round(math.log(1 - self.sparsity) / math.log(1 - PRUNED_PER_ROUND)))

    def window_from(self, safe: int) -> tuple[int, int]:
        """Return first and last epoch of gradual pruning that starts at ``safe``; the last is in the schedule."""
        return safe, min(safe + max(1, round(self.window * self.schedule)), self.schedule)

    def check_folder(self, folder: Path) -> None:
        """Bind ``folder`` to this search. Raises `UsageError`, naming the differences, if it holds another one."""
        path = folder / "search.json"
        own = json.loads(json.dumps(dataclasses.asdict(self)))  # lists where there are tuples, as in the file
        for name in ("data", "recipe"):
            own |= {f"{name}.{part}": value for part, value in own.pop(name).items()}
        if not path.exists():
            files.write_text(path, json.dumps(own, indent=1) + "\n")
            return
        try:
            theirs = files.parse_json(path.read_text())
            different = [name for name in own if own[name] != theirs.get(name)]
        except (ValueError, AttributeError):
            raise UsageError(f"{path}: not a search; pass another folder, or remove this one") from None
        if different:
            what = ", ".join(f"{name} ({theirs.get(name)!s:.40}, not {own[name]!s:.40})" for name in different)
            raise UsageError(
                f"{folder} holds another search, it differs in {what}: pass another folder, or remove it"
            )
