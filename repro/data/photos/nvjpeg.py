"""Batches of photographs decoded and cropped on the GPU, by nvJPEG, which knows its hardware decoders."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from repro.data.photos import jpeg
from repro.data.photos.augment import crop_box
from repro.data.photos.decode import BadImage, decode, encoded, evaluation, frame_of, training
from repro.data.photos.loader import MOST_BAD, Batch, Loader, OnBad, Request, Started, read
from repro.data.photos.split import IGNORED, PhotoSplit

# nvJPEG has a DCT of its own and other chroma upsampling: at edges of colour pixels may be many levels away, so
# the mean over an image is compared.
SAMPLE, MOST_DIFFERENT = 16, 2.0


def unfit(split: PhotoSplit, device: torch.device) -> str | None:
    """Why nvJPEG cannot be used for the images of ``split``, None where it can: of the first `SAMPLE` images each
    is at most `MOST_DIFFERENT` levels of 0 to 255 away, on average, from what the CPU makes of it."""
    sample: dict[str, bytes] = {}
    for index in range(min(SAMPLE, len(split))):
        with contextlib.suppress(BadImage):
            content, name = read(split, index), split.names[index]
            if _suits(frame_of(content, name)):
                sample[name] = content
    if not sample:
        return f"none of the first {SAMPLE} images is a JPEG in colour or grey"
    try:
        found = decode_jpeg([encoded(content) for content in sample.values()], ImageReadMode.RGB, device)
        for (name, content), image in zip(sample.items(), found, strict=True):
            right = decode(content, name)
            difference = (image.cpu().int() - right.int()).abs().float().mean().item()
            if difference > MOST_DIFFERENT:
                return f"{name} differs by {difference:.1f} levels on average, {MOST_DIFFERENT:g} are allowed"
    except (RuntimeError, BadImage) as error:
        return str(error).splitlines()[0]
    return None


class NvjpegLoader(Loader):
    """Decodes plain JPEGs with nvJPEG and everything else on the CPU; crops and resizes on the device."""

    def __init__(
        self,
        split: PhotoSplit,
        crop: int,
        resize: int,
        device: torch.device,
        *,
        threads: int | None = None,
        most_bad: int = MOST_BAD,
        on_bad: OnBad | None = None,
    ) -> None:
        """As `Loader`; the images of its batches are on ``device``. A thread reads and decodes a whole batch."""
        super().__init__(split, crop, resize, threads=threads, most_bad=most_bad, on_bad=on_bad)
        self.device, self._own = device, threading.local()

    @property
    def name(self) -> str:
        """For people and for Records."""
        return "nvJPEG"

    def _start(self, pool: ThreadPoolExecutor, request: Request) -> Started:
        batch = self._empty(request, self.device)
        # The memory may be that of a batch which the device still computes with.
        free = torch.cuda.current_stream(self.device).record_event() if self.device.type == "cuda" else None
        return Started(batch, [pool.submit(self._fill_whole, batch, request, free)])

    def _fill_whole(self, batch: Batch, request: Request, free: torch.cuda.Event | None) -> list[BadImage]:
        bad: list[BadImage] = []
        with self._aside(free):
            for i, image in enumerate(self._decoded([int(index) for index in request.index])):
                if isinstance(image, BadImage):
                    bad.append(image)
                    batch.images[i], batch.labels[i] = 0, IGNORED
                elif request.draws is None:
                    batch.images[i] = evaluation(image, self.resize, self.crop)
                else:
                    box = crop_box(request.draws, i, image.shape[2], image.shape[1])
                    batch.images[i] = training(image, box, self.crop)
        return bad

    @contextlib.contextmanager
    def _aside(self, free: torch.cuda.Event | None) -> Iterator[None]:
        """On a stream of the thread's own, idle again at the end. torchvision decodes into memory that the current
        stream gave back, whether or not its kernels are done with it: here nothing else uses that memory."""
        if free is None:
            yield
            return
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self.device)
        stream: torch.cuda.Stream = self._own.stream
        with torch.cuda.stream(stream):
            stream.wait_event(free)
            try:
                yield
            finally:
                stream.synchronize()

    def _decoded(self, indices: list[int]) -> list[Tensor | BadImage]:
        """An image uint8 [3, H, W] on the device for each, or what is wrong with it."""
        contents: dict[int, bytes] = {}
        found: dict[int, Tensor | BadImage] = {}
        suited: list[int] = []
        for at, index in enumerate(indices):
            try:
                contents[at] = read(self.split, index)
                if _suits(frame_of(contents[at], self.split.names[index])):
                    suited.append(at)
            except BadImage as error:
                found[at] = error
        if suited:
            with contextlib.suppress(RuntimeError):  # of one image, while all are lost: each on the CPU, then
                images = decode_jpeg([encoded(contents[at]) for at in suited], ImageReadMode.RGB, self.device)
                found |= dict(zip(suited, images, strict=True))
        for at in contents.keys() - found.keys():
            try:
                found[at] = decode(contents[at], self.split.names[indices[at]]).to(self.device)
            except BadImage as error:
                found[at] = error
        return [found[at] for at in range(len(indices))]


def _suits(told: jpeg.Frame | None) -> bool:
    return told is not None and told.components in (1, 3)
