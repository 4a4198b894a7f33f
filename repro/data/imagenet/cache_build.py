"""Writes the cache, and goes on with one that was not finished."""

from __future__ import annotations

import functools
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from repro import files
from repro.data.imagenet.cache import (
    FORMAT,
    RECORD,
    SIDES,
    Records,
    folder_of,
    layout,
    read_records,
    shard_path,
    shard_sizes,
    state,
)
from repro.data.imagenet.index import PLAIN, Index, Prepared
from repro.data.imagenet.parallel import Observer, Silent, in_chunks, locked
from repro.data.imagenet.resize import QUALITY, Task, encode
from repro.errors import MissingInput, UsageError
from repro.machine import cores

SHARD = 1 << 30  # bytes
SAMPLE = 200  # images that are encoded to tell the size beforehand


def build(prepared: Prepared, side: int, observer: Observer | None = None, workers: int | None = None) -> None:
    """Write the cache of ``side``, or go on with it. An image is never enlarged; a plain JPEG that is no larger
    than that is kept byte for byte.

    Raises `UsageError` for another side, `MissingInput` where the disk has no room, also beforehand, or where
    another data set's cache is in the way.
    """
    if side not in SIDES:
        raise UsageError(f"--cache {side}: choose {' or '.join(map(str, SIDES))}")
    observer = observer or Silent()
    index, folder = prepared.load(), folder_of(prepared.home, side)
    files.check_writable(folder)
    with locked(folder):
        told = _begin(folder, side, prepared)
        if told["complete"]:
            told["complete"] = False
            files.write_text(folder / "cache.json", json.dumps(told))  # until all of it was read and found whole
        written = _check(folder, told["shard"], observer)
        tasks = _tasks(index, side)[len(written) :]
        if tasks:
            _check_room(index, prepared.root, side, len(written), folder, observer)
            _write(folder, told["shard"], written, prepared.root, tasks, side, observer, workers or cores())
        records = read_records(folder)
        sums = {"images": len(records), "bytes": int(records["length"].sum(dtype=np.int64))}
        told |= {**sums, "records_sha256": files.sha256(records.tobytes()), "complete": True}
        files.write_text(folder / "cache.json", json.dumps(told))


def _begin(folder: Path, side: int, prepared: Prepared) -> dict[str, Any]:
    told = state(prepared.home, side)
    if told is None:
        told = {"format": FORMAT, "side": side, "quality": QUALITY, "subsampling": "4:2:0", "shard": SHARD}
        told |= {"content_hash": prepared.content_hash, "complete": False}
        files.write_text(folder / "cache.json", json.dumps(told))
    if told["content_hash"] != prepared.content_hash:
        raise MissingInput(
            f"{folder} was made of other images than {prepared.root} has: delete it, or pass another --cache-dir"
        )
    return told


def _check(folder: Path, limit: int, observer: Observer) -> Records:
    """What is written and whole; whatever follows the first image that is not is cut off."""
    records = read_records(folder)
    places = layout(records["length"], limit)
    good = 0
    if len(records):
        observer.began("checking what is written", len(records))
        good = _count_whole(folder, records, places, observer)
        observer.ended()
        if good < len(records):
            observer.said(f"{folder}: torn or damaged after {good:,} images, and written again from there")
    sizes = shard_sizes(places[:good])
    for path in folder.glob("shard-*.bin"):
        number = int(path.stem.removeprefix("shard-"))
        if number >= len(sizes):
            path.unlink()
        elif path.stat().st_size > sizes[number]:
            os.truncate(path, sizes[number])
    if (folder / "records.bin").exists():
        os.truncate(folder / "records.bin", good * RECORD.itemsize)
    return records[:good]


def _count_whole(folder: Path, records: Records, places: npt.NDArray[np.int64], observer: Observer) -> int:
    good = 0
    for shard in range(len(shard_sizes(places))):
        members = np.flatnonzero(places[:, 0] == shard)
        try:
            with open(shard_path(folder, shard), "rb") as file:
                for length, crc in records[members].tolist():
                    if zlib.crc32(file.read(length)) != crc:
                        return good
                    good += 1
        except FileNotFoundError:
            return good
        observer.advanced(len(members))
    return good


