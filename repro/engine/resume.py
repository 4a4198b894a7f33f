"""Resumes a Run from its saved state, or starts it with the weights and the mask that it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from torch import Tensor

from repro.engine import device as devices
from repro.engine.events import EpochTotals
from repro.engine.network import Trainable, masks_of
from repro.engine.weight_stats import record_weight_stats
from repro.errors import CheckpointGone, MissingInput
from repro.pruning import Masks, hamming_distance, layer_rates, magnitude_masks, sparsity_of
from repro.record import empty_curve, measured
from repro.run import Run
from repro.store import Store


class Source(Protocol):
    """Data on a device; ``source`` names it in a Record."""

    @property
    def device(self) -> devices.Device: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True)
class ResumePoint:
    """A Run after ``epoch`` whole epochs and ``partial_epoch`` of the next; ``history`` becomes the Record."""

    epoch: int
    partial_epoch: EpochTotals
    history: dict[str, Any]
    masked: bool


def resume_or_start(run: Run, network: Trainable, store: Store, data: Source) -> ResumePoint:
    """Load the saved state of ``run`` into ``network``, or start it.

    Raises `CheckpointGone` where a parent's checkpoint is absent or damaged.
    """
    store.begin(run)
    state = store.load_state(run)
    if state is None:
        precision = devices.resolve_precision(run.precision, data.device)
        history = _begin(run, network, store, data, precision)
        return ResumePoint(run.first_epoch, EpochTotals(), history, network.masked)
    network.load(state.tensors)
    history = dict(state.history)
    history["provenance"] = _resumed_on(history["provenance"], data.device.name)
    return ResumePoint(state.epoch, EpochTotals(**history.pop("begun", {})), history, network.masked)


def _begin(run: Run, network: Trainable, store: Store, data: Source, precision: str) -> dict[str, Any]:
    """Load the Run's initial weights and mask, and return a history that describes them."""
    parents: dict[str, str] = {}
    start: dict[str, Any] = {}
    if run.weights:
        network.load(_parent(store, run.weights.run, run.weights.epoch, parents))
    if run.mask:
        tensors = _parent(store, run.mask.of.run, run.mask.of.epoch, parents)
        masks = _masks(run, network, tensors)
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
            **devices.provenance(data.device, precision),
            "data": data.source if run.data.labels == "true" else f"{data.source}, labels {run.data.labels}",
            "parents": parents,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    if run.probe is not None:
        record_weight_stats(run.first_epoch, run.probe, network, history)
    return history


def _resumed_on(provenance: dict[str, Any], device: str) -> dict[str, Any]:
    """``provenance`` with ``device`` appended, unless the Run was last trained on it."""
    before = provenance["device"]
    if before.rpartition(", then ")[2] == device:
        return provenance
    return provenance | {"device": f"{before}, then {device}"}


def _masks(run: Run, network: Trainable, tensors: dict[str, Tensor]) -> Masks:
    assert run.mask is not None
    if run.mask.sparsity is not None:
        return magnitude_masks({name: tensors[name] for name in network.prunable}, run.mask.sparsity)
    masks = masks_of(tensors)
    if masks is None:
        raise MissingInput(f"{run.label}: its parent's checkpoint has no mask")
    return {name: masks[name] for name in network.prunable}  # files are sorted by name


def _parent(store: Store, run: Run, epoch: int, parents: dict[str, str]) -> dict[str, Tensor]:
    loaded = store.load_checkpoint(run, epoch)
    if loaded is None:
        raise CheckpointGone(f"{run.label}: its checkpoint at epoch {epoch} is missing or damaged", run)
    tensors, digest = loaded
    parents[f"{run.key}@{epoch}"] = digest
    return tensors
