"""A data set as four numpy arrays in canonical order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from repro.errors import UsageError

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    """Images uint8 [N, 32, 32, 3] (height, width, red-green-blue) and their labels uint8 [N]."""

    images: Bytes
    labels: Bytes

    def first(self, count: int) -> Split:
        """Select ``count`` images, as many of each class as possible, the same for every user.

        Raises `UsageError` if the split has fewer.
        """
        chosen = first_of_each(self.labels, count)
        return Split(self.images[chosen], self.labels[chosen])


def first_of_each(labels: npt.NDArray[np.integer[Any]], count: int) -> npt.NDArray[np.int64]:
    """Select ``count`` examples, as many of each class as possible: their indices, ascending, int64 [count].

    The first of every class, then the second of every class, and so on. Raises `UsageError` if there are fewer.
    """
    total = len(labels)
    if count > total:
        raise UsageError(f"{count} images asked for, the data set has {total}")
    by_class = np.argsort(labels, kind="stable")
    _, sizes = np.unique(labels, return_counts=True)
    rank = np.empty(total, dtype=np.int64)
    rank[by_class] = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(np.lexsort((labels, rank))[:count])


@dataclass(frozen=True)
class Images:
    """A training and a test split, and their common fingerprint."""

    train: Split
    test: Split
    fingerprint: str
    source: str

    @property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Compute mean and standard deviation per channel of all training images, in units of 0 to 255, from exact
        integer sums."""
        pixels = self.train.images.reshape(-1, 3)
        counts = [np.bincount(pixels[:, channel], minlength=256) for channel in range(3)]
        values = np.arange(256)
        means = [float((c * values).sum() / c.sum()) for c in counts]
        squares = [float((c * values**2).sum() / c.sum()) for c in counts]
        return tuple(means), tuple((s - m * m) ** 0.5 for m, s in zip(means, squares, strict=True))


def random_images(train: int, test: int) -> Images:
    """Make images of random pixels and labels, always the same, to measure times."""
    random = np.random.Generator(np.random.PCG64(0))

    def split(size: int) -> Split:
        pixels = random.integers(0, 256, (size, 32, 32, 3), dtype=np.uint8)
        return Split(pixels, random.integers(0, 10, size, dtype=np.uint8))

    return Images(split(train), split(test), "random", "random images")


def assemble(train: Split, test: Split, source: str) -> Images:
    """Sort both splits by a hash of each image, so that the order of files does not matter."""
    digest = hashlib.sha256()
    ordered: list[Split] = []
    for name, split in (("train", train), ("test", test)):
        pairs = zip(split.labels, split.images, strict=True)
        contents = (bytes([label]) + image.tobytes() for label, image in pairs)
        # As hex text: numpy's byte strings drop trailing zeros.
        hashes = np.array([hashlib.blake2b(c, digest_size=16).hexdigest() for c in contents], dtype="S32")
        order = np.argsort(hashes, kind="stable")
        digest.update(name.encode() + hashes[order].tobytes())
        ordered.append(Split(split.images[order], split.labels[order]))
    return Images(ordered[0], ordered[1], fingerprint=digest.hexdigest()[:16], source=source)
