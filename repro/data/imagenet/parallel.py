"""The same work on many images by a process a core, in order, and who is told how far it is."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol, TypeVar

from repro.errors import MissingInput, UsageError
from repro.files import Lock

CHUNK = 64  # images that a worker takes at a time
AHEAD = 4  # chunks under way for each worker
FEW = 512  # images below which starting processes takes longer than the work
Item = TypeVar("Item")
Result = TypeVar("Result")


class Observer(Protocol):
    """Told what goes on: a part of the work with ``total`` images begins, some are done, it ends; and notes."""

    def began(self, what: str, total: int) -> None: ...

    def advanced(self, images: int) -> None: ...

    def ended(self) -> None: ...

    def said(self, line: str) -> None: ...


class Silent:
    """An observer that tells nobody."""

    def began(self, what: str, total: int) -> None:
        """Nothing."""

    def advanced(self, images: int) -> None:
        """Nothing."""

    def ended(self) -> None:
        """Nothing."""

    def said(self, line: str) -> None:
        """Nothing."""


def in_chunks(
    function: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], workers: int
) -> Iterator[list[Result]]:
    """``function`` of 64 ``items`` at a time, in order, by ``workers`` processes; few items are done right here.

    ``function`` has to be picklable. Raises what it raises, and `MissingInput` if a worker was killed.
    """
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    if workers == 1 or len(items) < FEW:
        yield from map(function, chunks)
        return
    # Not forked: torch and its threads may be here.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    under_way: deque[Future[list[Result]]] = deque()
    try:
        for chunk in chunks:
            under_way.append(pool.submit(function, chunk))
            if len(under_way) >= AHEAD * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool:
        raise MissingInput(
            "a worker process was killed, for want of memory perhaps; the same command goes on from here"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for writing. Raises `UsageError` where another process holds it."""
    with Lock(folder / ".lock") as lock:
        if not lock.take():
            raise UsageError(f"{folder} is being written by another process: wait for it to end")
        yield


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that was killed tells nobody, and a worker would wait for work for ever.
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
