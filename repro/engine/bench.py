"""What Runs of one wave share: the device and the images, in memory or on the way from the disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from repro import data
from repro.data import photos
from repro.data.batches import DeviceImages, random_labels
from repro.data.images import Images
from repro.engine.device import Device
from repro.engine.network import Network
from repro.engine.ranks import Ranks, alone
from repro.engine.resident import Resident
from repro.engine.trainer import Progress, Trainer
from repro.errors import MissingInput
from repro.run import Data, Photos, Run

if TYPE_CHECKING:
    from repro.data.photos.loader import Loader


@dataclass(frozen=True)
class Bench:
    """Small images on the device, for one process."""

    device: Device
    train: DeviceImages
    test: DeviceImages
    source: str

    @property
    def ranks(self) -> Ranks:
        """This process alone."""
        return alone(self.device.torch)

    def trainer(self, run: Run, first: int, network: Network, precision: torch.dtype, _: Progress) -> Trainer:
        """For ``run`` from epoch ``first`` on."""
        return Resident(run, first, network, self.train, self.test, precision)

    def close(self) -> None:
        """Nothing to end."""


@dataclass(frozen=True)
class PhotoBench:
    """Photographs on disk, read on all ``ranks`` as training goes on."""

    device: Device
    ranks: Ranks
    train: Loader
    test: Loader
    source: str

    def trainer(self, run: Run, _: int, network: Network, precision: torch.dtype, progress: Progress) -> Trainer:
        """For ``run``; every rank has its own."""
        from repro.engine.streamed import Streamed

        return Streamed(run, network, self.train, self.test, precision, self.ranks, progress)

    def close(self) -> None:
        """End the loaders' threads."""
        for loader in (self.train, self.test):
            loader.close()


def make_bench(images: Images, wanted: Data, device: Device) -> Bench:
    """The part of ``images`` that ``wanted`` asks for, on the device. With random labels both splits are one."""
    place = device.torch
    if wanted.labels != "true":
        examples = images.train.first(wanted.train)
        labels = random_labels(wanted.labels, wanted.train)
        shown = DeviceImages(examples, images.statistics, place, labels)
        return Bench(device, shown, shown, f"{images.source}, labels {wanted.labels}")
    parts = (images.train.first(wanted.train), images.test.first(wanted.test))
    train, test = (DeviceImages(part, images.statistics, place) for part in parts)
    return Bench(device, train, test, images.source)


def open_bench(
    wanted: Data, folders: Sequence[Path], scratch: Path, device: Device, ranks: Ranks, loader: str
) -> Bench | PhotoBench:
    """What ``wanted`` names, found in ``folders`` or, where it is made from a seed, under ``scratch``.

    Raises `MissingInput` for data that is not there or not the data that the plan was made for.
    """
    if isinstance(wanted, Photos):
        from repro.data.photos.loader import make_loader  # seconds of imports, only for those who need them

        splits = photos.open_splits(wanted, folders, scratch)
        say = _say_bad(ranks)
        train, test = (
            make_loader(split, wanted.crop, wanted.resize, device.torch, loader, on_bad=say) for split in splits
        )
        content = photos.content_hash(folders) if wanted.name == "imagenet" else None
        source = f"{wanted.name}, content {content}" if content else wanted.name
        return PhotoBench(device, ranks, train, test, source)
    images = data.load(wanted.name, folders)
    if images.fingerprint != wanted.fingerprint:
        raise MissingInput(f"{images.source} changed while planning: its fingerprint is {images.fingerprint}")
    return make_bench(images, wanted, device)


def _say_bad(ranks: Ranks) -> Callable[[str, str], None]:
    where = f"rank {ranks.rank}: " if ranks.count > 1 else ""

    def say(name: str, why: str) -> None:
        print(f"{where}left out, cannot be read: {name} ({why})", file=sys.stderr)

    return say
