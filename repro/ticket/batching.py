"""Cut examples into batches, augment and check them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from repro.data.batches import PAD, EpochOrder
from repro.errors import UsageError

Batch = tuple[Tensor, Tensor]
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)  # types of labels


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

    def drawn(self, order: EpochOrder, augment: bool, size: int, stream: str) -> Iterator[Batch]:
        """Yield every example once, in the order of an epoch; with ``augment`` cropped and flipped as it says.

        Random numbers of the set's own follow from ``stream``.
        """
        raise NotImplementedError

    def plain(self, size: int) -> Iterator[Batch]:
        """Yield every example once, unchanged, in the order of the data."""
        raise NotImplementedError


def chunks(count: int, size: int) -> list[tuple[int, int]]:
    """Return the bounds of batches of ``size`` and of a smaller last one. A single remaining example joins the
    batch before it, since BatchNorm cannot normalise one example."""
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1:
        del starts[-1]
    return list(zip(starts, [*starts[1:], count], strict=True))


def crop(images: Tensor, order: EpochOrder, first: int, last: int) -> Tensor:
    """Pad images [B, C, H, W] by 4 zeros, crop and flip them as ``first`` to ``last`` of ``order``."""
    height, width = images.shape[2:]
    top, left, flip = (part[first:last].to(images.device) for part in order.tensors()[1:])
    side = torch.arange(width, device=images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None] == 1, side.flip(0), side)
    padded = F.pad(images, (PAD, PAD, PAD, PAD)).permute(0, 2, 3, 1)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def check_finite(inputs: Tensor, name: str, first: int = 0) -> None:
    """Raise `UsageError` for an input that is not finite; ``first`` is the index of the first input."""
    if bool(torch.isfinite(inputs).all()):
        return
    item = first + int(torch.nonzero(~torch.isfinite(inputs).reshape(len(inputs), -1).all(1))[0])
    raise UsageError(f"{name}: item {item} holds a value that is infinite or no number (NaN)")


def digest_of(*tensors: Tensor) -> str:
    """Return a hash of types, shapes and contents."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
