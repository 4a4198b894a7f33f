"""Load batches of photographs: threads read and decode them in order, ahead of the consumer.

Threads instead of processes: reading, decoding and resizing release Python's lock, each thread writes into the
batch directly, and no shared memory is needed, of which containers have little.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.data.imagenet.augment import CropParams, crop_box
from repro.data.imagenet.decode import BadImage, decode, evaluation, training
from repro.data.imagenet.split import IGNORED, PhotoSplit
from repro.errors import MissingInput
from repro.machine import cores, share
from repro.words import counted

MOST_BAD = 10
PER_TASK = 8  # images of a batch that one thread decodes at a time
OnBad = Callable[[str, str], None]


@dataclass(frozen=True)
class Request:
    """The images of one batch: ``index`` int64 [n] into the split, and their random crops. ``crops`` None asks for
    evaluation's preprocessing."""

    index: npt.NDArray[np.int64]
    crops: CropParams | None


@dataclass
class Batch:
    """``images`` uint8 [n, 3, crop, crop], channels_last; ``labels`` int64 [n]. An image that cannot be read has
    the label `IGNORED` and pixels of zero. ``waited``: seconds for which the consumer waited."""

    images: Tensor
    labels: Tensor
    waited: float


_Pending = tuple[Batch, list[Future[list[BadImage]]]]  # each task returns the images that it could not read


class Loader:
    """Decode images with a pool of threads."""

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
        """Set the loader up; no thread starts yet.

        Args:
            threads: None means one for each core that this process may use.
            pinned: Use memory from which a GPU copies asynchronously.
            most_bad: Loading ends after more than this many unreadable images.
            on_bad: Called with the name and the reason, once for each unreadable image, in the consumer's thread.
                None means a Python warning.
        """
        self.split, self.crop, self.resize = split, crop, resize
        self.threads, self.pinned, self.most_bad = threads or share(cores()), pinned, most_bad
        self.on_bad = on_bad or _warn
        self.bad: dict[str, str] = {}
        self._pools: set[ThreadPoolExecutor] = set()

    @property
    def name(self) -> str:
        """Describe the loader for people and for Records."""
        return f"torchvision.io, {counted(self.threads, 'thread')}"

    def batches(self, requests: Iterable[Request], ahead: int = 4) -> Generator[Batch, None, None]:
        """Yield a batch for each of ``requests``, in order, and work on the next ``ahead`` ones meanwhile.

        No more requests than these are consumed. Closing the generator ends its threads. Raises `MissingInput`
        once more than ``most_bad`` images could not be read, over all epochs.
        """
        pool = _pool(self.threads)
        self._pools.add(pool)
        pending: deque[_Pending] = deque()
        try:
            for request in requests:
                pending.append(self._start(pool, request))
                if len(pending) > ahead:
                    yield self._finish(*pending.popleft())
            while pending:
                yield self._finish(*pending.popleft())
        finally:
            self._end(pool)

    def close(self) -> None:
        """End the threads of every active `batches` generator, which yields no further batch."""
        for pool in list(self._pools):
            self._end(pool)

    def _end(self, pool: ThreadPoolExecutor) -> None:
        pool.shutdown(wait=True, cancel_futures=True)
        self._pools.discard(pool)

    def _start(self, pool: ThreadPoolExecutor, request: Request) -> _Pending:
        images = torch.empty(
            (len(request.index), 3, self.crop, self.crop),
            dtype=torch.uint8,
            memory_format=torch.channels_last,
            pin_memory=self.pinned,
        )
        batch = Batch(images, torch.from_numpy(self.split.labels[request.index]), waited=0.0)
        starts = range(0, len(request.index), PER_TASK)
        return batch, [pool.submit(self._fill, batch, request, at, at + PER_TASK) for at in starts]

    def _finish(self, batch: Batch, tasks: list[Future[list[BadImage]]]) -> Batch:
        begin = time.perf_counter()
        bad = [image for task in tasks for image in task.result()]
        batch.waited = time.perf_counter() - begin
        for image in bad:
            self._report(image)
        return batch

    def _report(self, image: BadImage) -> None:
        if image.name in self.bad:
            return
        self.bad[image.name] = image.why
        if len(self.bad) > self.most_bad:
            named = "; ".join(f"{name}: {why}" for name, why in self.bad.items())
            raise MissingInput(
                f"{counted(len(self.bad), 'image')} cannot be read, more than the {self.most_bad} that are skipped"
                f": {named}; `repro data prepare imagenet` lists them all"
            )
        self.on_bad(image.name, image.why)

    def _fill(self, batch: Batch, request: Request, start: int, stop: int) -> list[BadImage]:
        """Write images ``start`` to ``stop`` of ``batch``; return the unreadable ones."""
        bad = []
        for i, index in enumerate(request.index[start:stop].tolist(), start):
            try:
                batch.images[i] = self._load(index, request.crops, i)
            except BadImage as error:
                bad.append(error)
                batch.images[i], batch.labels[i] = 0, IGNORED
        return bad

    def _load(self, index: int, crops: CropParams | None, i: int) -> Tensor:
        name = self.split.names[index]
        try:
            content = self.split.read(index)
        except OSError as error:
            raise BadImage(name, f"cannot be read ({error.strerror or error})") from None
        image = decode(content, name)
        if crops is None:
            return evaluation(image, self.resize, self.crop)
        return training(image, crop_box(crops, i, image.shape[2], image.shape[1]), self.crop)


def make_loader(
    split: PhotoSplit, crop: int, resize: int, device: torch.device, on_bad: OnBad | None = None
) -> Loader:
    """Make the loader that feeds ``device``. For a CUDA device all cores of this process decode; for a CPU, which
    needs them for training, one thread."""
    cuda = device.type == "cuda"
    return Loader(split, crop, resize, threads=None if cuda else 1, pinned=cuda, on_bad=on_bad)


def _pool(threads: int) -> ThreadPoolExecutor:
    """Start ``threads`` threads, in each of which PyTorch uses one core.

    PyTorch stores its thread count per thread and as a default for new threads; `set_num_threads(1)` in a thread
    changes both. The barrier makes every thread start, and read the default, before it is restored.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="photos")
    started = threading.Barrier(threads, timeout=60)

    def use_one_core() -> None:
        torch.get_num_threads()  # a thread's first call takes over the default, a later one does not
        torch.set_num_threads(1)
        started.wait()

    default = torch.get_num_threads()
    try:
        for future in [pool.submit(use_one_core) for _ in range(threads)]:
            future.result()
    except BaseException:  # a thread could not start, or an interrupt: release those that wait for the others
        started.abort()
        pool.shutdown()
        raise
    finally:
        torch.set_num_threads(default)
    return pool


def _warn(name: str, why: str) -> None:
    warnings.warn(f"{name}: {why}; skipped", stacklevel=2)
