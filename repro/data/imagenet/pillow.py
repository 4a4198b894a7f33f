"""Judge, decode and resize images with Pillow, which knows many formats and reports damage that libjpeg hides."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from repro.data.imagenet.layout import BadImage

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
JPEG = b"\xff\xd8\xff"  # what the file starts with
# The mean error against the resized pixels, on 200 images of ImageNet, is 2.7 of 255 levels at side 256 and 1.8 at
# 512. Quality 95 in 4:4:4: 1.5 and 1.1 levels, 51 and 157 kB an image, 1.5 times slower to decode.
QUALITY = 90
SUBSAMPLING = 2  # Pillow's name for 4:2:0


def check_end(content: bytes) -> None:
    """Raise `BadImage` for a JPEG without an end marker after the last scan. A decoder may fill what is missing
    with grey.

    Coded pixels never contain a marker, but a thumbnail ahead of them has an end of its own.
    """
    end = content.rfind(b"\xff\xd9")
    if content.startswith(JPEG) and (end < 0 or content.find(b"\xff\xda", end) >= 0):
        raise BadImage("its end is missing")


@contextlib.contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """Decode an image to its end. Raises `BadImage` if it is truncated or not an image."""
    check_end(content)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
            yield image
    except UnidentifiedImageError:
        raise BadImage("not an image") from None
    except Exception as error:  # decoders raise many types on damaged files
        raise BadImage(f"cannot be decoded ({str(error) or type(error).__name__})") from None


def look(content: bytes) -> tuple[int, int, int]:
    """Return width, height and kind (an index into `index.KINDS`) of an image. Raises `BadImage`."""
    with opened(content) as image:
        if image.format in ("JPEG", "MPO"):
            return *image.size, {"RGB": 0, "L": 1, "CMYK": 2}[image.mode]
        return *image.size, 3 if image.format == "PNG" else 4


def shrink(content: bytes, side: int) -> bytes:
    """Encode the image as a JPEG with a shorter side of ``side`` at most, resized as torchvision's Resize does.

    Raises `BadImage`.
    """
    with opened(content) as image:
        small = image if image.mode == "L" else image.convert("RGB")
        if min(small.size) > side:
            small = small.resize(smaller(*small.size, side), Image.Resampling.BILINEAR)
        small.info.clear()  # otherwise comments and the like would be written again
        encoded = io.BytesIO()
        small.save(encoded, "JPEG", quality=QUALITY, subsampling=SUBSAMPLING)
    return encoded.getvalue()


def smaller(width: int, height: int, side: int) -> tuple[int, int]:
    """Return width and height with the shorter one at ``side``, rounded as torchvision's Resize does."""
    return (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
