"""Read YAML strictly, and merge and change what was read; `fields.build` makes dataclasses of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from repro.config.fields import did_you_mean
from repro.errors import UsageError, one_line


class _Refused(yaml.MarkedYAMLError):
    """A value that is valid YAML but not accepted."""


class _UniqueKeys(yaml.constructor.BaseConstructor):
    """Refuse a key that occurs twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"key '{key}' occurs twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


class Verbatim(_UniqueKeys, yaml.BaseLoader):
    """Read every value as the text that is written: 94.00 has two decimals."""


class Strict(_UniqueKeys, yaml.SafeLoader):
    """Refuse 010 (8 in YAML) and 1:30 (90 in YAML). Read dates as text."""

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


for _kind in ("int", "float"):
    Strict.add_constructor(f"tag:yaml.org,2002:{_kind}", Strict.number)


def mapping(path: Path, content: bytes, loader: type[Verbatim | Strict] = Strict) -> dict[str, Any]:
    """Parse the ``content`` of a file that contains a mapping. Raises `UsageError` with the line of an error."""
    try:
        raw = parse(content.decode(), str(path), loader)
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: a mapping was expected at its top")
    return raw


def parse(text: str, place: str, loader: type[Verbatim | Strict] = Strict) -> Any:
    """Parse YAML into plain values; an alias is the same object as what it names.

    Raises `UsageError` with ``place`` and the line if it is not YAML, or if a value is ambiguous (`Strict`).
    """
    try:
        return yaml.load(text, loader)
    except yaml.YAMLError as error:
        mark, why = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        why = why if isinstance(error, _Refused) else f"not YAML ({' '.join(why.split())})"
        line = f", line {mark.line + 1}" if mark and "\n" in text else ""
        raise UsageError(f"{place}{line}: {why}") from None
    except RecursionError:
        raise UsageError(f"{place}: nested too deeply") from None
    except Exception as error:  # an explicit tag (!!int abc) raises whatever its constructor meets
        raise UsageError(f"{place}: not YAML ({one_line(error)})") from None


def replaced(tree: Any, dotted: str, value: Any, above: str = "") -> Any:
    """Return ``tree``, nested mappings, with another ``value`` of a dotted key; ``above`` is the key of ``tree``
    itself, with its dot. Raises `UsageError` if there is no such key."""
    if dotted == "extends" and not above:
        raise UsageError("--set extends: only params.yaml can set it; choose a profile with --profile")
    key, dot, below = dotted.partition(".")
    if not isinstance(tree, dict) or key not in tree:
        known = list(tree) if isinstance(tree, dict) else []
        hint = did_you_mean(key, known)
        raise UsageError(f"--set {above}{dotted}: no key '{above}{key}' in this profile{hint}")
    return tree | {key: replaced(tree[key], below, value, f"{above}{key}.") if dot else value}


def extended(profiles: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve ``extends: other`` in ``profiles``: mappings are merged key by key, all other values are replaced.

    Raises ValueError for an unknown name, and if profiles extend each other in a circle.
    """

    def resolve(name: str, path: tuple[str, ...] = ()) -> Any:
        profile, path = profiles[name], (*path, name)
        if not isinstance(profile, dict) or "extends" not in profile:
            return profile
        base = profile["extends"]
        if not isinstance(base, str) or base not in profiles:
            close = did_you_mean(str(base), list(profiles))
            raise ValueError(f"profiles.{name}.extends: there is no '{base}'{close}")
        if base in path:
            raise ValueError(f"profiles.{name}.extends: a circle ({' -> '.join((*path, base))})")
        return _merged(resolve(base, path), {key: value for key, value in profile.items() if key != "extends"})

    return {name: resolve(name) for name in profiles}


def _merged(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return base | {key: _merged(base.get(key), value) for key, value in own.items()}
