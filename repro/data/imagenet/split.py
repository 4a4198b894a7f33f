"""One split of a photographs data set: names, labels, and the encoded images, read when needed."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

IGNORED = -100
"""The label of an image that cannot be read: cross_entropy ignores it by default."""


class FileSplit:
    """N encoded images in a file each. ``names`` are for messages; ``labels`` int64 [N] are positions in the
    sorted wnids. A loader accepts any class with names, labels, a length and `read`."""

    def __init__(
        self, root: Path, names: Sequence[str], labels: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
    ) -> None:
        """``names`` are relative to ``root``; ``sizes`` int64 [N] are the sizes of the verified files."""
        self.names, self.labels = names, labels
        self._root, self._sizes = str(root), sizes

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """Return the file's content; any thread may call this. Raises `OSError`, also if its size is not the
        verified one."""
        path = f"{self._root}/{self.names[index]}"
        with open(path, "rb", buffering=0) as file:
            content = file.read()
        if len(content) != self._sizes[index]:
            raise OSError(errno.EIO, f"has {len(content):,} bytes, {self._sizes[index]:,} when verified", path)
        return content
