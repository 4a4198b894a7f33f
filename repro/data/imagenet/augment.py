"""Draw the random crops of training images, and normalize batches on the device.

Random numbers follow from names (stream, epoch, batch), not from a generator's state, a worker or a device. So a
batch is the same on any number of GPUs, and after a resume in the middle of an epoch.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.data.batches import seed_of

# ImageNet's usual mean and standard deviation per channel, in levels of 0 to 255.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)

# The crops of Inception's training, as torchvision's RandomResizedCrop draws them by default.
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
TRIES = 10

Floats = npt.NDArray[np.float64]


def draw_crops(stream: str, epoch: int, batch: int, count: int) -> Floats:
    """Draw the numbers for ``count`` images of batch number ``batch`` of an epoch, from these names alone.

    Returns numbers in 0..1, float64 [count, 2 * `TRIES` + 3]: areas and ratios to try, position within the free
    room (down, right), flip. The numbers of an image do not depend on how many images follow.
    """
    random = np.random.Generator(np.random.PCG64(seed_of("photos", epoch, batch, stream)))
    return random.random((count, 2 * TRIES + 3))


def flips(crops: Floats) -> npt.NDArray[np.bool_]:
    """Tell which images to mirror, [n], by `draw_crops`."""
    return crops[:, -1] < 0.5


def crop_box(crop: Floats, width: int, height: int) -> tuple[int, int, int, int]:
    """Compute the crop of an image of ``width`` x ``height`` pixels by its row of `draw_crops`.

    Returns top, left, height and width, as torchvision's ``RandomResizedCrop.get_params``: the first try that
    fits; if none of ten fits, the largest centred crop with an allowed ratio.
    """
    *tries, down, right, _ = crop.tolist()
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for area, ratio in zip(tries[:TRIES], tries[TRIES:], strict=True):
        pixels = (AREA[0] + (AREA[1] - AREA[0]) * area) * width * height
        ratio = math.exp(low + (high - low) * ratio)
        w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
    ratio = min(max(width / height, RATIO[0]), RATIO[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (height - h) // 2, (width - w) // 2, h, w


def normalize(images: Tensor, flip: Tensor | None) -> Tensor:
    """Convert ``images`` uint8 [n, 3, c, c] to the network's input, float32 of that shape, channels_last.

    Images are mirrored where ``flip``, bool [n], is true, and normalized by `MEAN` and `STD`: on their device, in
    operations on the whole batch.
    """
    n, channels, height, width = images.shape
    rows = _rows(images)
    if flip is not None:
        both = torch.stack((rows, _rows(images.flip(3))), 1).flatten(0, 1)
        rows = both.index_select(0, 2 * torch.arange(n, device=images.device) + flip)
    mean, scale = _statistics(width, images.device)
    return rows.float().sub_(mean).mul_(scale).view(n, height, width, channels).permute(0, 3, 1, 2)


@functools.cache
def _statistics(width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and 1 / standard deviation for a row of pixels, float32 [width x 3] each."""
    mean, std = torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)
    return mean.repeat(width), (1 / std).repeat(width)


def _rows(images: Tensor) -> Tensor:
    """View as [n, height, width x 3]: an innermost dimension of three channels would be slow."""
    n, channels, height, width = images.shape
    return images.permute(0, 2, 3, 1).reshape(n, height, width * channels)
