"""The progress of a Run: it resumes or starts, epochs end, checkpoints and states are saved, a Record results."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from torch import Tensor

from repro.engine import device as devices
from repro.engine.events import EpochReport, EpochTotals
from repro.engine.network import Trainable, masks_of
from repro.engine.ranks import ALONE, Ranks
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
        ranks: processes that train the Run together (default: one). Only rank 0 reads and writes ``store``.

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
        ranks: Ranks = ALONE,
    ) -> None:
        self.run, self.network = run, network
        self._store, self._keep, self._is_main = store, keep, ranks.is_main
        self.epoch, self.partial = run.first_epoch, EpochTotals()
        """Whole epochs trained, and how far the Run was in the next one."""
        self.history: dict[str, Any] = {}
        """What becomes the Record."""
        if ranks.is_main:
            store.begin(run)
            if state := store.load_state(run):
                network.load(state.tensors)
                self.epoch, self.history = state.epoch, dict(state.history)
                self.partial = EpochTotals(**self.history.pop("begun", {}))
                before = self.history["provenance"]["device"]
                if before.rpartition(", then ")[2] != device.name:
                    self.history["provenance"]["device"] = f"{before}, then {device.name}"
            else:
                self._start(device, source)
        if ranks.count > 1:
            self.epoch, self.partial, self.history, tensors = ranks.broadcast_object(
                (self.epoch, self.partial, self.history, network.snapshot()())
            )
            network.load(tensors)

    def _start(self, device: devices.Device, source: str) -> None:
        """Load the Run's initial weights and mask, and begin a history that describes them."""
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
        self.history = {
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
        self._record_weight_stats()
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
        self._record_weight_stats()
        for epoch, sparsity in self.run.prune_at:
            if epoch == done:
                self.network.prune(sparsity)
        self._keep_checkpoint()

    def report(self, images: int, seconds: float, wave: int = 1) -> EpochReport:
        """Return the report of the last epoch, on so many ``images``."""
        top1 = self.history["curve"]["test_top1"][-1] if self.run.evaluates_after(self.epoch) else None
        return EpochReport(self.run, self.epoch, images, seconds, top1, wave)

    def save(self, partial: EpochTotals | None = None) -> None:
        """Save the state from which the Run resumes; ``partial`` is how far it is in an epoch."""
        if self._is_main:
            self.state_writer(partial)()

    def state_writer(self, partial: EpochTotals | None = None) -> Callable[[], None]:
        """Return a function that saves what `save` would now. Any thread may call it until the next epoch ends."""
        epoch, state_of_network, history = self.epoch, self.network.snapshot(), dict(self.history)
        if partial:
            history["begun"] = asdict(partial)
        batches = partial.batches if partial else 0
        return lambda: self._store.save_state(self.run, State(epoch, state_of_network(), history, batches))

    def record(self) -> Record:
        """Return the Run's Record."""
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

    def _record_weight_stats(self) -> None:
        """If the Run has a probe, append the mean and standard deviation of every layer's weights, and the pruned
        fraction of every prunable layer in a global pruning at its rate, which is not applied (Fig. 2)."""
        rate, weights = self.run.probe, self.network.layer_weights()
        if rate is None:
            return
        stats = self.history["probe"] or {"rate": rate, "epoch": [], "w_std": {}, "w_mean": {}, "layer_rates": {}}
        stats["epoch"].append(self.epoch)
        for kind, values in (
            ("w_mean", {name: float(weight.double().mean()) for name, weight in weights.items()}),
            ("w_std", weight_std(weights)),
            ("layer_rates", layer_rates(magnitude_masks(self.network.prunable_weights(), rate))),
        ):
            for name, value in values.items():
                stats[kind].setdefault(name, []).append(measured(value))
        self.history["probe"] = stats
