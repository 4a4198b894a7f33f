"""The index that `repro data prepare imagenet` writes: names, labels, sizes, kinds and hashes of all images.

Every command reads the small ``repro-prepared/index.json``; ``index.npz`` beside it has a row for each image.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from repro import files
from repro.config.fields import build
from repro.data.imagenet import layout
from repro.data.imagenet.layout import Index
from repro.errors import MissingInput

FOLDER = "repro-prepared"
FORMAT = 1
OFFICIAL = "ilsvrc2012"
SYNTHETIC = "synthetic-ilsvrc-v1"  # the name of the generator and its seed, which determine the images
KINDS = ("RGB JPEG", "grayscale JPEG", "CMYK or YCCK JPEG", "PNG", "another format")
PLAIN = 2  # the first two kinds need no conversion


@dataclass(frozen=True)
class Prepared:
    """A folder ``repro-prepared``, ``home``, and its index.json. ``root`` is where the images are.

    ``stored`` is the shorter side of a resized copy, 0 for original images.
    """

    home: Path
    root: Path
    fingerprint: str
    content_hash: str
    train: int
    val: int
    kinds: Mapping[str, int]
    differences: tuple[str, ...]
    stored: int
    sha256: str

    def load(self) -> Index:
        """Load the whole index (1.3 million images: about a second). Raises `MissingInput` if it is damaged."""
        path = self.home / "index.npz"
        try:
            content = path.read_bytes()
            if files.sha256(content) != self.sha256:
                raise ValueError("its hash is not the one in index.json")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                names, classes = _unpack(arrays["names"]), _unpack(arrays["classes"])
                labels, facts = arrays["labels"].astype(np.int64), arrays["facts"]
                return Index(self.root, names, labels, facts["size"], classes, self.train, facts, self.stored)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise MissingInput(f"{path}: {error}; run `repro data prepare imagenet` again") from None


def find(folders: Sequence[Path]) -> Prepared | None:
    """Find a prepared tree under ``folders``, from index.json alone."""
    for place in layout.places(folders):
        if found := read(place / FOLDER):
            return found
    return None


def read(home: Path) -> Prepared | None:
    """Read index.json in ``home``; None if it is missing, of another version or damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        info = files.parse_json((home / "index.json").read_bytes())
        if info.pop("format") == FORMAT:
            found: Prepared = build(Prepared, info | {"home": home, "root": home.parent / info["root"]}, "")
            return found
    return None


def content_hash(index: Index) -> str:
    """Hash every image's split, class, file name and content to 16 hex digits, equal for every layout."""
    digest = hashlib.sha256()
    digests = index.facts["digest"].tobytes()
    for i, (name, label) in enumerate(zip(index.names, index.labels.tolist(), strict=True)):
        split, file = name.partition("/")[0], name.rpartition("/")[2]
        digest.update(f"{split}/{index.classes[label]}/{file}\0".encode(errors="surrogateescape"))
        digest.update(digests[16 * i : 16 * i + 16])
    return digest.hexdigest()[:16]


def save(index: Index, home: Path, name: str | None = None) -> Prepared:
    """Write the index to ``home``. Its fingerprint is ``name``, else determined by counts and content.

    Raises `MissingInput` if the disk is full or read-only.
    """
    content = io.BytesIO()
    np.savez_compressed(
        content,
        names=_pack(index.names),
        classes=_pack(index.classes),
        labels=index.labels.astype(np.int32),
        facts=index.facts,
    )
    root, hashed, differences = index.root.resolve(), content_hash(index), layout.differences(index)
    kinds = np.bincount(index.facts["kind"], minlength=len(KINDS)).tolist()
    saved = Prepared(
        home=home,
        root=home.parent if home.parent.resolve() == root else root,
        fingerprint=name or (hashed if differences else OFFICIAL),
        content_hash=hashed,
        train=index.train,
        val=len(index.names) - index.train,
        kinds=dict(zip(KINDS, kinds, strict=True)),
        differences=tuple(differences),
        stored=index.stored,
        sha256=files.sha256(content.getvalue()),
    )
    info = {"format": FORMAT} | dataclasses.asdict(saved)
    del info["home"]
    info["root"] = "." if saved.root == home.parent else str(saved.root)
    files.write_bytes(home / "index.npz", content.getvalue())
    # Written last: its presence means that the other file is there.
    files.write_text(home / "index.json", json.dumps(info, indent=1) + "\n")
    return saved


def _pack(names: Sequence[str]) -> npt.NDArray[np.uint8]:
    # No file name contains a NUL, and numpy's own strings would take four bytes a character.
    return np.frombuffer("\0".join(names).encode(errors="surrogateescape"), dtype=np.uint8)


def _unpack(packed: npt.NDArray[np.uint8]) -> list[str]:
    return packed.tobytes().decode(errors="surrogateescape").split("\0")
