"""Photographs: ImageNet (ILSVRC 2012) as it lies on disk, and a small tree of the same layout made from a seed.

`layout.py` finds and counts, `verify.py` and `prepare.py` look at every image and write the index (`index.py`),
`cache_build.py` writes a cache of smaller images (`cache.py`), `split.py` reads either. What becomes of the images
after that is in `decode.py`, `augment.py` and `loader.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repro.data.imagenet import cache, index, layout
from repro.data.imagenet.index import OFFICIAL, SYNTHETIC
from repro.data.imagenet.split import CacheSplit, FileSplit, PhotoSplit
from repro.data.images import first_of_each
from repro.errors import MissingInput

if TYPE_CHECKING:
    from repro.run import Photos

__all__ = [
    "OFFICIAL",
    "SYNTHETIC",
    "CacheSplit",
    "FileSplit",
    "PhotoSplit",
    "content_hash",
    "fingerprint",
    "official",
    "open_splits",
    "prepared",
]


def fingerprint(name: str, folders: Sequence[Path]) -> str:
    """The fingerprint that goes into Run keys, in milliseconds.

    For ImageNet: that of the tree prepared in ``folders``, or of the official set where none is, so that finished
    Runs are found without data.
    """
    if name == "synthetic-ilsvrc":
        return SYNTHETIC
    found = index.find(folders)
    return found.fingerprint if found else OFFICIAL


def official(found: str) -> bool:
    """Whether ``found`` is the fingerprint of a data set that everybody means by its name."""
    return found in (OFFICIAL, SYNTHETIC)


def content_hash(folders: Sequence[Path]) -> str | None:
    """A hash of every byte of the tree prepared in ``folders``, 16 hex digits; None where none is."""
    found = index.find(folders)
    return found.content_hash if found else None


def open_splits(data: Photos, folders: Sequence[Path], scratch: Path) -> tuple[PhotoSplit, PhotoSplit]:
    """Training and test images of a Run, as many of each class as their numbers allow, the same for every user.

    ImageNet has to be prepared, with the cache that the Run reads; the synthetic tree is made under ``scratch``.
    Raises `MissingInput` saying what to do, `UsageError` where more images are asked for than there are.
    """
    if data.name == "synthetic-ilsvrc":
        from repro.data.imagenet import synthetic

        found = synthetic.ensure_generated(scratch)
    else:
        found = prepared(folders)
    if found.fingerprint != data.fingerprint:
        raise MissingInput(
            f"{found.root} has images of fingerprint {found.fingerprint}, the Run is on {data.fingerprint}"
        )
    rows = found.load()
    train = first_of_each(rows.labels[: rows.train], data.train)
    test = rows.train + first_of_each(rows.labels[rows.train :], data.test)
    if data.stored:
        return (
            cache.open_split(found, rows, data.stored, train),
            cache.open_split(found, rows, data.stored, test),
        )
    if not (found.root / "train").is_dir():
        raise MissingInput(f"{found.root} is gone, which {found.home} is about: prepare ImageNet again")
    splits = []
    for chosen in (train, test):
        names = [rows.names[i] for i in chosen.tolist()]
        splits.append(FileSplit(found.root, names, rows.labels[chosen], rows.facts["size"][chosen]))
    return splits[0], splits[1]


def prepared(folders: Sequence[Path]) -> index.Prepared:
    """ImageNet as `repro data prepare imagenet` left it in ``folders``.

    Raises `MissingInput` where it is not there, or not prepared yet.
    """
    if found := index.find(folders):
        return found
    if place := layout.find(folders):
        raise MissingInput(f"{place} is not prepared: run `repro data prepare imagenet --data-dir {place}`")
    raise layout.missing(folders)
