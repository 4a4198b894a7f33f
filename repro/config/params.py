"""Load params.yaml as frozen values, checked by `fields` and `yaml_loader`: profiles, assumptions, and noise."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from repro.config.fields import FRACTION, POSITIVE, at_least, build
from repro.config.recipe import (
    IMAGENET_ARCHS,
    Arch,
    DataParams,
    ImageNetParams,
    MemorizationParams,
    PhotoParams,
    Precision,
    Recipe,
)
from repro.config.yaml_loader import extended, mapping, parse, replaced
from repro.errors import MissingInput, UsageError


@dataclass(frozen=True)
class Profile:
    """One way to run everything: data, recipes, and what is set for each artifact.

    ``data`` and ``recipe`` are for the networks of CIFAR-10, ``imagenet`` for those of ImageNet. A profile that
    follows the paper's text is ``comparable``: its results are compared with the published numbers. ``supposes``
    lists the assumptions that differ from the file's own.
    """

    comparable: bool
    supposes: Mapping[str, str]

    data: DataParams
    recipe: Recipe
    imagenet: ImageNetParams
    memorization: MemorizationParams
    precision: Precision
    precision_of: Mapping[Arch, Precision]
    """Networks that need another precision."""
    sparsity: Annotated[float, FRACTION]
    seeds: Annotated[int, at_least(1)]
    blocks: Mapping[str, object]
    """All other keys, as in the file: what is set for an artifact. Its module says how that must look."""
    replicate_sd: Mapping[str, Annotated[float, POSITIVE]] = field(default_factory=dict)
    """The seed-to-seed standard deviation of one Run, by kind of number."""

    def recipe_of(self, arch: str) -> Recipe:
        """Return the recipe of ``arch``."""
        return self.imagenet.recipe if arch in IMAGENET_ARCHS else self.recipe

    def data_of(self, arch: str) -> DataParams | PhotoParams:
        """Return the data of ``arch``."""
        return self.imagenet.data if arch in IMAGENET_ARCHS else self.data


PROFILE_KEYS = [item.name for item in dataclasses.fields(Profile) if item.name != "blocks"]


def _with_blocks(raw: Any) -> Any:
    """Move the keys of artifacts into ``blocks``. Raises ValueError for one that looks like a missing key."""
    if not isinstance(raw, dict):
        return raw
    blocks = {key: value for key, value in raw.items() if key not in PROFILE_KEYS}
    missing = [key for key in PROFILE_KEYS if key not in raw]
    for key in blocks:
        if close := difflib.get_close_matches(str(key), missing, n=1):
            raise ValueError(f"unknown key '{key}'; did you mean '{close[0]}'?")
    return {key: value for key, value in raw.items() if key not in blocks} | {"blocks": blocks}


InFile = Annotated[Profile, _with_blocks]


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml."""

    profile: str
    assumptions: Mapping[str, str]
    profiles: Mapping[str, InFile]

    def __post_init__(self) -> None:
        if self.profile not in self.profiles:
            raise ValueError(f"profile: unknown '{self.profile}'; there are {', '.join(self.profiles)}")
        for profile, own in self.profiles.items():
            for name in own.supposes:
                if name not in self.assumptions:
                    known = ", ".join(self.assumptions)
                    raise ValueError(f"profiles.{profile}.supposes: unknown '{name}'; there are {known}")


@dataclass(frozen=True)
class Settings:
    """One profile of params.yaml, with the ``overrides`` of the command line applied."""

    name: str
    profile: Profile
    assumptions: Mapping[str, str]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    published_sd: Mapping[str, float] = field(default_factory=dict)
    """The seed-to-seed noise of the paper's own numbers, whatever the profile."""

    @property
    def comparable(self) -> bool:
        """Whether results may be compared with published numbers: declared so, and nothing is overridden."""
        return self.profile.comparable and not self.overrides


def load(path: Path) -> Params:
    """Read and check params.yaml. Raises `MissingInput` if there is no such file, `UsageError` if it is wrong."""
    return _load(path)[0]


def settings(path: Path, name: str | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the profile ``name`` (default: the file's own ``profile:``) with dotted ``overrides`` applied.

    Raises `UsageError` naming the key and what would be right.
    """
    params, tree = _load(path)
    name = name or params.profile
    if name not in params.profiles:
        raise UsageError(f"no profile '{name}' in {path}: there are {', '.join(params.profiles)}")
    if overrides:
        changed = tree["profiles"][name]
        for dotted, value in overrides.items():
            changed = replaced(changed, dotted, value)
        try:
            params = build(Params, tree | {"profiles": tree["profiles"] | {name: changed}}, "")
        except ValueError as error:
            raise UsageError(f"--set {', '.join(overrides)}: {error}") from None
    profile = params.profiles[name]
    assumptions = {**params.assumptions, **profile.supposes}
    published = next((one.replicate_sd for one in params.profiles.values() if one.comparable), {})
    return Settings(name, profile, assumptions, dict(overrides or {}), published)


def _load(path: Path) -> tuple[Params, dict[str, Any]]:
    """Return the file as values, and as it was read, with its profiles after ``extends``."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MissingInput(f"no {path}: run repro in a checkout, or name the file with --params") from None
    except OSError as error:
        raise MissingInput(f"{path} cannot be read ({error.strerror}): name a params.yaml with --params") from None
    return _parsed(path, content)


@functools.lru_cache(maxsize=8)
def _parsed(path: Path, content: bytes) -> tuple[Params, dict[str, Any]]:
    try:
        raw = mapping(path, content)
        if isinstance(profiles := raw.get("profiles"), dict):
            raw["profiles"] = extended(profiles)
        params: Params = build(Params, raw, "")
        return params, raw
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    except RecursionError:  # an alias within what it names
        raise UsageError(f"{path}: nested too deeply") from None


def parse_override(text: str) -> tuple[str, Any]:
    """Parse ``recipe.epochs=4`` into ("recipe.epochs", 4); the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r}: write key=value, recipe.epochs=4 for instance")
    return key.strip(), parse(value, f"--set {text:.60}")
