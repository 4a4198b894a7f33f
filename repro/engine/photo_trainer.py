"""Trains a Run on photographs (ImageNet), which are read and decoded meanwhile, on one rank or many.

`train` goes through the epochs; `PhotoTrainer.epoch` is one of them, `_step` one update, `PhotoModel.backward` a
micro-batch's part of it. Every rank goes through the same global batches and trains its own micro-batches of each.
A micro-batch has BatchNorm statistics of its own. One GPU trains them one after another, eight train one each: the
arithmetic is the same.
"""

from __future__ import annotations

import contextlib
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.config.recipe import MicroBatchRecipe
from repro.data.batches import seed_of
from repro.data.imagenet.augment import draw_crops, normalize
from repro.data.imagenet.loader import IGNORED, Batch, Request
from repro.engine import device as devices
from repro.engine.data_source import StreamedData
from repro.engine.events import EpochTotals, Observer, OutOfTime, StepReport
from repro.engine.lanes import forward
from repro.engine.network import Network
from repro.engine.ranks import Ranks
from repro.engine.run_progress import RunProgress
from repro.engine.strategies import TOLERANCE
from repro.errors import Interrupted, UsageError, one_line
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.signals import Pending
from repro.store import Store

COMPILE_FROM = 1_000_000  # images in all epochs of a Run from which compiling pays
EVALUATION_BATCH = 250
# Batches between two agreements of all ranks whether to stop, each of which costs CUDA a synchronisation.
AGREE_EVERY = {"cpu": 1, "cuda": 16}
REPORT_EVERY = 0.5  # seconds
LEAST_SAVING = 1.0  # seconds that saving a state within an epoch is expected to take at least
LEAST = 2  # images in a micro-batch: BatchNorm has no variance over one value


def train(
    run: Run,
    data: StreamedData,
    store: Store,
    keep: set[int],
    observer: Observer,
    has_time: Callable[[float], bool],
    pending: Pending = (),
) -> Record:
    """Train ``run`` to its end, resuming where a state is kept, and return its Record (not yet stored).

    Args:
        keep: epochs whose checkpoints other Runs need.
        has_time: whether so many seconds are left; on a no, raises `OutOfTime`.
        pending: true once a signal asks to end; raises `Interrupted`, unless the Run ends with this epoch.

    Both are asked within an epoch as well, and the Run saves its state there before it raises. A loss that is not
    finite ends the Run as ``diverged``. All ranks return the same Record.
    """
    ranks = data.ranks
    network = Network(run.arch, run.seed, data.device.torch)
    progress = RunProgress(run, network, store, keep, data.device, data.source, ranks)
    if progress.over:
        return progress.record()
    # A Run that resumes on another device keeps the precision that it began with.
    precision = devices.resolve_precision(progress.history["provenance"]["precision"], data.device)
    trainer = PhotoTrainer(run, network, data, devices.use_precision(precision), observer)
    progress.history["provenance"]["strategy"] = trainer.model.strategy
    partial, saving = progress.partial, LEAST_SAVING

    def stop() -> bool:
        return bool(pending) or not has_time(saving)

    while not progress.over:
        start = time.perf_counter()
        totals = trainer.epoch(progress.epoch, learning_rate(run.recipe, progress.epoch), partial, stop)
        if totals.batches < trainer.batches_an_epoch:
            progress.history["wall_s"] += time.perf_counter() - start
            progress.save(totals)
            raise Interrupted if ranks.any(bool(pending)) else OutOfTime
        progress.finish_epoch(totals, trainer.top1)
        if "diverged_at" in progress.history:
            break
        progress.history["provenance"] |= trainer.provenance()
        partial, seconds = EpochTotals(), time.perf_counter() - start
        progress.history["wall_s"] += seconds
        if not progress.over:
            start = time.perf_counter()
            progress.save()
            saving = max(LEAST_SAVING, time.perf_counter() - start)
        observer.epoch_done(progress.report(totals.seen, seconds))
        if not progress.over and ranks.any(bool(pending)):
            raise Interrupted
    return progress.record()


