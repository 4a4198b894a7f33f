"""Read a torch Dataset item by item, each under random numbers of its own, and check every item.

A worker returns the message about a bad item instead of raising it, which would show the tracebacks of two
processes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from repro.data.batches import seed_of
from repro.errors import one_line
from repro.ticket.randomness import GLOBAL, Handle, generators_in, restored

Batch = tuple[Tensor, Tensor]
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)  # types of labels


class Items(Dataset[Any]):
    """The user's Dataset by lists of indices: a batch of checked items, or the message about a bad one.

    Item i of an epoch is read under generators seeded from (``stream``, i), in whichever process and order. Their
    states are restored afterwards. All items have the ``shape``, or that of the batch's first.
    """

    def __init__(self, dataset: Any, name: str, count: int, stream: str, shape: torch.Size | None) -> None:
        self.dataset, self.name, self.count, self.stream, self.shape = dataset, name, count, stream, shape

    @functools.cached_property
    def _generators(self) -> tuple[Handle, ...]:
        return (*GLOBAL, *generators_in(self.dataset))  # found in the process that reads: they cannot be pickled

    def __getitem__(self, indices: list[int]) -> Batch | str:
        inputs, labels = list[Tensor](), list[int]()
        with restored(self._generators):
            for index in indices:
                number = seed_of(self.name, self.stream, index)
                for _, _, seed in self._generators:
                    seed(number)
                try:
                    tensor, label = self._item(index)
                    shape = self.shape or (inputs or [tensor])[0].shape
                    if tensor.shape != shape:
                        raise _BadItem(
                            f"is {list(tensor.shape)}, others are {list(shape)}; tensors of one shape were "
                            "expected: a transform crops or resizes them"
                        )
                except _BadItem as wrong:
                    return f"item {index} of {self.count} {wrong}"
                inputs.append(tensor)
                labels.append(label)
        return torch.stack(inputs), torch.tensor(labels)

    def _item(self, index: int) -> tuple[Tensor, int]:
        try:
            item = self.dataset[index]
        except Exception as error:  # whatever the user's code does
            raise _BadItem(f"cannot be read: {one_line(error)}") from None
        if not isinstance(item, tuple | list) or len(item) != 2:
            what = f"{len(item)} values" if isinstance(item, tuple | list) else kind_of(item)
            raise _BadItem(f"is {what}; a pair of a tensor and a label was expected")
        inputs, label = item
        if isinstance(inputs, np.ndarray):
            inputs = torch.from_numpy(inputs)
        if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
            kind = getattr(inputs, "dtype", kind_of(inputs))
            raise _BadItem(
                f"begins with {kind}; a floating-point tensor was expected, normalised (ToTensor makes one)"
            )
        number = torch.as_tensor(label) if isinstance(label, int | np.integer | np.ndarray) else label
        if not isinstance(number, Tensor) or number.dim() or number.dtype not in WHOLE:
            what = f"{label!r:.40}" if isinstance(label, int | float | str) else kind_of(label)
            shape = f" of shape {list(label.shape)}" if isinstance(label, Tensor | np.ndarray) else ""
            raise _BadItem(
                f"has the label {what}{shape}; a whole number from 0 was expected (of one-hot labels the argmax)"
            )
        return inputs.detach(), int(number)


class _BadItem(Exception):
    """What is wrong with an item of the user's Dataset."""


def kind_of(thing: object) -> str:
    """Return what ``thing`` is, for a message: ``PIL's Image``, ``None``, ``the class Sequential``."""
    if thing is None or isinstance(thing, type):
        return "None" if thing is None else f"the class {thing.__name__}"
    module = type(thing).__module__.partition(".")[0]
    return type(thing).__name__ if module == "builtins" else f"{module}'s {type(thing).__name__}"
