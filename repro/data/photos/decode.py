"""From a file's bytes to pixels: decoding, resizing, and the geometry of evaluation.

JPEGs are decoded by torchvision.io, that is by libjpeg-turbo with its accurate DCT and its smooth upsampling of
chroma, as Pillow does it; everything else by Pillow. So the pixels are those of
``Image.open(...).convert("RGB")``. EXIF's orientation is ignored, as torchvision's ImageFolder ignores it.

Where simplejpeg is installed, rows below a crop are not decoded: it is the same libjpeg-turbo, but a quiet one,
while torchvision's writes a line to stderr for every image that goes on after its last row.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.functional import center_crop

from repro.data.photos import jpeg

# A damaged header can claim 65,535 x 65,535 pixels, 13 GB. From here on it is for Pillow to decide, which refuses
# what has more than twice as many. ImageNet's largest images have some 60 million.
MOST_PIXELS = 89_478_485


class BadImage(Exception):
    """An image that cannot be had: ``name`` says which, ``why`` what is wrong with it."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name, self.why = name, why


def decode(content: bytes, name: str, rows: int | None = None) -> Tensor:
    """The image as uint8 [3, height, width], RGB; in memory the channels of a pixel lie together.

    Where only the first ``rows`` rows are asked for, those below may hold anything. Raises `BadImage`, with
    ``name``, for what is cut off, empty, or no image.
    """
    told = frame_of(content, name)
    if told and told.width * told.height <= MOST_PIXELS:
        try:
            if rows is not None and told.one_pass and told.components in (1, 3) and simplejpeg():
                return _upper(content, told, rows)
            image: Tensor = decode_jpeg(encoded(content), mode=ImageReadMode.RGB)
            return image
        except (RuntimeError, ValueError):
            pass  # Pillow decides, and says better what is wrong
    return _with_pillow(content, name)


def frame_of(content: bytes, name: str) -> jpeg.Frame | None:
    """What a JPEG says about itself, None for what is none. Raises `BadImage` for one whose end is missing: a
    decoder may fill the rest with grey."""
    told = jpeg.frame(content)
    if told and not told.whole:
        raise BadImage(name, "its end is missing")
    return told


def encoded(content: bytes) -> Tensor:
    """``content`` as torchvision.io takes it: uint8 [bytes]."""
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


@functools.cache
def simplejpeg() -> Any:
    """The package of that name, None where it is not installed."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("simplejpeg")
    return None


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """``image`` uint8 [3, H, W] as uint8 [3, height, width]: bilinear with antialiasing.

    At most one level away from Pillow's, which rounds between its two passes, as this does on a CPU.
    """
    if image.shape[1:] == (height, width):
        return image
    # With the batch dimension on the outside of memory, or the channels' order is not recognised and lost.
    batch = image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)
    if image.device.type == "cpu":
        return F.interpolate(batch, (height, width), mode="bilinear", antialias=True)[0]
    return _through_floats(batch, height, width)[0]


def _through_floats(batch: Tensor, height: int, width: int) -> Tensor:
    """What CUDA has for `resized`; [n, 3, H, W]."""
    resized = F.interpolate(batch.float(), (height, width), mode="bilinear", antialias=True)
    return resized.round_().to(torch.uint8)


def training(image: Tensor, box: tuple[int, int, int, int], crop: int) -> Tensor:
    """The ``box`` (top, left, height, width) of ``image`` uint8 [3, H, W], resized to uint8 [3, crop, crop]."""
    top, left, height, width = box
    return resized(image[:, top : top + height, left : left + width], crop, crop)


def evaluation(image: Tensor, resize: int, crop: int) -> Tensor:
    """The centre, uint8 [3, crop, crop], of ``image`` uint8 [3, H, W] with its shorter side made ``resize``.

    The geometry of torchvision's ``Resize(resize)`` and ``CenterCrop(crop)``, with black around where ``crop`` is
    the larger one. At most one level away from what they make of a PIL image.
    """
    height, width = _shorter(image.shape[1], image.shape[2], resize)
    centre: Tensor = center_crop(resized(image, height, width), [crop, crop])
    return centre


def evaluation_rows(height: int, width: int, resize: int, crop: int) -> int:
    """How many rows of an image of that size `evaluation` looks at."""
    scale = height / _shorter(height, width, resize)[0]
    last = (height / scale + crop) / 2 + 1  # in the resized image, where rounding may have moved it down by one
    return min(height, math.ceil((last + 1) * scale) + 2)  # the filter reaches further: a resized row, or a row


def _shorter(height: int, width: int, resize: int) -> tuple[int, int]:
    long = int(resize * max(height, width) / min(height, width))
    return (resize, long) if height <= width else (long, resize)


def _upper(content: bytes, told: jpeg.Frame, rows: int) -> Tensor:
    pixels = np.empty((told.height, told.width, 3), np.uint8)
    simplejpeg().decode_jpeg(jpeg.upper(content, told, rows), "RGB", strict=False, buffer=pixels)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _with_pillow(content: bytes, name: str) -> Tensor:
    if not content:
        raise BadImage(name, "is empty")
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.array(image.convert("RGB"))
    except UnidentifiedImageError:
        raise BadImage(name, "not an image") from None
    except Exception as error:  # decoders raise all sorts of things on files that are damaged
        raise BadImage(name, f"cannot be decoded ({str(error) or type(error).__name__})") from None
    return torch.from_numpy(pixels).permute(2, 0, 1)
