"""What `repro data` does: what is there, fetching CIFAR-10, verifying ImageNet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from repro import files
from repro.data import cifar10
from repro.data.imagenet import cache, index, layout, verify
from repro.data.imagenet.index import Prepared
from repro.errors import MissingInput, UsageError
from repro.places import find_root
from repro.report import terminal
from repro.workspace import data_folders

SETS = ("cifar10", "imagenet")


def status(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Where a data set is and whether it is the official one. Raises `MissingInput` where it is not there."""
    _check(name)
    folders = data_folders(data_dir, find_root())
    told, line = _cifar10(folders) if name == "cifar10" else _imagenet(folders)
    print(json.dumps(told) if as_json else line)


def prepare(name: str, data_dir: Path | None, side: int | None, cache_dir: Path | None) -> None:
    """Fetch CIFAR-10 where it is missing, or verify ImageNet and write index and cache; then say what is there."""
    _check(name)
    if name == "imagenet":
        _prepare_imagenet(data_dir, side, cache_dir)
        return
    if side or cache_dir:
        raise UsageError("--cache and --cache-dir go with `repro data prepare imagenet`")
    folders = data_folders(data_dir, find_root())
    if cifar10.find(folders) is None:
        files.check_writable(folders[0])
        print(f"downloading CIFAR-10 into {folders[0]}", file=sys.stderr)
        cifar10.download(folders[0])
    status(name, data_dir, as_json=False)


def standing(folders: list[Path]) -> tuple[str, str]:
    """For `repro doctor`: ok, note or problem, and a line about ImageNet under ``folders``."""
    try:
        found = index.find(folders)
        if found is None:
            place = layout.find(folders)
            line = (
                f"{place} is not prepared: run `repro data prepare imagenet`"
                if place
                else str(layout.missing(folders))
            )
            return "note", line
        if lost := _lost(found):
            return ("note" if _whole_caches(found) else "problem"), lost
        return ("note" if found.differences else "ok"), _describe(found)
    except MissingInput as error:
        return "problem", str(error)


def _check(name: str) -> None:
    if name not in SETS:
        raise UsageError(f"no data set '{name}'; there are {', '.join(SETS)}")


def _cifar10(folders: list[Path]) -> tuple[dict[str, Any], str]:
    place = cifar10.find(folders)
    if place is None:
        raise cifar10.missing(folders)
    found = cifar10.load(place)
    official = found.fingerprint == cifar10.OFFICIAL_FINGERPRINT
    told = {
        "place": str(place),
        "train": len(found.train.labels),
        "test": len(found.test.labels),
        "fingerprint": found.fingerprint,
        "official": official,
    }
    verdict = "the official CIFAR-10" if official else "NOT the official CIFAR-10: other images or labels"
    counts = f"{told['train']:,} + {told['test']:,} images"
    return told, f"{place}: {counts}, fingerprint {found.fingerprint}, {verdict}"


def _imagenet(folders: list[Path]) -> tuple[dict[str, Any], str]:
    found = index.find(folders)
    if found is None:
        if place := layout.find(folders):
            raise MissingInput(f"{place} is not prepared: run `repro data prepare imagenet --data-dir {place}`")
        raise layout.missing(folders)
    lost = _lost(found)
    if lost and not _whole_caches(found):
        raise MissingInput(lost)
    told = {
        "place": str(found.root),
        "train": found.train,
        "test": found.val,
        "kinds": found.kinds,
        "fingerprint": found.fingerprint,
        "content_hash": found.content_hash,
        "official": not found.differences,
        "differences": found.differences,
        "caches": [{"side": side, "complete": complete} for side, _, complete in _caches(found)],
    }
    return told, lost or _describe(found)


def _lost(found: Prepared) -> str:
    """What is wrong with the images that were verified once; empty where they are all there."""
    lost, count = verify.gone(found), found.train + found.val
    if not lost:
        return ""
    sides = " and ".join(map(str, _whole_caches(found)))
    mend = (
        f"what reads the cache of {sides} pixels (imagenet.data.stored) can do without them"
        if sides
        else "fetch them again, or run `repro data prepare imagenet` to go on with what is there"
    )
    return (
        f"{found.root}: of the {count:,} images that were verified {len(lost):,} are not as they were: "
        f"{layout.some(lost, 3)}; {mend}"
    )


def _whole_caches(found: Prepared) -> list[int]:
    return [side for side, _, complete in _caches(found) if complete]


def _describe(found: Prepared) -> str:
    verdict = "the official ILSVRC 2012"
    if found.differences:
        verdict = f"NOT the official ILSVRC 2012 ({found.differences[0]})"
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.kinds.items() if count)
    caches = [
        f"{side} pixels ({terminal.size(size)})" if complete else f"{side} pixels, unfinished"
        for side, size, complete in _caches(found)
    ]
    return (
        f"{found.root}: {found.train:,} + {found.val:,} images ({kinds}), fingerprint {found.fingerprint}, "
        f"content {found.content_hash}, {verdict}; caches: {', '.join(caches) or 'none'}"
    )


def _caches(found: Prepared) -> list[tuple[int, int, bool]]:
    """Side, bytes and whether it is complete and of these images, of each cache that there is."""
    caches = []
    for side in cache.SIDES:
        home = cache.find(found, side)
        told = cache.state(home, side) if home else None
        if told:
            complete = told["complete"] and told["content_hash"] == found.content_hash
            caches.append((side, told.get("bytes", 0), complete))
    return caches


def _prepare_imagenet(data_dir: Path | None, side: int | None, cache_dir: Path | None) -> None:
    from repro.data.imagenet.cache_build import build
    from repro.data.imagenet.prepare import prepare as prepare_tree
    from repro.report.progress import ImagesProgress

    if side is not None and side not in cache.SIDES:
        raise UsageError(f"--cache {side}: choose {' or '.join(map(str, cache.SIDES))}")
    folders = data_folders(data_dir, find_root())
    root = layout.find(folders)
    if root is None:
        raise layout.missing(folders)
    progress = ImagesProgress(terminal.console(stderr=True))
    found = prepare_tree(root, cache_dir, progress)
    if side:
        build(found, side, progress)
    print(_describe(found))
