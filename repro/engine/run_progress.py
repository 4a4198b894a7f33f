"""A Run on its way: what it has behind it, what is kept of it, and the Record that it comes to."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from repro.engine.events import EpochTotals
from repro.engine.network import Trainable
from repro.engine.resume import ResumePoint
from repro.engine.weight_stats import probe
from repro.record import DIVERGED, DONE, Record, measured
from repro.run import Run
from repro.store import State, Store


class RunProgress:
    """``run`` in ``network``, from ``point`` on. ``keep`` are the epochs whose checkpoints others need; only a
    ``is_main`` touches the ``store``."""

    def __init__(
        self, run: Run, network: Trainable, store: Store, keep: set[int], point: ResumePoint, is_main: bool = True
    ) -> None:
        self.run, self.network, self.history = run, network, point.history
        self._store, self._keep, self._is_main = store, keep, is_main
        self.epoch = point.epoch
        """Whole epochs behind it."""
        if point.epoch == run.first_epoch and not point.begun.batches:
            self._keep_checkpoint()

    @property
    def over(self) -> bool:
        """Whether nothing is left to train: the schedule has ended, or the loss was not finite."""
        return self.epoch == self.run.last_epoch or "diverged_at" in self.history

    def take(self, sums: EpochTotals, top1: Callable[[], float]) -> None:
        """Put an epoch's outcome into the history and keep what is to be kept. ``top1`` is asked where the Run is
        evaluated then. Where the loss or a weight is not finite the Run has diverged, and nothing more counts."""
        done = self.epoch + 1
        loss = sums.loss / max(sums.seen, 1)
        if not math.isfinite(loss) or not self.network.is_finite:
            self.history["diverged_at"] = done
            return
        self.epoch = done
        curve = self.history["curve"]
        curve["epoch"].append(done)
        curve["train_loss"].append(measured(loss))
        curve["train_top1"].append(measured(100 * sums.correct / max(sums.seen, 1)))
        if self.run.evaluates_after(done):
            curve["test_epoch"].append(done)
            curve["test_top1"].append(measured(top1()))
        if self.run.probe is not None:
            probe(done, self.run.probe, self.network, self.history)
        prune_at = dict(self.run.prune_at)
        if done in prune_at:
            self.network.prune(prune_at[done])
        self._keep_checkpoint()

    @property
    def latest(self) -> tuple[float, float | None]:
        """Training top-1 of the last epoch in per cent, and test top-1 where it was evaluated then."""
        curve = self.history["curve"]
        tested = curve["test_top1"][-1] if self.run.evaluates_after(self.epoch) else None
        return curve["train_top1"][-1], tested

    def save(self, history: dict[str, Any] | None = None, batches: int = 0) -> None:
        """Keep where the Run stands, ``batches`` into an epoch, so that it can go on from here."""
        if self._is_main:
            self.saving(history, batches)()

    def saving(self, history: dict[str, Any] | None = None, batches: int = 0) -> Callable[[], None]:
        """`save` as the Run stands now, to be called while it trains on, on another thread if need be."""
        epoch, network, kept = self.epoch, self.network.snapshot(), _copied(history or self.history)
        return lambda: self._store.save_state(self.run, State(epoch, network.state(), kept, batches))

    def record(self) -> Record:
        """What the Run came to."""
        run, history = self.run, self.history
        provenance = dict(history["provenance"], seed=run.seed, wall_s=round(history["wall_s"], 3))
        provenance["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
        status = DIVERGED if "diverged_at" in history else DONE
        if status == DIVERGED:
            provenance["diverged_at"] = history["diverged_at"]
        kept = {name: history.get(name, {}) for name in ("start", "probe", "checkpoints")}
        return Record.ended(run, status, history["curve"], **kept, provenance=provenance)

    def _keep_checkpoint(self) -> None:
        if self.epoch in self._keep and self._is_main:
            digest = self._store.save_checkpoint(self.run, self.epoch, self.network.checkpoint())
            self.history["checkpoints"][str(self.epoch)] = digest


def _copied(value: Any) -> Any:
    """A history that later epochs do not change: of dictionaries and lists of numbers."""
    if isinstance(value, dict):
        return {name: _copied(own) for name, own in value.items()}
    return list(value) if isinstance(value, list) else value
