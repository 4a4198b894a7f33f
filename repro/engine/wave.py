"""Trains waves: many Runs on small images side by side, each in its own lane; a free lane takes the next Run.

Runs of a wave share architecture, images, batch size, momentum, weight decay and precision. Weights, mask, order,
labels, number of images, schedule, evaluation, state and Record are each Run's own. The results are therefore
those of each Run alone, and a Run that diverges does not affect the others.

`Waves._train` is the loop; `_advance` steps all lanes to the end of an epoch, `_end_epochs` evaluates and saves.
The device does not wait for the disk: a state is copied from it at an epoch's end and written during the next
epoch, whose order was drawn during the last. (`lanes.py`: one step.)
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter

import torch
from torch import Tensor

from repro.data.batches import EpochOrder
from repro.engine import device as devices
from repro.engine.data_source import InMemoryData
from repro.engine.device_dataset import Subset
from repro.engine.events import EpochReport, EpochTotals, Observer, OutOfTime
from repro.engine.lanes import EVAL_BATCH, Lane, Lanes
from repro.engine.run_progress import RunProgress, resume_or_start
from repro.engine.strategies import Strategy, first_valid
from repro.machine import cores
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import Store

# Steps between two looks at the clock. On CUDA the host runs ahead of the device, and waits for it there.
LOOK_EVERY = {"cpu": 1, "cuda": 32}
Finished = list[tuple[Run, Record]]


@dataclass
class ActiveRun:
    """A Run in its lane."""

    run: Run
    lane: Lane
    progress: RunProgress
    subset: Subset
    lock: contextlib.ExitStack
    next_indices: Future[Tensor] | None = None
    """Order, crops and flips of the next epoch."""
    saving: Future[None] | None = None
    steps: int = 0
    """Whole batches trained in this epoch."""
    began: float = 0.0
    device_seconds: float = 0.0
    """This Run's part of the device's time in this epoch."""
    epoch_seconds: float = 0.0
    """Elapsed time of the last epoch."""

    @property
    def batches_left(self) -> int:
        """Whole batches left in this epoch."""
        return self.lane.epoch_size // self.lane.recipe.batch_size - self.steps

    @property
    def last_batch(self) -> int:
        """Images in the smaller last batch, 0 if there is none."""
        return self.lane.epoch_size % self.lane.recipe.batch_size

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
    deadline: float | None
    _lanes: Lanes | None = None
    _strategy: Strategy | None = None
    _shape: tuple[object, ...] = ()
    _other_precision: dict[str, list[Run]] = field(default_factory=dict)

    def train(self, runs: Sequence[Run], names: Sequence[str], count: int) -> Iterator[Finished]:
        """Train ``runs`` in ``count`` lanes by the first valid strategy of ``names``.

        Yields Runs with their Records as soon as any end; their locks are held until the next are asked for.
        Raises `OutOfTime` if one more epoch would not end in time: every Run has a state by then.
        """
        precision = devices.resolve_precision(runs[0].precision, self.data.device)
        yield from self._train(runs, names, count, precision)
        while self._other_precision:  # begun on another device, where `auto` was another precision
            precision, others = self._other_precision.popitem()
            yield from self._train(others, names, count, precision)

    def _train(self, runs: Sequence[Run], names: Sequence[str], count: int, precision: str) -> Iterator[Finished]:
        devices.use_tf32(precision)
        lanes = self._lanes_for(runs[0], count, precision, names)
        queue, active_runs = deque(runs), list[ActiveRun]()
        with ThreadPoolExecutor(max(2, cores())) as helpers:
            try:
                while queue or active_runs:
                    free = [lane for lane in lanes.all if not lane.busy]
                    if queue and free:
                        with contextlib.ExitStack() as locks:
                            finished, entered = self._fill(queue, free, precision, helpers, locks)
                            active_runs += entered
                            if finished:
                                yield finished
                    if not active_runs:
                        continue
                    if self._strategy is None:
                        self._strategy = first_valid(names, lanes, [active.lane for active in active_runs])
                    ending = self._advance(lanes, self._strategy, active_runs)
                    self._end_epochs(lanes, self._strategy, ending, len(active_runs), helpers)
                    if over := [active for active in ending if active.progress.over]:
                        yield [(active.run, active.progress.record()) for active in over]
                        self._leave(over)
                        active_runs = [active for active in active_runs if not active.progress.over]
                    for active in ending:
                        if not active.progress.over:
                            self._start_epoch(active, helpers)
            finally:
                self._leave(active_runs)

    def _lanes_for(self, run: Run, count: int, precision: str, names: Sequence[str]) -> Lanes:
        recipe = run.recipe
        shape = (run.arch, count, precision, recipe.batch_size, recipe.momentum, recipe.weight_decay, *names)
        if self._lanes is None or shape != self._shape:
            self._lanes = self._strategy = None  # free their memory first
            self._lanes = Lanes(run.arch, count, self.data.dataset, recipe, devices.dtype_of(precision))
            self._shape = shape
        return self._lanes

    def _fill(
        self,
        queue: deque[Run],
        free: list[Lane],
        precision: str,
        helpers: ThreadPoolExecutor,
        locks: contextlib.ExitStack,
    ) -> tuple[Finished, list[ActiveRun]]:
        """Put the next Runs of ``queue`` into ``free`` lanes. Returns Runs that are finished already, or have
        nothing to train, whose locks are in ``locks``, and the active Runs, which hold their own."""
        finished: Finished = []
        entering: list[tuple[Run, Lane, contextlib.ExitStack]] = []
        active_runs: list[ActiveRun] = []
        while queue and len(entering) < len(free):
            run, lane, lock = queue.popleft(), free[len(entering)], contextlib.ExitStack()
            self.observer.run_started(run)
            before = self.store.record(run)  # trained again for its checkpoints
            locks.enter_context(lock).enter_context(self.store.run_lock(run, self.deadline))
            record = None if before else self.store.record(run)  # of a worker that outlived its driver
            if record:
                finished.append((run, record))
                continue
            if run.weights is None:  # draws from PyTorch's global generator, which threads share
                lane.network.reset(run.seed)
            entering.append((run, lane, lock))
        resumed = helpers.map(lambda entry: self._resume(*entry[:2]), entering)
        for (run, lane, lock), progress in zip(entering, resumed, strict=True):
            begun_in = progress.history["provenance"]["precision"]
            if progress.over:
                finished.append((run, progress.record()))
            elif begun_in != precision:
                resolved = devices.resolve_precision(begun_in, self.data.device)
                self._other_precision.setdefault(resolved, []).append(run)
            else:
                active = ActiveRun(run, lane, progress, self.data.dataset.subset(run.data), lock)
                lane.enter(active.subset)
                self._start_epoch(active, helpers)
                active_runs.append(active)
        for active in active_runs:  # released when the Run leaves its lane
            active.lock = active.lock.pop_all()
        return finished, active_runs

    def _resume(self, run: Run, lane: Lane) -> RunProgress:
        point = resume_or_start(run, lane.network, self.store, self.data)
        return RunProgress(run, lane.network, self.store, self.keep.get(run.key, set()), point)

    def _start_epoch(self, active: ActiveRun, helpers: ThreadPoolExecutor) -> None:
        """Start the Run's next epoch, if there is time for it, and draw the order of the one after."""
        if not self.has_time(active.epoch_seconds):
            raise OutOfTime
        run, epoch, subset = active.run, active.progress.epoch, active.subset
        indices = active.next_indices.result() if active.next_indices else _epoch_indices(run, epoch, subset)
        active.lane.start_epoch(indices, learning_rate(run.recipe, epoch))
        active.steps, active.device_seconds, active.began = 0, 0.0, time.perf_counter()
        last = epoch + 1 == run.last_epoch
        active.next_indices = None if last else helpers.submit(_epoch_indices, run, epoch + 1, subset)

    def _advance(self, lanes: Lanes, strategy: Strategy, active_runs: list[ActiveRun]) -> list[ActiveRun]:
        """Step all lanes until the first epochs end, and return their Runs."""
        start = time.perf_counter()
        left, group = min(active.batches_left for active in active_runs), [active.lane for active in active_runs]
        for active in active_runs:
            active.steps += left
        while left:
            if not self.has_time(0.0):
                raise OutOfTime
            steps = min(left, LOOK_EVERY[lanes.device.type])
            strategy.train(group, steps, lanes.recipe.batch_size)
            left -= steps
            if lanes.device.type == "cuda":
                torch.cuda.synchronize(lanes.device)
        ending = [active for active in active_runs if not active.batches_left]
        by_size = attrgetter("last_batch")
        for size, same in itertools.groupby(sorted(ending, key=by_size), key=by_size):
            if size:
                strategy.train([active.lane for active in same], 1, size)
        for active in active_runs:
            active.device_seconds += (time.perf_counter() - start) / len(active_runs)
        return ending

    def _end_epochs(
        self, lanes: Lanes, strategy: Strategy, ending: list[ActiveRun], wave: int, helpers: ThreadPoolExecutor
    ) -> None:
        """Evaluate if the recipe asks for it; update histories, save checkpoints and states, all Runs in parallel.

        A state is on disk before the next epoch ends or the Run leaves its lane."""
        start = time.perf_counter()
        sums = lanes.sums()
        tested = [active for active in ending if active.run.evaluates_after(active.progress.epoch + 1)]
        top1 = evaluate(lanes, strategy, [active.lane for active in tested])
        evaluation = (time.perf_counter() - start) / max(1, len(ending))

        def finish_epoch(active: ActiveRun) -> None:
            progress, number, images = active.progress, active.lane.number, active.lane.epoch_size
            progress.history["provenance"] |= {"strategy": strategy.name, "wave": wave}
            batches = -(-images // active.lane.recipe.batch_size)
            progress.finish_epoch(EpochTotals(batches, images, *sums[number]), lambda: top1[number])
            progress.history["wall_s"] += active.device_seconds + evaluation
            if not progress.over:
                active.saving = helpers.submit(progress.state_writer())

        for active in ending:
            active.wait_for_state()
        list(helpers.map(finish_epoch, ending))
        for active in ending:
            progress, active.epoch_seconds = active.progress, time.perf_counter() - active.began
            if "diverged_at" not in progress.history:
                images, seconds = active.lane.epoch_size, active.epoch_seconds
                report = EpochReport(active.run, progress.epoch, images, seconds, *progress.latest, wave)
                self.observer.epoch_done(report)

    def _leave(self, active_runs: Sequence[ActiveRun]) -> None:
        for active in active_runs:
            active.lane.busy = False
        try:
            for active in active_runs:
                active.wait_for_state()
        finally:
            for active in active_runs:
                active.lock.close()


def evaluate(lanes: Lanes, strategy: Strategy, group: Sequence[Lane]) -> dict[int, float]:
    """Top-1 accuracy in per cent over all test images of each lane of ``group``, by lane number."""
    for lane in group:
        lane.start_evaluation()
    left = {lane.number: lane.eval_size for lane in group}

    def batch_of(lane: Lane) -> int:
        return min(left[lane.number], EVAL_BATCH)

    while any(left.values()):
        waiting = sorted((lane for lane in group if left[lane.number]), key=batch_of)
        for size, same in itertools.groupby(waiting, key=batch_of):
            lanes_of_size = list(same)
            strategy.evaluate_batch(lanes_of_size, size)
            for lane in lanes_of_size:
                left[lane.number] -= size
    correct = lanes.eval_correct.tolist()
    return {lane.number: 100 * correct[lane.number] / lane.eval_size for lane in group}


def _epoch_indices(run: Run, epoch: int, subset: Subset) -> Tensor:
    return subset.indices(EpochOrder.draw(run.stream, epoch, len(subset.train), run.recipe.augment))
