"""Read CIFAR-10 from disk: torchvision's pickles, the official binary layout, or an archive of either.

A pickle is opened only if its md5 is the one that torchvision publishes.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from repro.data.images import Bytes, Images, Split, assemble
from repro.errors import MissingInput

# Of all 60,000 images and labels, whatever the order of files (images.assemble).
OFFICIAL_FINGERPRINT = "21e99adf45f6c0c8"
RECORD = 1 + 3 * 32 * 32
TRAIN_BINARY = [f"data_batch_{i}.bin" for i in range(1, 6)]
TEST_BINARY = ["test_batch.bin"]
TRAIN_PICKLED = [f"data_batch_{i}" for i in range(1, 6)]
TEST_PICKLED = ["test_batch"]
# (folder or archive, its layout), in the order of the search.
PLACES = (
    ("cifar-10-batches-bin", "binary"),
    ("cifar-10-batches-py", "pickled"),
    ("cifar-10-binary.tar.gz", "binary"),
    ("cifar-10-python.tar.gz", "pickled"),
)
Reader = Callable[[str], bytes]


def missing(folders: Sequence[Path]) -> MissingInput:
    """Say in one line what to do if CIFAR-10 is not found."""
    places = ", ".join(str(folder) for folder in folders)
    return MissingInput(
        f"no CIFAR-10 under {places}: pass --data-dir DIR (or $REPRO_DATA) with cifar-10-batches-bin or -py or "
        "their archive, or run `repro data prepare` to download it"
    )


def find(folders: Sequence[Path]) -> Path | None:
    """Find the first folder or archive under ``folders`` with CIFAR-10's name, or a folder of its files."""
    for folder in folders:
        if (folder / TRAIN_BINARY[0]).exists() or (folder / TRAIN_PICKLED[0]).exists():
            return folder
        for name, _ in PLACES:
            if (folder / name).exists():
                return folder / name
    return None


@functools.lru_cache(maxsize=2)
def load(place: Path) -> Images:
    """Load all 60,000 images from a folder or archive that `find` returned.

    Raises `MissingInput` naming the file that is missing, truncated, altered or not CIFAR-10.
    """
    read = _archive_reader(place) if place.is_file() else _folder_reader(place)
    pickled = place.name.endswith("-py") or place.name == "cifar-10-python.tar.gz"
    if place.is_dir() and not pickled:
        pickled = not (place / TRAIN_BINARY[0]).exists() and (place / TRAIN_PICKLED[0]).exists()
    if pickled:
        train, test = _pickled(read, TRAIN_PICKLED, place), _pickled(read, TEST_PICKLED, place)
    else:
        train, test = _binary(read, TRAIN_BINARY, place), _binary(read, TEST_BINARY, place)
    return assemble(train, test, place.name)


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


def _folder_reader(folder: Path) -> Reader:
    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except FileNotFoundError:
            raise MissingInput(f"{folder}: {name} is missing, so CIFAR-10 is not complete") from None
        except OSError as error:
            raise MissingInput(f"{folder / name} cannot be read: {error.strerror or error}") from None

    return read


def _archive_reader(archive: Path) -> Reader:
    try:
        # First the whole stream: its end holds the checksum, and tarfile does not read that far.
        content = gzip.decompress(archive.read_bytes())
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = [m for m in tar.getmembers() if m.isfile()]
            contents = {Path(m.name).name: tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise MissingInput(f"{archive}: not a complete archive ({why}); fetch it again") from None

    def read(name: str) -> bytes:
        if name not in contents:
            raise MissingInput(f"{archive}: holds no {name}, so it is not CIFAR-10")
        return contents[name]

    return read


def _binary(read: Reader, names: list[str], place: Path) -> Split:
    parts = []
    for name in names:
        raw = np.frombuffer(read(name), dtype=np.uint8)
        if len(raw) != 10_000 * RECORD:
            raise MissingInput(
                f"{place / name}: {len(raw):,} bytes instead of {10_000 * RECORD:,}: truncated or not CIFAR-10"
            )
        records = raw.reshape(-1, RECORD)
        if records[:, 0].max() > 9:
            raise MissingInput(f"{place / name}: a label of {records[:, 0].max()}, CIFAR-10 has 0 to 9")
        parts.append(records)
    records = np.concatenate(parts)
    return Split(_channels_last(records[:, 1:]), records[:, 0].copy())


def _pickled(read: Reader, names: list[str], place: Path) -> Split:
    sums = published_md5()
    images, labels = [], []
    for name in names:
        raw = read(name)
        if hashlib.md5(raw, usedforsecurity=False).hexdigest() != sums[name]:
            raise MissingInput(
                f"{place / name}: its md5 is not that of CIFAR-10: truncated or altered, not opened"
            )
        batch = pickle.load(io.BytesIO(raw), encoding="latin1")
        images.append(np.asarray(batch["data"], dtype=np.uint8))
        labels.append(np.asarray(batch["labels"], dtype=np.uint8))
    return Split(_channels_last(np.concatenate(images)), np.concatenate(labels))


def published_md5() -> dict[str, str]:
    """Return the md5 of each pickled file, as torchvision publishes it."""
    from torchvision.datasets import CIFAR10

    return {name: md5 for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list]}


def _channels_last(flat: Bytes) -> Bytes:
    """Convert [N, 3072] in planes to [N, 32, 32, 3]."""
    return np.ascontiguousarray(flat.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