def _check_room(index: Index, root: Path, side: int, done: int, folder: Path, observer: Observer) -> None:
    needed = estimate(index, root, side, done)
    free = shutil.disk_usage(folder).free
    observer.said(
        f"{folder}: {len(index.names) - done:,} images will take about {_size(needed)} (an estimate from "
        f"{SAMPLE} of them), {_size(free)} are free"
    )
    if needed > free:
        raise MissingInput(
            f"{folder} needs about {_size(needed)} and has {_size(free)} free: free some, or pass another "
            "--cache-dir"
        )


def estimate(index: Index, root: Path, side: int, done: int = 0) -> int:
    """Bytes of the cache from image ``done`` on: what is kept exactly, the rest by a sample's bytes per pixel."""
    kept = _kept(index, side)
    width, height = (index.facts[name].astype(np.float64) for name in ("width", "height"))
    pixels = width * height * np.minimum(1, side / np.minimum(width, height)) ** 2
    exact = int(index.facts["size"][done:][kept[done:]].sum())
    resized = np.flatnonzero(~kept)
    resized = resized[resized >= done]
    if not len(resized):
        return exact
    sample = resized[np.linspace(0, len(resized) - 1, min(SAMPLE, len(resized))).astype(int)]
    tasks = _tasks(index, side)
    made = encode(str(root), side, [tasks[i] for i in sample.tolist()])
    return exact + int(pixels[resized].sum() * sum(map(len, made)) / pixels[sample].sum())


def _write(
    folder: Path,
    limit: int,
    written: Records,
    root: Path,
    tasks: Sequence[Task],
    side: int,
    observer: Observer,
    workers: int,
) -> None:
    places = layout(written["length"], limit)
    shard, end = (int(places[-1, 0]), int(places[-1, 1] + places[-1, 2])) if len(places) else (0, 0)
    observer.began(f"writing the cache of {side} pixels", len(tasks))
    try:
        with _Writer(folder, limit, shard, end) as writer:
            for made in in_chunks(functools.partial(encode, str(root), side), tasks, workers):
                writer.add(made)
                observer.advanced(len(made))
    except OSError as error:
        raise files.unusable(folder / "cache.json", error) from None
    finally:
        observer.ended()


class _Writer:
    """Appends images to shards, and then says so in records.bin."""

    def __init__(self, folder: Path, limit: int, shard: int, end: int) -> None:
        self._folder, self._limit, self._number, self._end = folder, limit, shard, end
        self._shard = _append(shard_path(folder, shard))
        self._records = _append(folder / "records.bin")

    def add(self, images: Iterable[bytes]) -> None:
        """Append ``images``. Raises `OSError`; what was added before stays."""
        rows = []
        for image in images:
            if self._end and self._end + len(image) > self._limit:
                self._sync(self._shard)
                self._shard.close()
                self._number, self._end = self._number + 1, 0
                self._shard = _append(shard_path(self._folder, self._number))
            self._shard.write(image)
            self._end += len(image)
            rows.append((len(image), zlib.crc32(image)))
        self._shard.flush()
        self._records.write(np.array(rows, dtype=RECORD).tobytes())
        self._records.flush()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._sync(self._shard)
                self._sync(self._records)
        finally:
            for file in (self._shard, self._records):
                with suppress(OSError):
                    file.close()

    @staticmethod
    def _sync(file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())


def _kept(index: Index, side: int) -> npt.NDArray[np.bool_]:
    short = np.minimum(index.facts["width"], index.facts["height"])
    kept: npt.NDArray[np.bool_] = (short <= side) & (index.facts["kind"] < PLAIN)
    return kept


def _tasks(index: Index, side: int) -> list[Task]:
    return list(zip(index.names, index.facts["size"].tolist(), _kept(index, side).tolist(), strict=True))


def _append(path: Path) -> BinaryIO:
    return open(path, "ab")


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
