"""Trains waves: many Runs side by side, each in a lane of its own; the next in line takes a lane that falls free.

Runs of a wave share network, pool of images, batch size, momentum, weight decay and precision. All else is their
own: weights, mask, order, labels, number of images, schedule, evaluation, state and Record. So a Run ends where it
would end alone, and where one ends in NaN the others do not hear of it.

The device does not wait for the disk: at an epoch's end where the Runs stand is copied from it, and written while
the next epoch trains, whose order was drawn during the last.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from repro.data.batches import EpochOrder
from repro.engine import device as devices
from repro.engine.data_source import InMemoryData
from repro.engine.device_dataset import Subset
from repro.engine.events import EpochReport, EpochTotals, Observer, OutOfTime
from repro.engine.lanes import EVAL_BATCH, Lane, Lanes
from repro.engine.resume import resume_or_start
from repro.engine.run_progress import RunProgress
from repro.engine.strategies import Strategy, first_valid
from repro.machine import cores
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import Store

# Steps between two looks at the clock. On CUDA the host runs ahead of the device, and is held there.
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
    next_places: Future[Tensor] | None = None
    saving: Future[None] | None = None
    steps: int = 0
    """Whole batches of this epoch that are behind it."""
    began: float = 0.0
    spent: float = 0.0
    """Its share of the device's time in this epoch."""
    last: float = 0.0
    """Seconds that its last epoch took by the clock."""

    @property
    def full_left(self) -> int:
        """Whole batches that are left of this epoch."""
        return self.lane.epoch_size // self.lane.recipe.batch_size - self.steps

    @property
    def rest(self) -> int:
        """Images in the smaller last batch, 0 where there is none."""
        return self.lane.epoch_size % self.lane.recipe.batch_size

    def saved(self) -> None:
        """Wait until its last state is on the disk. Raises `MissingInput` where it could not be written."""
        if self.saving:
            self.saving.result()


