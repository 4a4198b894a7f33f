"""`repro data prepare imagenet`: decode every image once, write the index, and a copy with smaller images.

The copy is a plain tree of JPEGs in class folders, which any tool reads, and a note (`layout.NOTE`).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from repro import files
from repro.data.imagenet import layout
from repro.data.imagenet.index import (
    FOLDER,
    KINDS,
    PLAIN,
    BadImage,
    Prepared,
    is_cut_off,
    read,
    read_image,
    save,
)  # fmt: skip
from repro.data.imagenet.layout import Index, some
from repro.errors import MissingInput, UsageError
from repro.machine import cores
from repro.words import are

CHUNK = 64  # images that a thread takes at a time
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
# The mean error against the resized pixels, on 200 images of ImageNet, is 2.7 of 255 levels at side 256 and 1.8 at
# 512. Quality 95 in 4:4:4: 1.5 and 1.1 levels, 51 and 157 kB an image, 1.5 times slower to decode.
QUALITY = 90
SUBSAMPLING = 2  # Pillow's name for 4:2:0
BYTES = {256: 28_000, 512: 87_000}
"""The sides of copies, and what an image takes, measured on the same 200 images."""
BUSY = "{} is being written by another process: wait for it to end"


class Observer:
    """Receives the progress of the work on many images. Subclasses override what they report."""

    def began(self, what: str, total: int) -> None:
        """Before a part of the work, on ``total`` images."""

    def advanced(self, images: int) -> None:
        """After ``images`` more of them."""

    def ended(self) -> None:
        """After a part of the work, whatever the reason."""

    def said(self, line: str) -> None:
        """A message."""


SILENT = Observer()


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
    total = len(index.names)
    observer.said(f"{root}: {len(index.classes):,} classes, {index.train:,} + {total - index.train:,} images")
    if found := layout.differences(index):
        observer.said(f"this is not the official ILSVRC 2012, and no result compares with it: {'; '.join(found)}")
    with files.locked(home / ".lock", BUSY.format(home)):
        _reuse(index, home)
        todo = np.flatnonzero(index.facts["width"] == 0).tolist()
        if len(todo) < total:
            observer.said(f"{total - len(todo):,} of {total:,} images were verified before")
        facts = index.facts

        def examine(i: int) -> None:
            content = read_image(f"{root}/{index.names[i]}", int(facts["size"][i]))
            try:
                facts["width"][i], facts["height"][i], facts["kind"][i] = look(content)
            except Exception as error:  # Pillow's decoders raise many types on damaged files
                raise BadImage(f"cannot be decoded ({str(error) or type(error).__name__})") from None
            facts["digest"][i] = list(hashlib.sha256(content).digest()[:16])

        _on_threads(examine, todo, index, root, "verifying", observer)
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


def resize_tree(
    prepared: Prepared,
    side: int,
    target: Path,
    observer: Observer = SILENT,
    fingerprint: str | None = None,
) -> Prepared:
    """Write a copy of ``prepared`` to ``target``, shorter sides being ``side`` at most, and prepare that tree.

    A plain JPEG that is small enough is copied unchanged. Existing files are kept, so an interrupted call resumes.
    Raises `UsageError` for a side that is not supported, `MissingInput` if images are bad or the disk is full.
    """
    check_side(side)
    index = prepared.load()
    small = np.minimum(index.facts["width"], index.facts["height"]) <= side
    sizes, keep = index.facts["size"], small & (index.facts["kind"] < PLAIN)

    def write(i: int) -> None:
        """Write the copy of one image unless it exists."""
        name = index.names[i]  # the copy is in a class folder, also that of a flat val/
        copy = target / name.partition("/")[0] / index.classes[index.labels[i]] / name.rpartition("/")[2]
        if copy.is_file() and copy.stat().st_size:  # a crash of the machine may leave an empty file
            return
        content = read_image(f"{prepared.root}/{name}", int(sizes[i]))
        copy.parent.mkdir(parents=True, exist_ok=True)
        beside = copy.with_name(f".{copy.name}.tmp")
        beside.write_bytes(content if keep[i] else shrink(content, side))
        os.replace(beside, copy)

    files.check_writable(target)
    with files.locked(target / ".lock", BUSY.format(target)):
        _write_note(target, side, prepared, len(sizes))
        needed, free = np.minimum(sizes, BYTES[side]).sum() / 1e9, shutil.disk_usage(target).free / 1e9
        observer.said(f"{target}: about {needed:,.1f} GB when complete, {free:,.1f} GB are free")
        try:
            _on_threads(write, range(len(sizes)), index, prepared.root, f"resizing to {side} pixels", observer)
        except OSError as error:
            raise files.unusable(target, error) from None
    return prepare(target, observer=observer, fingerprint=fingerprint)


def check_side(side: int) -> None:
    """Raise `UsageError` unless images can be resized to ``side``."""
    if side not in BYTES:
        raise UsageError(f"--resize {side}: choose {' or '.join(map(str, BYTES))}")


def shrink(content: bytes, side: int) -> bytes:
    """Encode the image as a JPEG with a shorter side of ``side`` at most, resized as torchvision's Resize does."""
    with Image.open(io.BytesIO(content)) as opened:
        image = opened if opened.mode == "L" else opened.convert("RGB")
        if min(image.size) > side:
            image = image.resize(smaller(*image.size, side), Image.Resampling.BILINEAR)
        image.info.clear()  # otherwise comments and the like would be written again
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=QUALITY, subsampling=SUBSAMPLING)
    return encoded.getvalue()


