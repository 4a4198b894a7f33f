"""What `repro data prepare imagenet` found out, kept beside the images: names, labels, sizes, kinds, hashes.

``repro-prepared/index.json`` is small and read by every command; ``index.npz`` beside it has a row for each image.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from repro import files
from repro.data.imagenet import layout
from repro.errors import MissingInput

FOLDER = "repro-prepared"
FORMAT = 1
OFFICIAL = "ilsvrc2012"
SYNTHETIC = "synthetic-ilsvrc-v1"  # names the generator and its seed: the images follow from it
KINDS = ("RGB JPEG", "grayscale JPEG", "CMYK or YCCK JPEG", "PNG", "another format")
PLAIN = 2  # the first two kinds are what a JPEG decoder gives as it is
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
"""About an image: bytes, modification time (ns), pixels, its place in ``KINDS``, the start of its SHA-256."""
Facts = npt.NDArray[np.void]


@dataclass(frozen=True)
class Index:
    """Every image of a prepared tree, in the order of `layout.Listing`. ``facts`` is `FACTS` [N]."""

    classes: tuple[str, ...]
    names: list[str]
    labels: npt.NDArray[np.int64]
    train: int
    facts: Facts


@dataclass(frozen=True)
class Prepared:
    """A folder ``repro-prepared`` and what its index.json says: ``root`` is where the images are."""

    home: Path
    root: Path
    fingerprint: str
    content_hash: str
    train: int
    val: int
    kinds: dict[str, int]
    differences: list[str]
    cache_dir: Path | None
    sha256: str

    @property
    def whole(self) -> bool:
        """Whether each field is what it should be: index.json may have been written by anybody."""
        texts = (self.fingerprint, self.content_hash, self.sha256, *self.kinds, *self.differences)
        counts = (self.train, self.val, *self.kinds.values())
        return all(isinstance(text, str) for text in texts) and all(type(n) is int and n >= 0 for n in counts)

    def load(self) -> Index:
        """The whole index (1.3 million images: about a second). Raises `MissingInput` if it is damaged."""
        path = self.home / "index.npz"
        try:
            content = path.read_bytes()
            if files.sha256(content) != self.sha256:
                raise ValueError("its hash is not the one in index.json")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                names, classes = _unpack(arrays["names"]), _unpack(arrays["classes"])
                return Index(tuple(classes), names, arrays["labels"].astype(np.int64), self.train, arrays["facts"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise MissingInput(f"{path}: {error}; run `repro data prepare imagenet` again") from None


def find(folders: Sequence[Path]) -> Prepared | None:
    """What is prepared under ``folders``, read from index.json alone; None if nothing is."""
    for place in layout.places(folders):
        if found := read(place / FOLDER):
            return found
    return None


def read(home: Path) -> Prepared | None:
    """What index.json in ``home`` says; None where there is none, or one of another version or with odd values."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        told: dict[str, Any] = files.parse_json((home / "index.json").read_bytes())
        if told.pop("format") == FORMAT:
            cache_dir = told.pop("cache_dir")
            root = home.parent / told.pop("root")
            found = Prepared(home=home, root=root, cache_dir=Path(cache_dir) if cache_dir else None, **told)
            return found if found.whole else None
    return None


def content_hash(names: Sequence[str], classes: Sequence[str], labels: npt.NDArray[np.int64], facts: Facts) -> str:
    """16 hex digits from every image's split, class, file name and content: the same for every layout."""
    digest = hashlib.sha256()
    digests = facts["digest"].tobytes()
    for i, (name, label) in enumerate(zip(names, labels.tolist(), strict=True)):
        split, file = name.partition("/")[0], name.rpartition("/")[2]
        digest.update(f"{split}/{classes[label]}/{file}\0".encode(errors="surrogateescape"))
        digest.update(digests[16 * i : 16 * i + 16])
    return digest.hexdigest()[:16]


def save(index: Index, root: Path, homes: Sequence[Path], cache_dir: Path | None, name: str | None = None) -> None:
    """Write the index to each of ``homes``. Its fingerprint is ``name``, else by the counts and the content.

    Raises `MissingInput` where the disk is full or not to be written to.
    """
    arrays = io.BytesIO()
    np.savez_compressed(
        arrays,
        names=_pack(index.names),
        classes=_pack(index.classes),
        labels=index.labels.astype(np.int32),
        facts=index.facts,
    )
    hashed = content_hash(index.names, index.classes, index.labels, index.facts)
    differences = layout.differences(index.classes, index.labels, index.train)
    kinds = np.bincount(index.facts["kind"], minlength=len(KINDS)).tolist()
    told = {
        "format": FORMAT,
        "fingerprint": name or (hashed if differences else OFFICIAL),
        "content_hash": hashed,
        "train": index.train,
        "val": len(index.names) - index.train,
        "kinds": dict(zip(KINDS, kinds, strict=True)),
        "differences": differences,
        "cache_dir": str(cache_dir.resolve()) if cache_dir else None,
        "sha256": files.sha256(arrays.getvalue()),
    }
    for home in homes:
        beside = home.parent.resolve() == root.resolve()
        files.write_bytes(home / "index.npz", arrays.getvalue())
        # Last: it is what says that the other is there.
        text = json.dumps({**told, "root": "." if beside else str(root.resolve())}, indent=1)
        files.write_text(home / "index.json", text + "\n")


def _pack(names: Sequence[str]) -> npt.NDArray[np.uint8]:
    # No file name has a NUL in it, and numpy's own strings would take four bytes a character.
    return np.frombuffer("\0".join(names).encode(errors="surrogateescape"), dtype=np.uint8)


def _unpack(packed: npt.NDArray[np.uint8]) -> list[str]:
    return packed.tobytes().decode(errors="surrogateescape").split("\0")
