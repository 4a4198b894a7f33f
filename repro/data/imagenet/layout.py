"""Find ImageNet (ILSVRC 2012) on disk, list its images, and compare their counts with the official ones.

Three layouts are known: class folders in train/ and val/; a flat val/ with a list of classes; Kaggle's archive.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from repro import files
from repro.errors import MissingInput

PLACES = ("", "imagenet", "ILSVRC2012", "ilsvrc2012", "ILSVRC/Data/CLS-LOC")
SUFFIXES = (".jpeg", ".jpg", ".png")
WNID = re.compile(r"n\d{8}")
LISTS = ("imagenet_2012_validation_synset_labels.txt", "synset_labels.txt")
SOLUTION = "LOC_val_solution.csv"
NOTE = "resized.json"  # marks a copy with smaller images (`preparation.py`)
# The classification task of ILSVRC 2012.
CLASSES, TRAIN, VAL, VAL_EACH = 1000, 1_281_167, 50_000, 50
LARGEST = 512  # the official images have larger shorter sides than this; a resized copy without its note may not
FACTS = np.dtype(
    [
        ("size", "<i8"),
        ("mtime", "<i8"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("kind", "u1"),
        ("digest", "u1", (16,)),
    ]
)
"""Of an image: bytes, modification time (ns), pixels, its position in `index.KINDS`, the start of its SHA-256."""


class BadImage(Exception):
    """An image that cannot be read or decoded, and why."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """N encoded images in a file each, by ``names`` relative to ``root``. A loader accepts any class with names,
    labels, a length and `read`.

    ``labels`` int64 [N] are positions in the sorted wnids, ``sizes`` int64 [N] the files' bytes.
    """

    root: Path
    names: Sequence[str]
    labels: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, i: int) -> bytes:
        """Return a file's content; any thread may call this. Raises `BadImage`, also if its size has changed."""
        try:
            with open(f"{self.root}/{self.names[i]}", "rb", buffering=0) as file:
                content = file.read()
        except OSError as error:
            raise BadImage(f"cannot be read ({error.strerror or error})") from None
        if not content:
            raise BadImage("is empty")
        if len(content) != self.sizes[i]:
            raise BadImage(f"has changed since it was verified: {len(content):,} bytes, not {self.sizes[i]:,}")
        return content

    def take(self, rows: npt.NDArray[np.int64]) -> ImageFiles:
        """Select images by their positions."""
        return ImageFiles(self.root, [self.names[i] for i in rows.tolist()], self.labels[rows], self.sizes[rows])


@dataclass(frozen=True, eq=False)
class Index(ImageFiles):
    """Every image of a tree, training images first, each split by class and then by file name.

    ``labels`` are positions in ``classes``, the sorted wnids; the first ``train`` images are for training.
    ``facts`` is `FACTS` [N]: size and time, and 0 in the other fields of images that are not verified. ``stored``
    is the shorter side of a resized copy, else 0.
    """

    classes: Sequence[str]
    train: int
    facts: npt.NDArray[np.void]
    stored: int


def places(folders: Sequence[Path]) -> list[Path]:
    """Return where a tree may be under ``folders``, in the order of the search."""
    return [folder / place for folder in folders for place in PLACES]


def find(folders: Sequence[Path]) -> Path | None:
    """Find the first folder under ``folders`` with train/<wnid>/. Raises `MissingInput` if it has no val/."""
    for place in places(folders):
        if any(WNID.fullmatch(path.name) and path.is_dir() for path in (place / "train").glob("n*")):
            if not (place / "val").is_dir():
                raise MissingInput(f"{place}: train/ is there and val/ is not: the validation images are missing")
            return place
    return None


def require(folders: Sequence[Path]) -> Path:
    """Find what `find` finds. Raises `MissingInput` saying in one line what to do if there is nothing."""
    if place := find(folders):
        return place
    raise MissingInput(
        f"no ImageNet under {', '.join(map(str, folders))}: pass --data-dir DIR (or $REPRO_DATA) with train/ and "
        "val/ of ILSVRC 2012 in it or in its imagenet/; it is not free to download: image-net.org, or Kaggle's "
        "imagenet-object-localization-challenge"
    )


