"""Trains waves: many Runs on small images side by side, each in its own lane; a free lane takes the next Run.

Runs of a wave share architecture, images, batch size, momentum, weight decay and precision. Weights, mask, order,
labels, number of images, schedule, evaluation, state and Record are each Run's own. The results are therefore
those of each Run alone, and a Run that diverges does not affect the others.

`Waves.train` is the loop; `_advance` steps all lanes to the end of an epoch, `_end_epochs` evaluates and saves.
The device does not wait for the disk: a state is copied from it at an epoch's end and written during the next
epoch, whose order was drawn during the last. (`lanes.py`: one step.)
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from torch import Tensor

from repro.engine import device as devices
from repro.engine.data_source import InMemoryData
from repro.engine.events import EpochTotals, Observer, OutOfTime
from repro.engine.lanes import EVAL_BATCH, Lane, Lanes
from repro.engine.run_progress import RunProgress
from repro.engine.strategies import Strategy, first_valid
from repro.machine import cores
from repro.plan import wave_shape
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import Store

# Steps between two looks at the clock. On CUDA the host runs ahead of the device, and waits for it there.
LOOK_EVERY = {"cpu": 1, "cuda": 32}
Finished = list[tuple[Run, Record]]


@dataclass(eq=False)
class ActiveRun:
    """A Run in its lane, and the lock that it holds."""

    run: Run
    lane: Lane
    lock: contextlib.ExitStack
    record: Record | None = None
    """Its Record, once it has ended."""
    progress: RunProgress = field(init=False)
    next_indices: Future[Tensor] = field(init=False)
    """Order, crops and flips of the next epoch."""
    saving: Future[None] | None = None
    batches_left: int = 0
    """Whole batches left in this epoch."""
    began: float = 0.0
    epoch_seconds: float = 0.0
    """Elapsed time of the last epoch."""

    def wait_for_state(self) -> None:
        """Wait until the last state is on disk. Raises `MissingInput` if it could not be written."""
        if self.saving:
            self.saving.result()


@dataclass
class Waves:
    """Trains one wave after another on ``data``, reusing lanes and what was recorded for them.

    Args:
        keep: epochs whose checkpoints other Runs need, by key.
        has_time: whether so many seconds are left.
        deadline: when waiting for a lock ends, on `time.monotonic`'s clock.
    """

    data: InMemoryData
    store: Store
    keep: dict[str, set[int]]
    observer: Observer
    has_time: Callable[[float], bool]
    deadline: float = math.inf
    _lanes: Lanes | None = None
    _strategy: Strategy | None = None
    _shape: tuple[object, ...] = ()
    _waiting: dict[str, deque[Run]] = field(default_factory=dict)
    """Runs to train, by precision."""
    _active: list[ActiveRun] = field(default_factory=list)
    _helpers: ThreadPoolExecutor = field(init=False)

    def train(self, runs: Sequence[Run], names: Sequence[str], count: int) -> Iterator[Finished]:
        """Train ``runs`` in ``count`` lanes by the first valid strategy of ``names``.

        Yields Runs with their Records as soon as any end; their locks are held until the next are asked for.
        Raises `OutOfTime` if one more epoch would not end in time: every Run has a state by then.
        """
        arch, recipe = runs[0].arch, runs[0].recipe
        self._waiting = {devices.resolve_precision(runs[0].precision, self.data.device): deque(runs)}
        while self._waiting:
            precision, queue = self._waiting.popitem()
            dtype = devices.use_precision(precision)
            shape = (*wave_shape(runs[0]), precision, count, *names)
            if self._lanes is None or shape != self._shape:
                self._lanes = self._strategy = None  # free their memory first
                self._lanes, self._shape = Lanes(arch, count, self.data, recipe, dtype), shape
            lanes = self._lanes
            with ThreadPoolExecutor(max(2, cores())) as self._helpers:
                try:
                    while queue or self._active:
                        busy = [active.lane for active in self._active]
                        free = [lane for lane in lanes.all if lane not in busy]
                        if queue and free:
                            between_epochs = self._enter(queue, free, precision)
                        else:
                            self._strategy = self._strategy or first_valid(names, lanes, busy)
                            between_epochs = self._advance(lanes, self._strategy)
                        over = [(active, active.record) for active in between_epochs if active.record]
                        if over:
                            yield [(active.run, record) for active, record in over]
                            self._leave([active for active, _ in over])
                        for active in between_epochs:
                            if not active.record:
                                self._start_epoch(active)
                finally:
                    self._leave(self._active)

    def _enter(self, queue: deque[Run], free: list[Lane], precision: str) -> list[ActiveRun]:
        """Lock the next Runs of ``queue``, resume or start them in ``free`` lanes and return them. Some have a
        Record already, since nothing is left to train."""
        data, store, entering = self.data, self.store, list[ActiveRun]()
        for lane in free[: len(queue)]:
            run = queue.popleft()
            active = ActiveRun(run, lane, contextlib.ExitStack())
            self.observer.run_started(run)
            active.record = active.lock.enter_context(store.run_lock(run, self.deadline))
            self._active.append(active)
            if run.weights is None:  # draws from PyTorch's global generator, which threads share
                lane.network.reset(run.seed)
            entering.append(active)

        def resume(active: ActiveRun) -> None:
            run, network, keep = active.run, active.lane.network, self.keep.get(active.run.key, set())
            active.progress = RunProgress(run, network, store, keep, data.device, data.source)
            active.record = active.progress.record() if active.progress.over else None

        list(self._helpers.map(resume, [active for active in entering if not active.record]))
        for active in [active for active in entering if not active.record]:
            begun_in = active.progress.history["provenance"]["precision"]
            if begun_in != precision:  # begun on another device, where `auto` was another precision
                resolved = devices.resolve_precision(begun_in, data.device)
                self._waiting.setdefault(resolved, deque()).append(active.run)
                self._leave([active])
                entering.remove(active)
                continue
            active.lane.enter(data.subset(active.run.data))
            self._draw_epoch(active, active.progress.epoch)
        return entering

    def _draw_epoch(self, active: ActiveRun, epoch: int) -> None:
        run, draw = active.run, active.lane.subset.draw_epoch
        active.next_indices = self._helpers.submit(draw, run.stream, epoch, run.recipe.augment)

    def _start_epoch(self, active: ActiveRun) -> None:
        """Start the Run's next epoch, if there is time for it, and draw the order of the one after."""
        if not self.has_time(active.epoch_seconds):
            raise OutOfTime
        run, epoch, lane = active.run, active.progress.epoch, active.lane
        lane.start_epoch(active.next_indices.result(), learning_rate(run.recipe, epoch))
        active.batches_left = lane.epoch_size // run.recipe.batch_size
        active.began = time.perf_counter()
        if epoch + 1 < run.last_epoch:
            self._draw_epoch(active, epoch + 1)

    def _advance(self, lanes: Lanes, strategy: Strategy) -> list[ActiveRun]:
        """Step all lanes until the first epochs end, end these, and return their Runs."""
        start, batch = time.perf_counter(), lanes.recipe.batch_size
        left, group = min(active.batches_left for active in self._active), [active.lane for active in self._active]
        for active in self._active:
            active.batches_left -= left
        while left:
            if not self.has_time(0.0):
                raise OutOfTime
            steps = min(left, LOOK_EVERY[lanes.device.type])
            strategy.train(group, steps, batch)
            left -= steps
            self.data.device.synchronize()
        ending = [active for active in self._active if not active.batches_left]
        last_batch = {active.lane: active.lane.epoch_size % batch for active in ending}
        for size in set(last_batch.values()) - {0}:
            strategy.train([lane for lane in last_batch if last_batch[lane] == size], 1, size)
        for active in self._active:  # each Run's part of the device's time
            active.progress.history["wall_s"] += (time.perf_counter() - start) / len(self._active)
        self._end_epochs(lanes, strategy, ending)
        return ending

    def _end_epochs(self, lanes: Lanes, strategy: Strategy, ending: list[ActiveRun]) -> None:
        """Evaluate if the recipe asks for it; update histories, save checkpoints and states, all Runs in parallel.

        A state is on disk before the next epoch ends or the Run leaves its lane."""
        start, wave = time.perf_counter(), len(self._active)
        losses, correct = lanes.loss_sum.tolist(), lanes.correct.tolist()
        tested = [active for active in ending if active.run.evaluates_after(active.progress.epoch + 1)]
        top1 = evaluate(lanes, strategy, [active.lane for active in tested])
        evaluation = (time.perf_counter() - start) / len(ending)

        def finish_epoch(active: ActiveRun) -> None:
            progress, number, images = active.progress, active.lane.number, active.lane.epoch_size
            progress.history["provenance"] |= {"strategy": strategy.name, "wave": wave}
            totals = EpochTotals(seen=images, loss=losses[number], correct=correct[number])
            progress.finish_epoch(totals, lambda: top1[number])
            progress.history["wall_s"] += evaluation
            if progress.over:
                active.record = progress.record()
            else:
                active.saving = self._helpers.submit(progress.state_writer())

        for active in ending:
            active.wait_for_state()
        list(self._helpers.map(finish_epoch, ending))
        for active in ending:
            progress, active.epoch_seconds = active.progress, time.perf_counter() - active.began
            if "diverged_at" not in progress.history:
                self.observer.epoch_done(progress.report(active.lane.epoch_size, active.epoch_seconds, wave))

    def _leave(self, leaving: Sequence[ActiveRun]) -> None:
        """Free the lanes of ``leaving`` and release their locks once all their states are written or failed."""
        self._active = [active for active in self._active if active not in leaving]
        wait(active.saving for active in leaving if active.saving)
        for active in leaving:
            active.lock.close()
        for active in leaving:
            active.wait_for_state()


def evaluate(lanes: Lanes, strategy: Strategy, group: Sequence[Lane]) -> dict[int, float]:
    """Return the top-1 accuracy in per cent over all test images of each lane of ``group``, by lane number."""
    for lane in group:
        lane.start_evaluation()
    for start in range(0, max((lane.eval_size for lane in group), default=0), EVAL_BATCH):
        batch = {lane: min(EVAL_BATCH, lane.eval_size - start) for lane in group}
        for size in {size for size in batch.values() if size > 0}:
            strategy.evaluate_batch([lane for lane in group if batch[lane] == size], size)
    correct = lanes.eval_correct.tolist()
    return {lane.number: 100 * correct[lane.number] / lane.eval_size for lane in group}
