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
from repro.engine.begin import stand
from repro.engine.bench import Bench
from repro.engine.course import Course
from repro.engine.lanes import EXAM_BATCH, Lane, Lanes
from repro.engine.pool import Share
from repro.engine.reports import EpochReport, Listener, OutOfTime, Sums
from repro.engine.strategies import Strategy, first_sound
from repro.machine import cores
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import Store

# Steps between two looks at the clock. On CUDA the host runs ahead of the device, and is held there.
LOOK_EVERY = {"cpu": 1, "cuda": 32}
Finished = list[tuple[Run, Record]]


@dataclass
class Seat:
    """A Run in its lane."""

    run: Run
    lane: Lane
    course: Course
    share: Share
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
    """Trains one wave after another on ``bench``; lanes and what was recorded for them are used again.

    ``keep`` tells by key which checkpoints others need; ``on_start`` hears of every Run before its first epoch;
    ``has_time(seconds)`` is asked whether that much is left, ``deadline`` is when waiting for a lock ends.
    """

    bench: Bench
    store: Store
    keep: dict[str, set[int]]
    on_start: Callable[[Run], None]
    listener: Listener
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
        precision = devices.resolve_precision(runs[0].precision, self.bench.device)
        yield from self._train(runs, names, count, precision)
        while self._apart:  # began elsewhere, where `auto` meant another precision
            precision, others = self._apart.popitem()
            yield from self._train(others, names, count, precision)

    def _train(self, runs: Sequence[Run], names: Sequence[str], count: int, precision: str) -> Iterator[Finished]:
        devices.use_tf32(precision)
        lanes = self._lanes_for(runs[0], count, precision, names)
        queue, seats = deque(runs), list[Seat]()
        with ThreadPoolExecutor(max(2, cores())) as helpers:
            try:
                while queue or seats:
                    free = [lane for lane in lanes.all if not lane.busy]
                    if queue and free:
                        with contextlib.ExitStack() as locks:
                            finished, begun = self._fill(queue, free, precision, helpers, locks)
                            seats += begun
                            if finished:
                                yield finished
                    if not seats:
                        continue
                    if self._strategy is None:
                        self._strategy = first_sound(names, lanes, [seat.lane for seat in seats])
                    ending = self._advance(lanes, self._strategy, seats)
                    self._end_epochs(lanes, self._strategy, ending, len(seats), helpers)
                    if over := [seat for seat in ending if seat.course.over]:
                        yield [(seat.run, seat.course.record()) for seat in over]
                        self._leave(over)
                        seats = [seat for seat in seats if not seat.course.over]
                    for seat in ending:
                        if not seat.course.over:
                            self._begin_epoch(seat, helpers)
            finally:
                self._leave(seats)

    def _lanes_for(self, run: Run, count: int, precision: str, names: Sequence[str]) -> Lanes:
        recipe = run.recipe
        shape = (run.arch, count, precision, recipe.batch_size, recipe.momentum, recipe.weight_decay, *names)
        if self._lanes is None or shape != self._shape:
            self._lanes = self._strategy = None  # gives back their memory first
            dtype = devices.dtype_of(precision)
            self._lanes = Lanes(run.arch, count, self.bench.pool, recipe, dtype)
            self._shape = shape
        return self._lanes

    def _fill(
        self,
        queue: deque[Run],
        free: list[Lane],
        precision: str,
        helpers: ThreadPoolExecutor,
        locks: contextlib.ExitStack,
    ) -> tuple[Finished, list[Seat]]:
        """The next Runs of ``queue`` take ``free`` lanes. Returns those that turn out to be finished, or to have
        nothing to train, and the others' seats; a seat holds its Run's lock, ``locks`` those of the rest."""
        finished: Finished = []
        entering: list[tuple[Run, Lane, contextlib.ExitStack]] = []
        seats: list[Seat] = []
        while queue and len(entering) < len(free):
            run, lane, lock = queue.popleft(), free[len(entering)], contextlib.ExitStack()
            self.on_start(run)
            known = self.store.record(run)  # trained again for its checkpoints
            locks.enter_context(lock).enter_context(self.store.run_lock(run, self.deadline))
            found = None if known else self.store.record(run)  # by a worker that outlived its driver
            if found:
                finished.append((run, found))
                continue
            if run.weights is None:  # draws from PyTorch's global generator: not for threads
                lane.network.reset(run.seed)
            entering.append((run, lane, lock))
        courses = helpers.map(lambda entry: self._stand(*entry[:2]), entering)
        for (run, lane, lock), course in zip(entering, courses, strict=True):
            own = course.history["provenance"]["precision"]
            if course.over:
                finished.append((run, course.record()))
            elif own != precision:
                self._apart.setdefault(devices.resolve_precision(own, self.bench.device), []).append(run)
            else:
                seat = Seat(run, lane, course, self.bench.pool.share(run.data), lock)
                lane.enter(seat.share)
                self._begin_epoch(seat, helpers)
                seats.append(seat)
        for seat in seats:  # from here on the seat's own
            seat.lock = seat.lock.pop_all()
        return finished, seats

    def _stand(self, run: Run, lane: Lane) -> Course:
        place = stand(run, lane.network, self.store, self.bench)
        return Course(run, lane.network, self.store, self.keep.get(run.key, set()), place)

    def _begin_epoch(self, seat: Seat, helpers: ThreadPoolExecutor) -> None:
        """The Run's next epoch, if there is time for it. The order after that is drawn meanwhile."""
        if not self.has_time(seat.last):
            raise OutOfTime
        run, epoch = seat.run, seat.course.epoch
        places = seat.next_places.result() if seat.next_places else _places(run, epoch, seat.share)
        seat.lane.start_epoch(places, learning_rate(run.recipe, epoch))
        seat.steps, seat.spent, seat.began = 0, 0.0, time.perf_counter()
        seat.next_places = None
        if epoch + 1 < run.last_epoch:
            seat.next_places = helpers.submit(_places, run, epoch + 1, seat.share)

    def _advance(self, lanes: Lanes, strategy: Strategy, seats: list[Seat]) -> list[Seat]:
        """All lanes step until the first epochs end; returns whose do."""
        start = time.perf_counter()
        left, group = min(seat.full_left for seat in seats), [seat.lane for seat in seats]
        for seat in seats:
            seat.steps += left
        while left:
            if not self.has_time(0.0):
                raise OutOfTime
            steps = min(left, LOOK_EVERY[lanes.device.type])
            strategy.train(group, steps, lanes.recipe.batch_size)
            left -= steps
            if lanes.device.type == "cuda":
                torch.cuda.synchronize(lanes.device)
        ending = [seat for seat in seats if not seat.full_left]
        for size, some in itertools.groupby(sorted(ending, key=_rest), key=_rest):
            if size:
                strategy.train([seat.lane for seat in some], 1, size)
        for seat in seats:
            seat.spent += (time.perf_counter() - start) / len(seats)
        return ending

    def _end_epochs(
        self, lanes: Lanes, strategy: Strategy, ending: list[Seat], wave: int, helpers: ThreadPoolExecutor
    ) -> None:
        """Evaluate where the recipe asks for it; history, checkpoints and states, at a time for all who end.

        A state is on the disk before the next epoch ends or the Run leaves its lane."""
        start = time.perf_counter()
        sums = lanes.sums()
        tested = [seat for seat in ending if seat.run.evaluates_after(seat.course.epoch + 1)]
        top1 = examined(lanes, strategy, [seat.lane for seat in tested])
        spent = (time.perf_counter() - start) / max(1, len(ending))

        def take(seat: Seat) -> None:
            course, number, count = seat.course, seat.lane.number, seat.lane.epoch_size
            course.history["provenance"] |= {"strategy": strategy.name, "wave": wave}
            loss, correct = sums[number]
            course.take(Sums(-(-count // seat.lane.recipe.batch_size), count, loss, correct), lambda: top1[number])
            course.history["wall_s"] += seat.spent + spent
            if not course.over:
                seat.saving = helpers.submit(course.saving())

        for seat in ending:
            seat.saved()
        list(helpers.map(take, ending))
        for seat in ending:
            seat.last = time.perf_counter() - seat.began
            if "diverged_at" not in seat.course.history:
                report = EpochReport(
                    seat.run, seat.course.epoch, seat.lane.epoch_size, seat.last, *seat.course.latest, wave
                )
                self.listener.epoch_done(report)

    def _leave(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            seat.lane.busy = False
        try:
            for seat in seats:
                seat.saved()
        finally:
            for seat in seats:
                seat.lock.close()


def examined(lanes: Lanes, strategy: Strategy, group: Sequence[Lane]) -> dict[int, float]:
    """Top-1 accuracy in per cent over all images that each lane of ``group`` is tested on, by lane, whatever the
    size of the last batch."""
    for lane in group:
        lane.start_exam()
    left = {lane.number: lane.exam_size for lane in group}

    def size_of(lane: Lane) -> int:
        return min(left[lane.number], EXAM_BATCH)

    while any(left.values()):
        waiting = sorted((lane for lane in group if left[lane.number]), key=size_of)
        for size, some in itertools.groupby(waiting, key=size_of):
            these = list(some)
            strategy.examine(these, size)
            for lane in these:
                left[lane.number] -= size
    correct = lanes.exam_correct.tolist()
    return {lane.number: 100 * correct[lane.number] / lane.exam_size for lane in group}


def _rest(seat: Seat) -> int:
    return seat.rest


def _places(run: Run, epoch: int, share: Share) -> Tensor:
    return share.places(EpochOrder.draw(run.stream, epoch, len(share.train), run.recipe.augment))
