"""Data sets: CIFAR-10 from disk or synthetic images from a seed, and their batches on the device.

`images.py` is the common form, `cifar10.py` and `synthetic.py` produce it, `batches.py` augments on the device.
ImageNet and its synthetic sibling, whose images stay on disk, are in `imagenet/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from repro.data import cifar10, imagenet, synthetic
from repro.data.images import Images
from repro.errors import UsageError

OFFICIAL = {
    "cifar10": cifar10.OFFICIAL_FINGERPRINT,
    "synthetic": synthetic.FINGERPRINT,
    "imagenet": imagenet.index.OFFICIAL,
    "synthetic-ilsvrc": imagenet.index.SYNTHETIC,
}
"""The fingerprints of the official data sets, by name."""


def fingerprint(name: str, folders: Sequence[Path], runs_dir: Path | None = None) -> str:
    """Return the fingerprint that goes into Run keys.

    For CIFAR-10 and ImageNet: that of the images found in ``folders``, or of the official set if there are none,
    so that finished Runs are found without data. A resized copy of ImageNet has the fingerprint of the original:
    its Runs differ in `Photos.stored`. In ``runs_dir`` it is noted for unchanged files. Raises `MissingInput` if
    there are files that are not CIFAR-10.
    """
    if name == "cifar10" and (place := cifar10.find(folders)):
        return cifar10.fingerprint(place, runs_dir and runs_dir / ".cifar10.json")
    if name == "imagenet" and (prepared := imagenet.index.find(folders)):
        return prepared.fingerprint
    return OFFICIAL[name]


def load(name: str, folders: Sequence[Path]) -> Images:
    """Load the whole data set. Raises `MissingInput`, with one line of help, if it is not found."""
    if name == "synthetic":
        return synthetic.generate()
    if name == "cifar10":
        return cifar10.load(cifar10.require(folders))
    raise UsageError(f"unknown data set '{name}'; there are cifar10, synthetic")
