"""Epochs over photographs that are read and decoded as training goes on (ImageNet), on one rank or many."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.config.params import MicroBatchRecipe
from repro.data.batches import seed_of
from repro.data.photos import loader
from repro.data.photos.augment import draw_crops, to_input
from repro.data.photos.loader import Request
from repro.data.photos.split import IGNORED
from repro.engine import microbatches
from repro.engine.data_source import StreamedData
from repro.engine.events import EpochTotals, Observer, StepReport, Stop, StoppedMidEpoch
from repro.engine.network import Network
from repro.engine.photo_model import PhotoModel
from repro.run import Run

EVALUATION_BATCH = 250
# Batches between two questions whether any rank wants to stop: on CUDA they cost a synchronisation.
AGREE_EVERY = {"cpu": 1, "cuda": 16}
REPORT_EVERY = 0.5  # seconds


@dataclass
class Clock:
    """Seconds on this rank: in all, blocked because no images were ready, copying them to the device."""

    spent: float = 0.0
    waited: float = 0.0
    copied: float = 0.0
    images: int = 0

    def facts(self) -> dict[str, float]:
        """Images/s of all ranks together, and how the time divides."""
        if not self.spent:
            return {}
        waiting, copying = self.waited / self.spent, self.copied / self.spent
        return {
            "images_per_second": round(self.images / self.spent, 1),
            "waiting_for_images": round(waiting, 4),
            "copying": round(copying, 4),
            "computing": round(1 - waiting - copying, 4),
        }


class Copies:
    """Times what is done within it, in the device's own time: a context manager entered once a part."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._seconds = self._start = 0.0

    def __enter__(self) -> None:
        if self._cuda:
            self._events.append((torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)))
            self._events[-1][0].record()
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self._cuda:
            self._events[-1][1].record()
        else:
            self._seconds += time.perf_counter() - self._start

    def seconds(self) -> float:
        """The time since this was asked last; the device has to be done."""
        total: float = self._seconds + sum(a.elapsed_time(b) for a, b in self._events) / 1000
        self._seconds, self._events = 0.0, []
        return total


