"""All small images of a data set on the device, once, and the subset that a Run trains and is tested on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repro.data.batches import DeviceImages, EpochOrder, random_labels
from repro.data.images import Images, Split, first_of_each
from repro.run import Data


@dataclass(frozen=True)
class Subset:
    """Indices of a Run's training and test images in a `DeviceDataset`, int64 [N] each on the CPU, and the labels
    of all images in it, int64 on the device (meaningless for images outside the subset)."""

    train: Tensor
    test: Tensor
    labels: Tensor

    def indices(self, order: EpochOrder) -> Tensor:
        """An epoch over ``train``: indices, crop offsets from the top and the left, flips; int64 [4, N] on the
        CPU."""
        index, *crops_and_flips = order.tensors()
        return torch.stack([self.train[index], *crops_and_flips])


class DeviceDataset:
    """Training images, then test images, in one tensor on ``device``, shared by Runs on any subset and labels."""

    def __init__(self, images: Images, device: torch.device) -> None:
        splits = (images.train, images.test)
        pixels, labels = (np.concatenate([getattr(s, name) for s in splits]) for name in ("images", "labels"))
        self.images = DeviceImages(Split(pixels, labels), images.statistics, device)
        self._labels = [split.labels for split in splits]
        self._subsets: dict[Data, Subset] = {}

    def subset(self, wanted: Data) -> Subset:
        """The subset that ``wanted`` names, balanced over the true classes.

        With random labels the test images are the training images. Raises `UsageError` for too many images.
        """
        if wanted not in self._subsets:
            self._subsets[wanted] = self._subset(wanted)
        return self._subsets[wanted]

    def _subset(self, wanted: Data) -> Subset:
        train = torch.from_numpy(first_of_each(self._labels[0], wanted.train))
        if wanted.labels == "true":
            test = torch.from_numpy(first_of_each(self._labels[1], wanted.test)) + len(self._labels[0])
            return Subset(train, test, self.images.labels)
        labels = self.images.labels.clone()
        labels[train.to(labels.device)] = random_labels(wanted.labels, wanted.train).to(labels.device)
        return Subset(train, train, labels)
