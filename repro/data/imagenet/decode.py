"""Decode and resize images: from a file's bytes to the pixels of a training crop or of evaluation's centre crop.

torchvision.io decodes JPEGs, with libjpeg-turbo's accurate DCT and smooth chroma upsampling, as Pillow does.
Pillow decodes everything else. The pixels are therefore those of ``Image.open(...).convert("RGB")``. EXIF
orientation is ignored, as torchvision's ImageFolder ignores it.
"""

from __future__ import annotations

import contextlib
import re
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.functional import center_crop

from repro.data.imagenet.pillow import JPEG, check_end, opened, smaller

# A damaged header can claim 65,535 x 65,535 pixels, 13 GB. Above this limit Pillow decides, and refuses twice as
# many. ImageNet's largest images have some 60 million pixels.
MOST_PIXELS = 89_478_485
# The start of a frame: marker, length, bits, height and width, components. (A thumbnail's comes first.)
FRAME = re.compile(rb"\xff[\xc0-\xcf]\x00[\x0b\x11\x14]\x08(....)[\x01\x03\x04]", re.DOTALL)


def decode(content: bytes) -> Tensor:
    """Return the image as RGB, uint8 [3, height, width], channels_last in memory.

    Raises `BadImage` if the file is truncated or not an image.
    """
    if content.startswith(JPEG):
        check_end(content)
        frame = FRAME.search(content)
        height, width = struct.unpack(">HH", frame[1]) if frame else (0, 0)
        if height * width <= MOST_PIXELS:
            # On an error Pillow tries, and gives the better reason.
            with contextlib.suppress(RuntimeError, ValueError):
                encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
                image: Tensor = decode_jpeg(encoded, mode=ImageReadMode.RGB)
                return image
    with opened(content) as opened_image:
        return torch.from_numpy(np.array(opened_image.convert("RGB"))).permute(2, 0, 1)


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """Resize ``image`` uint8 [3, H, W] to uint8 [3, height, width]: bilinear with antialiasing.

    The result differs from Pillow's by one level at most.
    """
    if image.shape[1:] == (height, width):
        return image
    # The batch dimension must be outermost in memory: otherwise channels_last is not recognised, and lost.
    batch = image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)
    return F.interpolate(batch, (height, width), mode="bilinear", antialias=True)[0]


def training(image: Tensor, box: tuple[int, int, int, int], crop: int) -> Tensor:
    """Resize the ``box`` (top, left, height, width) of ``image`` uint8 [3, H, W] to [3, crop, crop]."""
    top, left, height, width = box
    return resized(image[:, top : top + height, left : left + width], crop, crop)


def evaluation(image: Tensor, resize: int, crop: int) -> Tensor:
    """Resize ``image`` uint8 [3, H, W] to a shorter side of ``resize``, and cut out the centre, [3, crop, crop].

    The geometry is that of torchvision's ``Resize(resize)`` and ``CenterCrop(crop)``, which pads with black if
    ``crop`` is larger. The result differs from theirs on a PIL image by one level at most.
    """
    width, height = smaller(image.shape[2], image.shape[1], resize)
    centre: Tensor = center_crop(resized(image, height, width), [crop, crop])
    return centre
