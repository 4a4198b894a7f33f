"""ImageNet (ILSVRC 2012) on disk, and a small tree of the same layout generated from a seed.

`layout.py` finds and counts images; `preparation.py` decodes each once (`pillow.py`), writes the index
(`index.py`), and a copy with smaller images; `loader.py`, `decode.py` and `augment.py` make batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from repro.data.imagenet import index, layout
from repro.data.imagenet.layout import ImageFiles
from repro.data.images import first_of_each
from repro.errors import MissingInput
from repro.run import Photos


def open_splits(data: Photos, folders: Sequence[Path], scratch: Path) -> tuple[ImageFiles, ImageFiles, str]:
    """Open a Run's training and test images: as many of each class as their numbers allow, equal for every user.
    Return with them what Records call their source.

    ImageNet must be prepared; the synthetic tree is generated under ``scratch``. Raises `MissingInput` saying
    what to do, `UsageError` if there are fewer images than requested.
    """
    if data.name == "synthetic-ilsvrc":
        from repro.data.imagenet import synthetic

        found, source = synthetic.ensure_generated(scratch, data.stored), data.name
    else:
        found = prepared(folders, data.stored)
        source = f"imagenet, content {found.content_hash}"
    if found.fingerprint != data.fingerprint:
        raise MissingInput(
            f"{found.root} has images of fingerprint {found.fingerprint}, the Run is on {data.fingerprint}"
        )
    if not (found.root / "train").is_dir():
        raise MissingInput(f"{found.root} is gone, which {found.home} is about: prepare ImageNet again")
    rows = found.load()
    train = first_of_each(rows.labels[: rows.train], data.train)
    test = rows.train + first_of_each(rows.labels[rows.train :], data.test)
    return rows.take(train), rows.take(test), source


def prepared(folders: Sequence[Path], stored: int | None = None) -> index.Prepared:
    """Return the tree that `repro data prepare imagenet` prepared in ``folders``.

    Raises `MissingInput` if there is none, or if its images do not have a shorter side of ``stored`` pixels (0: if
    they are not the original ones).
    """
    found = index.find(folders)
    if found is None:
        place = layout.require(folders)
        raise MissingInput(f"{place} is not prepared: run `repro data prepare imagenet --data-dir {place}`")
    if stored in (None, found.stored):
        return found
    if stored:
        raise MissingInput(
            f"{found.root} has no images resized to {stored} pixels: run `repro data prepare imagenet --resize "
            f"{stored}`, and pass --data-dir with the folder that it writes"
        )
    raise MissingInput(
        f"{found.root} has images resized to {found.stored} pixels, not the original ones: pass --data-dir with "
        f"those, or add --set imagenet.data.stored={found.stored}"
    )
