"""Read CIFAR-10 from disk: torchvision's pickles, the official binary layout, or an archive of either.

A pickle is opened only if its md5 is the one that torchvision publishes.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import json
import pickle
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from repro import files
from repro.data.images import Bytes, Images, Split, assemble
from repro.errors import MissingInput

# Of all 60,000 images and labels, whatever the order of files (images.assemble).
OFFICIAL_FINGERPRINT = "21e99adf45f6c0c8"
RECORD = 1 + 3 * 32 * 32
TRAIN = 50_000
# The last file of each layout has the test images.
BINARY = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
PICKLED = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
PLACES = ("cifar-10-batches-bin", "cifar-10-batches-py", "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
"""Folders and archives, in the order of the search."""


def find(folders: Sequence[Path]) -> Path | None:
    """Find the first folder or archive under ``folders`` with CIFAR-10's name, or a folder of its files."""
    for folder in folders:
        if (folder / BINARY[0]).exists() or (folder / PICKLED[0]).exists():
            return folder
        for name in PLACES:
            if (folder / name).exists():
                return folder / name
    return None


def require(folders: Sequence[Path]) -> Path:
    """Find what `find` finds. Raises `MissingInput` saying in one line what to do if there is nothing."""
    if place := find(folders):
        return place
    raise MissingInput(
        f"no CIFAR-10 under {', '.join(map(str, folders))}: pass --data-dir DIR (or $REPRO_DATA) with "
        "cifar-10-batches-bin or -py or their archive, or run `repro data prepare` to download it"
    )


@functools.lru_cache(maxsize=2)
def load(place: Path) -> Images:
    """Load all 60,000 images from a folder or archive that `find` returned.

    Raises `MissingInput` naming the file that is missing, truncated, altered or not CIFAR-10.
    """
    contents = _contents(place)
    binary = not contents or any(name in contents for name in BINARY)
    names, parse = (BINARY, _binary) if binary else (PICKLED, _pickled)
    parts = []
    for name in names:
        if name not in contents:
            raise MissingInput(f"{place}: {name} is missing, so CIFAR-10 is not complete")
        parts.append(parse(contents[name], place / name))
    labels, planes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    images = np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    train, test = Split(images[:TRAIN], labels[:TRAIN]), Split(images[TRAIN:], labels[TRAIN:])
    return assemble(train, test, place.name)


def fingerprint(place: Path, cache: Path | None = None) -> str:
    """Return the fingerprint of the images that `load` returns, which takes seconds.

    It is kept in the JSON file ``cache``, if that can be written and its folder exists, and read there while the
    files have the same sizes and times. Training compares it with the images themselves. Raises what `load` does.
    """
    parts = [place / name for name in (*BINARY, *PICKLED)] if place.is_dir() else [place]
    stats = {str(path.resolve()): path.stat() for path in parts if path.exists()}
    about = {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()}
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = files.parse_json(cache.read_bytes()) if cache else {}
        if known["files"] == about:
            return str(known["fingerprint"])
    found = load(place).fingerprint
    if cache and cache.parent.is_dir():
        with contextlib.suppress(MissingInput):
            files.write_text(cache, json.dumps({"files": about, "fingerprint": found}) + "\n")
    return found


def download(folder: Path) -> Path:
    """Download CIFAR-10 into ``folder`` with torchvision, which checks its md5.

    Offline raises `MissingInput`, saying what to download by hand and where to put it.
    """
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise MissingInput(
            f"CIFAR-10 could not be downloaded ({error}): fetch {CIFAR10.url} elsewhere (md5 {CIFAR10.tgz_md5}), "
            f"put it into {folder} as {CIFAR10.filename}, and run the same command again"
        ) from None
    return folder / "cifar-10-batches-py"


def _contents(place: Path) -> dict[str, bytes]:
    """Read the files of a folder, of both layouts, or all files of an archive, by name."""
    if place.is_dir():
        try:
            return {name: (place / name).read_bytes() for name in (*BINARY, *PICKLED) if (place / name).exists()}
        except OSError as error:
            raise MissingInput(f"{error.filename} cannot be read: {error.strerror or error}") from None
    try:
        # First the whole stream: its end holds the checksum, and tarfile does not read that far.
        content = gzip.decompress(place.read_bytes())
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = [m for m in tar.getmembers() if m.isfile()]
            return {Path(m.name).name: tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise MissingInput(f"{place}: not a complete archive ({why}); fetch it again") from None


def _binary(content: bytes, path: Path) -> tuple[Bytes, Bytes]:
    """Return the labels [10,000] and the images in planes [10,000, 3072] of a file."""
    if len(content) != 10_000 * RECORD:
        raise MissingInput(
            f"{path}: {len(content):,} bytes instead of {10_000 * RECORD:,}: truncated or not CIFAR-10"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() > 9:
        raise MissingInput(f"{path}: a label of {records[:, 0].max()}, CIFAR-10 has 0 to 9")
    return records[:, 0], records[:, 1:]


def _pickled(content: bytes, path: Path) -> tuple[Bytes, Bytes]:
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != published_md5()[path.name]:
        raise MissingInput(f"{path}: its md5 is not that of CIFAR-10: truncated or altered, not opened")
    batch = pickle.loads(content, encoding="latin1")
    return np.asarray(batch["labels"], dtype=np.uint8), np.asarray(batch["data"], dtype=np.uint8)


def published_md5() -> dict[str, str]:
    """Return the md5 of each pickled file, as torchvision publishes it."""
    from torchvision.datasets import CIFAR10

    return {name: md5 for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list]}