def smaller(width: int, height: int, side: int) -> tuple[int, int]:
    """Return width and height with the shorter one at ``side``, rounded as torchvision's Resize does."""
    return (side, int(side * height / width)) if width <= height else (int(side * width / height), side)


def look(content: bytes) -> tuple[int, int, int]:
    """Return width, height and kind (an index into `KINDS`) of an image, which must decode to its end.

    Raises what Pillow raises. Pillow reports a file that ends early; libjpeg alone would fill the rest with grey.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
            (width, height), mode, name = image.size, image.mode, image.format
    except UnidentifiedImageError:
        raise ValueError("not an image") from None
    if name not in ("JPEG", "MPO"):
        return width, height, 3 if name == "PNG" else 4
    if is_cut_off(content):  # Pillow accepts a missing end marker behind the last scan; the loader does not
        raise ValueError("its end is missing")
    return width, height, {"RGB": 0, "L": 1, "CMYK": 2}[mode]


def _on_threads(
    work: Callable[[int], None], images: Sequence[int], index: Index, root: Path, what: str, observer: Observer
) -> None:
    """Call ``work`` with each of ``images``, rows of ``index``, with a thread a core.

    Threads suffice: files are read and hashed, and Pillow decodes and encodes, without Python's lock. Raises
    `MissingInput` at the end, naming all images of which ``work`` raised `BadImage`.
    """
    bad: dict[str, str] = {}

    def work_on(chunk: Sequence[int]) -> int:
        for i in chunk:
            try:
                work(i)
            except BadImage as error:
                bad[index.names[i]] = str(error)
        return len(chunk)

    observer.began(what, len(images))
    pool = ThreadPoolExecutor(cores())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, which nothing here reads
            for done in pool.map(work_on, [images[at : at + CHUNK] for at in range(0, len(images), CHUNK)]):
                observer.advanced(done)
    finally:
        pool.shutdown(cancel_futures=True)
        observer.ended()
    if bad:
        named = "; ".join(f"{name} {why}" for name, why in sorted(bad.items())[:20])
        more = f"; and {len(bad) - 20:,} more" if len(bad) > 20 else ""
        raise MissingInput(
            f"{root}: {len(bad):,} of {len(index.names):,} images are bad: {named}{more}. Fetch them again, or "
            "delete them to go without, and run the same command again"
        )


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


def _write_note(target: Path, side: int, prepared: Prepared, images: int) -> None:
    """Note in ``target`` what it is a copy of. Raises `MissingInput` if it is a copy of something else."""
    path = target / layout.NOTE
    note = {"shorter_side": side, "images": images, "original": prepared.content_hash}
    if path.exists():
        if path.read_text() != json.dumps(note):
            raise MissingInput(
                f"{target} was made of other images than {prepared.root} has: delete it, or pass another "
                "--cache-dir"
            )
    elif (target / "train").exists():
        raise MissingInput(f"{target} has images that are no resized copy: pass another --cache-dir")
    else:
        files.write_text(path, json.dumps(note))
