"""Batches of photographs: read and decoded by threads, ahead of who consumes them, in order.

Threads, not processes: reading, decoding and resizing release Python's lock, every thread writes into the batch
itself, and nothing passes through shared memory, of which containers have little.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.data.photos.augment import Draws, crop_box
from repro.data.photos.decode import BadImage, decode, evaluation, evaluation_rows, frame_of, simplejpeg, training
from repro.data.photos.split import IGNORED, PhotoSplit
from repro.errors import MissingInput, UsageError
from repro.machine import cores, share
from repro.options import LOADERS, choice
from repro.words import counted

MOST_BAD = 10
OnBad = Callable[[str, str], None]


@dataclass(frozen=True)
class Request:
    """The images of one batch: ``index`` int64 [n] into the split, and what is random about them. ``draws`` None
    is evaluation's preprocessing."""

    index: npt.NDArray[np.int64]
    draws: Draws | None


@dataclass
class Batch:
    """``images`` uint8 [n, 3, crop, crop], channels_last; ``labels`` int64 [n]. Where an image could not be had
    its label is `IGNORED` and its pixels are zero. ``waited``: seconds for which the consumer was held up."""

    images: Tensor
    labels: Tensor
    waited: float


@dataclass
class Started:
    """A batch that threads are at work on; each part returns the images that it could not have."""

    batch: Batch
    parts: list[Future[list[BadImage]]]


class Loader:
    """Decodes on the CPU."""

    images_a_part = 8  # of a batch, in one thread

    def __init__(
        self,
        split: PhotoSplit,
        crop: int,
        resize: int,
        *,
        threads: int | None = None,
        pinned: bool = False,
        most_bad: int = MOST_BAD,
        on_bad: OnBad | None = None,
    ) -> None:
        """``threads`` None is one for each core that this process may use. ``pinned`` memory is what a GPU copies
        from without waiting. ``on_bad``, in the consumer's thread, hears once of every image that cannot be had,
        its name and why (None: a Python warning); after more than ``most_bad`` of them loading ends."""
        self.split, self.crop, self.resize = split, crop, resize
        self.threads, self.pinned, self.most_bad = threads or share(cores()), pinned, most_bad
        self.on_bad = on_bad or _warn
        self.bad: dict[str, str] = {}
        self._pools: set[ThreadPoolExecutor] = set()

    @property
    def name(self) -> str:
        """For people and for Records."""
        decoder = f"simplejpeg {metadata.version('simplejpeg')}" if simplejpeg() else "torchvision.io"
        return f"{decoder}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def batches(self, requests: Iterable[Request], ahead: int = 4) -> Generator[Batch, None, None]:
        """A batch for each of ``requests``, in their order; ``ahead`` further ones are worked on meanwhile, and no
        more of ``requests`` is consumed than that. Ending early, by a break or an exception, ends the threads.

        Raises `MissingInput` once more than ``most_bad`` images could not be had, in all epochs together.
        """
        pool = _pool(self.threads)
        self._pools.add(pool)
        started: deque[Started] = deque()
        try:
            for request in requests:
                started.append(self._start(pool, request))
                if len(started) > ahead:
                    yield self._finish(started.popleft())
            while started:
                yield self._finish(started.popleft())
        finally:
            self._end(pool)

    def close(self) -> None:
        """End the threads of every `batches` that is still under way; it gives no further batch."""
        for pool in list(self._pools):
            self._end(pool)

    def _end(self, pool: ThreadPoolExecutor) -> None:
        pool.shutdown(wait=True, cancel_futures=True)
        self._pools.discard(pool)

    def _start(self, pool: ThreadPoolExecutor, request: Request) -> Started:
        batch = self._empty(request, torch.device("cpu"))
        starts = range(0, len(request.index), self.images_a_part)
        parts = [pool.submit(self._fill, batch, request, at, at + self.images_a_part) for at in starts]
        return Started(batch, parts)

    def _finish(self, started: Started) -> Batch:
        begin = time.perf_counter()
        bad = [image for part in started.parts for image in part.result()]
        started.batch.waited = time.perf_counter() - begin
        for image in bad:
            self._note(image)
        return started.batch

    def _note(self, image: BadImage) -> None:
        if image.name in self.bad:
            return
        self.bad[image.name] = image.why
        if len(self.bad) > self.most_bad:
            named = "; ".join(f"{name}: {why}" for name, why in self.bad.items())
            raise MissingInput(
                f"{counted(len(self.bad), 'image')} cannot be read, more than the {self.most_bad} that are passed "
                f"over: {named}; `repro data prepare imagenet` names all there are"
            )
        self.on_bad(image.name, image.why)

    def _empty(self, request: Request, device: torch.device) -> Batch:
        images = torch.empty(
            (len(request.index), 3, self.crop, self.crop),
            dtype=torch.uint8,
            device=device,
            memory_format=torch.channels_last,
            pin_memory=self.pinned,
        )
        return Batch(images, torch.from_numpy(self.split.labels[request.index]), waited=0.0)

    def _fill(self, batch: Batch, request: Request, start: int, stop: int) -> list[BadImage]:
        """Images ``start`` to ``stop`` of ``batch``, in a thread of the pool. Returns those that cannot be had."""
        bad = []
        for i, index in enumerate(request.index[start:stop].tolist(), start):
            try:
                batch.images[i] = self._prepared(index, request.draws, i)
            except BadImage as error:
                bad.append(error)
                batch.images[i], batch.labels[i] = 0, IGNORED
        return bad

    def _prepared(self, index: int, draws: Draws | None, i: int) -> Tensor:
        content, name = read(self.split, index), self.split.names[index]
        told, image = frame_of(content, name), None
        if told:
            height, width = told.height, told.width
        else:
            image = decode(content, name)
            height, width = image.shape[1:]
        if draws is None:
            rows = evaluation_rows(height, width, self.resize, self.crop)
            return evaluation(decode(content, name, rows) if image is None else image, self.resize, self.crop)
        box = crop_box(draws, i, width, height)
        return training(decode(content, name, box[0] + box[2]) if image is None else image, box, self.crop)


