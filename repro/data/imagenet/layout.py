"""Find ImageNet (ILSVRC 2012) on disk, list its images, and compare their counts with the official ones.

Three layouts are known: class folders in train/ and val/; a flat val/ with a list of classes; Kaggle's archive.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
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
NOTE = "resized.json"  # marks a copy with smaller images (`resize.py`)
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


@dataclass(frozen=True)
class Index:
    """Every image of a tree, training images first, each split by class and then by file name.

    ``names`` are relative to the root. ``labels`` int64 [N] are positions in ``classes``, the sorted wnids; the
    first ``train`` images are for training. ``facts`` is `FACTS` [N]: size and time, and 0 in the other fields of
    images that are not verified. ``stored`` is the shorter side of a resized copy, else 0. ``left_out`` are files
    that are no images by their names.
    """

    classes: tuple[str, ...]
    names: list[str]
    labels: npt.NDArray[np.int64]
    train: int
    facts: npt.NDArray[np.void]
    stored: int
    left_out: Sequence[str] = ()


@dataclass
class _Part:
    """One split: (wnid, name, size, mtime) of each image, the classes that have a folder, other files."""

    images: list[tuple[str, str, int, int]]
    classes: set[str]
    left_out: list[str]


def places(folders: Sequence[Path]) -> list[Path]:
    """Return where a tree may be under ``folders``, in the order of the search."""
    return [folder / place if place else folder for folder in folders for place in PLACES]


def missing(folders: Sequence[Path]) -> MissingInput:
    """Say in one line what to do if ImageNet is not found."""
    return MissingInput(
        f"no ImageNet under {', '.join(map(str, folders))}: pass --data-dir DIR (or $REPRO_DATA) with train/ and "
        "val/ of ILSVRC 2012 in it or in its imagenet/; it is not free to download: image-net.org, or Kaggle's "
        "imagenet-object-localization-challenge"
    )


def find(folders: Sequence[Path]) -> Path | None:
    """Find the first folder under ``folders`` with train/<wnid>/. Raises `MissingInput` if it has no val/."""
    for place in places(folders):
        if _has_wnids(place / "train"):
            if not (place / "val").is_dir():
                raise MissingInput(f"{place}: train/ is there and val/ is not: the validation images are missing")
            return place
    return None


def listing(root: Path) -> Index:
    """List all images of the tree at ``root``, from directory entries alone (seconds).

    Raises `MissingInput` naming the classes that only one split has, the class folders without images, or the
    mismatch between a flat val/ and its list, and for a resized copy that is not complete.
    """
    train = _by_folder(root, "train")
    val = _by_folder(root, "val")
    if not val.classes:
        val = _flat(root)
    stored = _stored(root, len(train.images) + len(val.images))
    _check_classes(root, train, val)
    classes = tuple(sorted(train.classes))
    number = {wnid: label for label, wnid in enumerate(classes)}
    images = [*_sorted(train), *_sorted(val)]
    facts = np.zeros(len(images), dtype=FACTS)
    facts["size"] = [size for _, _, size, _ in images]
    facts["mtime"] = [mtime for _, _, _, mtime in images]
    names = [name for _, name, _, _ in images]
    labels = np.array([number[wnid] for wnid, _, _, _ in images], dtype=np.int64)
    return Index(classes, names, labels, len(train.images), facts, stored, [*train.left_out, *val.left_out])


def differences(index: Index) -> list[str]:
    """Describe how a tree differs from ILSVRC 2012: in classes, in counts, and in that all images are small."""
    found = []
    if strange := [name for name in index.classes if not WNID.fullmatch(name)]:
        found.append(f"class folders that are no wnids: {some(strange)}")
    if len(index.classes) != CLASSES:
        found.append(f"{len(index.classes):,} classes instead of {CLASSES:,}")
    if index.train != TRAIN:
        found.append(f"{index.train:,} training images instead of {TRAIN:,}")
    if (val := len(index.labels) - index.train) != VAL:
        found.append(f"{val:,} validation images instead of {VAL:,}")
    each = np.bincount(index.labels[index.train :], minlength=len(index.classes)).tolist()
    counts = zip(index.classes, each, strict=True)
    if uneven := [f"{name} with {count}" for name, count in counts if count != VAL_EACH]:
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


def _has_wnids(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(WNID.fullmatch(entry.name) and entry.is_dir() for entry in entries)
    except OSError:
        return False


def _by_folder(root: Path, split: str) -> _Part:
    """List the class folders of a split; loose files beside them are left out."""
    part = _Part([], set(), [])
    for entry in _entries(root / split):
        if entry.is_dir():
            part.classes.add(entry.name)
            for file in _entries(Path(entry.path)):
                _take(part, entry.name, f"{split}/{entry.name}/{file.name}", file)
        elif entry.name not in LISTS:
            part.left_out.append(f"{split}/{entry.name}")
    return part


def _flat(root: Path) -> _Part:
    """List a val/ without class folders, whose images' classes are in a list beside it."""
    part = _Part([], set(), [])
    for file in _entries(root / "val"):
        if file.name not in (*LISTS, SOLUTION):
            _take(part, "", f"val/{file.name}", file)
    wnids, source = _val_wnids(root, sorted(name.removeprefix("val/") for _, name, _, _ in part.images))
    nameless = [name for _, name, _, _ in part.images if Path(name).name not in wnids]
    if nameless:
        raise MissingInput(f"{source} does not say the class of {some(nameless)}")
    part.images = [(wnids[Path(name).name], name, size, mtime) for _, name, size, mtime in part.images]
    part.classes = {wnid for wnid, _, _, _ in part.images}
    return part


