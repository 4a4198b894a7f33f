"""The user's data as batches on the device: a pair of tensors, a torch Dataset, or this project's images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from repro.data.batches import PAD, DeviceImages, EpochOrder
from repro.errors import UsageError

Batch = tuple[Tensor, Tensor]
LOOKED_AT = 16  # examples of a Dataset that its fingerprint covers


class Samples(Protocol):
    """Labelled examples in batches: inputs float32 [B, ...] and labels int64 [B], both on the device."""

    fingerprint: str

    def __len__(self) -> int: ...

    def check(self, classes: int) -> None:
        """Raise `UsageError` for a label that is none of ``classes``, now or in the batch that holds it."""

    def drawn(self, order: EpochOrder, augment: bool, size: int) -> Iterator[Batch]:
        """Every example once, in the epoch's order, cropped and flipped as it says where ``augment``."""

    def plain(self, size: int) -> Iterator[Batch]:
        """Every example once, in the order of the data, as it is."""


def samples(data: Any, name: str, device: torch.device, workers: int) -> Samples:
    """``data`` as Samples. ``name`` is what the user calls it. Raises `UsageError` for anything else."""
    if isinstance(data, DeviceImages):
        return ImageSamples(data, name)
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        return TensorSamples(data[0], data[1], name, device)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, tuple | list):
        return DatasetSamples(data, name, device, workers)
    raise UsageError(f"{name}: a Dataset of (tensor, label) or a pair of tensors was expected, not {type(data)}")


class TensorSamples:
    """Inputs float [N, ...] and labels int [N], moved to the device as a whole."""

    def __init__(self, inputs: Tensor, labels: Tensor, name: str, device: torch.device) -> None:
        if not len(labels) or len(inputs) != len(labels) or labels.dim() != 1:
            shapes = f"{list(inputs.shape)} and {list(labels.shape)}"
            raise UsageError(f"{name}: inputs [N, ...] and labels [N] were expected, not {shapes}")
        _check_kinds(inputs, labels, name)
        self.name = name
        self.fingerprint = _hash(inputs, labels)
        self.inputs, self.labels = inputs.to(device, torch.float32), labels.to(device, torch.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def check(self, classes: int) -> None:
        _check_labels(self.labels, classes, self.name)

    def drawn(self, order: EpochOrder, augment: bool, size: int) -> Iterator[Batch]:
        for first, last in chunks(len(self), size):
            index = order.order[first:last].to(self.labels.device)
            inputs = self.inputs[index]
            yield (crop(inputs, order, first, last) if augment else inputs), self.labels[index]

    def plain(self, size: int) -> Iterator[Batch]:
        for first, last in chunks(len(self), size):
            yield self.inputs[first:last], self.labels[first:last]


class ImageSamples:
    """CIFAR-10 or the synthetic set as the rest of the project has them: bytes on the device."""

    def __init__(self, images: DeviceImages, name: str) -> None:
        self.images, self.name = images, name
        self.fingerprint = _hash(images.images, images.labels, images.mean, images.scale)

    def __len__(self) -> int:
        return len(self.images)

    def check(self, classes: int) -> None:
        _check_labels(self.images.labels, classes, self.name)

    def drawn(self, order: EpochOrder, augment: bool, size: int) -> Iterator[Batch]:
        parts = [part.to(self.images.labels.device) for part in order.tensors()]
        for first, last in chunks(len(self), size):
            index, top, left, flip = (part[first:last] for part in parts)
            yield self.images.gather(index, top, left, flip), self.images.labels[index]

    def plain(self, size: int) -> Iterator[Batch]:
        for first, last in chunks(len(self), size):
            yield self.images.plain(first, last), self.images.labels[first:last]


class DatasetSamples:
    """A map-style Dataset of (tensor [...], label), read anew every epoch, so that its own transforms may be
    random. With ``workers`` other processes read it."""

    def __init__(self, dataset: Any, name: str, device: torch.device, workers: int) -> None:
        self.dataset, self.name, self.device, self.workers = dataset, name, device, workers
        self.classes: int | None = None
        if not len(dataset):
            raise UsageError(f"{name} is empty")
        # Not the whole: reading it may take as long as an epoch.
        spread = sorted({index * (len(dataset) - 1) // (LOOKED_AT - 1) for index in range(LOOKED_AT)})
        inputs, labels = next(self._read([spread]))
        _check_kinds(inputs, labels, name)
        self.fingerprint = f"{len(dataset)}-{_hash(inputs, labels)}"

    def __len__(self) -> int:
        return len(self.dataset)

    def check(self, classes: int) -> None:
        self.classes = classes

    def drawn(self, order: EpochOrder, augment: bool, size: int) -> Iterator[Batch]:
        places = chunks(len(self), size)
        read = self._read([order.order[first:last].tolist() for first, last in places])
        for (first, last), (inputs, labels) in zip(places, read, strict=True):
            yield (crop(inputs, order, first, last) if augment else inputs), labels

    def plain(self, size: int) -> Iterator[Batch]:
        return self._read([list(range(first, last)) for first, last in chunks(len(self), size)])

    def _read(self, batches: Sequence[list[int]]) -> Iterator[Batch]:
        loader: Iterable[Any] = DataLoader(self.dataset, batch_sampler=batches, num_workers=self.workers)
        for batch in loader:
            if not (isinstance(batch, tuple | list) and len(batch) == 2):
                raise UsageError(f"{self.name}: its items are not pairs of a tensor and a label")
            inputs, labels = batch
            _check_kinds(inputs, labels, self.name)
            if self.classes is not None:
                _check_labels(labels, self.classes, self.name)
            yield inputs.to(self.device, torch.float32), labels.to(self.device, torch.int64)


def chunks(count: int, size: int) -> list[tuple[int, int]]:
    """``count`` examples in batches of ``size``, the rest as a smaller one; a single left-over example joins the
    batch before, since BatchNorm cannot normalise one alone."""
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1:
        del starts[-1]
    return list(zip(starts, [*starts[1:], count], strict=True))


def crop(images: Tensor, order: EpochOrder, first: int, last: int) -> Tensor:
    """Images [B, C, H, W], padded by 4 zeros, cropped and flipped as ``first`` to ``last`` of ``order`` say."""
    height, width = images.shape[2:]
    top, left, flip = (part[first:last].to(images.device) for part in order.tensors()[1:])
    side = torch.arange(width, device=images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None] == 1, side.flip(0), side)
    padded = F.pad(images, (PAD, PAD, PAD, PAD)).permute(0, 2, 3, 1)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _check_kinds(inputs: Any, labels: Any, name: str) -> None:
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        kind = inputs.dtype if isinstance(inputs, Tensor) else type(inputs)
        raise UsageError(f"{name}: its inputs are {kind}; floating-point tensors were expected, normalised")
    if not isinstance(labels, Tensor) or labels.dtype not in (torch.uint8, torch.int16, torch.int32, torch.int64):
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels)
        raise UsageError(f"{name}: its labels are {kind}; whole numbers from 0 were expected")


def _check_labels(labels: Tensor, classes: int, name: str) -> None:
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= classes:
        wrong = least if least < 0 else most
        raise UsageError(f"{name}: a label of {wrong}, but the network tells {classes} classes apart (0 to "
                         f"{classes - 1})")  # fmt: skip


def _hash(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