def listing(root: Path) -> Index:
    """List all images of the tree at ``root``, from directory entries alone (seconds).

    Raises `MissingInput` naming the classes that only one split has, the class folders without images, or the
    mismatch between a flat val/ and its list, and for a resized copy that is not complete.
    """
    train, val = (_by_class(root, split) for split in ("train", "val"))
    names = [name for split in (train, val) for wnid in sorted(split) for name in split[wnid]]
    stored = _stored(root, len(names))
    faults = []
    for one, other, here, there in (("train", "val", train, val), ("val", "train", val, train)):
        if lacking := sorted(here.keys() - there.keys()):
            faults.append(f"{other}/ lacks {len(lacking):,} of the classes of {one}/: {some(lacking)}")
        if empty := sorted(wnid for wnid, images in here.items() if not images):
            faults.append(f"class folders without an image in {one}/: {some(empty)}")
    if faults:
        raise MissingInput(f"{root}: {'; '.join(faults)}")
    classes = sorted(train)
    counts = [len(split[wnid]) for split in (train, val) for wnid in classes]
    labels = np.repeat(np.tile(np.arange(len(classes)), 2), counts)
    facts = np.zeros(len(names), dtype=FACTS)
    sizes, times = facts["size"], facts["mtime"]
    for i, name in enumerate(names):
        status = os.stat(f"{root}/{name}")
        sizes[i], times[i] = status.st_size, status.st_mtime_ns
    return Index(root, names, labels, sizes, classes, sum(counts[: len(classes)]), facts, stored)


def differences(index: Index) -> list[str]:
    """Describe how a tree differs from ILSVRC 2012: in classes, in counts, and in that all images are small."""
    found = []
    if strange := [name for name in index.classes if not WNID.fullmatch(name)]:
        found.append(f"class folders that are no wnids: {some(strange)}")
    counts = (len(index.classes), index.train, len(index.labels) - index.train)
    expected = {"classes": CLASSES, "training images": TRAIN, "validation images": VAL}
    for count, (what, right) in zip(counts, expected.items(), strict=True):
        if count != right:
            found.append(f"{count:,} {what} instead of {right:,}")
    each = zip(index.classes, np.bincount(index.labels[index.train :]).tolist(), strict=True)
    if uneven := [f"{name} with {count}" for name, count in each if count != VAL_EACH]:
        found.append(f"classes with not {VAL_EACH} validation images: {some(uneven)}")
    shorter = np.minimum(index.facts["width"], index.facts["height"]).max()
    if not index.stored and 0 < shorter <= LARGEST:
        found.append(f"no image has a shorter side above {shorter} pixels: resized images")
    return found


def some(names: Sequence[str], most: int = 5) -> str:
    """Join the first few of ``names``, and count the others."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _stored(root: Path, images: int) -> int:
    """Return the shorter side of a resized copy, which must have all of its ``images``; 0 without a note."""
    path = root / NOTE
    if not path.exists():
        return 0
    try:
        note = files.parse_json(path.read_bytes())
        side, expected = int(note["shorter_side"]), int(note["images"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingInput(f"{path} is damaged ({error}): delete {root} and make it again") from None
    if images != expected:
        raise MissingInput(
            f"{root} has {images:,} of the {expected:,} images of a copy resized to {side} pixels: complete it "
            f"with `repro data prepare imagenet --resize {side}`"
        )
    return side


def _by_class(root: Path, split: str) -> dict[str, list[str]]:
    """List the images by wnid, each class in the order of file names: from class folders, or a flat val/."""
    folders = [entry.name for entry in _entries(root / split) if entry.is_dir()]
    if split == "val" and not folders:
        return _flat(root, _images(root, split))
    return {name: _images(root, f"{split}/{name}") for name in folders}


def _images(root: Path, folder: str) -> list[str]:
    """List what is an image by its name; anything else is ignored."""
    files = (entry.name for entry in _entries(root / folder) if entry.is_file())
    return [f"{folder}/{name}" for name in files if name.lower().endswith(SUFFIXES)]


def _flat(root: Path, images: Sequence[str]) -> dict[str, list[str]]:
    """Sort the images of a val/ without class folders by class, with the list of classes beside it or above."""
    near = (root / "val", root)
    lists = [folder / name for folder in near for name in LISTS]
    solutions = [folder / SOLUTION for folder in (*near, *root.resolve().parents[:3])]
    path = next((path for path in (*lists, *solutions) if path.is_file()), None)
    if path is None:
        raise MissingInput(
            f"{root / 'val'} has no class folders, and no list says what its {len(images):,} images show: put "
            f"{LISTS[0]} (a wnid a line, in the order of file names) or Kaggle's {SOLUTION} beside it"
        )
    text = path.read_text(errors="replace")
    if path.name == SOLUTION:
        rows = [row for row in csv.reader(text.splitlines()[1:]) if len(row) > 1 and row[1].split()]
        of_id = {row[0]: row[1].split()[0] for row in rows}
        if nameless := [name for name in images if Path(name).stem not in of_id]:
            raise MissingInput(f"{path} does not say the class of {some(nameless)}")
        wnids = [of_id[Path(name).stem] for name in images]
    else:
        wnids = text.split()
        if len(wnids) != len(images):
            raise MissingInput(f"{path} lists {len(wnids):,} images, val/ has {len(images):,}")
    found: dict[str, list[str]] = {}
    for wnid, name in zip(wnids, images, strict=True):
        found.setdefault(wnid, []).append(name)
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List what is not hidden, by name."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
