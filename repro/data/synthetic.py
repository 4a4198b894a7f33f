"""Generate ten classes of 32x32 images from a seed in a second: no download, learnable but not trivial.

Each class is a smooth colour pattern; an image shows it shifted, dimmed, over the blurred pattern of
another class, with noise. Integer random numbers and plain arithmetic: the same bytes on any machine.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from repro.data.images import Images, Split, assemble

TRAIN, TEST = 4096, 1024
# The name of the generator and its seed, which determine the images: Run keys need no images.
FINGERPRINT = "synthetic-v1"


@functools.cache  # a process opens them for one wave after another
def generate(seed: int = 1) -> Images:
    """Generate 4,096 training and 1,024 test images, balanced over ten classes."""
    random = np.random.Generator(np.random.PCG64(seed))
    patterns = random.integers(0, 256, size=(10, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    images = assemble(_split(random, patterns, TRAIN), _split(random, patterns, TEST), "synthetic, seed 1")
    return Images(images.train, images.test, FINGERPRINT, images.source)


def _split(random: np.random.Generator, patterns: npt.NDArray[np.int64], count: int) -> Split:
    labels = np.arange(count) % 10
    others = (labels + random.integers(1, 10, size=count)) % 10
    shifts = random.integers(-6, 7, size=(count, 2))
    strength = random.integers(30, 80, size=count)  # per cent of the class's own pattern
    images = np.empty((count, 32, 32, 3), dtype=np.uint8)
    for i in range(count):
        own = np.roll(patterns[labels[i]], tuple(shifts[i]), axis=(0, 1))
        mixed = (strength[i] * own + (100 - strength[i]) * patterns[others[i]]) // 100
        noise = random.integers(-48, 49, size=(32, 32, 3))
        images[i] = np.clip(mixed + noise, 0, 255)
    return Split(images, labels.astype(np.uint8))
