"""params.yaml -> frozen, validated values.

The values are plain frozen dataclasses; `yaml_values` checks the file against their annotations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from repro.errors import UsageError
from repro.yaml_values import build, read, replace_value

ARCHS = ("resnet20", "resnet56")
DATASETS = ("cifar10", "synthetic")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class DataParams:
    """Which images: ``train`` and ``test`` count them (the whole of CIFAR-10 is 50,000 and 10,000)."""

    name: str
    train: int
    test: int

    def __post_init__(self) -> None:
        _one_of("name", self.name, DATASETS)
        _at_least("train", self.train, 10)
        _at_least("test", self.test, 10)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained (appendix A.1): SGD with momentum, Eq. 1, and a stepwise learning rate.

    ``milestones`` are epochs at which the rate is multiplied by ``gamma``; ``evaluate_every`` counts
    epochs between evaluations on the test set (the last epoch is always evaluated).
    """

    epochs: int
    batch_size: int
    lr: float
    milestones: tuple[int, ...]
    gamma: float
    momentum: float
    weight_decay: float
    augment: bool
    evaluate_every: int

    def __post_init__(self) -> None:
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 2)
        _at_least("evaluate_every", self.evaluate_every, 1)
        for name in ("lr", "gamma"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)} is not above 0 and finite")
        for name in ("momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not in [0, 1)")
        _milestones("milestones", self.milestones)


@dataclass(frozen=True)
class GridParams:
    """Fig. 1: structures from epochs ``s`` (columns) rewound to epochs ``v`` (rows)."""

    arch: str
    s: tuple[int, ...]
    v: tuple[int, ...]

    def __post_init__(self) -> None:
        _one_of("arch", self.arch, ARCHS)
        _epochs("s", self.s)
        _epochs("v", self.v)


@dataclass(frozen=True)
class CurveParams:
    """Fig. 2: the dense training of one network."""

    arch: str

    def __post_init__(self) -> None:
        _one_of("arch", self.arch, ARCHS)


@dataclass(frozen=True)
class DistanceParams:
    """Fig. 3: structures from epochs ``s``, compared pairwise."""

    arch: str
    s: tuple[int, ...]

    def __post_init__(self) -> None:
        _one_of("arch", self.arch, ARCHS)
        _epochs("s", self.s)


@dataclass(frozen=True)
class PruningRow:
    """Table 2, one network: one-shot epochs and gradual windows (first and last epoch)."""

    one_shot: tuple[int, ...]
    windows: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        _epochs("one_shot", self.one_shot)
        for first, last in self.windows:
            if not 0 <= first < last:
                raise ValueError(f"windows: [{first}, {last}] is no window: two epochs, the first one smaller")


@dataclass(frozen=True)
class PprParams:
    """Fig. 4 and 6, one network: the constant ``rates`` of one epoch's retraining, from ``every`` n-th epoch."""

    rates: tuple[float, ...]
    every: int

    def __post_init__(self) -> None:
        _at_least("every", self.every, 1)
        if len(set(self.rates)) < len(self.rates):
            raise ValueError(f"rates: {list(self.rates)} names a rate twice")
        for rate in self.rates:
            if not 0 < rate < math.inf:
                raise ValueError(f"rates: {rate} is not above 0 and finite")


@dataclass(frozen=True)
class MemorizationParams:
    """How a network is trained on random labels (Fig. 5, Table 1): the profile's recipe, without augmentation,
    with a schedule of its own, since what can be memorized depends on its length."""

    epochs: int
    milestones: tuple[int, ...]
    batch_size: int

    def __post_init__(self) -> None:
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 2)
        _milestones("milestones", self.milestones)


