"""The user's data in batches: a pair of tensors, a torch Dataset, or this project's images.

A Dataset is read item by item, each under random numbers of its own. So a resumed search reads what an
uninterrupted one does, in whichever process and order, and no random state has to be saved.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from repro import files
from repro.data.batches import PAD, DeviceImages, seed_of
from repro.errors import MissingInput, UsageError, one_line

Batch = tuple[Tensor, Tensor]
LOOK = "ticket look"  # names the random numbers with which the items of a Dataset are checked
LOOKED_AT = 64  # items in a batch then
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)  # types of labels


def seed_all(cuda: bool, *words: object) -> None:
    """Seed the global generators of Python, NumPy and torch from words; with ``cuda``, those of CUDA as well."""
    number = seed_of(*words)
    random.seed(number)
    np.random.seed(number % 2**32)
    torch.default_generator.manual_seed(number)
    if cuda:
        torch.cuda.manual_seed(number)


@contextlib.contextmanager
def restored(devices: Sequence[int] = ()) -> Iterator[None]:
    """Restore the states of the global generators at the end, those of CUDA ``devices`` included."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


class Samples:
    """Labelled examples in batches: inputs float32 [B, ...] and labels int64 [B], both on the device."""

    name: str
    """What the user calls them."""
    two: Tensor
    """The first two inputs."""
    labels: Tensor
    fingerprint: str
    """A hash of all inputs and labels."""

    def __len__(self) -> int:
        return len(self.labels)

    def check(self, classes: int, tell: Callable[[str], object]) -> list[str]:
        """Raise `UsageError` for an unusable example, or a label outside 0 to ``classes`` - 1.

        Returns what a user should know about the data, in sentences.
        """
        wrong = torch.nonzero((self.labels < 0) | (self.labels >= classes))
        if len(wrong):
            item = int(wrong[0])
            raise UsageError(
                f"{self.name}: a label of {int(self.labels[item])}, but the network tells {classes} classes apart "
                f"(0 to {classes - 1}); it is item {item}'s"
            )
        return []

    def batches(self, order: Tensor | None, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        """Yield every example once, in the ``order`` of an epoch (`draw_epoch`), or in that of the data.

        With ``augment``, images are cropped and flipped as the order says. The random numbers of a Dataset's own
        transforms follow from ``stream``.
        """
        parts = parts_of(len(self), size, order)
        for (_, *crops), (inputs, labels) in zip(
            parts, self.read([part[0] for part in parts], stream), strict=True
        ):
            yield (crop(inputs, *crops) if augment else inputs), labels

    def read(self, batches: Sequence[Tensor], stream: str) -> Iterator[Batch]:
        """Yield ``batches`` of indices, unchanged."""
        raise NotImplementedError


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
        self.two = images.plain(0, 2).contiguous()
        self.fingerprint = digest_of(images.images, images.labels, images.mean, images.scale)

    def batches(self, order: Tensor | None, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        for part in parts_of(len(self), size, order):
            index, *crops = part.to(self.labels.device)
            yield self.images.gather(index, *crops).contiguous(), self.labels[index]


class DatasetSamples(Samples):
    """A map-style Dataset of (tensor [...], label), read again every epoch, since its transforms may be random.

    The constructor reads two items, `check` reads all of them once. ``workers`` other processes read.
    """

    def __init__(self, dataset: Any, name: str, device: torch.device, workers: int) -> None:
        self.dataset, self.name, self.device, self.workers = dataset, name, device, workers
        try:
            count = len(dataset)
        except Exception as error:
            raise UsageError(f"{name}: a Dataset that knows its length was expected: {one_line(error)}") from None
        if not count:
            raise UsageError(f"{name} is empty")
        self.labels = torch.zeros(count, dtype=torch.int64)
        self.shape: torch.Size | None = None
        ((self.two, _),) = self.read([torch.arange(min(2, count))], LOOK)
        self.shape = self.two.shape[1:]

    def check(self, classes: int, tell: Callable[[str], object]) -> list[str]:
        tell(f"{self.name}: all {len(self):,} items are read once, to check them")
        parts = [part[0] for part in parts_of(len(self), LOOKED_AT)]
        parts.append(parts[0])  # once more
        digests = []
        for part, (inputs, labels) in zip(parts, self.read(parts, LOOK), strict=True):
            check_finite(inputs, self.name, int(part[0]))
            self.labels[part] = labels.cpu()
            digests.append((digest_of(labels), digest_of(inputs, labels)))
        notes = super().check(classes, tell)
        repeats = digests.pop() == digests[0]
        if not repeats:
            notes.append(
                f"{self.name}: an item read twice is not the same, although the generators of Python, NumPy and "
                "torch are seeded before: a search that is interrupted will not end in the bits of one that is not"
            )
        # Inputs that differ at each reading do not identify the data.
        text = "".join(whole if repeats else of_labels for of_labels, whole in digests)
        self.fingerprint = f"{len(self)}-{files.sha256(text.encode())[:16]}"
        return notes

    def read(self, batches: Sequence[Tensor], stream: str) -> Iterator[Batch]:
        loader: DataLoader[Any] = DataLoader(
            self,  # type: ignore[arg-type]  # one item of this is a batch
            batch_size=None,
            sampler=[(stream, batch.tolist()) for batch in batches],
            num_workers=self.workers,
            generator=torch.Generator(),  # so that the loader does not draw from the global one
        )
        reading: Any = None
        try:
            reading = iter(loader)
            for batch in reading:
                if isinstance(batch, UsageError):
                    raise batch
                inputs, labels = batch
                yield inputs.to(self.device, torch.float32), labels.to(self.device)
        except Exception as error:
            if isinstance(error, UsageError) or not self.workers:
                raise
            # Otherwise PyTorch's handler of SIGCHLD would raise later, wherever the program is by then.
            with contextlib.suppress(RuntimeError, AttributeError):
                reading._shutdown_workers()
            raise MissingInput(
                f"{self.name}: reading it in another process failed ({one_line(error)}); workers=0 does it in this"
            ) from None

    def __getitem__(self, asked: tuple[str, list[int]]) -> Batch | UsageError:
        """Return the items of a list of indices; item i is read under generators seeded from (stream, i).

        The error about an unusable item is returned: raised in a worker, it would become two tracebacks.
        """
        stream, indices = asked
        inputs, labels = list[Tensor](), list[int]()
        with restored():
            for index in indices:
                seed_all(False, self.name, stream, index)
                try:
                    tensor, label = self._item(index)
                    shape = self.shape or (inputs or [tensor])[0].shape
                    if tensor.shape != shape:
                        raise ValueError(
                            f"is {list(tensor.shape)}, others are {list(shape)}; tensors of one shape were "
                            "expected: a transform crops or resizes them"
                        )
                except ValueError as wrong:
                    return UsageError(f"{self.name}: item {index} of {len(self)} {wrong}")
                inputs.append(tensor)
                labels.append(label)
        return torch.stack(inputs), torch.tensor(labels)

    def _item(self, index: int) -> tuple[Tensor, int]:
        """Return an item as tensor and number. Raises ValueError that says what is wrong with it."""
        try:
            item = self.dataset[index]
        except Exception as error:  # whatever the user's code does
            raise ValueError(f"cannot be read: {one_line(error)}") from None
        if not isinstance(item, tuple | list) or len(item) != 2:
            what = f"{len(item)} values" if isinstance(item, tuple | list) else kind_of(item)
            raise ValueError(f"is {what}; a pair of a tensor and a label was expected")
        inputs, label = item
        if isinstance(inputs, np.ndarray):
            inputs = torch.from_numpy(inputs)
        if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
            kind = getattr(inputs, "dtype", kind_of(inputs))
            raise ValueError(
                f"begins with {kind}; a floating-point tensor was expected, normalised (ToTensor makes one)"
            )
        number = torch.as_tensor(label) if isinstance(label, int | np.integer | np.ndarray) else label
        if not isinstance(number, Tensor) or number.dim() or number.dtype not in WHOLE:
            what = f"{label!r:.40}" if isinstance(label, int | float | str) else kind_of(label)
            shape = f" of shape {list(label.shape)}" if isinstance(label, Tensor | np.ndarray) else ""
            raise ValueError(
                f"has the label {what}{shape}; a whole number from 0 was expected (of one-hot labels the argmax)"
            )
        return inputs.detach(), int(number)


def kind_of(thing: object) -> str:
    """Return what ``thing`` is, for a message: ``PIL's Image``, ``None``, ``the class Sequential``."""
    if thing is None or isinstance(thing, type):
        return "None" if thing is None else f"the class {thing.__name__}"
    module = type(thing).__module__.partition(".")[0]
    return type(thing).__name__ if module == "builtins" else f"{module}'s {type(thing).__name__}"


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


def parts_of(count: int, size: int, order: Tensor | None = None) -> list[Tensor]:
    """Divide an ``order``, int64 [4, count] of `draw_epoch`, into batches of ``size`` and a smaller last one.

    The default is the order of the data, uncropped. A single remaining example joins the batch before it, since
    BatchNorm cannot normalise one example.
    """
    if order is None:
        order = torch.stack([torch.arange(count), *torch.tensor([[PAD], [PAD], [0]]).expand(3, count)])
    parts = list(order.split(size, 1))
    if len(parts) > 1 and parts[-1].shape[1] == 1:
        parts[-2:] = [torch.cat(parts[-2:], 1)]
    return parts


def crop(images: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Pad images [B, C, H, W] by 4 zeros, crop them at (``top``, ``left``), mirror them where ``flip`` is 1."""
    top, left, flip = (numbers.to(images.device) for numbers in (top, left, flip))
    height, width = images.shape[2:]
    side = torch.arange(width, device=images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None] == 1, side.flip(0), side)
    padded = F.pad(images, (PAD, PAD, PAD, PAD)).permute(0, 2, 3, 1)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


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
