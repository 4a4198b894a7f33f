"""Where the images of Runs come from: in memory, on the device, or streamed from the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from repro import data
from repro.data import imagenet
from repro.data.batches import DeviceImages, draw_epoch, random_labels
from repro.data.images import Images, Split, first_of_each
from repro.engine.device import Device
from repro.engine.ranks import Ranks
from repro.errors import MissingInput
from repro.run import Data, Photos

if TYPE_CHECKING:
    from repro.data.imagenet.loader import Loader


@dataclass(frozen=True)
class Subset:
    """Indices of a Run's training and test images in `InMemoryData`, int64 [N] each on the CPU, and the labels of
    all images in it, int64 on the device (meaningless for images outside the subset)."""

    train: Tensor
    test: Tensor
    labels: Tensor

    def draw_epoch(self, stream: str, epoch: int, augment: bool) -> Tensor:
        """Return `batches.draw_epoch` over ``train``: int64 [4, N], first a row of indices in `InMemoryData`."""
        order = draw_epoch(stream, epoch, len(self.train), augment)
        order[0] = self.train[order[0]]
        return order


class InMemoryData:
    """All small images of a data set on the device, training images, then test images, in one tensor, shared by
    Runs on any subset and labels. ``source`` names the data set in Records."""

    def __init__(self, images: Images, device: Device) -> None:
        splits = (images.train, images.test)
        pixels, labels = (np.concatenate([getattr(s, name) for s in splits]) for name in ("images", "labels"))
        self.device, self.source = device, images.source
        self.images = DeviceImages(Split(pixels, labels), images.statistics, device.torch)
        self._labels = [split.labels for split in splits]

    def subset(self, wanted: Data) -> Subset:
        """Return the subset that ``wanted`` names, balanced over the true classes.

        With random labels the test images are the training images. Raises `UsageError` for too many images.
        """
        train = torch.from_numpy(first_of_each(self._labels[0], wanted.train))
        if wanted.labels == "true":
            test = torch.from_numpy(first_of_each(self._labels[1], wanted.test)) + len(self._labels[0])
            return Subset(train, test, self.images.labels)
        labels = self.images.labels.clone()
        labels[train.to(labels.device)] = random_labels(wanted.labels, wanted.train).to(labels.device)
        return Subset(train, train, labels)


@dataclass(frozen=True)
class StreamedData:
    """Photographs on disk, read during training on all ``ranks``."""

    device: Device
    ranks: Ranks
    train: Loader
    test: Loader
    source: str


def open_images(wanted: Data, folders: Sequence[Path], device: Device) -> InMemoryData:
    """Copy the data set that ``wanted`` names from ``folders`` to the device.

    Raises `MissingInput` if it is absent, or has changed since the plan was made.
    """
    images = data.load(wanted.name, folders)
    if images.fingerprint != wanted.fingerprint:
        raise MissingInput(
            f"{images.source} has changed since the plan was made: its fingerprint is {images.fingerprint}"
        )
    return InMemoryData(images, device)


def open_photos(
    wanted: Photos, folders: Sequence[Path], scratch: Path, device: Device, ranks: Ranks
) -> StreamedData:
    """Open the photographs that ``wanted`` names, found in ``folders`` or, if made from a seed, under ``scratch``.

    Raises `MissingInput` if they are absent, or have changed since the plan was made.
    """
    from repro.data.imagenet.loader import Loader  # seconds of imports, only for those who need them

    *splits, source = imagenet.open_splits(wanted, folders, scratch)
    train, test = (Loader(split, wanted.crop, wanted.resize, device.torch) for split in splits)
    return StreamedData(device, ranks, train, test, source)
