"""Trains one Run from where it stands to its end, on one rank or many. Rank 0 alone touches the store."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import torch

from repro.engine import device as devices
from repro.engine.begin import Place, stand
from repro.engine.bench import Bench, PhotoBench
from repro.engine.interrupt import Request, heeded
from repro.engine.network import Network
from repro.engine.probe import probe
from repro.engine.trainer import EpochReport, Halted, OutOfTime, StepReport, Sums, Trainer
from repro.errors import Interrupted
from repro.record import DIVERGED, DONE, Record, measured
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import State, Store

LEAST_SAVING = 1.0  # seconds that keeping a state in the middle of an epoch is taken to need at least


@dataclass(frozen=True)
class Listener:
    """Who hears how a Run goes on: after every epoch, and now and then within a long one."""

    epoch_done: Callable[[EpochReport], None]
    step_done: Callable[[StepReport], None] = lambda report: None


def train(
    run: Run,
    bench: Bench | PhotoBench,
    store: Store,
    keep: set[int],
    listener: Listener,
    has_time: Callable[[float], bool],
) -> Record:
    """Train ``run`` to its end, resuming where a state is kept, and return its Record (not yet stored).

    ``keep`` are the epochs whose checkpoints others need. ``has_time(seconds)`` is asked whether that much is
    left; on a no, raises `OutOfTime`. A Run on photographs keeps its state in the middle of an epoch before that,
    and before a signal ends it (`Interrupted`). A loss that is not finite ends the Run as ``diverged``. All ranks
    return the same Record.
    """
    network = Network(run.arch, run.seed, bench.device.torch)
    place = stand(run, network, store, bench) if bench.ranks.chief else None
    place = bench.ranks.share(place)
    assert place is not None
    network.copy_over(bench.ranks.copy, masked=place.masked)
    training = _Training(run, bench, network, store, keep, listener, has_time, place.history)
    return training.to_the_end(place)


@dataclass
class _Training:
    run: Run
    bench: Bench | PhotoBench
    network: Network
    store: Store
    keep: set[int]
    listener: Listener
    has_time: Callable[[float], bool]
    history: dict[str, Any]
    saving: float = LEAST_SAVING
    _epoch_now: int = 0

    def to_the_end(self, place: Place) -> Record:
        run, begun, last = self.run, place.begun, 0.0
        if place.epoch == run.first_epoch and not begun.batches:
            self._keep(place.epoch)
        if not run.epochs:
            return self._record(DONE)
        # A Run resumed elsewhere goes on in the precision that it began with.
        precision = devices.resolve_precision(self.history["provenance"]["precision"], self.bench.device)
        trainer = self.bench.trainer(run, place.epoch, self.network, precision, self._progress)
        self.history["provenance"]["strategy"] = trainer.strategy
        with heeded() if trainer.resumes_within else contextlib.nullcontext(Request()) as signals:
            for epoch in range(place.epoch, run.last_epoch):
                if not trainer.resumes_within and not self.has_time(last):
                    raise OutOfTime
                start = time.perf_counter()
                sums = self._epoch(epoch, trainer, begun, signals)
                if not self._take(epoch + 1, sums, trainer):
                    return self._record(DIVERGED)
                begun, last = Sums(), time.perf_counter() - start
                self._end_epoch(epoch + 1, sums, last, trainer)
                if epoch + 1 < run.last_epoch and self.bench.ranks.any(signals.came):
                    raise Interrupted
        return self._record(DONE)

    def _epoch(self, epoch: int, trainer: Trainer, begun: Sums, signals: Request) -> Sums:
        """One epoch, or the rest of it. Asked to stop within, keeps the state before it raises."""
        self._epoch_now = epoch
        need = self.saving if trainer.resumes_within else 0.0
        start = time.perf_counter()
        try:
            return trainer.epoch(
                epoch, learning_rate(self.run.recipe, epoch), begun,
                lambda: signals.came or not self.has_time(need),
            )  # fmt: skip
        except Halted as halt:
            trainer.settle()
            self.history["wall_s"] += time.perf_counter() - start
            history = self.history | {"begun": asdict(halt.sums)}
            self._save(State(epoch, self.network.state(), history, halt.sums.batches))
            raise (Interrupted if self.bench.ranks.any(signals.came) else OutOfTime) from None

    def _take(self, done: int, sums: Sums, trainer: Trainer) -> bool:
        """Put an epoch's outcome into the history; False where the loss or a weight is not finite."""
        trainer.settle()
        loss = sums.loss / max(sums.seen, 1)
        if not math.isfinite(loss) or not bool(torch.isfinite(self.network.weights).all()):
            self.history["diverged_at"] = done
            return False
        curve = self.history["curve"]
        curve["epoch"].append(done)
        curve["train_loss"].append(measured(loss))
        curve["train_top1"].append(measured(100 * sums.correct / max(sums.seen, 1)))
        if self.run.evaluates_after(done):
            curve["test_epoch"].append(done)
            curve["test_top1"].append(measured(trainer.top1()))
        if self.run.probe is not None:
            probe(done, self.run.probe, self.network, self.history)
        prune_at = dict(self.run.prune_at)
        if done in prune_at:
            self.network.prune(prune_at[done])
        self.history["provenance"] |= trainer.facts()
        self._keep(done)
        return True

    def _end_epoch(self, done: int, sums: Sums, seconds: float, trainer: Trainer) -> None:
        self.history["wall_s"] += seconds
        if done < self.run.last_epoch:
            self._save(State(done, self.network.state(), self.history))
        curve = self.history["curve"]
        tested = curve["test_top1"][-1] if self.run.evaluates_after(done) else None
        self.listener.epoch_done(EpochReport(self.run, done, sums.seen, seconds, curve["train_top1"][-1], tested))

    def _progress(self, images: int, speed: float, waiting: float) -> None:
        self.listener.step_done(StepReport(self.run, self._epoch_now + 1, images, speed, waiting))

    def _keep(self, epoch: int) -> None:
        if epoch in self.keep and self.bench.ranks.chief:
            digest = self.store.save_checkpoint(self.run, epoch, self.network.checkpoint())
            self.history["checkpoints"][str(epoch)] = digest

    def _save(self, state: State) -> None:
        if self.bench.ranks.chief:
            start = time.perf_counter()
            self.store.save_state(self.run, state)
            self.saving = max(LEAST_SAVING, time.perf_counter() - start)

    def _record(self, status: str) -> Record:
        run, history = self.run, self.history
        provenance = dict(history["provenance"], seed=run.seed, wall_s=round(history["wall_s"], 3))
        provenance["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
        if status != DONE:
            provenance["diverged_at"] = history["diverged_at"]
        kept = {name: history[name] for name in ("start", "probe", "checkpoints")}
        return Record.ended(run, status, history["curve"], **kept, provenance=provenance)