class PhotoTrainer:
    """Trains ``run`` on this rank's parts of every batch."""

    def __init__(
        self, run: Run, network: Network, data: StreamedData, precision: torch.dtype, observer: Observer
    ) -> None:
        assert isinstance(run.recipe, MicroBatchRecipe)
        microbatches.check_ranks(data.ranks.count, run.recipe)
        self._run, self._recipe, self._network, self._ranks = run, run.recipe, network, data.ranks
        self._train, self._test, self._observer = data.train, data.test, observer
        self._model = PhotoModel(network, precision, data.ranks, run.epochs * len(data.train.split))
        self._clock, self._copies = Clock(), Copies(data.ranks.device)
        self._flips: deque[Tensor | None] = deque()  # of the parts that are being loaded

    @property
    def strategy(self) -> str:
        """How it trains, for the Record."""
        return self._model.strategy

    def epoch(self, epoch: int, rate: float, begun: EpochTotals, stop: Stop) -> EpochTotals:
        """From batch ``begun.batches`` on, or `StoppedMidEpoch` where a rank is to stop, of all ranks."""
        order = epoch_order(self._run.stream, epoch, len(self._train.split))
        left = microbatches.batches(len(order), self._recipe)[begun.batches :]
        device, clock = self._ranks.device, self._clock
        sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, right answers, images
        step_rate = torch.tensor(rate, dtype=torch.float32, device=device)
        started, reported, waited = time.perf_counter(), 0.0, clock.waited
        agree_every = AGREE_EVERY[device.type] if self._ranks.count > 1 else 1
        self._network.model.train()
        self._flips.clear()
        done = begun.batches

        def so_far() -> EpochTotals:
            self._ranks.all_reduce(sums)
            loss, correct, seen = sums.tolist()
            clock.spent += time.perf_counter() - started  # after the device is done
            clock.copied += self._copies.seconds()
            return EpochTotals(done, begun.seen + int(seen), begun.loss + loss, begun.correct + int(correct))

        with contextlib.closing(self._train.batches(self._requests(order, left, epoch))) as feed:
            for batch in left:
                if (done - begun.batches) % agree_every == 0 and self._ranks.any(stop()):
                    raise StoppedMidEpoch(so_far())
                self._step(feed, batch, step_rate, sums)
                done, now = done + 1, time.perf_counter()
                clock.images += batch.size
                if now - reported > REPORT_EVERY:
                    spent = now - started
                    speed, waiting = (batch.stop - left[0].start) / spent, (clock.waited - waited) / spent
                    self._observer.step_done(StepReport(self._run, epoch + 1, batch.stop, speed, waiting))
                    reported = now
        return so_far()

    def top1(self) -> float:
        """Accuracy in per cent over the test images that could be read, each rank taking its share."""
        self._network.model.eval()
        found = torch.zeros(2, dtype=torch.long, device=self._ranks.device)
        mine = np.arange(self._ranks.rank, len(self._test.split), self._ranks.count)
        pieces = [mine[start : start + EVALUATION_BATCH] for start in range(0, len(mine), EVALUATION_BATCH)]
        asked = (Request(piece, None) for piece in pieces)
        with torch.no_grad(), contextlib.closing(self._test.batches(asked)) as feed:
            for batch in feed:
                images, labels = self._to_device(batch, None)
                found[0] += (self._model.evaluate(images).argmax(1) == labels).sum()
                found[1] += (labels != IGNORED).sum()
        self._copies.seconds()  # not training's
        self._ranks.all_reduce(found)
        correct, seen = (int(count) for count in found)
        return 100 * correct / max(seen, 1)

    def average_batchnorm_stats(self) -> None:
        """BatchNorm's running statistics become the mean over ranks: each follows its own parts until here.

        An update of them is linear, so this is what one rank that took all parts would have.
        """
        self._ranks.all_reduce(self._network.statistics)
        self._network.statistics.div_(self._ranks.count)

    def facts(self) -> dict[str, Any]:
        """Speed, where the time went (rank 0's view), the loader, and the images that could not be read."""
        bad: dict[str, str] = {}
        for found in self._ranks.all_gather(self._train.bad | self._test.bad):
            bad |= found
        return {
            "strategy": self.strategy,
            "ranks": self._ranks.count,
            "loader": self._train.name,
            "throughput": self._clock.facts(),
            **({"unreadable": dict(sorted(bad.items()))} if bad else {}),
        }

    def _requests(
        self, order: npt.NDArray[np.int64], left: list[microbatches.Batch], epoch: int
    ) -> Iterator[Request]:
        for batch in left:
            draws = draw_crops(self._run.stream, epoch, batch.number, batch.size) if self._recipe.augment else None
            for part in microbatches.parts(batch, self._recipe, self._ranks.rank, self._ranks.count):
                start, stop = part.start - batch.start, part.stop - batch.start
                own = draws.part(start, stop) if draws else None
                self._flips.append(torch.from_numpy(own.flip) if own else None)
                yield Request(order[part.start : part.stop], own)

    def _step(self, feed: Iterator[loader.Batch], batch: microbatches.Batch, rate: Tensor, sums: Tensor) -> None:
        """One update of all weights: every part of ``batch`` that is this rank's, then Eq. 1."""
        statistics = self._network.statistics
        before, mean = statistics.clone(), torch.zeros_like(statistics)
        mine = list(microbatches.parts(batch, self._recipe, self._ranks.rank, self._ranks.count))
        for part in mine:
            loaded = next(feed)
            self._clock.waited += loaded.waited
            images, labels = self._to_device(loaded, self._flips.popleft())
            logits, loss = self._model.backward(images, labels, batch.size, part.last)
            with torch.no_grad():
                sums += torch.stack((loss, (logits.argmax(1) == labels).sum(), (labels != IGNORED).sum()))
                mean.add_(statistics, alpha=1 / len(mine))
                statistics.copy_(before)
        with torch.no_grad():
            statistics.copy_(mean)
        self._network.update(self._recipe, rate)

    def _to_device(self, loaded: loader.Batch, flip: Tensor | None) -> tuple[Tensor, Tensor]:
        """Input float32 and labels there. Pixels travel as bytes."""
        with self._copies:
            images, labels = (t.to(self._ranks.device, non_blocking=True) for t in (loaded.images, loaded.labels))
            mirrored = None if flip is None else flip.to(self._ranks.device, non_blocking=True)
        return to_input(images, mirrored), labels


def epoch_order(stream: str, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """The order of ``count`` images in an epoch, int64 [count], from the Run's ``stream`` and the epoch alone."""
    random = torch.Generator().manual_seed(seed_of("photo order", epoch, stream))
    order: npt.NDArray[np.int64] = torch.randperm(count, generator=random).numpy()
    return order
