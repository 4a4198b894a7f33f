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
from repro.report.progress import ImagesProgress
from repro.workspace import data_folders


def status(options: Options, name: str, as_json: bool) -> None:
    """Print where a data set is and whether it is the official one. Raises `MissingInput` if it is not there."""
    info, line = find(name, data_folders(options.data_dir, find_root()))
    print(json.dumps(info) if as_json else line)


def prepare(options: Options, name: str, resize: int | None = None, cache_dir: Path | None = None) -> None:
    """Download CIFAR-10 if it is missing, or verify ImageNet and ``resize`` it; then print what is there."""
    folders = data_folders(options.data_dir, find_root())
    if name == "imagenet":
        if resize is not None:
            preparation.check_side(resize)
        root = layout.require(folders)
        progress = ImagesProgress(terminal.console(stderr=True))
        prepared = preparation.prepare(root, cache_dir, progress)
        if resize:
            target = (cache_dir or root) / f"resized-{resize}"
            prepared = preparation.resize_tree(prepared, resize, target, progress)
        print(_describe(prepared))
        return
    if resize or cache_dir:
        raise UsageError("--resize and --cache-dir go with `repro data prepare imagenet`")
    if name == "cifar10" and cifar10.find(folders) is None:
        files.check_writable(folders[0])
        print(f"downloading CIFAR-10 into {folders[0]}", file=sys.stderr)
        cifar10.download(folders[0])
    print(find(name, folders)[1])


def find(name: str, folders: list[Path]) -> tuple[dict[str, Any], str]:
    """Return what is known of a data set under ``folders``, and a line about it. Raises `MissingInput` if it is
    not there, or damaged."""
    if name == "imagenet":
        prepared = imagenet.prepared(folders)
        if lost := preparation.gone(prepared):
            raise MissingInput(
                f"{prepared.root}: of the {prepared.train + prepared.val:,} images that were verified "
                f"{len(lost):,} are not as they were: {layout.some(lost, 3)}; fetch them again, or run "
                "`repro data prepare imagenet` to use the rest"
            )
        info = {
            "place": str(prepared.root),
            "train": prepared.train,
            "test": prepared.val,
            "kinds": dict(prepared.kinds),
            "fingerprint": prepared.fingerprint,
            "content_hash": prepared.content_hash,
            "official": not prepared.differences and not prepared.stored,
            "differences": prepared.differences,
            "stored": prepared.stored,
        }
        return info, _describe(prepared)
    if name != "cifar10":
        raise UsageError(f"no data set '{name}'; there are cifar10, imagenet")
    place = cifar10.require(folders)
    found = cifar10.load(place)
    train, test, fingerprint = len(found.train.labels), len(found.test.labels), found.fingerprint
    official = fingerprint == cifar10.OFFICIAL_FINGERPRINT
    info = {"place": str(place), "train": train, "test": test, "fingerprint": fingerprint, "official": official}
    verdict = "the official CIFAR-10" if official else "NOT the official CIFAR-10: other images or labels"
    return info, f"{place}: {train:,} + {test:,} images, fingerprint {fingerprint}, {verdict}"


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
