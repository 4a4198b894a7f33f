"""Trains one Run on photographs from where it stands to its end, on one rank or many."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from repro.engine import device as devices
from repro.engine.begin import stand
from repro.engine.bench import PhotoBench
from repro.engine.course import Course
from repro.engine.interrupt import Request, heeded
from repro.engine.network import Network
from repro.engine.reports import EpochReport, Halted, Listener, OutOfTime, StepReport, Sums
from repro.engine.streamed import Streamed
from repro.errors import Interrupted
from repro.record import Record
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import Store

LEAST_SAVING = 1.0  # seconds that keeping a state in the middle of an epoch is taken to need at least


def train(
    run: Run,
    bench: PhotoBench,
    store: Store,
    keep: set[int],
    listener: Listener,
    has_time: Callable[[float], bool],
) -> Record:
    """Train ``run`` to its end, resuming where a state is kept, and return its Record (not yet stored).

    ``keep`` are the epochs whose checkpoints others need. ``has_time(seconds)`` is asked whether that much is
    left; on a no, raises `OutOfTime`. The Run keeps its state in the middle of an epoch before that, and before a
    signal ends it (`Interrupted`). A loss that is not finite ends the Run as ``diverged``. All ranks return the
    same Record.
    """
    network = Network(run.arch, run.seed, bench.device.torch)
    place = stand(run, network, store, bench) if bench.ranks.chief else None
    place = bench.ranks.share(place)
    assert place is not None
    network.copy_over(bench.ranks.copy, masked=place.masked)
    course = Course(run, network, store, keep, place, bench.ranks.chief)
    if course.over:
        return course.record()
    return _Training(course, bench, listener, has_time).to_the_end(place.begun)


@dataclass
class _Training:
    course: Course
    bench: PhotoBench
    listener: Listener
    has_time: Callable[[float], bool]
    saving: float = LEAST_SAVING

    def to_the_end(self, begun: Sums) -> Record:
        course, run, bench = self.course, self.course.run, self.bench
        # A Run resumed elsewhere goes on in the precision that it began with.
        precision = devices.resolve_precision(course.history["provenance"]["precision"], bench.device)
        devices.use_tf32(precision)
        trainer = Streamed(
            run, course.network, bench.train, bench.test, devices.dtype_of(precision), bench.ranks, self._progress
        )
        course.history["provenance"]["strategy"] = trainer.strategy
        with heeded() as signals:
            while not course.over:
                start = time.perf_counter()
                sums = self._epoch(trainer, begun, signals)
                trainer.settle()
                course.take(sums, trainer.top1)
                if "diverged_at" in course.history:
                    break
                course.history["provenance"] |= trainer.facts()
                begun, seconds = Sums(), time.perf_counter() - start
                course.history["wall_s"] += seconds
                if not course.over:
                    self._save()
                self.listener.epoch_done(EpochReport(run, course.epoch, sums.seen, seconds, *course.latest))
                if not course.over and bench.ranks.any(signals.came):
                    raise Interrupted
        return course.record()

    def _epoch(self, trainer: Streamed, begun: Sums, signals: Request) -> Sums:
        """One epoch, or the rest of it. Asked to stop within, keeps the state before it raises."""
        course, start = self.course, time.perf_counter()
        try:
            return trainer.epoch(
                course.epoch, learning_rate(course.run.recipe, course.epoch), begun,
                lambda: signals.came or not self.has_time(self.saving),
            )  # fmt: skip
        except Halted as halt:
            trainer.settle()
            course.history["wall_s"] += time.perf_counter() - start
            self._save(halt.sums)
            raise (Interrupted if self.bench.ranks.any(signals.came) else OutOfTime) from None

    def _progress(self, images: int, speed: float, waiting: float) -> None:
        course = self.course
        self.listener.step_done(StepReport(course.run, course.epoch + 1, images, speed, waiting))

    def _save(self, begun: Sums | None = None) -> None:
        start = time.perf_counter()
        if begun is None:
            self.course.save()
        else:
            self.course.save(self.course.history | {"begun": asdict(begun)}, begun.batches)
        self.saving = max(LEAST_SAVING, time.perf_counter() - start)
