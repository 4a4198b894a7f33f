"""Read the user's data in batches: a pair of tensors, a torch Dataset, or this project's images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, TensorDataset

from repro.data.batches import DeviceImages, EpochOrder
from repro.errors import UsageError
from repro.ticket.batching import WHOLE, Batch, Samples, check_finite, chunks, crop, digest_of
from repro.ticket.torch_dataset import DatasetSamples, kind_of


def samples(data: Any, name: str, device: torch.device, workers: int) -> Samples:
    """Return ``data``, which the user calls ``name``, as Samples. Raises `UsageError` for anything else."""
    if isinstance(data, DeviceImages):
        return ImageSamples(data, name)
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        return TensorSamples(data[0], data[1], name, device)
    indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if indexed and not isinstance(data, tuple | list | dict | str | Tensor | IterableDataset):
        return DatasetSamples(data, name, device, workers)
    wanted = "a Dataset of (tensor, label), read by index, or a pair of tensors"
    raise UsageError(f"{name}: {wanted} was expected, not {_described(data)}")


def _described(data: Any) -> str:
    """Return what ``data`` is, and how to convert it if that is known."""
    kind = type(data).__name__
    if not isinstance(data, tuple | list) or not data:
        return f"an empty {kind}" if isinstance(data, tuple | list) else kind
    if isinstance(data[0], tuple | list) and len(data[0]) == 2:
        return f"a {kind} of pairs; torch.utils.data.Subset(pairs, range(len(pairs))) makes a Dataset of it"
    if len(data) != 2:
        return f"a {kind} of {len(data)}"
    kinds = " and ".join(kind_of(part) for part in data)
    return f"{kinds}; torch.from_numpy makes a tensor of an array, torch.tensor one of a list of numbers"


class TensorSamples(Samples):
    """Inputs float [N, ...] and labels int [N], all on the device."""

    def __init__(self, inputs: Tensor, labels: Tensor, name: str, device: torch.device) -> None:
        if not inputs.dim() or not len(labels) or len(inputs) != len(labels) or labels.dim() != 1:
            shapes = f"{list(inputs.shape)} and {list(labels.shape)}"
            hint = "; one-hot labels become numbers by argmax(1)" if labels.dim() == 2 else ""
            raise UsageError(f"{name}: inputs [N, ...] and labels [N] were expected, not {shapes}{hint}")
        if not inputs.is_floating_point():
            raise UsageError(
                f"{name}: its inputs are {inputs.dtype}; floating-point tensors were expected, normalised"
            )
        if labels.dtype not in WHOLE:
            raise UsageError(f"{name}: its labels are {labels.dtype}; whole numbers from 0 were expected")
        check_finite(inputs, name)
        self.name, self.fingerprint = name, digest_of(inputs, labels)
        # Copied: tensors made in inference mode cannot be trained on.
        self.inputs = inputs.detach().to(device, torch.float32, copy=inputs.is_inference())
        self.labels = labels.to(device, torch.int64, copy=labels.is_inference())
        self.two = self.inputs[:2]

    def drawn(self, order: EpochOrder, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        for first, last in chunks(len(self), size):
            index = order.order[first:last].to(self.labels.device)
            inputs = self.inputs[index]
            yield (crop(inputs, order, first, last) if augment else inputs), self.labels[index]

    def plain(self, size: int) -> Iterator[Batch]:
        for first, last in chunks(len(self), size):
            yield self.inputs[first:last], self.labels[first:last]


class ImageSamples(Samples):
    """CIFAR-10 or the synthetic set, as bytes on the device."""

    def __init__(self, images: DeviceImages, name: str) -> None:
        self.images, self.name, self.labels = images, name, images.labels
        self.two = images.plain(0, 2)
        self.fingerprint = digest_of(images.images, images.labels, images.mean, images.scale)

    def drawn(self, order: EpochOrder, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        parts = [part.to(self.labels.device) for part in order.tensors()]
        for first, last in chunks(len(self), size):
            index, top, left, flip = (part[first:last] for part in parts)
            yield self.images.gather(index, top, left, flip), self.labels[index]

    def plain(self, size: int) -> Iterator[Batch]:
        for first, last in chunks(len(self), size):
            yield self.images.plain(first, last), self.labels[first:last]
