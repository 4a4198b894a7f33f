"""Gather, crop, flip and normalize batches of images on the device, by indexing whole batches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.data.images import Split

PAD = 4
SIDE = 32


def seed_of(*words: object) -> int:
    """Derive a 56-bit seed from words. Random numbers follow from names, so a resume needs no saved state."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, words)).encode()).digest()[:7], "big")


def random_labels(name: str, count: int, classes: int = 10) -> Tensor:
    """Draw labels uniform over the classes, int64 [count], from ``name`` alone (memorization, Fig. 5)."""
    random = torch.Generator().manual_seed(seed_of("labels", name))
    return torch.randint(0, classes, (count,), generator=random)


@dataclass
class EpochOrder:
    """The order, crop offsets and flips of an epoch's N images, int64 [N] each."""

    order: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor

    @classmethod
    def draw(cls, stream: str, epoch: int, count: int, augment: bool) -> EpochOrder:
        """Draw on the CPU from the Run's ``stream`` and the epoch alone, so that any device and resume agree."""
        random = torch.Generator().manual_seed(seed_of("epoch", epoch, stream))
        order = torch.randperm(count, generator=random)
        if not augment:
            middle = torch.full((count,), PAD)
            return cls(order, middle, middle.clone(), torch.zeros(count, dtype=torch.long))
        crops = torch.randint(0, 2 * PAD + 1, (2, count), generator=random)
        flip = torch.randint(0, 2, (count,), generator=random)
        return cls(order, crops[0].contiguous(), crops[1].contiguous(), flip)

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the four, in a fixed order."""
        return self.order, self.top, self.left, self.flip


class DeviceImages:
    """One split on the device: images uint8 [N, 40, 40, 3], black around each, and labels int64 [N]."""

    def __init__(
        self,
        split: Split,
        statistics: tuple[tuple[float, ...], tuple[float, ...]],
        device: torch.device,
        labels: Tensor | None = None,
    ) -> None:
        """``labels`` replaces the split's own (memorization). ``statistics`` are mean and std per channel."""
        images = torch.from_numpy(split.images)
        self.images = torch.nn.functional.pad(images, (0, 0, PAD, PAD, PAD, PAD)).to(device)
        own = torch.from_numpy(split.labels).long()
        self.labels = (own if labels is None else labels).to(device)
        self.mean = torch.tensor(statistics[0], dtype=torch.float32, device=device)
        self.scale = 1 / torch.tensor(statistics[1], dtype=torch.float32, device=device)
        self.side = torch.arange(SIDE, device=device)

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, index: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
        """Crop the images ``index`` [B] at (``top``, ``left``) in 0..8, and mirror them where ``flip`` is 1.

        Returns float32 [B, 3, 32, 32], channels_last, normalized per channel.
        """
        rows = top[:, None] + self.side
        mirrored = torch.where(flip[:, None] == 1, self.side.flip(0), self.side)
        columns = left[:, None] + mirrored
        pixels = self.images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        return ((pixels.float() - self.mean) * self.scale).permute(0, 3, 1, 2)

    def plain(self, start: int, stop: int) -> Tensor:
        """Return images ``start`` to ``stop`` without augmentation, in the form of `gather`."""
        inner = self.images[start:stop, PAD : PAD + SIDE, PAD : PAD + SIDE]
        return ((inner.float() - self.mean) * self.scale).permute(0, 3, 1, 2)
