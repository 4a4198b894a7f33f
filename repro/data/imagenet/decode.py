"""Decode and resize images: from a file's bytes to the pixels of a training crop or of evaluation's centre crop.

torchvision.io decodes JPEGs, with libjpeg-turbo's accurate DCT and smooth chroma upsampling, as Pillow does.
Pillow decodes everything else. The pixels are therefore those of ``Image.open(...).convert("RGB")``. EXIF
orientation is ignored, as torchvision's ImageFolder ignores it.
"""

from __future__ import annotations

import contextlib
import io
import struct

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.functional import center_crop

# A damaged header can claim 65,535 x 65,535 pixels, 13 GB. Above this limit Pillow decides, and refuses twice as
# many. ImageNet's largest images have some 60 million pixels.
MOST_PIXELS = 89_478_485
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _FILL = 0xDA, 0xFF


class BadImage(Exception):
    """An image that cannot be read or decoded: ``name`` and the reason, ``why``."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name, self.why = name, why


def decode(content: bytes, name: str) -> Tensor:
    """Return the image as RGB, uint8 [3, height, width], channels_last in memory.

    Raises `BadImage`, with ``name``, if the file is truncated, empty or not an image.
    """
    if header := _jpeg_header(content):
        pixels, scan = header
        # If the end marker is missing, a decoder may fill the rest with grey. Coded pixels never contain the
        # marker, but a thumbnail ahead of them may.
        if content.rfind(b"\xff\xd9", scan) < 0:
            raise BadImage(name, "its end is missing")
        if pixels <= MOST_PIXELS:
            # On an error Pillow tries, and gives the better reason.
            with contextlib.suppress(RuntimeError, ValueError):
                encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
                image: Tensor = decode_jpeg(encoded, mode=ImageReadMode.RGB)
                return image
    return _decode_with_pillow(content, name)


def _jpeg_header(content: bytes) -> tuple[int, int] | None:
    """Return the number of pixels and the offset of the first scan; None if not a JPEG or too damaged to parse."""
    if content[:3] != b"\xff\xd8\xff":
        return None
    at, pixels = 2, -1
    while at + 9 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == _START_OF_SCAN:
            return (pixels, at) if pixels >= 0 else None
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", content, at + 5)
            pixels = height * width
        at += 1 if marker == _FILL else 2 + (content[at + 2] << 8 | content[at + 3])
    return None


def _decode_with_pillow(content: bytes, name: str) -> Tensor:
    if not content:
        raise BadImage(name, "is empty")
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.array(image.convert("RGB"))
    except UnidentifiedImageError:
        raise BadImage(name, "not an image") from None
    except Exception as error:  # decoders raise many types on damaged files
        raise BadImage(name, f"cannot be decoded ({str(error) or type(error).__name__})") from None
    return torch.from_numpy(pixels).permute(2, 0, 1)


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
    height, width = image.shape[1:]
    longer = int(resize * max(height, width) / min(height, width))
    size = (resize, longer) if height <= width else (longer, resize)
    centre: Tensor = center_crop(resized(image, *size), [crop, crop])
    return centre
