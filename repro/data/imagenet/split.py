"""One split of a photographs data set: names, labels, and the encoded images on demand."""

from __future__ import annotations

import errno
import os
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

IGNORED = -100
"""The label of an image that could not be had: what cross_entropy ignores by default."""


class PhotoSplit(Protocol):
    """N encoded images. ``names`` are for messages; ``labels`` int64 [N] are positions among the sorted wnids."""

    names: Sequence[str]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """The encoded image, from any thread. Raises `OSError`."""
        ...


class FileSplit:
    """A file per image, as ImageNet is distributed."""

    def __init__(
        self, root: Path, names: Sequence[str], labels: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
    ) -> None:
        """``names`` are relative to ``root``, ``sizes`` int64 [N] what each file had when it was verified."""
        self.names, self.labels = names, labels
        self._root, self._sizes = str(root), sizes

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The file's content. Raises `OSError`, also where its size is not the verified one."""
        path = f"{self._root}/{self.names[index]}"
        with open(path, "rb", buffering=0) as file:
            content = file.read()
        if len(content) != self._sizes[index]:
            raise OSError(errno.EIO, f"has {len(content):,} bytes, {self._sizes[index]:,} when verified", path)
        return content


class CacheSplit:
    """Images packed into a few large shards, read where they lie."""

    def __init__(
        self,
        shards: Sequence[Path],
        names: Sequence[str],
        labels: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64],
        checksums: npt.NDArray[np.uint32],
    ) -> None:
        """``places`` int64 [N, 3]: which shard, at which byte, how many bytes. ``checksums`` are CRC-32 [N]."""
        self.names, self.labels = names, labels
        self._shards, self._places, self._checksums = shards, places, checksums
        self._files = [os.open(shard, os.O_RDONLY) for shard in shards]
        weakref.finalize(self, _close, self._files)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The cached image. Raises `OSError`, also where it is not what was written."""
        shard, start, count = self._places[index].tolist()
        content = os.pread(self._files[shard], count, start)
        if zlib.crc32(content) != self._checksums[index]:
            raise OSError(errno.EIO, "is damaged in the cache", str(self._shards[shard]))
        return content


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)
