"""A profile of params.yaml: data, recipes, and the settings of every artifact. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from repro.config.recipe import (
    ARCHS,
    CIFAR_ARCHS,
    IMAGENET_ARCHS,
    PRECISIONS,
    DataParams,
    ImageNetParams,
    PhotoParams,
    Recipe,
    at_least,
    check_milestones,
    one_of,
)
from repro.config.yaml_loader import build
from repro.errors import UsageError

Block = TypeVar("Block")


@dataclass(frozen=True)
class GridParams:
    """Fig. 1: structures from epochs ``s`` (columns) rewound to epochs ``v`` (rows)."""

    arch: str
    s: tuple[int, ...]
    v: tuple[int, ...]

    def __post_init__(self) -> None:
        one_of("arch", self.arch, CIFAR_ARCHS)
        check_epochs("s", self.s)
        check_epochs("v", self.v)


@dataclass(frozen=True)
class CurveParams:
    """Fig. 2: the dense training of one network."""

    arch: str

    def __post_init__(self) -> None:
        one_of("arch", self.arch, CIFAR_ARCHS)


@dataclass(frozen=True)
class DistanceParams:
    """Fig. 3: structures from epochs ``s``, compared pairwise."""

    arch: str
    s: tuple[int, ...]

    def __post_init__(self) -> None:
        one_of("arch", self.arch, CIFAR_ARCHS)
        check_epochs("s", self.s)


@dataclass(frozen=True)
class PruningRow:
    """Tables 2 and 3, one network: epochs of one-shot pruning, and (first, last) epochs of gradual windows."""

    one_shot: tuple[int, ...]
    windows: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        check_epochs("one_shot", self.one_shot)
        for first, last in self.windows:
            if not 0 <= first < last:
                raise ValueError(f"windows: [{first}, {last}] is no window: two epochs, the first one smaller")


@dataclass(frozen=True)
class PprParams:
    """Fig. 4 and 6, one network: after every ``every``-th epoch, retrain for one epoch at each constant rate."""

    rates: tuple[float, ...]
    every: int

    def __post_init__(self) -> None:
        at_least("every", self.every, 1)
        if len(set(self.rates)) < len(self.rates):
            raise ValueError(f"rates: {list(self.rates)} names a rate twice")
        for rate in self.rates:
            if not 0 < rate < math.inf:
                raise ValueError(f"rates: {rate} is not above 0 and finite")


@dataclass(frozen=True)
class MemorizationParams:
    """Training on random labels (Fig. 5, Table 1): the profile's recipe without augmentation and with its own
    schedule, since the number of memorized examples depends on its length."""

    epochs: int
    milestones: tuple[int, ...]
    batch_size: int

    def __post_init__(self) -> None:
        at_least("epochs", self.epochs, 1)
        at_least("batch_size", self.batch_size, 2)
        check_milestones("milestones", self.milestones)


@dataclass(frozen=True)
class CapacityParams:
    """Fig. 5: structures from epochs ``s``, trained on ``sizes`` randomly labelled examples."""

    arch: str
    s: tuple[int, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        one_of("arch", self.arch, CIFAR_ARCHS)
        check_epochs("s", self.s)
        check_sizes("sizes", self.sizes)


@dataclass(frozen=True)
class StepsParams:
    """Table 1: pruning ``steps`` of (epoch, rate) along the dense schedule. Beyond its end, training continues
    with ``further_milestones``. The number of examples is calibrated among ``sizes``."""

    arch: str
    steps: tuple[tuple[int, float], ...]
    further_milestones: tuple[int, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        one_of("arch", self.arch, CIFAR_ARCHS)
        check_sizes("sizes", self.sizes)
        if len(self.steps) < 2:
            raise ValueError("steps: at least two are needed")
        for (epoch, rate), (later, higher) in itertools.pairwise(self.steps):
            if not (0 <= epoch < later and 0 < rate < higher < 1):
                raise ValueError(f"steps: {list(self.steps)} do not increase in epoch and in rate below 1")


@dataclass(frozen=True)
class IterativeParams:
    """Table 4: ``trainings`` of the whole schedule; after each but the last, prune ``share`` of the remaining
    weights and rewind to epoch ``rewind`` of the dense training. ``imagenet`` is the network of ImageNet for
    ``--with-iterative``."""

    arch: str
    imagenet: str
    trainings: int
    share: float
    rewind: int

    def __post_init__(self) -> None:
        one_of("arch", self.arch, CIFAR_ARCHS)
        one_of("imagenet", self.imagenet, IMAGENET_ARCHS)
        at_least("trainings", self.trainings, 2)
        at_least("rewind", self.rewind, 0)
        if not 0 < self.share < 1:
            raise ValueError(f"share: {self.share} is not between 0 and 1")


@dataclass(frozen=True)
class BatchProbeParams:
    """The batch probe, one network: continue its dense training from epoch ``start`` at each of ``batch_sizes``,
    and measure after each of ``epochs`` how far its mask has moved."""

    start: int
    epochs: tuple[int, ...]
    batch_sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        at_least("start", self.start, 0)
        check_sizes("batch_sizes", self.batch_sizes)
        if not self.epochs or any(
            later <= epoch for epoch, later in itertools.pairwise((self.start, *self.epochs))
        ):
            raise ValueError(f"epochs: {list(self.epochs)} do not increase from the start at {self.start}")


# Networks that may have a row in these figures and tables.
ROWS = {
    "fig4": ARCHS, "fig6": ARCHS, "table2": CIFAR_ARCHS, "table3": IMAGENET_ARCHS, "batch_probe": CIFAR_ARCHS,
}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """One way to run everything: data, recipe, and the settings of each artifact.

    ``data`` and ``recipe`` are for the networks of CIFAR-10, ``imagenet`` for those of ImageNet. A profile that
    follows the paper's text is ``comparable``: its results are compared with the published numbers. ``supposes``
    lists the assumptions that differ from the file's own.
    """

    comparable: bool
    supposes: Mapping[str, str]

    data: DataParams
    recipe: Recipe
    imagenet: ImageNetParams
    precision: str
    precision_of: Mapping[str, str]
    """Networks that need another precision."""
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
    table3: Mapping[str, PruningRow]
    table4: IterativeParams
    batch_probe: Mapping[str, BatchProbeParams]
    artifacts: Mapping[str, object] = field(default_factory=dict)
    """The blocks of artifacts that declare their own parameters (`block`)."""

    def __post_init__(self) -> None:
        one_of("precision", self.precision, PRECISIONS)
        for arch, precision in self.precision_of.items():
            one_of("precision_of", arch, ARCHS)
            one_of(f"precision_of.{arch}", precision, PRECISIONS)
        at_least("seeds", self.seeds, 1)
        if not 0 < self.sparsity < 1:
            raise ValueError(f"sparsity: {self.sparsity} is not between 0 and 1")
        for name, known in ROWS.items():
            for arch in getattr(self, name):
                one_of(name, arch, known)
        self._check_memorization()
        for key, arch, epochs in self._epochs():
            schedule = self.recipe_of(arch).epochs
            for epoch in epochs:
                if epoch > schedule:
                    raise ValueError(f"{key}: epoch {epoch} lies beyond the schedule's {schedule}")

    def _check_memorization(self) -> None:
        for milestone in self.table1.further_milestones:
            if milestone < self.recipe.epochs:
                raise ValueError(
                    f"table1.further_milestones: {milestone} lies within the schedule of {self.recipe.epochs}"
                )
        for key, sizes in (("fig5.sizes", self.fig5.sizes), ("table1.sizes", self.table1.sizes)):
            for size in sizes:
                if size > self.data.train:
                    raise ValueError(f"{key}: {size} examples, but data.train is {self.data.train}")

    def _epochs(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Yield (key, network, epochs of its schedule that the key names)."""
        for figure in ("fig1", "fig3", "fig5"):
            yield f"{figure}.s", getattr(self, figure).arch, getattr(self, figure).s
        yield "fig1.v", self.fig1.arch, self.fig1.v
        for table in ("table2", "table3"):
            for arch, row in getattr(self, table).items():
                yield f"{table}.{arch}.one_shot", arch, row.one_shot
                yield f"{table}.{arch}.windows", arch, tuple(last for _, last in row.windows)
        for arch in (self.table4.arch, self.table4.imagenet):
            yield "table4.rewind", arch, (self.table4.rewind,)
        for arch, probe in self.batch_probe.items():
            yield f"batch_probe.{arch}.epochs", arch, probe.epochs

    def block(self, artifact: str, kind: type[Block]) -> Block:
        """Return the block of an artifact as ``kind``, the dataclass that the artifact declares.

        What the block does not set has its default. Raises `UsageError` with its place.
        """
        try:
            found: Block = build(kind, self.artifacts.get(artifact, {}), f"artifacts.{artifact}")
        except ValueError as error:
            raise UsageError(f"params.yaml: {error}") from None
        return found

    def recipe_of(self, arch: str) -> Recipe:
        """Return the recipe of ``arch``."""
        return self.imagenet.recipe if arch in IMAGENET_ARCHS else self.recipe

    def data_of(self, arch: str) -> DataParams | PhotoParams:
        """Return the data of ``arch``."""
        return self.imagenet.data if arch in IMAGENET_ARCHS else self.data

    @property
    def memorization_recipe(self) -> Recipe:
        """The recipe for random labels; accuracy is evaluated at the end only."""
        own = self.memorization
        return replace(
            self.recipe, epochs=own.epochs, milestones=own.milestones, batch_size=own.batch_size, augment=False,
            evaluate_every=own.epochs,
        )  # fmt: skip


def check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    if not sizes or list(sizes) != sorted(set(sizes)):
        raise ValueError(f"{name}: {list(sizes)} do not increase")
    at_least(name, sizes[0], 2)


def check_epochs(name: str, epochs: tuple[int, ...]) -> None:
    if len(set(epochs)) < len(epochs):
        raise ValueError(f"{name}: {list(epochs)} names an epoch twice")
    for epoch in epochs:
        if epoch < 0:
            raise ValueError(f"{name}: epoch {epoch} is negative")
