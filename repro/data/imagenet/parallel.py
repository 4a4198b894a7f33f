"""Apply a function to many images, with one process a core, and report the progress."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from repro import files
from repro.errors import MissingInput
from repro.machine import cores

CHUNK = 64  # images that a worker takes at a time
FEW = 512  # below this number of images, starting processes takes longer than the work
Item = TypeVar("Item")
Result = TypeVar("Result")


class Observer:
    """Receives the progress of the work on many images. Subclasses override what they report."""

    def began(self, what: str, total: int) -> None:
        """Before a part of the work, on ``total`` images."""

    def advanced(self, images: int) -> None:
        """After ``images`` more of them."""

    def ended(self) -> None:
        """After a part of the work, whatever the reason."""

    def said(self, line: str) -> None:
        """A message."""


SILENT = Observer()


def in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], what: str, observer: Observer
) -> Iterator[Result]:
    """Yield ``function(item)`` for each of ``items``, in order. This process alone handles few items.

    ``function`` must be picklable. Raises what it raises, and `MissingInput` if a worker was killed.
    """
    observer.began(what, len(items))
    pool = None
    try:
        if cores() == 1 or len(items) < FEW:
            results: Iterator[Result] = map(function, items)
        else:  # spawned, not forked: torch and its threads may be here
            pool = ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn"), _start_worker)
            results = pool.map(function, items, chunksize=CHUNK)
        for count, result in enumerate(results, 1):
            yield result
            if count % CHUNK == 0 or count == len(items):
                observer.advanced((count - 1) % CHUNK + 1)
    except BrokenProcessPool:
        raise MissingInput(
            "a worker process was killed, perhaps out of memory: run the same command again"
        ) from None
    finally:
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)
        observer.ended()


def locked(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Lock ``folder`` for writing. Raises `UsageError` if another process holds the lock."""
    return files.locked(folder / ".lock", f"{folder} is being written by another process: wait for it to end")


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # If the parent is killed, a worker would otherwise wait for work for ever.
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
