"""The user's data in batches: a pair of tensors, a torch Dataset, or this project's images."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from repro.data.batches import PAD, DeviceImages
from repro.errors import MissingInput, UsageError, one_line
from repro.ticket.torch_dataset import WHOLE, Batch, Items, kind_of

FEW, MANY = 48, 64  # items of a Dataset that are read first, twice; items in a batch when all are read
LOOK = "ticket look"  # names the random numbers of both


class Samples:
    """Labelled examples in batches: inputs float32 [B, ...] and labels int64 [B], both on the device."""

    name: str
    """What the user calls them."""
    two: Tensor
    """The first two inputs."""
    labels: Tensor
    fingerprint: str
    """A hash of all inputs and labels."""
    notes: Sequence[str] = ()
    """What a user should know about them, in sentences."""
    ahead: Sequence[str] = ()
    """Which part of `check` takes long, in sentences."""

    def __len__(self) -> int:
        return len(self.labels)

    def check(self, classes: int) -> None:
        """Raise `UsageError` for an unusable example, or a label outside 0 to ``classes`` - 1."""
        wrong = torch.nonzero((self.labels < 0) | (self.labels >= classes))
        if len(wrong):
            item = int(wrong[0])
            raise UsageError(
                f"{self.name}: a label of {int(self.labels[item])}, but the network tells {classes} classes apart "
                f"(0 to {classes - 1}); it is item {item}'s"
            )

    def read(self, batches: Sequence[Tensor], stream: str) -> Iterator[Batch]:
        """Yield ``batches`` of indices, unchanged; random numbers of the set's own follow from ``stream``."""
        raise NotImplementedError

    def plain(self, size: int) -> Iterator[Batch]:
        """Yield every example once, unchanged, in the order of the data."""
        return self.read(batches_of(len(self), size), "ticket evaluation")

    def drawn(self, order: Tensor, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        """Yield every example once, in the order of an epoch; with ``augment`` cropped and flipped as it says."""
        parts = batches_of(len(self), size)
        batches = self.read([order[0, part] for part in parts], stream)
        for part, (inputs, labels) in zip(parts, batches, strict=True):
            yield (crop(inputs, order, part) if augment else inputs), labels


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

    def read(self, batches: Sequence[Tensor], stream: str) -> Iterator[Batch]:
        for index in batches:
            index = index.to(self.labels.device)
            yield self.inputs[index], self.labels[index]


class ImageSamples(Samples):
    """CIFAR-10 or the synthetic set, as bytes on the device; crops are black outside the image."""

    def __init__(self, images: DeviceImages, name: str) -> None:
        self.images, self.name, self.labels = images, name, images.labels
        self.two = images.plain(0, 2)
        self.fingerprint = digest_of(images.images, images.labels, images.mean, images.scale)

    def plain(self, size: int) -> Iterator[Batch]:
        for part in batches_of(len(self), size):
            first, last = int(part[0]), int(part[-1])
            yield self.images.plain(first, last + 1), self.labels[first : last + 1]

    def drawn(self, order: Tensor, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        for part in batches_of(len(self), size):
            index, top, left, flip = order[:, part].to(self.labels.device)
            yield self.images.gather(index, top, left, flip), self.labels[index]


class DatasetSamples(Samples):
    """A map-style Dataset of (tensor [...], label), read again every epoch, since its transforms may be random.

    The constructor reads a few items; `check` reads all of them, once. ``workers`` other processes read.
    """

    def __init__(self, dataset: Any, name: str, device: torch.device, workers: int) -> None:
        self.dataset, self.name, self.device, self.workers = dataset, name, device, workers
        self.labels = torch.zeros(_length(dataset, name), dtype=torch.int64)
        self.shape: torch.Size | None = None
        few = (torch.arange(FEW) * (len(self) - 1) // (FEW - 1)).unique()
        # One loader for all of it, since starting its workers may take seconds.
        (self.two, _), *looks = self.read([torch.arange(min(2, len(self))), few, few], LOOK)
        self.shape = self.two.shape[1:]
        self.repeats = digest_of(looks[0][0]) == digest_of(looks[1][0])
        self.ahead = [f"{name}: all {len(self):,} items are read once, to check them"]
        if not self.repeats:
            self.notes = [
                f"{name}: an item read twice is not the same, although every generator that was found is seeded "
                "before: a search that is interrupted will not end in the bits of one that is not"
            ]

    def check(self, classes: int) -> None:
        digest, parts = hashlib.sha256(), batches_of(len(self), MANY)
        for part, (inputs, labels) in zip(parts, self.read(parts, LOOK), strict=True):
            check_finite(inputs, self.name, int(part[0]))
            self.labels[part] = labels.cpu()
            # Inputs that differ at each reading do not identify the data.
            digest.update(digest_of(*[inputs] * self.repeats, labels).encode())
        self.fingerprint = f"{len(self)}-{digest.hexdigest()[:16]}"
        super().check(classes)

    def read(self, batches: Sequence[Tensor], stream: str) -> Iterator[Batch]:
        loader = DataLoader(
            Items(self.dataset, self.name, len(self), stream, self.shape),
            batch_size=None,
            sampler=[batch.tolist() for batch in batches],
            num_workers=self.workers,
            generator=torch.Generator(),  # so that the loader does not draw from the global one
        )
        for batch in self._guarded(loader):
            if isinstance(batch, str):
                raise UsageError(f"{self.name}: {batch}")
            inputs, labels = batch
            yield inputs.to(self.device, torch.float32), labels.to(self.device)

    def _guarded(self, loader: DataLoader[Any]) -> Iterator[Any]:
        """Yield the batches of ``loader``. Items raise nothing, so an error means that a worker died."""
        reading: Any = None
        try:
            reading = iter(loader)
            yield from reading
        except Exception as error:
            if not self.workers:
                raise
            # Otherwise PyTorch's handler of SIGCHLD would raise later, wherever the program is by then.
            with contextlib.suppress(RuntimeError, AttributeError):
                reading._shutdown_workers()
            raise MissingInput(
                f"{self.name}: reading it in another process failed ({one_line(error)}); workers=0 does it in this"
            ) from None


def _length(dataset: Any, name: str) -> int:
    try:
        count = len(dataset)
    except Exception as error:
        raise UsageError(f"{name}: a Dataset that knows its length was expected: {one_line(error)}") from None
    if not count:
        raise UsageError(f"{name} is empty")
    return count


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
    kind = kind_of(data)
    if isinstance(data, tuple | list):
        parts = f" ({' and '.join(map(kind_of, data))})" if len(data) == 2 else ""
        kind = f"a {kind} of {len(data)}{parts}"
    raise UsageError(
        f"{name}: a Dataset of (tensor, label), read by index, or a pair of tensors was expected, not {kind}; "
        "torch.from_numpy makes a tensor of an array, torch.tensor one of a list of numbers, and "
        "torch.utils.data.Subset(pairs, range(len(pairs))) a Dataset of a list of pairs"
    )


def batches_of(count: int, size: int) -> list[Tensor]:
    """Return the positions 0 to ``count`` - 1 in batches of ``size`` and a smaller last one. A single remaining
    example joins the batch before it, since BatchNorm cannot normalise one example."""
    parts = list(torch.arange(count).split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def crop(images: Tensor, order: Tensor, part: Tensor) -> Tensor:
    """Pad images [B, C, H, W] by 4 zeros, crop and flip them as the positions ``part`` of ``order`` say."""
    height, width = images.shape[2:]
    top, left, flip = order[1:, part].to(images.device)
    side = torch.arange(width, device=images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None] == 1, side.flip(0), side)
    padded = F.pad(images, (PAD, PAD, PAD, PAD)).permute(0, 2, 3, 1)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def check_finite(inputs: Tensor, name: str, first: int = 0) -> None:
    """Raise `UsageError` for an input that is not finite; ``first`` is the index of the first input."""
    if not bool(torch.isfinite(inputs).all()):
        item = first + int(torch.nonzero(~torch.isfinite(inputs).reshape(len(inputs), -1).all(1))[0])
        raise UsageError(f"{name}: item {item} holds a value that is infinite or no number (NaN)")


def digest_of(*tensors: Tensor) -> str:
    """Return a hash of types, shapes and contents."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