@dataclass
class Waves:
    """Trains one wave after another on ``data``; lanes and what was recorded for them are used again.

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
    _apart: dict[str, list[Run]] = field(default_factory=dict)

    def train(self, runs: Sequence[Run], names: Sequence[str], count: int) -> Iterator[Finished]:
        """``runs``, which share what a wave shares, in ``count`` lanes by the first sound strategy of ``names``.

        Yields Runs with their Records as soon as any end; their locks are held until the next are asked for.
        Raises `OutOfTime` where not one more epoch would end in time: every Run has a state by then.
        """
        precision = devices.resolve_precision(runs[0].precision, self.data.device)
        yield from self._train(runs, names, count, precision)
        while self._apart:  # began elsewhere, where `auto` meant another precision
            precision, others = self._apart.popitem()
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
                            finished, begun = self._fill(queue, free, precision, helpers, locks)
                            active_runs += begun
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
                            self._begin_epoch(active, helpers)
            finally:
                self._leave(active_runs)

    def _lanes_for(self, run: Run, count: int, precision: str, names: Sequence[str]) -> Lanes:
        recipe = run.recipe
        shape = (run.arch, count, precision, recipe.batch_size, recipe.momentum, recipe.weight_decay, *names)
        if self._lanes is None or shape != self._shape:
            self._lanes = self._strategy = None  # gives back their memory first
            dtype = devices.dtype_of(precision)
            self._lanes = Lanes(run.arch, count, self.data.pool, recipe, dtype)
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
        """The next Runs of ``queue`` take ``free`` lanes. Returns those that turn out to be finished, or to have
        nothing to train, and the others as active Runs, which hold their own locks; ``locks`` holds the rest."""
        finished: Finished = []
        entering: list[tuple[Run, Lane, contextlib.ExitStack]] = []
        active_runs: list[ActiveRun] = []
        while queue and len(entering) < len(free):
            run, lane, lock = queue.popleft(), free[len(entering)], contextlib.ExitStack()
            self.observer.run_started(run)
            known = self.store.record(run)  # trained again for its checkpoints
            locks.enter_context(lock).enter_context(self.store.run_lock(run, self.deadline))
            found = None if known else self.store.record(run)  # by a worker that outlived its driver
            if found:
                finished.append((run, found))
                continue
            if run.weights is None:  # draws from PyTorch's global generator: not for threads
                lane.network.reset(run.seed)
            entering.append((run, lane, lock))
        resumed = helpers.map(lambda entry: self._resume(*entry[:2]), entering)
        for (run, lane, lock), progress in zip(entering, resumed, strict=True):
            own = progress.history["provenance"]["precision"]
            if progress.over:
                finished.append((run, progress.record()))
            elif own != precision:
                self._apart.setdefault(devices.resolve_precision(own, self.data.device), []).append(run)
            else:
                active = ActiveRun(run, lane, progress, self.data.pool.subset(run.data), lock)
                lane.enter(active.subset)
                self._begin_epoch(active, helpers)
                active_runs.append(active)
        for active in active_runs:  # from here on the Run's own
            active.lock = active.lock.pop_all()
        return finished, active_runs

    def _resume(self, run: Run, lane: Lane) -> RunProgress:
        point = resume_or_start(run, lane.network, self.store, self.data)
        return RunProgress(run, lane.network, self.store, self.keep.get(run.key, set()), point)

    def _begin_epoch(self, active: ActiveRun, helpers: ThreadPoolExecutor) -> None:
        """The Run's next epoch, if there is time for it. The order after that is drawn meanwhile."""
        if not self.has_time(active.last):
            raise OutOfTime
        run, epoch = active.run, active.progress.epoch
        places = active.next_places.result() if active.next_places else _places(run, epoch, active.subset)
        active.lane.start_epoch(places, learning_rate(run.recipe, epoch))
        active.steps, active.spent, active.began = 0, 0.0, time.perf_counter()
        active.next_places = None
        if epoch + 1 < run.last_epoch:
            active.next_places = helpers.submit(_places, run, epoch + 1, active.subset)

    def _advance(self, lanes: Lanes, strategy: Strategy, active_runs: list[ActiveRun]) -> list[ActiveRun]:
        """All lanes step until the first epochs end; returns whose do."""
        start = time.perf_counter()
        left, group = min(active.full_left for active in active_runs), [active.lane for active in active_runs]
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
        ending = [active for active in active_runs if not active.full_left]
        for size, some in itertools.groupby(sorted(ending, key=_rest), key=_rest):
            if size:
                strategy.train([active.lane for active in some], 1, size)
        for active in active_runs:
            active.spent += (time.perf_counter() - start) / len(active_runs)
        return ending

    def _end_epochs(
        self, lanes: Lanes, strategy: Strategy, ending: list[ActiveRun], wave: int, helpers: ThreadPoolExecutor
    ) -> None:
        """Evaluate where the recipe asks for it; history, checkpoints and states, at a time for all who end.

        A state is on the disk before the next epoch ends or the Run leaves its lane."""
        start = time.perf_counter()
        sums = lanes.sums()
        tested = [active for active in ending if active.run.evaluates_after(active.progress.epoch + 1)]
        top1 = evaluate(lanes, strategy, [active.lane for active in tested])
        spent = (time.perf_counter() - start) / max(1, len(ending))

        def take(active: ActiveRun) -> None:
            progress, number, count = active.progress, active.lane.number, active.lane.epoch_size
            progress.history["provenance"] |= {"strategy": strategy.name, "wave": wave}
            loss, correct = sums[number]
            progress.take(
                EpochTotals(-(-count // active.lane.recipe.batch_size), count, loss, correct), lambda: top1[number]
            )
            progress.history["wall_s"] += active.spent + spent
            if not progress.over:
                active.saving = helpers.submit(progress.saving())

        for active in ending:
            active.saved()
        list(helpers.map(take, ending))
        for active in ending:
            active.last = time.perf_counter() - active.began
            if "diverged_at" not in active.progress.history:
                report = EpochReport(
                    active.run,
                    active.progress.epoch,
                    active.lane.epoch_size,
                    active.last,
                    *active.progress.latest,
                    wave,
                )
                self.observer.epoch_done(report)

    def _leave(self, active_runs: Sequence[ActiveRun]) -> None:
        for active in active_runs:
            active.lane.busy = False
        try:
            for active in active_runs:
                active.saved()
        finally:
            for active in active_runs:
                active.lock.close()


def evaluate(lanes: Lanes, strategy: Strategy, group: Sequence[Lane]) -> dict[int, float]:
    """Top-1 accuracy in per cent over all images that each lane of ``group`` is tested on, by lane, whatever the
    size of the last batch."""
    for lane in group:
        lane.start_evaluation()
    left = {lane.number: lane.eval_size for lane in group}

    def size_of(lane: Lane) -> int:
        return min(left[lane.number], EVAL_BATCH)

    while any(left.values()):
        waiting = sorted((lane for lane in group if left[lane.number]), key=size_of)
        for size, some in itertools.groupby(waiting, key=size_of):
            these = list(some)
            strategy.evaluate_batch(these, size)
            for lane in these:
                left[lane.number] -= size
    correct = lanes.eval_correct.tolist()
    return {lane.number: 100 * correct[lane.number] / lane.eval_size for lane in group}


def _rest(active: ActiveRun) -> int:
    return active.rest


def _places(run: Run, epoch: int, subset: Subset) -> Tensor:
    return subset.indices(EpochOrder.draw(run.stream, epoch, len(subset.train), run.recipe.augment))
