"""All small images of a data set on the device, once, and the part of them that a Run is trained and tested on."""

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
    """A Run's part of a pool: places of the images that it trains and is tested on, int64 [N] each on the CPU, and
    the label of every image in the pool, int64 on the device (meaningless where the Run sees no such image)."""

    train: Tensor
    test: Tensor
    labels: Tensor

    def indices(self, order: EpochOrder) -> Tensor:
        """An epoch over ``train``: places in the pool, crop offsets from the top and the left, flips, int64 [4, N]
        on the CPU."""
        index, *others = order.tensors()
        return torch.stack([self.train[index], *others])


class DeviceDataset:
    """Training images, then test images, in one tensor on ``device``: Runs on parts of any size and with labels of
    their own share it."""

    def __init__(self, images: Images, device: torch.device) -> None:
        both = (images.train, images.test)
        pixels, labels = (np.concatenate([getattr(s, name) for s in both]) for name in ("images", "labels"))
        self.images = DeviceImages(Split(pixels, labels), images.statistics, device)
        self._labels = [split.labels for split in both]
        self._subsets: dict[Data, Subset] = {}

    def subset(self, wanted: Data) -> Subset:
        """The part that ``wanted`` asks for, balanced over the true classes.

        With random labels both halves are the same examples. Raises `UsageError` where there are fewer images.
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
