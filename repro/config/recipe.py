"""Networks, data sets and recipes: the parts of a Run, as validated values. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

CIFAR_ARCHS = ("resnet20", "resnet56")
IMAGENET_ARCHS = ("resnet18", "resnet50")
ARCHS = (*CIFAR_ARCHS, *IMAGENET_ARCHS)
DATASETS = ("cifar10", "synthetic")
PHOTO_SETS = ("imagenet", "synthetic-ilsvrc")
STORED = (0, 256, 512)
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")


@dataclass(frozen=True)
class DataParams:
    """A data set of 32x32 images; ``train`` and ``test`` are numbers of images (CIFAR-10: 50,000 and 10,000)."""

    name: str
    train: int
    test: int

    def __post_init__(self) -> None:
        one_of("name", self.name, DATASETS)
        at_least("train", self.train, 10)
        at_least("test", self.test, 10)


@dataclass(frozen=True)
class Recipe:
    """The training of a network (appendix A.1): SGD with momentum, Eq. 1, and a stepwise learning rate.

    At each of the epochs ``milestones`` the rate is multiplied by ``gamma``. The test set is evaluated every
    ``evaluate_every`` epochs, and after the last one.
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
        at_least("epochs", self.epochs, 1)
        at_least("batch_size", self.batch_size, 2)
        at_least("evaluate_every", self.evaluate_every, 1)
        for name in ("lr", "gamma"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)} is not above 0 and finite")
        for name in ("momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not in [0, 1)")
        check_milestones("milestones", self.milestones)


@dataclass(frozen=True)
class PhotoParams:
    """A data set of photographs (ImageNet); ``train`` and ``test`` are numbers of images (1,281,167 and 50,000).

    Training crops are resized to ``crop`` x ``crop``. For evaluation the shorter side is resized to ``resize`` and
    the centre is cropped. ``stored`` is the shorter side of the images that are read: 0 for the original files,
    else that of the copy written by `repro data prepare imagenet --resize`.
    """

    name: str
    train: int
    test: int
    crop: int
    resize: int
    stored: int

    def __post_init__(self) -> None:
        one_of("name", self.name, PHOTO_SETS)
        at_least("train", self.train, 10)
        at_least("test", self.test, 10)
        at_least("crop", self.crop, 32)
        at_least("resize", self.resize, self.crop)
        if self.stored not in STORED:
            raise ValueError(f"stored: {self.stored} is none of {', '.join(map(str, STORED))}")


@dataclass(frozen=True)
class MicroBatchRecipe(Recipe):
    """A recipe whose batches are split into ``micro_batches`` equal parts, each with its own BatchNorm statistics,
    as on that number of GPUs. The result therefore does not depend on the number of GPUs.
    """

    micro_batches: int

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("micro_batches", self.micro_batches, 1)
        if self.batch_size % self.micro_batches or self.batch_size < 2 * self.micro_batches:
            raise ValueError(
                f"micro_batches: a batch of {self.batch_size} does not divide into {self.micro_batches} equal "
                "parts of two images or more"
            )


@dataclass(frozen=True)
class ImageNetParams:
    """Appendix A.2: data and recipe of the networks of ImageNet, ResNet18 and ResNet50."""

    data: PhotoParams
    recipe: MicroBatchRecipe


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: unknown '{value}'; there are {', '.join(known)}")


def at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}: {value} is below {least}")


def check_milestones(name: str, milestones: tuple[int, ...]) -> None:
    if list(milestones) != sorted(set(milestones)):
        raise ValueError(f"{name}: {list(milestones)} do not increase")
    for milestone in milestones:
        at_least(name, milestone, 1)
