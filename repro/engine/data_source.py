"""Where the images of Runs come from: in memory, on the device, or streamed from the disk."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class StreamedData:
    """Photographs on disk, read during training on all ``ranks``."""

    device: Device
    ranks: Ranks
    train: Loader
    test: Loader
    source: str


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
        from repro.data.imagenet.loader import Loader  # seconds of imports, only for those who need them

        splits = imagenet.open_splits(wanted, folders, scratch)
        train, test = (Loader(split, wanted.crop, wanted.resize, device.torch) for split in splits)
        source = wanted.name
        if source == "imagenet":
            source = f"imagenet, content {imagenet.prepared(folders).content_hash}"
        return StreamedData(device, ranks, train, test, source)
    images = data.load(wanted.name, folders)
    if images.fingerprint != wanted.fingerprint:
        raise MissingInput(
            f"{images.source} has changed since the plan was made: its fingerprint is {images.fingerprint}"
        )
    return in_memory_data(images, device)