def read(split: PhotoSplit, index: int) -> bytes:
    """The encoded image. Raises `BadImage` where the file cannot be read."""
    try:
        return split.read(index)
    except OSError as error:
        raise BadImage(split.names[index], f"cannot be read ({error.strerror or error})") from None


def make_loader(
    split: PhotoSplit,
    crop: int,
    resize: int,
    device: torch.device,
    kind: str = "auto",
    *,
    threads: int | None = None,
    most_bad: int = MOST_BAD,
    on_bad: OnBad | None = None,
) -> Loader:
    """The loader that feeds ``device``. ``auto`` is nvJPEG on a CUDA device, where that gives the pixels that the
    CPU gives, or close to them; else the CPU, with a warning that says why not. ``threads`` None is this process's
    share of the cores beside a CUDA device, and one thread beside a CPU that trains, which needs the others more.

    Raises `UsageError` for a ``kind`` that is not in `LOADERS`, and for nvJPEG without CUDA.
    """
    if kind not in LOADERS:
        raise UsageError(f"loader '{kind}': choose {choice(LOADERS)}")
    cuda = device.type == "cuda"
    threads = threads or (None if cuda else 1)
    if kind == "nvjpeg" and not cuda:
        raise UsageError("loader nvjpeg decodes on a CUDA device, and this is none: choose cpu, or auto")
    if cuda and kind != "cpu":
        from repro.data.photos import nvjpeg

        why = nvjpeg.unfit(split, device) if kind == "auto" else None
        if not why:
            return nvjpeg.NvjpegLoader(
                split, crop, resize, device, threads=threads, most_bad=most_bad, on_bad=on_bad
            )
        warnings.warn(f"images are decoded on the CPU, not by nvJPEG: {why}", stacklevel=2)
    return Loader(split, crop, resize, threads=threads, pinned=cuda, most_bad=most_bad, on_bad=on_bad)


def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads in each of which PyTorch uses that one alone, as many as they are.

    PyTorch keeps the number of threads twice: for the thread that sets it, and for threads that come later. Hence
    the detour: all have begun, and have read the latter number, before it is put back to what it was.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="photos")
    begun = threading.Barrier(threads, timeout=60)

    def alone() -> None:
        torch.get_num_threads()  # a thread's first question takes over the common number, a later one does not
        torch.set_num_threads(1)
        begun.wait()

    own = torch.get_num_threads()
    try:
        for future in [pool.submit(alone) for _ in range(threads)]:
            future.result()
    except BaseException:  # no thread to be had, or an interrupt: let go of those that wait for the others
        begun.abort()
        pool.shutdown()
        raise
    finally:
        torch.set_num_threads(own)
    return pool


def _warn(name: str, why: str) -> None:
    warnings.warn(f"{name}: {why}; passed over", stacklevel=2)
