"""`repro data`: report what is there, download CIFAR-10, verify and resize ImageNet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from repro import files
from repro.data import cifar10, imagenet
from repro.data.imagenet import layout, preparation
from repro.data.imagenet.index import Prepared
from repro.errors import MissingInput, UsageError
from repro.options import Options
from repro.places import find_root
from repro.report import terminal
from repro.workspace import data_folders

SETS = ("cifar10", "imagenet")


def status(options: Options, name: str, as_json: bool) -> None:
    """Print where a data set is and whether it is the official one. Raises `MissingInput` if it is not there."""
    info, line = find(name, data_folders(options.data_dir, find_root()))
    print(json.dumps(info) if as_json else line)


def find(name: str, folders: list[Path]) -> tuple[dict[str, Any], str]:
    """Return what is known of a data set under ``folders``, and a line about it. Raises `MissingInput` if it is
    not there, or damaged."""
    if name not in SETS:
        raise UsageError(f"no data set '{name}'; there are {', '.join(SETS)}")
    return _cifar10(folders) if name == "cifar10" else _imagenet(folders)


def prepare(options: Options, name: str, resize: int | None = None, cache_dir: Path | None = None) -> None:
    """Download CIFAR-10 if it is missing, or verify ImageNet and resize it; then print what is there."""
    folders = data_folders(options.data_dir, find_root())
    if name == "imagenet":
        _prepare_imagenet(folders, resize, cache_dir)
        return
    if resize or cache_dir:
        raise UsageError("--resize and --cache-dir go with `repro data prepare imagenet`")
    if name == "cifar10" and cifar10.find(folders) is None:
        files.check_writable(folders[0])
        print(f"downloading CIFAR-10 into {folders[0]}", file=sys.stderr)
        cifar10.download(folders[0])
    print(find(name, folders)[1])


def _cifar10(folders: list[Path]) -> tuple[dict[str, Any], str]:
    place = cifar10.find(folders)
    if place is None:
        raise cifar10.missing(folders)
    found = cifar10.load(place)
    official = found.fingerprint == cifar10.OFFICIAL_FINGERPRINT
    info = {
        "place": str(place),
        "train": len(found.train.labels),
        "test": len(found.test.labels),
        "fingerprint": found.fingerprint,
        "official": official,
    }
    verdict = "the official CIFAR-10" if official else "NOT the official CIFAR-10: other images or labels"
    counts = f"{info['train']:,} + {info['test']:,} images"
    return info, f"{place}: {counts}, fingerprint {found.fingerprint}, {verdict}"


def _imagenet(folders: list[Path]) -> tuple[dict[str, Any], str]:
    found = imagenet.prepared(folders)
    if lost := preparation.gone(found):
        raise MissingInput(
            f"{found.root}: of the {found.train + found.val:,} images that were verified {len(lost):,} are not as "
            f"they were: {layout.some(lost, 3)}; fetch them again, or run `repro data prepare imagenet` to use "
            "the rest"
        )
    info = {
        "place": str(found.root),
        "train": found.train,
        "test": found.val,
        "kinds": dict(found.kinds),
        "fingerprint": found.fingerprint,
        "content_hash": found.content_hash,
        "official": not found.differences and not found.stored,
        "differences": found.differences,
        "stored": found.stored,
    }
    return info, _describe(found)


def _describe(found: Prepared) -> str:
    verdict = "the official ILSVRC 2012"
    if found.differences:
        verdict = f"NOT the official ILSVRC 2012 ({found.differences[0]})"
    if found.stored:
        verdict = f"{verdict}, RESIZED to {found.stored} pixels (imagenet.data.stored={found.stored})"
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.kinds.items() if count)
    return (
        f"{found.root}: {found.train:,} + {found.val:,} images ({kinds}), fingerprint {found.fingerprint}, "
        f"content {found.content_hash}, {verdict}"
    )


def _prepare_imagenet(folders: list[Path], side: int | None, cache_dir: Path | None) -> None:
    from repro.report.progress import ImagesProgress

    if side is not None:
        preparation.check_side(side)
    root = layout.find(folders)
    if root is None:
        raise layout.missing(folders)
    progress = ImagesProgress(terminal.console(stderr=True))
    found = preparation.prepare(root, cache_dir, progress)
    if side:
        found = preparation.resize_tree(found, side, (cache_dir or root) / f"resized-{side}", progress)
    print(_describe(found))
