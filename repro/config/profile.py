"""A profile of params.yaml: data, recipes, and the settings of every artifact. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, TypeVar

from repro.config.fields import FRACTION, INCREASING, POSITIVE, Check, at_least, build, one_of
from repro.config.recipe import (
    ARCHS,
    CIFAR_ARCHS,
    IMAGENET_ARCHS,
    PRECISIONS,
    DataParams,
    ImageNetParams,
    Milestones,
    PhotoParams,
    Recipe,
)
from repro.errors import UsageError

Block = TypeVar("Block")

Arch = Annotated[str, one_of(ARCHS)]
CifarArch = Annotated[str, one_of(CIFAR_ARCHS)]
ImageNetArch = Annotated[str, one_of(IMAGENET_ARCHS)]
Precision = Annotated[str, one_of(PRECISIONS)]
NO_REPETITION = Check(lambda values: len(set(values)) == len(values), "names one twice")
Epochs = Annotated[tuple[Annotated[int, at_least(0)], ...], NO_REPETITION]
Window = Annotated[tuple[int, int], Check(lambda w: 0 <= w[0] < w[1], "is no window: the first epoch is smaller")]
Sizes = Annotated[tuple[Annotated[int, at_least(2)], ...], INCREASING, Check(bool, "names none")]
Steps = Annotated[
    tuple[tuple[Annotated[int, at_least(0)], Annotated[float, FRACTION]], ...],
    Check(lambda steps: len(steps) >= 2, "are too few: at least two are needed"),
    Check(
        lambda steps: all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(steps)),
        "do not increase in epoch and in rate",
    ),
]


@dataclass(frozen=True)
class GridParams:
    """Fig. 1: structures from epochs ``s`` (columns) rewound to epochs ``v`` (rows)."""

    arch: CifarArch
    s: Epochs
    v: Epochs


@dataclass(frozen=True)
class CurveParams:
    """Fig. 2: the dense training of one network."""

    arch: CifarArch


@dataclass(frozen=True)
class DistanceParams:
    """Fig. 3: structures from epochs ``s``, compared pairwise."""

    arch: CifarArch
    s: Epochs


@dataclass(frozen=True)
class PruningRow:
    """Tables 2 and 3, one network: epochs of one-shot pruning, and (first, last) epochs of gradual windows."""

    one_shot: Epochs
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class PprParams:
    """Fig. 4 and 6, one network: after every ``every``-th epoch, retrain for one epoch at each constant rate."""

    rates: Annotated[tuple[Annotated[float, POSITIVE], ...], NO_REPETITION]
    every: Annotated[int, at_least(1)]


@dataclass(frozen=True)
class MemorizationParams:
    """Training on random labels (Fig. 5, Table 1): the profile's recipe without augmentation and with its own
    schedule, since the number of memorized examples depends on its length."""

    epochs: Annotated[int, at_least(1)]
    milestones: Milestones
    batch_size: Annotated[int, at_least(2)]


@dataclass(frozen=True)
class CapacityParams:
    """Fig. 5: structures from epochs ``s``, trained on ``sizes`` randomly labelled examples."""

    arch: CifarArch
    s: Epochs
    sizes: Sizes


@dataclass(frozen=True)
class StepsParams:
    """Table 1: pruning ``steps`` of (epoch, rate) along the dense schedule. Beyond its end, training continues
    with ``further_milestones``. The number of examples is calibrated among ``sizes``."""

    arch: CifarArch
    steps: Steps
    further_milestones: tuple[int, ...]
    sizes: Sizes


@dataclass(frozen=True)
class IterativeParams:
    """Table 4: ``trainings`` of the whole schedule; after each but the last, prune ``share`` of the remaining
    weights and rewind to epoch ``rewind`` of the dense training. ``imagenet`` is the network of ImageNet for
    ``--with-iterative``."""

    arch: CifarArch
    imagenet: ImageNetArch
    trainings: Annotated[int, at_least(2)]
    share: Annotated[float, FRACTION]
    rewind: Annotated[int, at_least(0)]


@dataclass(frozen=True)
class BatchProbeParams:
    """The batch probe, one network: continue its dense training from epoch ``start`` at each of ``batch_sizes``,
    and measure after each of ``epochs`` how far its mask has moved."""

    start: Annotated[int, at_least(0)]
    epochs: Annotated[tuple[int, ...], INCREASING, Check(bool, "are none, and do not increase")]
    batch_sizes: Sizes

    def __post_init__(self) -> None:
        if self.epochs[0] <= self.start:
            raise ValueError(f"epochs: {list(self.epochs)} do not increase from the start at {self.start}")


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
    precision: Precision
    precision_of: Mapping[Arch, Precision]
    """Networks that need another precision."""
    sparsity: Annotated[float, FRACTION]
    seeds: Annotated[int, at_least(1)]
    fig1: GridParams
    fig2: CurveParams
    fig3: DistanceParams
    fig4: Mapping[Arch, PprParams]
    fig5: CapacityParams
    fig6: Mapping[Arch, PprParams]
    memorization: MemorizationParams
    table1: StepsParams
    table2: Mapping[CifarArch, PruningRow]
    table3: Mapping[ImageNetArch, PruningRow]
    table4: IterativeParams
    batch_probe: Mapping[CifarArch, BatchProbeParams]
    artifacts: Mapping[str, object] = field(default_factory=dict)
    """The blocks of artifacts that declare their own parameters (`block`)."""

    def __post_init__(self) -> None:
        for milestone in self.table1.further_milestones:
            if milestone < self.recipe.epochs:
                raise ValueError(
                    f"table1.further_milestones: {milestone} lies within the schedule of {self.recipe.epochs}"
                )
        for key, sizes in (("fig5.sizes", self.fig5.sizes), ("table1.sizes", self.table1.sizes)):
            if sizes[-1] > self.data.train:
                raise ValueError(f"{key}: {sizes[-1]} examples, but data.train is {self.data.train}")
        for key, arch, epochs in self._epochs():
            schedule = self.recipe_of(arch).epochs
            for epoch in epochs:
                if epoch > schedule:
                    raise ValueError(f"{key}: epoch {epoch} lies beyond the schedule's {schedule}")

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
