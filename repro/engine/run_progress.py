"""The progress of a Run: its history, its checkpoints and states, and its Record at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from repro.engine.events import EpochTotals
from repro.engine.network import Trainable
from repro.engine.resume import ResumePoint
from repro.engine.weight_stats import record_weight_stats
from repro.record import DIVERGED, DONE, Record, measured
from repro.run import Run
from repro.store import State, Store


class RunProgress:
    """``run``, trained in ``network`` from ``point`` on. Other Runs need the checkpoints of epochs ``keep``. Only
    the main process (``is_main``) writes to ``store``."""

    def __init__(
        self, run: Run, network: Trainable, store: Store, keep: set[int], point: ResumePoint, is_main: bool = True
    ) -> None:
        self.run, self.network, self.history = run, network, point.history
        self._store, self._keep, self._is_main = store, keep, is_main
        self.epoch = point.epoch
        """Whole epochs trained."""
        if point.epoch == run.first_epoch and not point.partial_epoch.batches:
            self._keep_checkpoint()

    @property
    def over(self) -> bool:
        """Whether nothing is left to train: the schedule has ended, or the loss was not finite."""
        return self.epoch == self.run.last_epoch or "diverged_at" in self.history

    def finish_epoch(self, totals: EpochTotals, top1: Callable[[], float]) -> None:
        """Append an epoch to the history, prune where the Run asks for it, and save its checkpoint if needed.

        ``top1`` is called if the Run is evaluated after this epoch. If the loss or a weight is not finite, the Run
        has diverged and only that is recorded.
        """
        done = self.epoch + 1
        loss = totals.loss / max(totals.seen, 1)
        if not math.isfinite(loss) or not self.network.is_finite:
            self.history["diverged_at"] = done
            return
        self.epoch = done
        curve = self.history["curve"]
        curve["epoch"].append(done)
        curve["train_loss"].append(measured(loss))
        curve["train_top1"].append(measured(100 * totals.correct / max(totals.seen, 1)))
        if self.run.evaluates_after(done):
            curve["test_epoch"].append(done)
            curve["test_top1"].append(measured(top1()))
        if self.run.probe is not None:
            record_weight_stats(done, self.run.probe, self.network, self.history)
        prune_at = dict(self.run.prune_at)
        if done in prune_at:
            self.network.prune(prune_at[done])
        self._keep_checkpoint()

    @property
    def latest(self) -> tuple[float, float | None]:
        """Training top-1 of the last epoch in per cent, and test top-1 if it was evaluated then."""
        curve = self.history["curve"]
        tested = curve["test_top1"][-1] if self.run.evaluates_after(self.epoch) else None
        return curve["train_top1"][-1], tested

    def save(self, partial: EpochTotals | None = None) -> None:
        """Save the state from which the Run resumes; ``partial`` is how far it is in an epoch."""
        if self._is_main:
            self.state_writer(partial)()

    def state_writer(self, partial: EpochTotals | None = None) -> Callable[[], None]:
        """A function that does what `save` would do now. Any thread may call it while the Run trains on."""
        epoch, network, history = self.epoch, self.network.snapshot(), _copied(self.history)
        if partial:
            history["begun"] = asdict(partial)
        batches = partial.batches if partial else 0
        return lambda: self._store.save_state(self.run, State(epoch, network.state(), history, batches))

    def record(self) -> Record:
        """The Run's Record."""
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
    """A deep copy of a history, which consists of dictionaries and lists of numbers."""
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return list(value) if isinstance(value, list) else value
