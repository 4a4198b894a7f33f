"""What `find_ticket` is handed, checked before anything is read or trained."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from torch import nn

from repro.config.params import Recipe
from repro.config.yaml_loader import build
from repro.errors import UsageError
from repro.ticket.search_spec import STRATEGIES


def network(model: Any) -> nn.Module:
    """``model``, a network. Raises `UsageError` for anything else."""
    if isinstance(model, nn.Module):
        return model
    hint = ""
    if isinstance(model, Mapping):
        hint = ": build the network, and have it take these with load_state_dict"
    elif callable(model):
        hint = ": call it"
    raise UsageError(f"model: a torch.nn.Module was expected, not {_kind(model)}{hint}")


def checked_recipe(recipe: Any) -> Recipe:
    """``recipe``, a `Recipe` or its nine values by name. Raises `UsageError` for one that is wrong or missing."""
    if dataclasses.is_dataclass(recipe) and not isinstance(recipe, type):
        recipe = dataclasses.asdict(recipe)
    if not isinstance(recipe, Mapping):
        raise UsageError(f"recipe: a Recipe was expected, not {_kind(recipe)}")
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in recipe.items()}
    try:
        found: Recipe = build(Recipe, values, "recipe")
    except ValueError as error:
        raise UsageError(str(error)) from None
    return found


def strategies(beside: Any) -> tuple[str, ...]:
    """The strategies ``beside``, a string as the one that it names. Raises `UsageError` for what is none."""
    if isinstance(beside, str) or not isinstance(beside, Iterable):
        beside = [beside]
    names = tuple(beside)
    unknown = [name for name in names if name not in STRATEGIES]
    if unknown:
        raise UsageError(f"beside {unknown}: choose from {', '.join(STRATEGIES)}")
    return names


def path(name: str, value: Any) -> Path:
    """``value`` as a Path. Raises `UsageError` where it is none."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name}: a path was expected, not {_kind(value)}")
    return Path(value)


def numbers(**given: Any) -> dict[str, Any]:
    """All of ``given`` as `whole` or `real` numbers, None as it is: it asks for a default, where there is one."""
    optional = {"ppr_rate", "patience", "tolerance", "rewind"}
    counts = {"check_every", "patience", "rewind", "seed"}
    return {
        name: None if value is None and name in optional else (whole if name in counts else real)(name, value)
        for name, value in given.items()
    }


def whole(name: str, value: Any) -> int:
    """``value`` as an int. Raises `UsageError` where it is no whole number, or below 0."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
        raise UsageError(f"{name} {value!r:.40}: a whole number was expected")
    return int(value)


def real(name: str, value: Any) -> float:
    """``value`` as a float. Raises `UsageError` where it is no number."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise UsageError(f"{name} {value!r:.40}: a number was expected")
    return float(value)


def _kind(thing: object) -> str:
    if thing is None:
        return "None"
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__