@dataclass(frozen=True)
class CapacityParams:
    """Fig. 5: structures from epochs ``s``, trained on ``sizes`` randomly labelled examples."""

    arch: str
    s: tuple[int, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        _one_of("arch", self.arch, ARCHS)
        _epochs("s", self.s)
        _sizes("sizes", self.sizes)


@dataclass(frozen=True)
class StepsParams:
    """Table 1: pruning ``steps`` of (epoch, rate) along the dense schedule, which goes on beyond its end with
    ``further_milestones``, and the ``sizes`` among which the number of examples is calibrated."""

    arch: str
    steps: tuple[tuple[int, float], ...]
    further_milestones: tuple[int, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        _one_of("arch", self.arch, ARCHS)
        _sizes("sizes", self.sizes)
        if len(self.steps) < 2:
            raise ValueError("steps: at least two are needed")
        for (epoch, rate), (later, higher) in itertools.pairwise(self.steps):
            if not (0 <= epoch < later and 0 < rate < higher < 1):
                raise ValueError(f"steps: {list(self.steps)} do not increase in epoch and in rate below 1")


@dataclass(frozen=True)
class IterativeParams:
    """Table 4: ``trainings`` of the whole schedule, ``share`` of what is left pruned after each but the last,
    each rewound to epoch ``rewind`` of the dense training."""

    arch: str
    trainings: int
    share: float
    rewind: int

    def __post_init__(self) -> None:
        _one_of("arch", self.arch, ARCHS)
        _at_least("trainings", self.trainings, 2)
        _at_least("rewind", self.rewind, 0)
        if not 0 < self.share < 1:
            raise ValueError(f"share: {self.share} is not between 0 and 1")


@dataclass(frozen=True)
class Profile:
    """One way to run everything: data, recipe, and the shape of each artifact."""

    data: DataParams
    recipe: Recipe
    precision: str
    precision_of: Mapping[str, str]
    """Networks that need another precision than the others."""
    sparsity: float
    seeds: int
    fig1: GridParams
    fig2: CurveParams
    fig3: DistanceParams
    fig4: Mapping[str, PprParams]
    fig5: CapacityParams
    fig6: Mapping[str, PprParams]
    memorization: MemorizationParams
    table1: StepsParams
    table2: Mapping[str, PruningRow]
    table4: IterativeParams

    def __post_init__(self) -> None:
        _one_of("precision", self.precision, PRECISIONS)
        for arch, precision in self.precision_of.items():
            _one_of("precision_of", arch, ARCHS)
            _one_of(f"precision_of.{arch}", precision, PRECISIONS)
        _at_least("seeds", self.seeds, 1)
        if not 0 < self.sparsity < 1:
            raise ValueError(f"sparsity: {self.sparsity} is not between 0 and 1")
        for name in ("fig4", "fig6", "table2"):
            for arch in getattr(self, name):
                _one_of(name, arch, ARCHS)
        for milestone in self.table1.further_milestones:
            if milestone < self.recipe.epochs:
                raise ValueError(
                    f"table1.further_milestones: {milestone} lies within the schedule of {self.recipe.epochs}"
                )
        sizes = {"fig5.sizes": self.fig5.sizes, "table1.sizes": self.table1.sizes}
        for place, counts in sizes.items():
            for count in counts:
                if count > self.data.train:
                    raise ValueError(f"{place}: {count} examples, but data.train is {self.data.train}")
        asked = {"fig1.s": self.fig1.s, "fig1.v": self.fig1.v, "fig3.s": self.fig3.s, "fig5.s": self.fig5.s}
        asked["table4.rewind"] = (self.table4.rewind,)
        for arch, row in self.table2.items():
            asked[f"table2.{arch}.one_shot"] = row.one_shot
            asked[f"table2.{arch}.windows"] = tuple(last for _, last in row.windows)
        for place, epochs in asked.items():
            for epoch in epochs:
                if epoch > self.recipe.epochs:
                    raise ValueError(f"{place}: epoch {epoch} lies beyond the schedule's {self.recipe.epochs}")

    @property
    def memorization_recipe(self) -> Recipe:
        """The recipe of trainings on random labels; accuracy is taken at the end."""
        own = self.memorization
        return replace(
            self.recipe,
            epochs=own.epochs,
            milestones=own.milestones,
            batch_size=own.batch_size,
            augment=False,
            evaluate_every=own.epochs,
        )


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml."""

    profile: str
    assumptions: Mapping[str, str]
    replicate_sd: Mapping[str, Mapping[str, float]]
    profiles: Mapping[str, Profile]

    def __post_init__(self) -> None:
        _one_of("profile", self.profile, tuple(self.profiles))
        for name, kinds in self.replicate_sd.items():
            _one_of("replicate_sd", name, tuple(self.profiles))
            for kind, sd in kinds.items():
                if not 0 < sd < math.inf:
                    raise ValueError(f"replicate_sd.{name}.{kind}: {sd} is not above 0 and finite")


@dataclass(frozen=True)
class Settings:
    """One profile of params.yaml, with what was set on the command line (``overrides``)."""

    name: str
    profile: Profile
    assumptions: Mapping[str, str]
    replicate_sd: Mapping[str, float]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    published_sd: Mapping[str, float] = field(default_factory=dict)
    """The replicate noise of the paper's own numbers, whatever profile this is."""

    @property
    def comparable(self) -> bool:
        """Whether its numbers may stand against the published ones: the paper profile, unchanged."""
        return self.name == "paper" and not self.overrides


def load(path: Path) -> Params:
    """Read and check params.yaml. Raises `MissingInput` without the file, `UsageError` if it is wrong."""
    try:
        params: Params = build(Params, read(path), path.name)
        return params
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None


def settings(path: Path, name: str | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The profile called ``name`` (default: the file's own ``profile:``) with dotted ``overrides`` applied.

    Raises `UsageError` naming the key and what would be right.
    """
    raw = read(path)
    params = load(path)
    name = name or params.profile
    if name not in params.profiles:
        raise UsageError(f"no profile '{name}' in {path}: there are {', '.join(params.profiles)}")
    profile = params.profiles[name]
    if overrides:
        tree = raw["profiles"][name]
        for dotted, value in overrides.items():
            replace_value(tree, dotted, value)
        try:
            profile = build(Profile, tree, "")
        except ValueError as error:
            why = str(error).replace("'.", "'").lstrip(".")
            raise UsageError(f"--set {', '.join(overrides)}: {why}") from None
    noise = params.replicate_sd
    return Settings(
        name, profile, params.assumptions, noise.get(name, {}), dict(overrides or {}), noise.get("paper", {})
    )


def parse_override(text: str) -> tuple[str, Any]:
    """``recipe.epochs=4`` -> ("recipe.epochs", 4); the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r}: write key=value, recipe.epochs=4 for instance")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"--set {text!r}: {value!r} is not a YAML value") from None


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: unknown '{value}'; there are {', '.join(known)}")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}: {value} is below {least}")


def _milestones(name: str, milestones: tuple[int, ...]) -> None:
    if list(milestones) != sorted(set(milestones)):
        raise ValueError(f"{name}: {list(milestones)} do not increase")
    for milestone in milestones:
        _at_least(name, milestone, 1)


def _sizes(name: str, sizes: tuple[int, ...]) -> None:
    if not sizes or list(sizes) != sorted(set(sizes)):
        raise ValueError(f"{name}: {list(sizes)} do not increase")
    _at_least(name, sizes[0], 2)


def _epochs(name: str, epochs: tuple[int, ...]) -> None:
    if len(set(epochs)) < len(epochs):
        raise ValueError(f"{name}: {list(epochs)} names an epoch twice")
    for epoch in epochs:
        if epoch < 0:
            raise ValueError(f"{name}: epoch {epoch} is negative")
