"""Gather, crop, flip and normalize batches of images on the device, by indexing whole batches."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from repro.data.images import Split

PAD = 4
SIDE = 32


def seed_of(*words: object) -> int:
    """Derive a 56-bit seed from words. Random numbers follow from names, so a resume needs no saved state."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, words)).encode()).digest()[:7], "big")


def random_labels(name: str, count: int) -> Tensor:
    """Draw labels uniform over the ten classes, int64 [count], from ``name`` alone (memorization, Fig. 5)."""
    random = torch.Generator().manual_seed(seed_of("labels", name))
    return torch.randint(0, 10, (count,), generator=random)


def draw_epoch(stream: str, epoch: int, count: int, augment: bool) -> Tensor:
    """Draw the order of an epoch's images, their crop offsets from the top and the left (0 to 8), and their flips.

    Returns int64 [4, count] on the CPU, drawn from the Run's ``stream`` and the epoch alone, so that any device
    and any resume agree. Without ``augment`` a crop is the image itself.
    """
    random = torch.Generator().manual_seed(seed_of("epoch", epoch, stream))
    order = torch.randperm(count, generator=random)[None]
    if not augment:
        return torch.cat([order, torch.tensor([[PAD], [PAD], [0]]).expand(3, count)])
    crops = torch.randint(0, 2 * PAD + 1, (2, count), generator=random)
    return torch.cat([order, crops, torch.randint(0, 2, (1, count), generator=random)])


class DeviceImages:
    """One split on the device: images uint8 [N, 40, 40, 3], black around each, and labels int64 [N]."""

    def __init__(
        self,
        split: Split,
        statistics: tuple[tuple[float, ...], tuple[float, ...]],
        device: torch.device,
    ) -> None:
        """``statistics`` are mean and standard deviation per channel."""
        images = torch.from_numpy(split.images)
        self.images = torch.nn.functional.pad(images, (0, 0, PAD, PAD, PAD, PAD)).to(device)
        self.labels = torch.from_numpy(split.labels).long().to(device)
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