def _val_wnids(root: Path, files: list[str]) -> tuple[dict[str, str], Path]:
    """Return file name -> wnid of a flat val/, and the path of the list."""
    for path in (folder / name for folder in (root / "val", root) for name in LISTS):
        if path.is_file():
            wnids = _text(path).split()
            if len(wnids) != len(files):
                raise MissingInput(f"{path} lists {len(wnids):,} images, val/ has {len(files):,}")
            return dict(zip(files, wnids, strict=True)), path
    for folder in (root / "val", root, *root.resolve().parents[:3]):
        if (folder / SOLUTION).is_file():
            rows = list(csv.reader(_text(folder / SOLUTION).splitlines()))[1:]
            of_id = {row[0]: row[1].split()[0] for row in rows if len(row) > 1 and row[1].split()}
            return {name: of_id[Path(name).stem] for name in files if Path(name).stem in of_id}, folder / SOLUTION
    raise MissingInput(
        f"{root / 'val'} has no class folders, and no list says what its {len(files):,} images show: put "
        f"{LISTS[0]} (a wnid a line, in the order of file names) or Kaggle's {SOLUTION} beside it"
    )


def _check_classes(root: Path, train: _Part, val: _Part) -> None:
    faults = []
    for one, other, here, there in (("train", "val", train, val), ("val", "train", val, train)):
        lacking = sorted(here.classes - there.classes)
        if lacking:
            faults.append(f"{other}/ lacks {len(lacking):,} of the classes of {one}/: {some(lacking)}")
        counts = Counter(wnid for wnid, _, _, _ in here.images)
        empty = sorted(wnid for wnid in here.classes if not counts[wnid])
        if empty:
            faults.append(f"class folders without an image in {one}/: {some(empty)}")
    if faults:
        raise MissingInput(f"{root}: {'; '.join(faults)}")


def _sorted(part: _Part) -> Iterable[tuple[str, str, int, int]]:
    # By file name within a class, so that every layout has the order of class folders.
    return sorted(part.images, key=lambda image: (image[0], os.path.basename(image[1])))


def _take(part: _Part, wnid: str, name: str, file: os.DirEntry[str]) -> None:
    if file.name.lower().endswith(SUFFIXES) and file.is_file():
        stat = file.stat()
        part.images.append((wnid, name, stat.st_size, stat.st_mtime_ns))
    else:
        part.left_out.append(name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise MissingInput(f"{folder} cannot be read: {error.strerror or error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise MissingInput(f"{path} cannot be read: {error}") from None
