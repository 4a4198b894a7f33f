"""`repro data prepare imagenet`: decode every image once, write the index, and a copy with smaller images.

The copy is a plain tree of JPEGs in class folders, which any tool reads, and a note (`layout.NOTE`).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from repro import files
from repro.data.imagenet import layout
from repro.data.imagenet.index import FOLDER, KINDS, PLAIN, Prepared, read, save
from repro.data.imagenet.layout import BadImage, Index, some
from repro.data.imagenet.pillow import look, shrink
from repro.errors import MissingInput, UsageError
from repro.machine import cores
from repro.words import are

CHUNK = 64  # images that a thread takes at a time
BYTES = {256: 28_000, 512: 87_000}
"""The sides of copies, and what an image takes, measured on 200 images of ImageNet."""
BUSY = "{} is being written by another process: wait for it to end"


class Observer:
    """Receives the progress of the work on many images. Subclasses override what they report."""

    def track(self, what: str, total: int, chunks: Iterable[int]) -> Iterable[int]:
        """Pass on ``chunks``: how many of the ``total`` images of a part of the work each step has done."""
        return chunks

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
            content = index.read(i)
            facts["width"][i], facts["height"][i], facts["kind"][i] = look(content)
            facts["digest"][i] = list(hashlib.sha256(content).digest()[:16])

        _on_threads(examine, todo, index, "verifying", observer)
        prepared = save(index, home, fingerprint)
    if odd := [f"{index.names[i]} ({KINDS[kind]})" for i, kind in enumerate(index.facts["kind"]) if kind >= PLAIN]:
        observer.said(f"{are(len(odd), 'image')} neither RGB nor grayscale JPEG: {some(odd, 30)}")
    return prepared


def gone(prepared: Prepared) -> list[str]:
    """List the images of ``prepared`` that are missing, and those in a sample of a thousand whose size changed.

    This lists the class folders and reads no image, so it takes seconds for all of ImageNet.
    """
    index = prepared.load()
    found = []
    for folder, names in itertools.groupby(index.names, lambda name: name.rpartition("/")[0]):
        there: set[str] = set()
        with contextlib.suppress(OSError):
            there.update(f"{folder}/{file}" for file in os.listdir(index.root / folder))
        found += [f"{name} (gone)" for name in names if name not in there]
    for i in range(0, len(index), max(1, len(index) // 1000)):
        with contextlib.suppress(OSError):
            if (index.root / index.names[i]).stat().st_size != index.sizes[i]:
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
    keep = small & (index.facts["kind"] < PLAIN)

    def write(i: int) -> None:
        """Write the copy of one image unless it exists."""
        name = index.names[i]  # the copy is in a class folder, also that of a flat val/
        copy = target / name.partition("/")[0] / index.classes[index.labels[i]] / name.rpartition("/")[2]
        if copy.is_file() and copy.stat().st_size:  # a crash of the machine may leave an empty file
            return
        content = index.read(i)
        copy.parent.mkdir(parents=True, exist_ok=True)
        beside = copy.with_name(f".{copy.name}.tmp")
        beside.write_bytes(content if keep[i] else shrink(content, side))
        os.replace(beside, copy)

    files.check_writable(target)
    with files.locked(target / ".lock", BUSY.format(target)):
        _write_note(target, side, prepared, len(index))
        needed, free = np.minimum(index.sizes, BYTES[side]).sum() / 1e9, files.free(target) / 1e9
        observer.said(f"{target}: about {needed:,.1f} GB when complete, {free:,.1f} GB are free")
        try:
            _on_threads(write, range(len(index)), index, f"resizing to {side} pixels", observer)
        except OSError as error:
            raise files.unusable(target, error) from None
    return prepare(target, observer=observer, fingerprint=fingerprint)


def check_side(side: int) -> None:
    """Raise `UsageError` unless images can be resized to ``side``."""
    if side not in BYTES:
        raise UsageError(f"--resize {side}: choose {' or '.join(map(str, BYTES))}")


def _on_threads(
    work: Callable[[int], None], images: Sequence[int], index: Index, what: str, observer: Observer
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

    chunks = [images[at : at + CHUNK] for at in range(0, len(images), CHUNK)]
    pool = ThreadPoolExecutor(cores())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, which nothing here reads
            for _ in observer.track(what, len(images), pool.map(work_on, chunks)):
                pass
    finally:
        pool.shutdown(cancel_futures=True)
    if bad:
        named = "; ".join(f"{name}: {why}" for name, why in sorted(bad.items())[:20])
        more = f"; and {len(bad) - 20:,} more" if len(bad) > 20 else ""
        raise MissingInput(
            f"{index.root}: {len(bad):,} of {len(index):,} images are bad: {named}{more}. Fetch them again, or "
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
    note = json.dumps({"shorter_side": side, "images": images, "original": prepared.content_hash})
    if not path.exists() and (target / "train").exists():
        raise MissingInput(f"{target} has images that are no resized copy: pass another --cache-dir")
    if path.exists() and path.read_text() != note:
        raise MissingInput(
            f"{target} was made of other images than {prepared.root} has: delete it, or pass another --cache-dir"
        )
    files.write_text(path, note)
