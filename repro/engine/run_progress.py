"""The progress of a Run: it resumes or starts, epochs end, checkpoints and states are saved, a Record results."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from torch import Tensor

from repro.engine import device as devices
from repro.engine.events import EpochTotals
from repro.engine.network import Trainable, masks_of
from repro.engine.ranks import Ranks
from repro.errors import CheckpointGone, MissingInput
from repro.pruning import hamming_distance, layer_rates, magnitude_masks, sparsity_of, weight_std
from repro.record import DIVERGED, DONE, Record, empty_curve, measured
from repro.run import Checkpoint, Run
from repro.store import State, Store


class RunProgress:
    """``run`` in ``network``, resumed from its last state or started.

    Args:
        keep: epochs whose checkpoints other Runs need.
        source: names the data in the Record.
        ranks: processes that train the Run together (default: one). Only rank 0 reads and writes ``store``: the
            others' ``network`` is not loaded.

    Raises `CheckpointGone` where a parent's checkpoint is absent or damaged.
    """

    def __init__(
        self,
        run: Run,
        network: Trainable,
        store: Store,
        keep: set[int],
        device: devices.Device,
        source: str,
        ranks: Ranks | None = None,
    ) -> None:
        ranks = ranks or Ranks(device.torch)
        self.run, self.network = run, network
        self._store, self._keep, self._is_main = store, keep, ranks.is_main
        begun = self._resume_or_start(device, source) if ranks.is_main else None
        self.epoch, self.partial, self.history = ranks.broadcast_object(begun)
        """Whole epochs trained, how far the Run was in the next one, and what becomes the Record."""
        if self.epoch == run.first_epoch and not self.partial.batches:
            self._keep_checkpoint()

    def _resume_or_start(self, device: devices.Device, source: str) -> tuple[int, EpochTotals, dict[str, Any]]:
        self._store.begin(self.run)
        state = self._store.load_state(self.run)
        if state is None:
            return self.run.first_epoch, EpochTotals(), self._start(device, source)
        self.network.load(state.tensors)
        history, before = dict(state.history), state.history["provenance"]["device"]
        if before.rpartition(", then ")[2] != device.name:
            history["provenance"]["device"] = f"{before}, then {device.name}"
        return state.epoch, EpochTotals(**history.pop("begun", {})), history

    def _start(self, device: devices.Device, source: str) -> dict[str, Any]:
        """Load the Run's initial weights and mask, and return a history that describes them."""
        run, network = self.run, self.network
        parents: dict[str, str] = {}
        start: dict[str, Any] = {}

        def checkpoint(of: Checkpoint) -> dict[str, Tensor]:
            loaded = self._store.load_checkpoint(of.run, of.epoch)
            if loaded is None:
                what = f"{of.run.label}: its checkpoint at epoch {of.epoch} is missing or damaged"
                raise CheckpointGone(what, of.run)
            parents[f"{of.run.key}@{of.epoch}"] = loaded[1]
            return loaded[0]

        if run.weights:
            network.load(checkpoint(run.weights))
        if run.mask:
            tensors = checkpoint(run.mask.of)
            if run.mask.sparsity is not None:
                masks = magnitude_masks({name: tensors[name] for name in network.prunable}, run.mask.sparsity)
            elif kept := masks_of(tensors):
                masks = {name: kept[name] for name in network.prunable}  # files have another order
            else:
                raise MissingInput(f"{run.label}: its parent's checkpoint has no mask")
            of_start = magnitude_masks(network.prunable_weights(), sparsity_of(masks))
            network.apply_masks(masks)
            start = {
                "sparsity": measured(sparsity_of(masks)),
                "layer_rates": {name: measured(rate) for name, rate in layer_rates(masks).items()},
                # Between the Run's mask and that of its initial weights at the same sparsity (Fig. 3).
                "mask_distance": measured(hamming_distance(masks, of_start)),
            }
        history: dict[str, Any] = {
            "curve": empty_curve(),
            "start": start,
            "probe": {},
            "checkpoints": {},
            "wall_s": 0.0,
            "provenance": {
                **devices.provenance(device, devices.resolve_precision(run.precision, device)),
                "data": source if run.data.labels == "true" else f"{source}, labels {run.data.labels}",
                "parents": parents,
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        if run.probe is not None:
            _record_weight_stats(run.first_epoch, run.probe, network, history)
        return history

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
            _record_weight_stats(done, self.run.probe, self.network, self.history)
        prune_at = dict(self.run.prune_at)
        if done in prune_at:
            self.network.prune(prune_at[done])
        self._keep_checkpoint()

    @property
    def latest(self) -> float | None:
        """Test top-1 of the last epoch in per cent, if it was evaluated then."""
        return self.history["curve"]["test_top1"][-1] if self.run.evaluates_after(self.epoch) else None

    def save(self, partial: EpochTotals | None = None) -> None:
        """Save the state from which the Run resumes; ``partial`` is how far it is in an epoch."""
        if self._is_main:
            self.state_writer(partial)()

    def state_writer(self, partial: EpochTotals | None = None) -> Callable[[], None]:
        """A function that does what `save` would do now. Any thread may call it until the next epoch ends."""
        epoch, state_of_network, history = self.epoch, self.network.snapshot(), dict(self.history)
        if partial:
            history["begun"] = asdict(partial)
        batches = partial.batches if partial else 0
        return lambda: self._store.save_state(self.run, State(epoch, state_of_network(), history, batches))

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


def _record_weight_stats(epoch: int, rate: float, network: Trainable, history: dict[str, Any]) -> None:
    """Append to ``history`` the mean and standard deviation of every layer's weights, and the pruned fraction of
    every prunable layer in a global pruning at ``rate``, which is not applied (Fig. 2)."""
    stats = history["probe"] or {"rate": rate, "epoch": [], "w_std": {}, "w_mean": {}, "layer_rates": {}}
    stats["epoch"].append(epoch)
    for name, weight in network.layer_weights().items():
        stats["w_mean"].setdefault(name, []).append(measured(float(weight.double().mean())))
    for name, value in weight_std(network.layer_weights()).items():
        stats["w_std"].setdefault(name, []).append(measured(value))
    for name, value in layer_rates(magnitude_masks(network.prunable_weights(), rate)).items():
        stats["layer_rates"].setdefault(name, []).append(measured(value))
    history["probe"] = stats