class PhotoTrainer:
    """Trains ``run`` on this rank's micro-batches of every batch."""

    def __init__(
        self, run: Run, network: Network, data: StreamedData, precision: torch.dtype, observer: Observer
    ) -> None:
        """Raises `UsageError` where a batch's micro-batches do not divide among the ranks."""
        assert isinstance(run.recipe, MicroBatchRecipe)
        check_ranks(data.ranks.count, run.recipe)
        self._run, self._recipe, self._network, self._ranks = run, run.recipe, network, data.ranks
        self._train, self._test, self._device, self._observer = data.train, data.test, data.device.torch, observer
        self.model = PhotoModel(network, precision, data.ranks, run.epochs * len(data.train.split))
        self.batches_an_epoch = len(batches(len(data.train.split), run.recipe))
        self._spent = self._waited = 0.0  # seconds of all epochs, and those in which no images were ready
        self._images = 0

    def epoch(self, epoch: int, rate: float, partial: EpochTotals, stop: Callable[[], bool]) -> EpochTotals:
        """Train epoch ``epoch`` at learning ``rate``, from its batch ``partial.batches`` on, until it ends or
        ``stop`` is true on any rank. Returns the totals of the epoch so far, over all ranks."""
        order = epoch_order(self._run.stream, epoch, len(self._train.split))
        left = batches(len(order), self._recipe)[partial.batches :]
        ranks = self._ranks
        sums = torch.zeros(3, dtype=torch.float64, device=self._device)  # loss, correct answers, images
        step_rate = torch.tensor(rate, dtype=torch.float32, device=self._device)
        started, reported, waited = time.perf_counter(), 0.0, self._waited
        agree_every = AGREE_EVERY[self._device.type] if ranks.count > 1 else 1
        self._network.model.train()
        done = partial.batches
        with contextlib.closing(self._train.batches(self._requests(order, left, epoch))) as feed:
            for batch in left:
                if (done - partial.batches) % agree_every == 0 and ranks.any(stop()):
                    break
                self._step(feed, batch, step_rate, sums)
                done, now = done + 1, time.perf_counter()
                self._images += len(batch)
                if now - reported > REPORT_EVERY:
                    spent = now - started
                    speed, waiting = (batch.stop - left[0].start) / spent, (self._waited - waited) / spent
                    self._observer.step_done(StepReport(self._run, epoch + 1, batch.stop, speed, waiting))
                    reported = now
        # BatchNorm's running statistics follow the micro-batches of each rank. Their update is linear, so their
        # mean is what one rank that trained all micro-batches would have.
        ranks.all_reduce(sums, self._network.statistics)
        self._network.statistics.div_(ranks.count)
        loss, correct, seen = sums.tolist()
        self._spent += time.perf_counter() - started  # the device has finished by now
        return EpochTotals(done, partial.seen + int(seen), partial.loss + loss, partial.correct + int(correct))

    def _step(self, feed: Iterator[Batch], batch: range, rate: Tensor, sums: Tensor) -> None:
        """Update all weights once: this rank's micro-batches of ``batch``, one after another, then Eq. 1."""
        statistics = self._network.statistics
        before, mean = statistics.clone(), torch.zeros_like(statistics)
        count = self._recipe.micro_batches // self._ranks.count
        for loaded in itertools.islice(feed, count):
            self._waited += loaded.waited
            images, labels = self._on_device(loaded)
            logits, loss = self.model.backward(images, labels, len(batch))
            with torch.no_grad():
                sums += torch.stack((loss, (logits.argmax(1) == labels).sum(), (labels != IGNORED).sum()))
                mean.add_(statistics, alpha=1 / count)
                statistics.copy_(before)
        with torch.no_grad():
            statistics.copy_(mean)
        self._ranks.all_reduce(self._network.gradients)
        self._network.update(self._recipe, rate)

    def top1(self) -> float:
        """Return the accuracy in per cent over the test images that could be read, divided among the ranks."""
        self._network.model.eval()
        counts = torch.zeros(2, dtype=torch.long, device=self._device)
        mine = np.arange(self._ranks.rank, len(self._test.split), self._ranks.count)
        pieces = [mine[start : start + EVALUATION_BATCH] for start in range(0, len(mine), EVALUATION_BATCH)]
        requests = (Request(piece, None) for piece in pieces)
        with torch.no_grad(), contextlib.closing(self._test.batches(requests)) as feed:
            for loaded in feed:
                images, labels = self._on_device(loaded)
                logits = forward(self._network.model, images, self.model.precision)
                counts[0] += (logits.argmax(1) == labels).sum()
                counts[1] += (labels != IGNORED).sum()
        self._ranks.all_reduce(counts)
        correct, seen = (int(count) for count in counts)
        return 100 * correct / max(seen, 1)

    def provenance(self) -> dict[str, Any]:
        """Return for the Record, after an epoch: strategy, ranks, loader, rank 0's speed and the fraction of its
        time in which no images were ready, and the images that could not be read."""
        bad: dict[str, str] = {}
        for names in self._ranks.all_gather(self._train.bad | self._test.bad):
            bad |= names
        return {
            "strategy": self.model.strategy,
            "ranks": self._ranks.count,
            "loader": self._train.name,
            "throughput": {
                "images_per_second": round(self._images / self._spent, 1),
                "waiting_for_images": round(self._waited / self._spent, 4),
            },
            **({"unreadable": dict(sorted(bad.items()))} if bad else {}),
        }

    def _requests(self, order: npt.NDArray[np.int64], left: list[range], epoch: int) -> Iterator[Request]:
        for batch in left:
            number, crops = batch.start // self._recipe.batch_size, None
            if self._recipe.augment:
                crops = draw_crops(self._run.stream, epoch, number, len(batch))
            for micro in microbatches(batch, self._recipe, self._ranks.rank, self._ranks.count):
                part = slice(micro.start - batch.start, micro.stop - batch.start)
                yield Request(order[micro.start : micro.stop], None if crops is None else crops[part])

    def _on_device(self, loaded: Batch) -> tuple[Tensor, Tensor]:
        """Return normalised images and their labels; bytes are what is copied."""
        pixels, labels = (tensor.to(self._device, non_blocking=True) for tensor in (loaded.images, loaded.labels))
        flip = None if loaded.flip is None else loaded.flip.to(self._device, non_blocking=True)
        return normalize(pixels, flip), labels


