"""Generate eight classes of small photographs from a seed, in ImageNet's layout, with some odd files.

Each class is a pattern of colours; an image shows it shifted, mixed with another class's, noisy, in any size and
shape. The random numbers are integers and the arithmetic is plain; only the JPEG encoder is a library's.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from repro import files
from repro.data.imagenet import index
from repro.data.imagenet.index import SYNTHETIC, Prepared
from repro.data.imagenet.preparation import gone, prepare, resize_tree
from repro.errors import MissingInput

CLASSES, TRAIN_EACH, VAL_EACH = 8, 24, 8
CANVAS, CELLS = 160, 4
# One of each oddity of ImageNet, by number among the training images; every 17th image is grayscale.
ODD = {5: "png", 30: "cmyk", 55: "rotated"}
GRAY_EVERY = 17


def ensure_generated(scratch: Path, stored: int = 0) -> Prepared:
    """Return the prepared tree under ``scratch``, resized if ``stored``; generate it (a second) if it is absent.

    Several processes may call this at the same time. Raises `MissingInput` if nothing can be written.
    """
    place = scratch / (f"{SYNTHETIC}-{stored}" if stored else SYNTHETIC)
    original = ensure_generated(scratch) if stored else None
    with files.locked(scratch / f".{SYNTHETIC}.lock", f"{place} is being written by another process", seconds=60):
        found = index.read(place / index.FOLDER)
        with contextlib.suppress(MissingInput):  # a damaged index
            if found and found.fingerprint == SYNTHETIC and not gone(found):
                return found
        try:
            shutil.rmtree(place, ignore_errors=True)  # damaged, if it is there at all
            if original:
                return resize_tree(original, stored, place, fingerprint=SYNTHETIC)
            generate(place)
            return prepare(place, fingerprint=SYNTHETIC)
        except OSError as error:
            raise files.unusable(place, error) from None


def generate(root: Path, seed: int = 1) -> None:
    """Write train/ (24 images a class) and val/ (8 a class) under ``root``. Raises `OSError`."""
    random = np.random.Generator(np.random.PCG64(seed))
    patterns = random.integers(0, 256, size=(CLASSES, CELLS, CELLS, 3))
    patterns = (patterns + random.integers(0, 256, size=(CLASSES, 1, 1, 3))) // 2  # each class has a tint
    for split, each in (("train", TRAIN_EACH), ("val", VAL_EACH)):
        for number in range(CLASSES * each):
            label = number % CLASSES
            wnid = f"n{90_000_001 + label}"
            file = f"{wnid}_{number}.JPEG" if split == "train" else f"ILSVRC2012_val_{number + 1:08}.JPEG"
            path = root / split / wnid / file
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = "gray" if number % GRAY_EVERY == 0 else "plain"
            _save(_draw(random, patterns, label), path, ODD.get(number, kind) if split == "train" else kind)


def _draw(random: np.random.Generator, patterns: npt.NDArray[np.int64], label: int) -> Image.Image:
    other = (label + int(random.integers(1, CLASSES))) % CLASSES
    strength = int(random.integers(55, 95))  # per cent of the class's own pattern
    shift = tuple(random.integers(0, 2, size=2).tolist())
    mixed = (strength * np.roll(patterns[label], shift, (0, 1)) + (100 - strength) * patterns[other]) // 100
    cell = CANVAS // (2 * CELLS)  # twice in each direction, so that a crop still shows the pattern
    large = np.tile(mixed, (2, 2, 1)).repeat(cell, axis=0).repeat(cell, axis=1)
    noisy = np.clip(large + random.integers(-24, 25, size=large.shape), 0, 255).astype(np.uint8)
    size = (int(random.integers(40, 161)), int(random.integers(40, 161)))
    return Image.fromarray(noisy).resize(size, Image.Resampling.BILINEAR)


def _save(image: Image.Image, path: Path, kind: str) -> None:
    exif = Image.Exif()
    if kind == "rotated":
        exif[0x0112] = 6  # "rotate by 90 degrees", which trainings on ImageNet ignore
    mode = {"cmyk": "CMYK", "gray": "L"}.get(kind, "RGB")
    image.convert(mode).save(path, "PNG" if kind == "png" else "JPEG", quality=90, exif=exif)
