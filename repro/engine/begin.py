"""Where a Run stands before it trains: its kept state, or weights and mask as it asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch

from repro.engine import device as devices
from repro.engine.bench import Bench, PhotoBench
from repro.engine.network import Network, masks_of, prunable_of
from repro.engine.probe import probe
from repro.engine.reports import Sums
from repro.errors import CheckpointGone, MissingInput
from repro.pruning import Masks, hamming_distance, layer_rates, magnitude_masks, sparsity_of
from repro.record import empty_curve, measured
from repro.run import Run
from repro.store import Store


@dataclass(frozen=True)
class Place:
    """After ``epoch`` whole epochs and what ``begun`` tells of the next one. ``history`` becomes the Record."""

    epoch: int
    begun: Sums
    history: dict[str, Any]
    masked: bool


def stand(run: Run, network: Network, store: Store, bench: Bench | PhotoBench) -> Place:
    """Bring ``network`` to where ``run`` stands."""
    store.begin(run)
    state = store.load_state(run)
    if state is None:
        precision = devices.resolve_precision(run.precision, bench.device)
        history = _begin(run, network, store, bench, precision)
        return Place(run.first_epoch, Sums(), history, network.masked)
    network.load(state.tensors)
    history = dict(state.history)
    history["provenance"] = _went_on(history["provenance"], bench)
    return Place(state.epoch, Sums(**history.pop("begun", {})), history, network.masked)


def _begin(run: Run, network: Network, store: Store, bench: Bench | PhotoBench, precision: str) -> dict[str, Any]:
    """Weights and mask as the Run asks for them, and an empty history that says what they are."""
    parents: dict[str, str] = {}
    start: dict[str, Any] = {}
    if run.weights:
        network.load(_parent(store, run.weights.run, run.weights.epoch, parents))
    if run.mask:
        tensors = _parent(store, run.mask.of.run, run.mask.of.epoch, parents)
        masks = _masks(run, network, tensors)
        own = magnitude_masks(network.prunable_weights(), sparsity_of(masks))
        network.apply_masks(masks)
        start = {
            "sparsity": measured(sparsity_of(masks)),
            "layer_rates": {name: measured(rate) for name, rate in layer_rates(masks).items()},
            # Between the Run's mask and the one that its own starting weights would give (Fig. 3).
            "mask_distance": measured(hamming_distance(masks, own)),
        }
    history: dict[str, Any] = {
        "curve": empty_curve(),
        "start": start,
        "probe": {},
        "checkpoints": {},
        "wall_s": 0.0,
        "provenance": {
            **devices.provenance(bench.device, precision),
            "data": bench.source if run.data.labels == "true" else f"{bench.source}, labels {run.data.labels}",
            "parents": parents,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    if run.probe is not None:
        probe(run.first_epoch, run.probe, network, history)
    return history


def _went_on(provenance: dict[str, Any], bench: Bench | PhotoBench) -> dict[str, Any]:
    """``provenance`` of a Run that goes on here: with this device, where it is another than the last."""
    told = provenance["device"]
    if told.rpartition(", then ")[2] == bench.device.name:
        return provenance
    return provenance | {"device": f"{told}, then {bench.device.name}"}


def _masks(run: Run, network: Network, tensors: dict[str, torch.Tensor]) -> Masks:
    assert run.mask is not None
    if run.mask.sparsity is not None:
        return magnitude_masks(prunable_of(run.arch, tensors), run.mask.sparsity)
    masks = masks_of(tensors)
    if masks is None:
        raise MissingInput(f"{run.label}: its parent's checkpoint carries no mask")
    return {name: masks[name] for name in network.prunable}  # a file has an order of its own


def _parent(store: Store, run: Run, epoch: int, parents: dict[str, str]) -> dict[str, torch.Tensor]:
    loaded = store.load_checkpoint(run, epoch)
    if loaded is None:
        raise CheckpointGone(f"{run.label}: its checkpoint at epoch {epoch} is gone or was damaged")
    tensors, digest = loaded
    parents[f"{run.key}@{epoch}"] = digest
    return tensors
