"""`repro data prepare imagenet --resize 256`: write a copy of a prepared tree with smaller images.

The copy is a plain tree of JPEGs in class folders, which any tool reads, and a note (`layout.NOTE`).
"""

from __future__ import annotations

import functools
import io
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np

from repro import files
from repro.data.imagenet import layout
from repro.data.imagenet.index import PLAIN, Prepared
from repro.data.imagenet.parallel import SILENT, Observer, in_parallel, locked
from repro.data.imagenet.verify import bad_images, prepare
from repro.errors import MissingInput, UsageError

# The mean error against the resized pixels, on 200 images of ImageNet, is 2.7 of 255 levels at side 256 and 1.8 at
# 512. Quality 95 in 4:4:4: 1.5 and 1.1 levels, 51 and 157 kB an image, 1.5 times slower to decode.
QUALITY = 90
SUBSAMPLING = 2  # Pillow's name for 4:2:0
BYTES = {256: 28_000, 512: 87_000}
"""The sides there are, and what an image takes, measured on the same 200 images."""
Task = tuple[str, str, int, bool]
"""An image's name, that of its copy, its size in bytes, and whether it is copied unchanged."""


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
    copies = [  # in class folders, also those of a flat val/
        f"{name.partition('/')[0]}/{index.classes[label]}/{os.path.basename(name)}"
        for name, label in zip(index.names, index.labels.tolist(), strict=True)
    ]
    tasks = list(zip(index.names, copies, sizes.tolist(), keep.tolist(), strict=True))
    files.check_writable(target)
    with locked(target):
        _write_note(target, side, prepared, len(tasks))
        needed, free = np.minimum(sizes, BYTES[side]).sum() / 1e9, shutil.disk_usage(target).free / 1e9
        observer.said(f"{target}: about {needed:,.1f} GB when complete, {free:,.1f} GB are free")
        write = functools.partial(_write, prepared.root, target, side)
        try:
            faults = list(in_parallel(write, tasks, f"resizing to {side} pixels", observer))
        except OSError as error:
            raise files.unusable(target, error) from None
    if bad := {name: fault for name, fault in zip(index.names, faults, strict=True) if fault}:
        raise bad_images(prepared.root, len(tasks), bad)
    return prepare(target, observer=observer, fingerprint=fingerprint)


def check_side(side: int) -> None:
    """Raise `UsageError` unless images can be resized to ``side``."""
    if side not in BYTES:
        raise UsageError(f"--resize {side}: choose {' or '.join(map(str, BYTES))}")


def shrink(content: bytes, side: int) -> bytes:
    """Encode the image as a JPEG with a shorter side of ``side`` at most, resized as torchvision's Resize does."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata
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


def _write(root: Path, target: Path, side: int, task: Task) -> str:
    """Write the copy of one image unless it exists; return the image's fault, if any. Raises `OSError`."""
    name, copy, size, keep = task
    path = target / copy
    if path.is_file() and path.stat().st_size:  # a crash of the machine may leave an empty file
        return ""
    try:
        content = (root / name).read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if len(content) != size:
        return "has changed since it was verified"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(content if keep else shrink(content, side))
    os.replace(beside, path)
    return ""


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
