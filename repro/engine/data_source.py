"""Where the images of Runs come from: in memory, on the device, or streamed from the disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repro import data
from repro.data import imagenet
from repro.data.images import Images
from repro.engine.device import Device
from repro.engine.device_dataset import DeviceDataset
from repro.engine.ranks import Ranks
from repro.errors import MissingInput
from repro.run import Data, Photos

if TYPE_CHECKING:
    from repro.data.imagenet.loader import Loader


@dataclass(frozen=True)
class InMemoryData:
    """All small images of a data set on the device, for one process."""

    device: Device
    dataset: DeviceDataset
    source: str

    def close(self) -> None:
        """Has nothing to end."""


@dataclass(frozen=True)
class StreamedData:
    """Photographs on disk, read during training on all ``ranks``."""

    device: Device
    ranks: Ranks
    train: Loader
    test: Loader
    source: str

    def close(self) -> None:
        """End the loaders' threads."""
        for loader in (self.train, self.test):
            loader.close()


def in_memory_data(images: Images, device: Device) -> InMemoryData:
    """Copy ``images`` to the device."""
    return InMemoryData(device, DeviceDataset(images, device.torch), images.source)


def open_data(
    wanted: Data, folders: Sequence[Path], scratch: Path, device: Device, ranks: Ranks
) -> InMemoryData | StreamedData:
    """Open the data set that ``wanted`` names, found in ``folders`` or, if made from a seed, under ``scratch``.

    Raises `MissingInput` if it is absent, or has changed since the plan was made.
    """
    if isinstance(wanted, Photos):
        from repro.data.imagenet.loader import make_loader  # seconds of imports, only for those who need them

        splits = imagenet.open_splits(wanted, folders, scratch)
        say = _say_bad(ranks)
        train, test = (make_loader(split, wanted.crop, wanted.resize, device.torch, say) for split in splits)
        content = imagenet.content_hash(folders) if wanted.name == "imagenet" else None
        source = f"{wanted.name}, content {content}" if content else wanted.name
        return StreamedData(device, ranks, train, test, source)
    images = data.load(wanted.name, folders)
    if images.fingerprint != wanted.fingerprint:
        raise MissingInput(
            f"{images.source} has changed since the plan was made: its fingerprint is {images.fingerprint}"
        )
    return in_memory_data(images, device)


def _say_bad(ranks: Ranks) -> Callable[[str, str], None]:
    where = f"rank {ranks.rank}: " if ranks.count > 1 else ""

    def say(name: str, why: str) -> None:
        print(f"{where}left out, cannot be read: {name} ({why})", file=sys.stderr)

    return say
