"""Read a torch Dataset item by item, each under random numbers of its own, and check every item.

A worker returns the message about a bad item instead of raising it, which would show the tracebacks of two
processes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from repro.data.batches import EpochOrder
from repro.errors import MissingInput, UsageError, one_line
from repro.ticket.batching import WHOLE, Batch, Samples, check_finite, chunks, crop, digest_of
from repro.ticket.randomness import GLOBAL, Handle, borrowed, generators_in

FEW, MANY = 48, 64  # items that are read first, twice; items in a batch when all are read
LOOK = "ticket look"  # names the random numbers of both
ALIKE = "tensors of one shape were expected: a transform crops or resizes them"


class DatasetSamples(Samples):
    """A map-style Dataset of (tensor [...], label), read again every epoch, since its transforms may be random.

    The constructor reads a few items; `check` reads all of them, once. ``workers`` other processes read.
    """

    def __init__(self, dataset: Any, name: str, device: torch.device, workers: int) -> None:
        self.dataset, self.name, self.device, self.workers = dataset, name, device, workers
        count = _length(dataset, name)
        self.shape: torch.Size | None = None
        self.labels = torch.zeros(count, dtype=torch.int64)
        few = [[index] for index in sorted({step * (count - 1) // (FEW - 1) for step in range(FEW)})]
        # One loader for all of it, since starting its workers may take seconds.
        looks = self._read([[*range(min(2, count))], *few, *few], LOOK)
        self.two = next(looks)[0]
        self.shape = self.two.shape[1:]
        hashes = [digest_of(inputs) for inputs, _ in looks]
        self.repeats = hashes[: len(few)] == hashes[len(few) :]
        self.ahead = [f"{name}: all {count:,} items are read once, to check them"]
        if not self.repeats:
            self.notes = [
                f"{name}: an item read twice is not the same, although every generator that was found is seeded "
                "before: a search that is interrupted will not end in the bits of one that is not"
            ]

    def check(self, classes: int) -> None:
        digest = hashlib.sha256()
        places = chunks(len(self), MANY)
        for (first, last), (inputs, labels) in zip(places, self._read(_lists(places), LOOK), strict=True):
            check_finite(inputs, self.name, first)
            self.labels[first:last] = labels
            # Inputs that differ at each reading do not identify the data.
            digest.update(digest_of(*[inputs] * self.repeats, labels).encode())
        self.fingerprint = f"{len(self)}-{digest.hexdigest()[:16]}"
        super().check(classes)

    def drawn(self, order: EpochOrder, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        places = chunks(len(self), size)
        read = self._read([order.order[first:last].tolist() for first, last in places], stream)
        for (first, last), (inputs, labels) in zip(places, read, strict=True):
            yield (crop(inputs, order, first, last) if augment else inputs), labels

    def plain(self, size: int) -> Iterator[Batch]:
        return self._read(_lists(chunks(len(self), size)), "ticket evaluation")

    def _read(self, batches: Sequence[list[int]], stream: str) -> Iterator[Batch]:
        loader: Iterable[Any] = DataLoader(
            Items(self.dataset, self.name, len(self), stream, self.shape),
            batch_sampler=batches,
            num_workers=self.workers,
            collate_fn=_same,
            generator=torch.Generator(),  # so that the loader does not draw from the global one
        )
        for batch in self._guarded(loader):
            if isinstance(batch, str):
                raise UsageError(batch)
            inputs, labels = batch
            yield inputs.to(self.device, torch.float32), labels.to(self.device)

    def _guarded(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches of ``loader``. Items raise nothing, so an error means that a worker died."""
        reading = None
        try:
            reading = iter(loader)
            yield from reading
        except Exception as error:
            if not self.workers:
                raise
            # Otherwise PyTorch's handler of SIGCHLD would raise later, wherever the program is by then.
            with contextlib.suppress(RuntimeError):
                if reading is not None:
                    reading._shutdown_workers()  # type: ignore[attr-defined]
            raise MissingInput(
                f"{self.name}: reading it in another process failed ({one_line(error)}); workers=0 does it in this"
            ) from None


class Items(Dataset[Any]):
    """The user's Dataset as batches of checked items, or the message about a bad one.

    Item i of an epoch is read under generators seeded from (``stream``, i), in whichever process and order. Their
    states are restored after each batch, so that dropout does not depend on the data.
    """

    def __init__(self, dataset: Any, name: str, count: int, stream: str, shape: torch.Size | None) -> None:
        self.dataset, self.name, self.count, self.stream, self.shape = dataset, name, count, stream, shape

    def __len__(self) -> int:
        return self.count

    @functools.cached_property
    def _handles(self) -> tuple[Handle, ...]:
        return (*GLOBAL, *generators_in(self.dataset))  # made in the process that reads: they cannot be pickled

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Batch | str:
        inputs, labels, shape = [], [], self.shape
        with borrowed(self._handles) as seed:
            for index in indices:
                seed(self.name, self.stream, index)
                found = self._item(index)
                if isinstance(found, str):
                    return f"{self.name}: item {index} of {self.count} {found}"
                shape = found[0].shape if shape is None else shape
                if found[0].shape != shape:
                    which = f"{self.name}: item {index} of {self.count} is {list(found[0].shape)}"
                    return f"{which}, others are {list(shape)}; {ALIKE}"
                inputs.append(found[0])
                labels.append(found[1])
        return torch.stack(inputs), torch.tensor(labels)

    def _item(self, index: int) -> tuple[Tensor, int] | str:
        try:
            item = self.dataset[index]
        except Exception as error:  # whatever the user's code does
            return f"cannot be read: {one_line(error)}"
        if not isinstance(item, tuple | list) or len(item) != 2:
            what = f"{len(item)} values" if isinstance(item, tuple | list) else kind_of(item)
            return f"is {what}; a pair of a tensor and a label was expected"
        inputs, label = item
        if isinstance(inputs, np.ndarray):
            inputs = torch.from_numpy(inputs)
        if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
            kind = inputs.dtype if isinstance(inputs, Tensor) else kind_of(inputs)
            return f"begins with {kind}; a floating-point tensor was expected, normalised (ToTensor makes one)"
        number = torch.as_tensor(label) if isinstance(label, int | np.integer | np.ndarray) else label
        if not isinstance(number, Tensor) or number.dim() or number.dtype not in WHOLE:
            what = f"{label!r:.40}" if isinstance(label, int | float | str) else kind_of(label)
            shape = f" of shape {list(label.shape)}" if isinstance(label, Tensor | np.ndarray) else ""
            return (
                f"has the label {what}{shape}; a whole number from 0 was expected (of one-hot labels the argmax)"
            )
        return inputs.detach(), int(number)


def _length(dataset: Any, name: str) -> int:
    try:
        count = len(dataset)
    except Exception as error:
        raise UsageError(f"{name}: a Dataset that knows its length was expected: {one_line(error)}") from None
    if not count:
        raise UsageError(f"{name} is empty")
    return count


def _lists(places: Sequence[tuple[int, int]]) -> list[list[int]]:
    return [list(range(first, last)) for first, last in places]


def _same(batch: Any) -> Any:
    return batch


def kind_of(thing: object) -> str:
    module = type(thing).__module__.partition(".")[0]
    return type(thing).__name__ if module == "builtins" else f"{module}'s {type(thing).__name__}"
