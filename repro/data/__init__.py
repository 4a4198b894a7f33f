"""Images: CIFAR-10 from disk or a synthetic set from a seed, and what becomes of them on the device.

`images.py` is the common form, `cifar10.py` and `synthetic.py` make it, `batches.py` augments on the device.
ImageNet and its synthetic sibling, whose images stay on disk, are in `imagenet/`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from repro.config.recipe import DATASETS, PHOTO_SETS
from repro.data import cifar10, imagenet, synthetic
from repro.data.images import Images
from repro.errors import UsageError


def fingerprint(name: str, folders: Sequence[Path]) -> str:
    """The fingerprint that goes into Run keys.

    For CIFAR-10 and ImageNet: that of the images found in ``folders``, or of the official set where none are
    there, so that finished Runs are found without data. Raises `MissingInput` where files are there but not
    CIFAR-10.
    """
    if name == "synthetic":
        return synthetic.FINGERPRINT
    if name == "cifar10":
        place = cifar10.find(folders)
        return cifar10.load(place).fingerprint if place else cifar10.OFFICIAL_FINGERPRINT
    if name in PHOTO_SETS:
        return imagenet.fingerprint(name, folders)
    raise UsageError(f"unknown data set '{name}'; there are {', '.join((*DATASETS, *PHOTO_SETS))}")


def official(name: str, found: str) -> bool:
    """Whether ``found`` is the fingerprint of the data set that everybody calls ``name``."""
    if name in PHOTO_SETS:
        return imagenet.official(found)
    return found == {"synthetic": synthetic.FINGERPRINT, "cifar10": cifar10.OFFICIAL_FINGERPRINT}[name]


def load(name: str, folders: Sequence[Path]) -> Images:
    """The whole data set. Raises `MissingInput`, with one line of help, where it is not to be found."""
    if name == "synthetic":
        return _generated()
    if name == "cifar10":
        place = cifar10.find(folders)
        if place is None:
            raise cifar10.missing(folders)
        return cifar10.load(place)
    raise UsageError(f"unknown data set '{name}'; there are cifar10, synthetic")


@functools.cache
def _generated() -> Images:
    """Made once a process, which may open them for one wave after another."""
    return synthetic.generate()
