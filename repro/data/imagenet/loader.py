"""Load batches of photographs: threads read and decode them in order, ahead of the consumer.

Threads instead of processes: reading, decoding and resizing release Python's lock, each thread writes into the
batch directly, and no shared memory is needed, of which containers have little.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.data.imagenet.augment import Floats, crop_box, flips
from repro.data.imagenet.decode import decode, evaluation, training
from repro.data.imagenet.layout import BadImage, ImageFiles
from repro.errors import MissingInput
from repro.machine import cores, share
from repro.words import counted

IGNORED = -100  # the label of an image that cannot be read, which cross_entropy ignores by default
MOST_BAD = 10
PER_TASK = 8  # images of a batch that one thread decodes at a time


@dataclass(frozen=True)
class Request:
    """The images of one batch: ``index`` int64 [n] into the split, and their random crops (`draw_crops`). Crops of
    None ask for evaluation's preprocessing."""

    index: npt.NDArray[np.int64]
    crops: Floats | None


@dataclass
class Batch:
    """``images`` uint8 [n, 3, crop, crop], channels_last; ``labels`` int64 [n]. An image that cannot be read has
    the label `IGNORED` and pixels of zero. ``flip`` bool [n]: which images are to be mirrored (None: none).
    ``waited``: seconds for which the consumer waited for the ``tasks`` that fill it."""

    images: Tensor
    labels: Tensor
    flip: Tensor | None
    tasks: list[Future[dict[str, str]]]
    waited: float = 0.0


class Loader:
    """Decode images with a pool of threads."""

    def __init__(
        self,
        split: ImageFiles,
        crop: int,
        resize: int,
        device: torch.device,
        threads: int | None = None,
    ) -> None:
        """Set the loader up to feed ``device``; no thread starts yet.

        By default all cores of this process decode for a CUDA device, and one thread for a CPU, which needs its
        cores for training.
        """
        self.split, self.crop, self.resize = split, crop, resize
        self.pinned = device.type == "cuda"  # memory from which a GPU copies asynchronously
        self.threads = threads or (share(cores()) if self.pinned else 1)
        self.bad: dict[str, str] = {}
        """The reason for each image that could not be read, by name."""

    @property
    def name(self) -> str:
        """Describe the loader for people and for Records."""
        return f"torchvision.io, {counted(self.threads, 'thread')}"

    def batches(self, requests: Iterable[Request], ahead: int = 4) -> Generator[Batch, None, None]:
        """Yield a batch for each of ``requests``, in order, and work on the next ``ahead`` ones meanwhile.

        No more requests than these are consumed. Closing the generator ends its threads. An unreadable image is
        reported once on stderr; raises `MissingInput` once there are more than `MOST_BAD`, over all epochs.
        """
        pool = _pool(self.threads)
        pending: deque[Batch] = deque()
        try:
            for request in requests:
                pending.append(self._start(pool, request))
                if len(pending) > ahead:
                    yield self._finish(pending.popleft())
            while pending:
                yield self._finish(pending.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, pool: ThreadPoolExecutor, request: Request) -> Batch:
        images = torch.empty(
            (len(request.index), 3, self.crop, self.crop),
            dtype=torch.uint8,
            memory_format=torch.channels_last,
            pin_memory=self.pinned,
        )
        flip = None if request.crops is None else torch.from_numpy(flips(request.crops))
        batch = Batch(images, torch.from_numpy(self.split.labels[request.index]), flip, [])
        for start in range(0, len(request.index), PER_TASK):
            batch.tasks.append(pool.submit(self._fill, batch, request, start, start + PER_TASK))
        return batch

    def _finish(self, batch: Batch) -> Batch:
        begin = time.perf_counter()
        bad = [pair for task in batch.tasks for pair in task.result().items()]
        batch.waited = time.perf_counter() - begin
        for name, why in bad:
            if name in self.bad:
                continue
            self.bad[name] = why
            if len(self.bad) > MOST_BAD:
                named = "; ".join(f"{name}: {why}" for name, why in self.bad.items())
                raise MissingInput(
                    f"{counted(len(self.bad), 'image')} cannot be read, more than the {MOST_BAD} that are "
                    f"skipped: {named}; `repro data prepare imagenet` lists them all"
                )
            print(f"left out, cannot be read: {name} ({why})", file=sys.stderr)
        return batch

    def _fill(self, batch: Batch, request: Request, start: int, stop: int) -> dict[str, str]:
        """Write images ``start`` to ``stop`` of ``batch``; return the reasons for the unreadable ones, by name."""
        bad = {}
        for i, index in enumerate(request.index[start:stop].tolist(), start):
            name = self.split.names[index]
            try:
                image = decode(self.split.read(index))
                if request.crops is None:
                    batch.images[i] = evaluation(image, self.resize, self.crop)
                else:
                    box = crop_box(request.crops[i], image.shape[2], image.shape[1])
                    batch.images[i] = training(image, box, self.crop)
            except BadImage as error:
                bad[name] = str(error)
                batch.images[i], batch.labels[i] = 0, IGNORED
        return bad


def _pool(threads: int) -> ThreadPoolExecutor:
    """Start ``threads`` threads, in each of which PyTorch uses one core.

    PyTorch stores its thread count per thread and as a default for new threads; `set_num_threads(1)` in a thread
    changes both. The barrier makes every thread start, and read the default, before it is restored.
    """
    default, started = torch.get_num_threads(), threading.Barrier(threads, timeout=60)

    def use_one_core() -> None:
        torch.get_num_threads()  # a thread's first call takes over the default, a later one does not
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, "photos", use_one_core)
    list(pool.map(lambda _: None, range(threads)))
    torch.set_num_threads(default)
    return pool