class PhotoModel:
    """Adds up the gradients of ``network`` on this rank, one micro-batch after another."""

    def __init__(self, network: Network, precision: torch.dtype, ranks: Ranks, images: int) -> None:
        """``images`` in all epochs decide whether to compile."""
        self.precision, self._network, self._ranks = precision, network, ranks
        self.strategy = "compiled" if network.weights.is_cuda and images >= COMPILE_FROM else "eager"
        """How it trains, for the Record."""
        self._compiled: nn.Module | None = None
        self._size = 0  # images that the compiled form takes: others would need another compilation

    def backward(self, images: Tensor, labels: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Add the gradients of a micro-batch's part of the mean loss over a global batch of ``batch`` images.

        Images that could not be read (label `loader.IGNORED`) do not count. Returns the logits and the summed
        loss, float64.
        """
        if self.strategy == "compiled" and self._compiled is None:
            self._compile(images)
        fast = self._compiled if len(images) == self._size else None
        logits = forward(fast or self._network.model, images, self.precision)
        loss = F.cross_entropy(logits, labels, reduction="sum")
        (loss * (1 / batch)).backward()
        return logits.detach(), loss.detach().double()

    def _compile(self, images: Tensor) -> None:
        """Compile for micro-batches of this size. If that fails or differs on any rank, all stay eager."""
        model = self._network.model
        compiled: nn.Module = torch.compile(model, dynamic=False)  # type: ignore[assignment]
        statistics = self._network.statistics.clone()
        why = ""
        try:
            with torch.no_grad():
                plain, fast = (forward(tried, images, self.precision) for tried in (model, compiled))
            distance = float((plain - fast).norm() / plain.norm().clamp_min(1e-12))
            if not distance < TOLERANCE[self.precision]:
                why = f"its logits differ from eager ones by {distance:.1e}"
        except Exception as error:  # from torch.compile anything: a cache that cannot be written is an assertion
            why = one_line(error)
        self._network.statistics.copy_(statistics)
        if self._ranks.any(bool(why)):
            why = why or "on another rank"
            warnings.warn(f"strategy 'compiled' failed, training eagerly instead: {why}", stacklevel=2)
            self.strategy = "eager"
        else:
            self._compiled, self._size = compiled, len(images)


def epoch_order(stream: str, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """Draw the order of ``count`` images in an epoch, int64 [count], from the Run's ``stream`` and the epoch."""
    random = torch.Generator().manual_seed(seed_of("photo order", epoch, stream))
    order: npt.NDArray[np.int64] = torch.randperm(count, generator=random).numpy()
    return order


def batches(images: int, recipe: MicroBatchRecipe) -> list[range]:
    """Return the global batches of an epoch of ``images``, as positions in its order, less a last one that has a
    micro-batch of fewer than two."""
    starts = range(0, images, recipe.batch_size)
    every = (range(start, min(start + recipe.batch_size, images)) for start in starts)
    return [batch for batch in every if len(batch) >= LEAST * recipe.micro_batches]


def microbatches(batch: range, recipe: MicroBatchRecipe, rank: int, count: int) -> list[range]:
    """Return those of ``batch`` that ``rank`` of ``count`` trains. Their sizes differ by one at most."""
    each = recipe.micro_batches // count
    cuts = [len(batch) * n // recipe.micro_batches for n in range(rank * each, (rank + 1) * each + 1)]
    return [batch[start:stop] for start, stop in itertools.pairwise(cuts)]


def check_ranks(count: int, recipe: MicroBatchRecipe) -> None:
    """Raise `UsageError` unless the micro-batches of a batch divide evenly among ``count`` ranks."""
    if recipe.micro_batches % count:
        divisors = " or ".join(str(n) for n in range(1, recipe.micro_batches + 1) if recipe.micro_batches % n == 0)
        raise UsageError(
            f"{count} GPUs for one Run: a batch of {recipe.micro_batches} parts divides among {divisors}"
        )
