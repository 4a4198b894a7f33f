"""Check the arguments of `find_ticket` before anything is read or trained."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from repro.config.recipe import PRECISIONS, Recipe
from repro.config.yaml_loader import build
from repro.errors import UsageError
from repro.options import DEVICES, choice
from repro.ticket.plateau import default_patience, default_tolerance
from repro.ticket.search_spec import BASELINES

Kind = TypeVar("Kind", float, Recipe, "SearchOptions")


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
    ppr_rate: float | None = None
    patience: int | None = None
    tolerance: float | None = None
    window: float = 0.25
    rewind: int | None = None
    prunable: tuple[str, ...] | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    workers: int = 0

    def resolved(self, recipe: Recipe, tested: int) -> dict[str, Any]:
        """Return the numbers of a search on ``tested`` test examples, with the defaults filled in."""
        defaults = {
            "ppr_rate": recipe.lr / 10,
            "patience": default_patience(recipe.epochs, self.check_every),
            "tolerance": default_tolerance(tested),
            "rewind": min(max(1, round(recipe.epochs / 40)), recipe.epochs),
        }
        given = {name: getattr(self, name) for name in ("check_every", *defaults, "window", "seed")}
        return {name: defaults[name] if value is None else value for name, value in given.items()}


def check_model(model: Any) -> nn.Module:
    """Return ``model``. Raises `UsageError` unless it is a network."""
    if isinstance(model, nn.Module):
        return model
    hint = ""
    if isinstance(model, Mapping):
        hint = ": build the network and load these with load_state_dict"
    elif callable(model):
        hint = ": call it"
    raise UsageError(f"model: a torch.nn.Module was expected, not {_kind(model)}{hint}")


def check_options(options: Any) -> SearchOptions:
    """Return ``options``, also if given as a mapping. Raises `UsageError` for a wrong or unknown value."""
    checked = check(SearchOptions, options, "options")
    for name, names in (("device", DEVICES), ("precision", PRECISIONS)):
        if getattr(checked, name) not in names:
            raise UsageError(f"{name} {getattr(checked, name)}: choose {choice(names)}")
    for name in ("seed", "workers"):
        if getattr(checked, name) < 0:
            raise UsageError(f"{name} {getattr(checked, name)}: choose 0 or more")
    return checked


def check_baselines(names: Any) -> tuple[str, ...]:
    """Return the ``names`` of strategies; a string is one name. Raises `UsageError` for an unknown one."""
    chosen = tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else (names,)
    if unknown := [name for name in chosen if name not in BASELINES]:
        raise UsageError(f"baselines {unknown}: choose from {', '.join(BASELINES)}")
    return chosen


def check_path(name: str, value: Any) -> Path:
    """Return ``value`` as a Path. Raises `UsageError` if it is none."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name}: a path was expected, not {_kind(value)}")
    return Path(value)


def check(kind: type[Kind], value: Any, name: str) -> Kind:
    """Return ``value``, or a mapping of its fields, as ``kind``. Raises `UsageError` naming a wrong field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        value = {key: _plain(inner) for key, inner in value.items()}
    elif dataclasses.is_dataclass(kind):
        raise UsageError(f"{name}: a {kind.__name__} was expected, not {_kind(value)}")
    try:
        checked: Kind = build(kind, _plain(value), name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return checked


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value


def _kind(thing: object) -> str:
    if thing is None:
        return "None"
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__
