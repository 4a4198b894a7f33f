"""`repro data prepare imagenet`: decode every image once, and write the index of what they are."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from repro import files
from repro.data.imagenet import layout
from repro.data.imagenet.index import FOLDER, KINDS, PLAIN, Prepared, read, save
from repro.data.imagenet.layout import Index, some
from repro.data.imagenet.parallel import SILENT, Observer, in_parallel, locked
from repro.errors import MissingInput
from repro.words import are

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
Row = tuple[int, int, int, int, int, list[int]]  # FACTS


def prepare(
    root: Path,
    cache_dir: Path | None = None,
    observer: Observer = SILENT,
    fingerprint: str | None = None,
) -> Prepared:
    """Verify the tree at ``root``; write its index there, or under ``cache_dir`` if ``root`` is read-only.

    Classes and counts are checked before any image is decoded. Images that an earlier index describes are
    read again only if their size or time changed. ``fingerprint`` names a tree generated from a seed; other trees
    get one from their content. Raises `MissingInput` if the tree has faults, or nothing can be written.
    """
    home = _home(root, cache_dir)
    index = layout.listing(root)
    val = len(index.names) - index.train
    observer.said(f"{root}: {len(index.classes):,} classes, {index.train:,} + {val:,} images")
    if index.left_out:
        observer.said(f"{are(len(index.left_out), 'file')} left out, no images by name: {some(index.left_out)}")
    if found := layout.differences(index):
        observer.said(f"this is not the official ILSVRC 2012, and no result compares with it: {'; '.join(found)}")
    with locked(home):
        _reuse(index, home)
        _verify(root, index, observer)
        prepared = save(index, root, home, fingerprint)
    if odd := [f"{index.names[i]} ({KINDS[kind]})" for i, kind in enumerate(index.facts["kind"]) if kind >= PLAIN]:
        observer.said(f"{are(len(odd), 'image')} neither RGB nor grayscale JPEG: {some(odd, 30)}")
    return prepared


def gone(prepared: Prepared, sample: int = 1000) -> list[str]:
    """List the images of ``prepared`` that are missing, and those in a ``sample`` whose size changed.

    This lists the class folders and reads no image, so it takes seconds for all of ImageNet.
    """
    index = prepared.load()
    of_folder: dict[str, set[str]] = {}
    for name in index.names:
        folder, _, file = name.rpartition("/")
        of_folder.setdefault(folder, set()).add(file)
    found: list[str] = []
    for folder, names in of_folder.items():
        there: set[str] = set()
        with contextlib.suppress(OSError):
            there = set(os.listdir(prepared.root / folder))
        found += [f"{folder}/{name} (gone)" for name in sorted(names - there)]
    for i in range(0, len(index.names), max(1, len(index.names) // sample)):
        with contextlib.suppress(OSError):
            if (prepared.root / index.names[i]).stat().st_size != index.facts["size"][i]:
                found.append(f"{index.names[i]} (another size)")
    return found


def look(content: bytes) -> tuple[int, int, int]:
    """Return width, height and kind (an index into `KINDS`) of an image, which must decode to its end.

    Raises what Pillow raises. Pillow reports a file that ends early; libjpeg alone would fill the rest with grey.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, which nothing here reads
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
                width, height = image.size
                mode, name = image.mode, image.format
    except UnidentifiedImageError:
        raise ValueError("not an image") from None
    if name in ("JPEG", "MPO"):
        # Pillow accepts a missing end marker behind the last scan; the loader does not.
        if content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
            raise ValueError("its end is missing")
        kind = {"RGB": 0, "L": 1, "CMYK": 2}[mode]
    else:
        kind = 3 if name == "PNG" else 4
    return width, height, kind


def bad_images(root: Path, total: int, bad: Mapping[str, str]) -> MissingInput:
    """Name the ``bad`` images, each with its fault, in one line."""
    named = "; ".join(f"{name} {why}" for name, why in list(bad.items())[:20])
    more = f"; and {len(bad) - 20:,} more" if len(bad) > 20 else ""
    return MissingInput(
        f"{root}: {len(bad):,} of {total:,} images are bad: {named}{more}. Fetch them again, or delete them to go "
        "without, and run the same command again"
    )


def _verify(root: Path, index: Index, observer: Observer) -> None:
    """Fill in the facts that are not known. Raises `MissingInput` naming all bad images."""
    todo = np.flatnonzero(index.facts["width"] == 0).tolist()
    total = len(index.names)
    if len(todo) < total:
        observer.said(f"{total - len(todo):,} of {total:,} images were verified before")
    names = [index.names[i] for i in todo]
    bad: dict[str, str] = {}
    examine = functools.partial(_examine, str(root))
    for i, row in zip(todo, in_parallel(examine, names, "verifying", observer), strict=True):
        if isinstance(row, str):
            bad[index.names[i]] = row
        else:
            index.facts[i] = row
    if bad:
        raise bad_images(root, total, bad)


def _examine(root: str, name: str) -> Row | str:
    """Read and decode one image: return its facts, or its fault in words."""
    try:
        with open(f"{root}/{name}", "rb") as file:
            stat = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if not content:
        return "is empty"
    try:
        width, height, kind = look(content)
    except Exception as error:  # Pillow's decoders raise many types on damaged files
        return f"cannot be decoded ({str(error) or type(error).__name__})"
    return len(content), stat.st_mtime_ns, width, height, kind, list(hashlib.sha256(content).digest()[:16])


def _reuse(index: Index, home: Path) -> None:
    """Copy what an earlier index in ``home`` says about images whose size and time are unchanged."""
    with contextlib.suppress(MissingInput):  # a damaged index is written again
        if prepared := read(home):
            old = prepared.load()
            row_of = {name: row for row, name in enumerate(old.names)}
            rows = np.array([row_of.get(name, -1) for name in index.names])
            same = rows >= 0
            for field in ("size", "mtime"):
                same &= old.facts[field][rows] == index.facts[field]
            index.facts[same] = old.facts[rows[same]]


def _home(root: Path, cache_dir: Path | None) -> Path:
    """Return where the index goes: beside the images if writable, else to ``cache_dir``."""
    try:
        files.check_writable(root / FOLDER)
        return root / FOLDER
    except MissingInput as error:
        if not cache_dir:
            raise MissingInput(f"{error}: --cache-dir DIR, which is then passed as --data-dir") from None
        files.check_writable(cache_dir / FOLDER)
        return cache_dir / FOLDER
