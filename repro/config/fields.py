"""Build frozen dataclasses from plain values, checked against their annotations.

An error names the place of an unknown key, wrong type or bad value (``profiles.smoke.recipe.epochs``). Needs only
the standard library, so that the engine runs on bare GPU machines (docs/dependencies.md).
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from repro.errors import UsageError


@dataclass(frozen=True)
class Check:
    """In ``Annotated[kind, Check(...)]``: what a value of ``kind`` must fulfil, and what is wrong otherwise."""

    valid: Callable[[Any], bool]
    wrong: str


def one_of(known: Sequence[object]) -> Check:
    """Return a check that a value is one of ``known``."""
    return Check(known.__contains__, f"is unknown; there are {', '.join(map(str, known))}")


def at_least(least: int) -> Check:
    """Return a check that a number is not below ``least``."""
    return Check(lambda value: bool(value >= least), f"is below {least}")


def check_fields(instance: Any) -> None:
    """Run the checks of a dataclass's fields, for one that is also made by hand. Raises ValueError."""
    for name, hint in _hints(type(instance)).items():  # type: ignore[arg-type]  # it is hashable
        _run_checks(hint, getattr(instance, name), name)


def _run_checks(hint: Any, value: Any, place: str) -> None:
    for check in getattr(hint, "__metadata__", ()):
        if not check.valid(value):
            shown = list(value) if isinstance(value, tuple) else value
            raise ValueError(f"{place}: {shown!r} {check.wrong}")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


INCREASING = Check(lambda values: list(values) == sorted(set(values)), "do not increase")
FRACTION = Check(lambda value: 0 < value < 1, "is not between 0 and 1")
POSITIVE = Check(lambda value: 0 < value < math.inf, "is not above 0 and finite")


def build(kind: Any, value: Any, place: str) -> Any:
    """Convert ``value`` to ``kind``. Raises ValueError that starts with ``place`` ("" is the top of a file).

    ``kind`` is a dataclass, tuple, mapping or scalar, one of these ``| None``, or ``Annotated[kind, ...]`` with a
    `Check`, or with a function that converts the value first, or raises.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return value if isinstance(value, kind) else _dataclass(kind, value, place)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        if isinstance(args[1], Check):
            built = build(args[0], value, place)
            _run_checks(kind, built, place)
            return built
        try:
            value = args[1](value)
        except (ValueError, UsageError) as error:
            raise ValueError(f"{place}: {error}") from None
        return build(args[0], value, place)
    if types.NoneType in args:
        return None if value is None else build(args[0], value, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{place}: a list was expected, not {value!r}")
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise ValueError(f"{place}: {len(kinds)} values were expected, not {value!r}")
        return tuple(build(k, v, f"{place}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin in (Mapping, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{place}: a mapping was expected, not {value!r}")
        pairs = [(build(args[0], str(k), place), build(args[1], v, _at(place, k))) for k, v in value.items()]
        return dict(pairs) if origin is dict else types.MappingProxyType(dict(pairs))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{place}: {kind.__name__} expected, not {value!r}{_number_hint(kind, value)}")
    return value


def _at(place: str, inner: object) -> str:
    return f"{place}.{inner}" if place else str(inner)


def _number_hint(kind: Any, value: Any) -> str:
    if isinstance(value, str) and kind in (int, float):
        with contextlib.suppress(ValueError, OverflowError):
            number = kind(float(value))
            return f" (YAML reads {value} as text: write {number if kind is int else '1.0e-4 for 1e-4'})"
    return ""


def _dataclass(kind: type, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{place}: a mapping was expected, not {value!r}")
    hints = _hints(kind)
    for key in value:
        if key not in hints:
            raise ValueError(f"unknown key '{_at(place, key)}'{did_you_mean(str(key), list(hints))}")
    for field in dataclasses.fields(kind):
        if field.name not in value and field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"key '{_at(place, field.name)}' is missing")
    built = {key: build(hint, value[key], _at(place, key)) for key, hint in hints.items() if key in value}
    try:
        return kind(**built)
    except ValueError as error:
        raise ValueError(_at(place, error)) from None


def did_you_mean(word: str, known: list[str]) -> str:
    """Return the end of an error about an unknown ``word``: the nearest one, or all that are known."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; it has {', '.join(known)}" if known else ""
