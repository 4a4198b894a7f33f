"""Looks at every image once: is it whole, what is it, how large. What is known is kept: a second look is short."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import struct
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from repro import files
from repro.data.imagenet.index import FACTS, KINDS, Facts, Index, Prepared
from repro.data.imagenet.layout import Listing
from repro.data.imagenet.parallel import Observer, in_chunks
from repro.errors import MissingInput

FLUSH_EVERY = 3.0  # seconds
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
Row = tuple[int, int, int, int, int, str]  # FACTS, the digest as hex digits
Known = dict[str, Row]


def examine(root: str, names: Sequence[str]) -> list[Row | str]:
    """Reads and decodes each image whole: a row of facts, or in words what is wrong with it."""
    return [_examine(f"{root}/{name}") for name in names]


def _examine(path: str) -> Row | str:
    try:
        with open(path, "rb") as file:
            stat = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if not content:
        return "is empty"
    try:
        width, height, kind = look(content)
    except Exception as error:  # Pillow's decoders raise all sorts of things on files that are damaged
        return f"cannot be decoded ({str(error) or type(error).__name__})"
    return len(content), stat.st_mtime_ns, width, height, kind, hashlib.sha256(content).hexdigest()[:32]


def look(content: bytes) -> tuple[int, int, int]:
    """Width, height and kind (a place in `KINDS`) of an image that decodes whole. Raises what Pillow raises.

    Pillow says so where a file ends early; libjpeg by itself fills the rest with grey.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which nobody reads
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
                width, height = image.size
                mode, name = image.mode, image.format
    except UnidentifiedImageError:
        raise ValueError("not an image") from None
    if name in ("JPEG", "MPO"):
        # Pillow forgives a missing end marker behind the last scan; the loader does not.
        if content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
            raise ValueError("its end is missing")
        kind = {"RGB": 0, "L": 1, "CMYK": 2}[mode]
    else:
        kind = 3 if name == "PNG" else 4
    return width, height, kind


class Journal:
    """Facts as they were found, a line each, so that a killed `prepare` goes on where it was."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Known:
        """What it holds, but for a last line that was not finished; nothing where there is none. Raises
        `MissingInput` naming a line that `prepare` does not write."""
        known: Known = {}
        again = "delete it, and every image is looked at again"
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise MissingInput(f"{self.path}: {error}; {again}") from None
        for number, line in enumerate(lines, 1):
            try:
                name, row = _parsed(line)
            except (ValueError, TypeError, struct.error) as error:
                raise MissingInput(f"{self.path}, line {number}: {error}; {again}") from None
            known[name] = row
        return known

    def open(self) -> BinaryIO:
        """For appending, after its last whole line. Raises `OSError`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self.path, "a+b")  # noqa: SIM115 (the caller closes it)
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        return file


def _parsed(line: bytes) -> tuple[str, Row]:
    """An image's name and facts. Raises ValueError, TypeError or struct.error for what `verify` does not write."""
    name, size, mtime, width, height, kind, digest = files.parse_json(line)
    struct.pack("<qqiiB", size, mtime, width, height, kind)  # as FACTS holds them
    if not isinstance(name, str) or kind >= len(KINDS) or len(bytes.fromhex(digest)) != 16:
        raise ValueError("not what is known about an image")
    return name, (size, mtime, width, height, kind, digest)


def verify(listing: Listing, known: Known, journal: Journal, observer: Observer, workers: int) -> Facts:
    """The facts about every image of ``listing``; those that ``known`` has, by size and time, are not read again.

    Raises `MissingInput` that names the images that are bad once all were looked at, or where the journal cannot
    be written; what was found out is in the journal by then.
    """
    rows: list[Row | None] = [None] * len(listing.names)
    for i, (name, *stat) in enumerate(
        zip(listing.names, listing.sizes.tolist(), listing.mtimes.tolist(), strict=True)
    ):
        if (row := known.get(name)) and list(row[:2]) == stat:
            rows[i] = row
    todo = [i for i, row in enumerate(rows) if row is None]
    if len(todo) < len(rows):
        observer.said(f"{len(rows) - len(todo):,} of {len(rows):,} images were verified before")
    bad: dict[str, str] = {}
    observer.began("verifying", len(todo))
    try:
        with journal.open() as file:
            synced = time.monotonic()
            position = 0
            task = functools.partial(examine, str(listing.root))
            for found in in_chunks(task, [listing.names[i] for i in todo], workers):
                for result in found:
                    i = todo[position]
                    position += 1
                    if isinstance(result, str):
                        bad[listing.names[i]] = result
                    else:
                        rows[i] = result
                        file.write(json.dumps([listing.names[i], *result], separators=(",", ":")).encode() + b"\n")
                observer.advanced(len(found))
                if time.monotonic() - synced > FLUSH_EVERY:
                    file.flush()
                    os.fsync(file.fileno())
                    synced = time.monotonic()
    except OSError as error:
        raise files.unusable(journal.path, error) from None
    finally:
        observer.ended()
    if bad:
        raise _bad(listing, bad)
    return _facts([row for row in rows if row is not None])


def gone(prepared: Prepared, sample: int = 1000) -> list[str]:
    """Images of ``prepared`` that are not there any more, and those of a ``sample`` that have another size, each
    with what is wrong. Class folders are listed and no image is read: seconds for all of ImageNet."""
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


def known_from(index: Index) -> Known:
    """What an index that was finished before knows about its images."""
    rows: list[Any] = index.facts.tolist()
    return {
        name: (*row[:5], digest.tobytes().hex())
        for name, row, digest in zip(index.names, rows, index.facts["digest"], strict=True)
    }


def _facts(rows: list[Row]) -> Facts:
    facts = np.zeros(len(rows), dtype=FACTS)
    for column, field in enumerate(("size", "mtime", "width", "height", "kind")):
        facts[field] = [row[column] for row in rows]
    digests = bytes.fromhex("".join(row[5] for row in rows))
    facts["digest"] = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 16)
    return facts


def _bad(listing: Listing, bad: dict[str, str]) -> MissingInput:
    named = "; ".join(f"{name} {why}" for name, why in list(bad.items())[:20])
    more = f"; and {len(bad) - 20:,} more" if len(bad) > 20 else ""
    return MissingInput(
        f"{listing.root}: {len(bad):,} of {len(listing.names):,} images are bad: {named}{more}. Fetch them again, "
        "or delete them to go without; the same command then looks at nothing but what changed"
    )


def odd(index: Index) -> list[str]:
    """The images that are neither RGB nor grayscale JPEGs, with what they are."""
    return [f"{index.names[i]} ({KINDS[kind]})" for i, kind in enumerate(index.facts["kind"]) if kind >= 2]
