"""YAML -> frozen dataclasses, checked against their annotations.

An unknown key, a wrong type or an impossible value is refused with its place (``profiles.smoke.recipe.epochs``).
Standard library and PyYAML only, so that the engine runs on bare GPU machines (docs/dependencies.md).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml

from repro.errors import UsageError, one_line


def read(path: Path, loader: type[Strict] | None = None) -> dict[str, Any]:
    """Return the mapping that a file holds. Raises OSError, or UsageError with the line for what is no YAML."""
    return mapping(path, path.read_bytes(), loader)


def mapping(path: Path, content: bytes, loader: type[Strict] | None = None) -> dict[str, Any]:
    """`read`, of a file whose ``content`` is at hand."""
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
    """Return YAML as plain values, no two of which are the same object, whatever aliases it has.

    Raises ValueError with the line (", line 3: ...") for what is no YAML, or reads as another value than it looks.
    """
    try:
        return _apart(yaml.load(text, loader or Strict))
    except yaml.YAMLError as error:
        where, why = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        why = why if isinstance(error, _Refused) else f"not YAML ({' '.join(why.split())})"
        raise ValueError(f", line {where.line + 1}: {why}" if where else f": {why}") from None
    except RecursionError:
        raise ValueError(": nested too deeply") from None
    except Exception as error:  # a tag that fails late (!!set [1])
        raise ValueError(f": not YAML ({one_line(error)})") from None


def _apart(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _apart(inner) for key, inner in value.items()}
    return [_apart(inner) for inner in value] if isinstance(value, list) else value


class _Refused(yaml.MarkedYAMLError):
    """A value that is YAML and yet refused, for the reason that it states."""


class Strict(yaml.SafeLoader):
    """YAML takes the last of two equal keys in silence, 010 for 8 and 1:30 for 90; here these are errors. What
    looks like a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own)
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:  # an explicit tag (!!int abc) raises whatever its constructor meets
            raise yaml.MarkedYAMLError(problem=one_line(error), problem_mark=node.start_mark) from None

    def number(self, node: yaml.ScalarNode) -> int | float:
        text = str(node.value)
        found = self.construct_yaml_float(node) if node.tag.endswith("float") else self.construct_yaml_int(node)
        if ":" in text or re.fullmatch(r"[-+]?0[0-9_]+", text):
            other = f'"{text}" for text' if ":" in text else str(int(text, 10))
            why = f"{text} is {found} in YAML: write {found}, or {other}"
            raise _Refused(problem=why, problem_mark=node.start_mark)
        return found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"key '{key}' stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


for _kind in ("int", "float"):
    Strict.add_constructor(f"tag:yaml.org,2002:{_kind}", Strict.number)


class _Written(float):
    """A number that knows how it was written: 94.00 is as much as 94, but says more."""

    text: str

    def __str__(self) -> str:
        return self.text


class Exact(Strict):
    """Keep the digits of numbers with a point, and refuse what is empty or not finite."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        found = super().construct_object(node, deep)
        infinite = isinstance(found, float) and not math.isfinite(found)
        if infinite or not node.value or str(node.value).isspace():
            why = f"a text, a finite number or a filled list was expected, not {node.value!r}"
            raise _Refused(problem=why, problem_mark=node.start_mark)
        if isinstance(found, float):
            found = _Written(found)
            found.text = node.value
        return found


def replace_value(tree: Any, dotted: str, value: Any) -> None:
    if dotted == "extends":
        raise UsageError("--set extends: that can be said in params.yaml alone; choose a profile with --profile")
    *way, last = dotted.split(".")
    node, seen = tree, ""
    for part in [*way, last]:
        if not isinstance(node, dict) or part not in node:
            known = list(node) if isinstance(node, dict) else []
            raise UsageError(f"--set {dotted}: no key '{seen}{part}' in this profile{_did_you_mean(part, known)}")
        if seen.count(".") == len(way):
            node[part] = value
            return
        node, seen = node[part], f"{seen}{part}."


def extended(tables: Mapping[str, Any], place: str) -> dict[str, Any]:
    """``tables`` by name, each that says ``extends: other`` laid over that one: mappings are merged key by key,
    everything else replaces what was there. ``extends`` itself is gone from the result.

    Raises ValueError, with its place, for a name that there is not, and for tables that extend each other in a
    circle.
    """
    found: dict[str, Any] = {}

    def visit(name: str, way: tuple[str, ...]) -> Any:
        own = tables[name]
        if name in found or not isinstance(own, dict):
            return found.setdefault(name, own)
        base = own.get("extends")
        own = {key: value for key, value in own.items() if key != "extends"}
        if base is not None:
            if not isinstance(base, str) or base not in tables:
                close = _did_you_mean(str(base), list(tables))
                raise ValueError(f"{place}.{name}.extends: there is no '{base}'{close}")
            if base in (*way, name):
                circle = " -> ".join((*way, name, str(base)))
                raise ValueError(f"{place}.{name}.extends: a circle ({circle})")
            own = _laid_over(visit(base, (*way, name)), own)
        return found.setdefault(name, own)

    return {name: visit(name, ()) for name in tables}


def _laid_over(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return copy.deepcopy(own)
    return {key: _laid_over(base.get(key), own.get(key, base.get(key))) for key in base | own}


def build(kind: Any, value: Any, place: str) -> Any:
    """Return ``value`` as ``kind``, or raise a ValueError that starts with its place ("" is the top of a file).

    ``kind`` is a dataclass, tuple, mapping or scalar, one of these ``| None``, or ``Annotated[kind, read]`` where
    ``read`` first converts the value or refuses it.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return value if isinstance(value, kind) else _dataclass(kind, value, place)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
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
        return types.MappingProxyType({str(k): build(args[1], v, _at(place, k)) for k, v in value.items()})
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
    hints = typing.get_type_hints(kind, include_extras=True)
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
