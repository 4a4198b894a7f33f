"""Networks, data sets and recipes: the parts of a Run, as validated values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from repro.config.fields import INCREASING, POSITIVE, Check, at_least, check_fields, one_of

CIFAR_ARCHS = ("resnet20", "resnet56")
IMAGENET_ARCHS = ("resnet18", "resnet50")
ARCHS = (*CIFAR_ARCHS, *IMAGENET_ARCHS)
DATASETS = ("cifar10", "synthetic")
PHOTO_SETS = ("imagenet", "synthetic-ilsvrc")
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")

Arch = Annotated[str, one_of(ARCHS)]
CifarArch = Annotated[str, one_of(CIFAR_ARCHS)]
ImageNetArch = Annotated[str, one_of(IMAGENET_ARCHS)]
Precision = Annotated[str, one_of(PRECISIONS)]
NO_REPETITION = Check(lambda values: len(set(values)) == len(values), "names one twice")
Epochs = Annotated[tuple[Annotated[int, at_least(0)], ...], NO_REPETITION]
Sizes = Annotated[tuple[Annotated[int, at_least(2)], ...], INCREASING, Check(bool, "names none")]
Images = Annotated[int, at_least(10)]
Milestones = Annotated[
    tuple[int, ...], INCREASING, Check(lambda epochs: min(epochs, default=1) >= 1, "are below 1")
]
Share = Annotated[float, Check(lambda value: 0 <= value < 1, "is not in [0, 1)")]


@dataclass(frozen=True)
class DataParams:
    """A data set of 32x32 images; ``train`` and ``test`` are numbers of images (CIFAR-10: 50,000 and 10,000)."""

    name: Annotated[str, one_of(DATASETS)]
    train: Images
    test: Images


@dataclass(frozen=True)
class Recipe:
    """The training of a network (appendix A.1): SGD with momentum, Eq. 1, and a stepwise learning rate.

    At each of the epochs ``milestones`` the rate is multiplied by ``gamma``. The test set is evaluated every
    ``evaluate_every`` epochs, and after the last one.
    """

    epochs: Annotated[int, at_least(1)]
    batch_size: Annotated[int, at_least(2)]
    lr: Annotated[float, POSITIVE]
    milestones: Milestones
    gamma: Annotated[float, POSITIVE]
    momentum: Share
    weight_decay: Share
    augment: bool
    evaluate_every: Annotated[int, at_least(1)]

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class PhotoParams:
    """A data set of photographs (ImageNet); ``train`` and ``test`` are numbers of images (1,281,167 and 50,000).

    Training crops are resized to ``crop`` x ``crop``. For evaluation the shorter side is resized to ``resize`` and
    the centre is cropped. ``stored`` is the shorter side of the images that are read: 0 for the original files,
    else that of the copy written by `repro data prepare imagenet --resize`.
    """

    name: Annotated[str, one_of(PHOTO_SETS)]
    train: Images
    test: Images
    crop: Annotated[int, at_least(32)]
    resize: int
    stored: Annotated[int, one_of((0, 256, 512))]

    def __post_init__(self) -> None:
        if self.resize < self.crop:
            raise ValueError(f"resize: {self.resize} is below {self.crop}")


@dataclass(frozen=True)
class MicroBatchRecipe(Recipe):
    """A recipe whose batches are split into ``micro_batches`` equal parts, each with its own BatchNorm statistics,
    as on that number of GPUs. The result therefore does not depend on the number of GPUs.
    """

    micro_batches: Annotated[int, at_least(1)]

    def __post_init__(self) -> None:
        super().__post_init__()
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


@dataclass(frozen=True)
class MemorizationParams:
    """Training on random labels (Fig. 5, Table 1): the profile's recipe without augmentation and with its own
    schedule, since the number of memorized examples depends on its length."""

    epochs: Annotated[int, at_least(1)]
    milestones: Milestones
    batch_size: Annotated[int, at_least(2)]
