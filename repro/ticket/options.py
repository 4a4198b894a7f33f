"""Check the arguments of `find_ticket` before anything is read or trained."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from repro.config.fields import POSITIVE, Check, at_least, build, one_of
from repro.config.recipe import PRECISIONS, Recipe
from repro.errors import UsageError
from repro.options import DEVICES
from repro.ticket.plateau import default_patience, default_tolerance
from repro.ticket.torch_dataset import kind_of

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
        prunable: names of the weights to prune; default: `repro.ticket.prunable.choose_prunable`.
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
            "patience": default_patience(recipe.epochs, self.check_every),
            "tolerance": default_tolerance(tested),
            "rewind": min(max(1, round(recipe.epochs / 40)), recipe.epochs),
        }
        given = {name: getattr(self, name) for name in ("check_every", *defaults, "window", "seed")}
        return {name: defaults[name] if value is None else value for name, value in given.items()}


def check(kind: Any, value: Any, name: str) -> Any:
    """Return ``value``, or a mapping of its fields, as ``kind``. Raises `UsageError` naming a wrong field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        value = {key: _plain(inner) for key, inner in value.items()}
    elif dataclasses.is_dataclass(kind):
        raise UsageError(f"{name}: a {getattr(kind, '__name__', kind)} was expected, not {kind_of(value)}")
    try:
        return build(kind, _plain(value), name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value
