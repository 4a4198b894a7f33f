"""What is random about a training image, and the last steps to a network's input, on the device.

Random numbers follow from names (stream, epoch, batch), never from a generator's state, a worker or a device: so a
batch is the same on any number of GPUs, and after a resume in the middle of an epoch.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.data.batches import seed_of

# ImageNet's usual statistics per channel, in levels of 0 to 255.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)

# The crops of Inception's training, as torchvision's RandomResizedCrop draws them by default.
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
TRIES = 10

Floats = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]  # top, left, height, width


@dataclass(frozen=True)
class Draws:
    """Everything random about n images: shares of the area and logarithms of the ratio width / height, both
    [n, TRIES]; where in the room that there is the crop lies, [n, 2] in 0..1 (down, right); and ``flip`` bool [n].
    """

    area: Floats
    log_ratio: Floats
    place: Floats
    flip: npt.NDArray[np.bool_]

    def part(self, start: int, stop: int) -> Draws:
        """Those of the images ``start`` to ``stop``."""
        cut = slice(start, stop)
        return Draws(self.area[cut], self.log_ratio[cut], self.place[cut], self.flip[cut])


def draw_crops(stream: str, epoch: int, batch: int, count: int) -> Draws:
    """For the ``count`` images of batch number ``batch`` of an epoch, from these names alone. What an image gets
    does not depend on how many come after it."""
    random = np.random.Generator(np.random.PCG64(seed_of("photos", epoch, batch, stream)))
    numbers = random.random((count, 2 * TRIES + 3))
    area, log_ratio, place, flip = np.split(numbers, [TRIES, 2 * TRIES, 2 * TRIES + 2], axis=1)
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    return Draws(
        area=AREA[0] + (AREA[1] - AREA[0]) * area,
        log_ratio=low + (high - low) * log_ratio,
        place=place,
        flip=flip[:, 0] < 0.5,
    )


def crop_box(draws: Draws, i: int, width: int, height: int) -> Box:
    """The crop of image ``i``, ``width`` x ``height`` pixels: (top, left, height, width), inside the image.

    torchvision's ``RandomResizedCrop.get_params``: the first try that fits; after ten that do not, the largest
    centred crop whose ratio is allowed.
    """
    for area, log_ratio in zip(draws.area[i].tolist(), draws.log_ratio[i].tolist(), strict=True):
        pixels, ratio = area * width * height, math.exp(log_ratio)
        w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            down, right = draws.place[i].tolist()
            return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
    ratio = min(max(width / height, RATIO[0]), RATIO[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (height - h) // 2, (width - w) // 2, h, w


def to_input(images: Tensor, flip: Tensor | None) -> Tensor:
    """``images`` uint8 [n, 3, c, c] as float32 [n, 3, c, c], channels_last, normalised by `MEAN` and `STD`, and
    mirrored where ``flip``, bool [n], is true. On the device of ``images``, in operations on the whole batch."""
    n, channels, height, width = images.shape
    rows = _rows(images)
    if flip is not None:
        both = torch.stack((rows, _rows(images.flip(3))), 1).flatten(0, 1)
        rows = both.index_select(0, 2 * torch.arange(n, device=images.device) + flip)
    mean, scale = _statistics(width, images.device)
    return rows.float().sub_(mean).mul_(scale).view(n, height, width, channels).permute(0, 3, 1, 2)


@functools.cache
def _statistics(width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and 1 / standard deviation of a row of pixels, float32 [width x 3] each."""
    mean, std = torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)
    return mean.repeat(width), (1 / std).repeat(width)


def _rows(images: Tensor) -> Tensor:
    """[n, height, width x 3]: with three channels as the innermost dimension operations would go by threes."""
    n, channels, height, width = images.shape
    return images.permute(0, 2, 3, 1).reshape(n, height, width * channels)
