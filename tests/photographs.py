"""Encoded images of every kind, a split that lies in memory, and where real photographs are."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from repro.data.imagenet.layout import BadImage

SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-sample"


def picture(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """Coloured blobs with noise on them."""
    random = np.random.default_rng(seed)
    channels = len(Image.new(mode, (1, 1)).getbands())
    coarse = random.integers(0, 256, (height // 12 + 2, width // 12 + 2, channels), dtype=np.uint8).squeeze()
    smooth = np.asarray(Image.fromarray(coarse, mode).resize((width, height), Image.Resampling.BICUBIC)).astype(
        int
    )
    noisy = smooth + random.integers(-20, 21, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8), mode)


def photograph(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Smooth in the large with a little noise in brightness, as photographs are."""
    coarse = random.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(smooth + random.normal(0, 4, (height, width, 1)), 0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The file's bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes) -> npt.NDArray[np.int64]:
    """What ImageFolder's loader sees, int64 [height, width, 3]."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(np.int64)


class Memory:
    """A split of ``contents``; what is None cannot be read. ``on_read`` is called in the reading thread."""

    def __init__(self, contents: Sequence[bytes | None], on_read: Callable[[int], None] = lambda _: None) -> None:
        self.contents, self.on_read = contents, on_read
        self.names = [f"train/n{i:08d}.JPEG" for i in range(len(contents))]
        self.labels = np.arange(len(contents), dtype=np.int64) * 7 % 5

    def __len__(self) -> int:
        return len(self.contents)

    def read(self, index: int) -> bytes:
        self.on_read(index)
        content = self.contents[index]
        if content is None:
            raise BadImage("cannot be read (Input/output error)")
        return content


def real_photographs() -> list[Path]:
    """200 images of ImageNet in $REPRO_PHOTOS, or beside the checkout; the test is skipped where they are not."""
    folder = Path(os.environ.get("REPRO_PHOTOS", SAMPLE))
    found = sorted(folder.glob("*.JPEG"))
    if not found:
        pytest.skip("no photographs in $REPRO_PHOTOS")
    return found
