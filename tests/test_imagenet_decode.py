"""Decoding equals Pillow's on every kind of file, finds what is broken, and evaluation equals torchvision's."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import torch
from photographs import encode, picture, pixels, real_photographs
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize
from torchvision.transforms.functional import resized_crop

from repro.data.imagenet.decode import decode, evaluation, training
from repro.data.imagenet.layout import BadImage

SUBSAMPLED = ("4:4:4", "4:2:2", "4:2:0", "4:1:1")
ENCODED = {"plain": {}, "restart": {"restart_marker_blocks": 3}, "optimized": {"optimize": True}}
JPEGS = {
    f"{mode} {subsampling} {how}": encode(picture(67, 61, mode=mode), subsampling=subsampling, **options)
    for mode in ("RGB", "L")
    for subsampling in SUBSAMPLED
    for how, options in ENCODED.items()
}


def oriented() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    return encode(picture(40, 30), exif=exif)


def ycck() -> bytes:
    content = bytearray(encode(picture(40, 30, mode="CMYK"), quality=95))
    content[content.find(b"Adobe") + 11] = 2  # its transform: none before
    return bytes(content)


def with_thumbnail(content: bytes) -> bytes:
    """A JPEG that carries another, whole one in its header."""
    inner = encode(picture(16, 16))
    return content[:2] + b"\xff\xe5" + (len(inner) + 2).to_bytes(2, "big") + inner + content[2:]


OTHERS = {
    "progressive": encode(picture(67, 61), progressive=True),
    "stored as RGB": encode(picture(67, 61), keep_rgb=True),
    "CMYK": encode(picture(40, 30, mode="CMYK")),
    "YCCK": ycck(),
    "turned by EXIF": oriented(),
    "thumbnail": with_thumbnail(encode(picture(40, 30))),
    "one row": encode(picture(50, 1)),
    "one column": encode(picture(1, 50)),
    "PNG": encode(picture(40, 30), "PNG"),
    "grey PNG": encode(picture(40, 30, mode="L"), "PNG"),
    "PNG with alpha": encode(picture(40, 30, mode="RGBA"), "PNG"),
    "PNG with a palette": encode(picture(40, 30).quantize(16), "PNG"),
    "GIF": encode(picture(40, 30).quantize(16), "GIF"),
    "BMP": encode(picture(40, 30), "BMP"),
}


def as_array(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy().astype(np.int64)


@pytest.mark.parametrize("kind", [*JPEGS, *OTHERS])
def test_pixels_are_those_of_pillow_converted_to_rgb(kind: str) -> None:
    content = (JPEGS | OTHERS)[kind]
    image = decode(content)
    assert image.dtype == torch.uint8
    assert np.array_equal(as_array(image), pixels(content))


# What is broken


@pytest.mark.parametrize("kind", ["RGB 4:2:0 plain", "RGB 4:2:0 restart", "L 4:4:4 plain"])
def test_a_jpeg_cut_off_anywhere_is_found(kind: str) -> None:
    content = JPEGS[kind]
    for kept in [*range(0, len(content) - 2, 97), len(content) - 2, len(content) - 1]:
        with pytest.raises(BadImage):
            decode(content[:kept])


def test_a_thumbnail_s_end_is_not_taken_for_the_image_s() -> None:
    content = OTHERS["thumbnail"]
    for kept in (len(content) // 2 + 800, len(content) - 2):
        assert content[:kept].count(b"\xff\xd9") == 1
        with pytest.raises(BadImage, match="its end is missing"):
            decode(content[:kept])


def test_bytes_after_the_end_are_no_fault() -> None:
    content = JPEGS["RGB 4:2:0 plain"]
    assert np.array_equal(as_array(decode(content + bytes(1000))), pixels(content))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not an image"),
        (b"<html>404</html>" * 10, "not an image"),
        (OTHERS["PNG"][:900], "cannot be decoded"),
        (b"\xff\xd8\xff" + bytes(100), "."),
        (JPEGS["RGB 4:2:0 plain"][:300] + bytes(4000), "its end is missing|cannot be decoded"),
    ],
)
def test_no_image_is_named_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(BadImage, match=why):
        decode(content)


def test_a_damaged_size_does_not_take_all_memory() -> None:
    content = bytearray(JPEGS["RGB 4:2:0 plain"])
    at = content.find(b"\xff\xc0") + 5  # the height in the frame header
    content[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(BadImage, match="cannot be decoded"):
        decode(bytes(content))


def test_damaged_bytes_never_raise_anything_else() -> None:
    chance = random.Random(0)
    original = JPEGS["RGB 4:2:0 restart"]
    for _ in range(300):
        content = bytearray(original)
        for _ in range(3):
            content[chance.randrange(2, len(content))] = chance.randrange(256)
        try:
            image = decode(bytes(content))
        except BadImage:
            continue
        assert image.shape[0] == 3


# Geometry


def torchvision_evaluation(content: bytes, resize: int, crop: int) -> np.ndarray:
    preprocess = Compose([Resize(resize), CenterCrop(crop)])
    return np.asarray(preprocess(Image.open(io.BytesIO(content)).convert("RGB"))).astype(np.int64)


SIZES = [(500, 375), (375, 500), (256, 256), (257, 300), (301, 400), (130, 77), (40, 30), (256, 341), (900, 200)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (64, 64), (70, 57), (48, 64)])
def test_evaluation_is_torchvision_s_to_one_level(size: tuple[int, int], resize: int, crop: int) -> None:
    content = encode(picture(*size), "BMP")
    found = evaluation(decode(content), resize, crop)
    assert found.shape == (3, crop, crop)
    difference = np.abs(as_array(found) - torchvision_evaluation(content, resize, crop))
    assert difference.max() <= 1
    assert difference.mean() < 0.1


def test_training_crops_are_torchvision_s_to_one_level() -> None:
    image = picture(500, 375)
    decoded = decode(encode(image, "BMP"))
    for box in [(0, 0, 375, 500), (13, 57, 301, 226), (200, 400, 100, 99), (5, 5, 224, 224), (371, 496, 4, 4)]:
        right = np.asarray(resized_crop(image, *box, [224, 224], InterpolationMode.BILINEAR)).astype(np.int64)
        assert np.abs(as_array(training(decoded, box, 224)) - right).max() <= 1


def test_real_photographs() -> None:
    """Of ImageNet, some of them grey: the same pixels as Pillow, and the evaluation within one level."""
    largest, means, modes = 0, [], set()
    for path in real_photographs():
        content = path.read_bytes()
        image = decode(content)
        assert np.array_equal(as_array(image), pixels(content)), path.name
        difference = np.abs(as_array(evaluation(image, 256, 224)) - torchvision_evaluation(content, 256, 224))
        largest, means = max(largest, difference.max()), [*means, difference.mean()]
        modes.add(Image.open(path).mode)
    assert {"L", "RGB"} <= modes
    assert largest <= 1
    assert np.mean(means) < 0.01
