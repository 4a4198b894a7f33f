"""`repro data prepare imagenet`: count, verify, index. Interrupted at any moment, the same command goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from repro import files
from repro.data.imagenet import layout, verify
from repro.data.imagenet.index import FOLDER, Index, Prepared, read, save
from repro.data.imagenet.parallel import Observer, Silent, locked
from repro.errors import MissingInput
from repro.machine import cores
from repro.words import are


def prepare(
    root: Path,
    cache_dir: Path | None = None,
    observer: Observer | None = None,
    workers: int | None = None,
    fingerprint: str | None = None,
) -> Prepared:
    """Verify the tree at ``root`` and write its index there, and under ``cache_dir`` where one is given.

    Counts and classes are checked before anything is decoded. ``fingerprint`` names a tree that is made from a
    seed; all others have one by their content. Raises `MissingInput` naming what is wrong with the tree, or that
    nothing can be written.
    """
    observer = observer or Silent()
    homes = _homes(root, cache_dir)
    listing = layout.listing(root)
    _say_what_is_there(listing, observer)
    with locked(homes[0]):
        journal = verify.Journal(homes[0] / "journal.jsonl")
        known = _known([root / FOLDER, *homes], journal)
        facts = verify.verify(listing, known, journal, observer, workers or cores())
        index = Index(listing.classes, listing.names, listing.labels, listing.train, facts)
        save(index, root, homes, cache_dir, fingerprint)
        with contextlib.suppress(OSError):
            journal.path.unlink()  # the index holds all of it by now
    if found := verify.odd(index):
        observer.said(f"{are(len(found), 'image')} neither RGB nor grayscale JPEG: {layout.some(found, 30)}")
    prepared = read(homes[-1])
    assert prepared is not None
    return prepared


def _say_what_is_there(listing: layout.Listing, observer: Observer) -> None:
    val = len(listing.names) - listing.train
    observer.said(f"{listing.root}: {len(listing.classes):,} classes, {listing.train:,} + {val:,} images")
    if listing.left_out:
        observer.said(
            f"{are(len(listing.left_out), 'file')} left out, no images by name: {layout.some(listing.left_out)}"
        )
    if found := layout.differences(listing.classes, listing.labels, listing.train):
        observer.said(f"this is not the official ILSVRC 2012, and no result compares with it: {'; '.join(found)}")


def _homes(root: Path, cache_dir: Path | None) -> list[Path]:
    """Where the index goes: beside the images if that can be written, and to ``cache_dir``."""
    homes = [root / FOLDER]
    try:
        files.check_writable(homes[0])
    except MissingInput as error:
        if not cache_dir:
            raise MissingInput(f"{error}: --cache-dir DIR, which is then passed as --data-dir") from None
        homes = []
    if cache_dir and (cache_dir / FOLDER).resolve() != (root / FOLDER).resolve():
        files.check_writable(cache_dir / FOLDER)
        homes.append(cache_dir / FOLDER)
    return homes


def _known(homes: Sequence[Path], journal: verify.Journal) -> verify.Known:
    known: verify.Known = {}
    for home in homes:
        with contextlib.suppress(MissingInput):  # a damaged index is written anew
            if prepared := read(home):
                known |= verify.known_from(prepared.load())
    return known | journal.read()
