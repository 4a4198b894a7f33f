"""Load YAML as frozen dataclasses, checked against their annotations.

An error names the place of an unknown key, wrong type or bad value (``profiles.smoke.recipe.epochs``). Needs only
the standard library and PyYAML, so that the engine runs on bare GPU machines (docs/dependencies.md).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml

from repro.errors import UsageError, one_line


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


def mapping(path: Path, content: bytes, loader: type[Strict] | None = None) -> dict[str, Any]:
    """Parse the ``content`` of a file that contains a mapping. Raises `UsageError` with the line of an error."""
    try:
        raw = parse(content.decode(), loader)
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
    except ValueError as error:
        raise UsageError(f"{path}{error}") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: a mapping was expected at its top")
    return raw


def parse(text: str, loader: type[Strict] | None = None) -> Any:
    """Parse YAML into plain values; aliases are copied, so that no two values are the same object.

    Raises ValueError with the line (", line 3: ...") if it is not YAML, or if a value is ambiguous (`Strict`).
    """
    try:
        return _copied(yaml.load(text, loader or Strict))
    except yaml.YAMLError as error:
        where, why = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        why = why if isinstance(error, _Refused) else f"not YAML ({' '.join(why.split())})"
        raise ValueError(f", line {where.line + 1}: {why}" if where else f": {why}") from None
    except RecursionError:
        raise ValueError(": nested too deeply") from None
    except Exception as error:  # an explicit tag (!!int abc) raises whatever its constructor meets
        raise ValueError(f": not YAML ({one_line(error)})") from None


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


class _Refused(yaml.MarkedYAMLError):
    """A value that is valid YAML but not accepted."""


class Strict(yaml.SafeLoader):
    """Refuse a repeated key, 010 (8 in YAML) and 1:30 (90 in YAML). Read dates as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own)
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def number(self, node: yaml.ScalarNode) -> int | float:
        text = str(node.value)
        value = self.construct_yaml_float(node) if node.tag.endswith("float") else self.construct_yaml_int(node)
        if ":" in text or re.fullmatch(r"[-+]?0[0-9_]+", text):
            other = f'"{text}" for text' if ":" in text else str(int(text, 10))
            why = f"{text} is {value} in YAML: write {value}, or {other}"
            raise _Refused(problem=why, problem_mark=node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"key '{key}' occurs twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


for _kind in ("int", "float"):
    Strict.add_constructor(f"tag:yaml.org,2002:{_kind}", Strict.number)


class _Written(float):
    """A float that keeps its text: 94.00 equals 94, but has two decimals."""

    text: str

    def __str__(self) -> str:
        return self.text


class Exact(Strict):
    """Keep the digits of decimal numbers, and refuse empty and non-finite values."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        value = super().construct_object(node, deep)
        infinite = isinstance(value, float) and not math.isfinite(value)
        if infinite or not node.value or str(node.value).isspace():
            why = f"a text, a finite number or a filled list was expected, not {node.value!r}"
            raise _Refused(problem=why, problem_mark=node.start_mark)
        if isinstance(value, float):
            value = _Written(value)
            value.text = node.value
        return value


def replace_value(tree: Any, dotted: str, value: Any) -> None:
    """Set the value of a dotted key in nested mappings. Raises `UsageError` if there is no such key."""
    if dotted == "extends":
        raise UsageError("--set extends: only params.yaml can set it; choose a profile with --profile")
    parts = dotted.split(".")
    node, seen = tree, ""
    for part in parts:
        if not isinstance(node, dict) or part not in node:
            known = list(node) if isinstance(node, dict) else []
            raise UsageError(f"--set {dotted}: no key '{seen}{part}' in this profile{_did_you_mean(part, known)}")
        parent, node, seen = node, node[part], f"{seen}{part}."
    parent[parts[-1]] = value


def extended(tables: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Resolve ``extends: other`` in ``tables``: mappings are merged key by key, all other values are replaced.

    Raises ValueError at ``place`` for an unknown name, and if tables extend each other in a circle.
    """

    def resolve(name: str, path: tuple[str, ...] = ()) -> Any:
        table, path = tables[name], (*path, name)
        if not isinstance(table, dict) or "extends" not in table:
            return table
        base = table["extends"]
        if not isinstance(base, str) or base not in tables:
            close = _did_you_mean(str(base), list(tables))
            raise ValueError(f"{place}.{name}.extends: there is no '{base}'{close}")
        if base in path:
            raise ValueError(f"{place}.{name}.extends: a circle ({' -> '.join((*path, base))})")
        return _merged(resolve(base, path), {key: value for key, value in table.items() if key != "extends"})

    return {name: resolve(name) for name in tables}


def _merged(base: Any, table: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(table, dict):
        return copy.deepcopy(table)
    return {key: _merged(base.get(key), table.get(key, base.get(key))) for key in base | table}


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
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ValueError(f"{place}: a mapping was expected, not {value!r}")
        pairs = [(build(args[0], str(k), place), build(args[1], v, _at(place, k))) for k, v in value.items()]
        return types.MappingProxyType(dict(pairs))
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
            raise ValueError(f"unknown key '{_at(place, key)}'{_did_you_mean(str(key), list(hints))}")
    for field in dataclasses.fields(kind):
        if field.name not in value and field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"key '{_at(place, field.name)}' is missing")
    built = {key: build(hint, value[key], _at(place, key)) for key, hint in hints.items() if key in value}
    try:
        return kind(**built)
    except ValueError as error:
        raise ValueError(_at(place, error)) from None


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; it has {', '.join(known)}" if known else ""
