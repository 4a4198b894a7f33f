"""A cache of the images made smaller: a shorter side of 256 or 512, as JPEGs packed into shards of a GiB.

``cache-256/`` has ``shard-0000.bin``, ...; ``records.bin`` with length and CRC-32 of each image in the order of
the index; and ``cache.json``. Shards and records only grow: what a `prepare` left that was killed or met a full
disk is checked by its CRCs, cut after the last whole image, and gone on with.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from repro import files
from repro.data.imagenet.index import Index, Prepared
from repro.data.imagenet.split import CacheSplit
from repro.errors import MissingInput

FORMAT = 1
SIDES = (256, 512)
RECORD = np.dtype([("length", "<u4"), ("crc", "<u4")])
Records = npt.NDArray[np.void]


def folder_of(home: Path, side: int) -> Path:
    """Where the cache of this side is."""
    return home / f"cache-{side}"


def state(home: Path, side: int) -> dict[str, Any] | None:
    """What cache.json says, None where there is no such cache, or cache.json has odd values."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told: dict[str, Any] = files.parse_json((folder_of(home, side) / "cache.json").read_bytes())
        kinds: dict[str, type] = {"shard": int, "content_hash": str, "complete": bool}
        kinds |= {"bytes": int, "records_sha256": str} if told["complete"] else {}
        known = told["format"] == FORMAT and told["shard"] > 0
        return told if known and all(type(told[name]) is kind for name, kind in kinds.items()) else None
    return None


def find(prepared: Prepared, side: int) -> Path | None:
    """The home, beside the images or in the cache folder that was given, which has a cache of ``side``."""
    homes = [prepared.home, *([prepared.cache_dir / prepared.home.name] if prepared.cache_dir else [])]
    return next((home for home in homes if state(home, side)), None)


def open_split(prepared: Prepared, index: Index, side: int, chosen: npt.NDArray[np.int64]) -> CacheSplit:
    """The images ``chosen`` of the index, from its cache of ``side``.

    Raises `MissingInput` where the cache is absent, unfinished, damaged or of other images.
    """
    again = f"run `repro data prepare imagenet --cache {side}`"
    home = find(prepared, side)
    told = state(home, side) if home else None
    if not home or not told:
        raise MissingInput(f"{prepared.home} has no cache of images of {side} pixels: {again}")
    folder = folder_of(home, side)
    if not told["complete"]:
        raise MissingInput(f"{folder} is not finished: {again}, which goes on with it")
    if told["content_hash"] != prepared.content_hash:
        raise MissingInput(f"{folder} was made of other images than {prepared.root} has: delete it and {again}")
    records = read_records(folder)
    if files.sha256(records.tobytes()) != told["records_sha256"]:
        raise MissingInput(f"{folder / 'records.bin'} is damaged: {again}")
    if len(records) != len(index.names):
        raise MissingInput(f"{folder} has {len(records):,} images, the index {len(index.names):,}: {again}")
    places = layout(records["length"], told["shard"])
    sizes = shard_sizes(places)
    shards = [shard_path(folder, number) for number in range(len(sizes))]
    for path, size in zip(shards, sizes, strict=True):
        if not path.exists() or path.stat().st_size != size:
            raise MissingInput(f"{path} is missing or torn: {again}")
    names = [index.names[i] for i in chosen.tolist()]
    return CacheSplit(shards, names, index.labels[chosen], places[chosen], records["crc"][chosen])


def layout(lengths: npt.NDArray[np.integer[Any]], limit: int) -> npt.NDArray[np.int64]:
    """Shard, first byte and byte count of each image, int64 [N, 3]: a shard is filled up to ``limit`` bytes."""
    ends = np.cumsum(lengths, dtype=np.int64)
    places = np.empty((len(lengths), 3), dtype=np.int64)
    places[:, 2] = lengths
    first = shard = 0
    while first < len(lengths):
        before = ends[first] - places[first, 2]
        last = max(first + 1, int(np.searchsorted(ends, before + limit, side="right")))
        places[first:last, 0] = shard
        places[first:last, 1] = ends[first:last] - places[first:last, 2] - before
        first, shard = last, shard + 1
    return places


def read_records(folder: Path) -> Records:
    """Length and CRC-32 of each image that records.bin has whole."""
    try:
        content = (folder / "records.bin").read_bytes()
    except FileNotFoundError:
        content = b""
    return np.frombuffer(content[: len(content) // RECORD.itemsize * RECORD.itemsize], dtype=RECORD)


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard is."""
    return folder / f"shard-{number:04}.bin"


def shard_sizes(places: npt.NDArray[np.int64]) -> list[int]:
    """How many bytes each shard has."""
    return np.bincount(places[:, 0], weights=places[:, 2]).astype(np.int64).tolist() if len(places) else []
