"""Trains one Run from where it stands to its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch

from repro.data.batches import DeviceImages, EpochOrder
from repro.engine import device as devices
from repro.engine.device import Device
from repro.engine.network import Network, masks_of, prunable_of
from repro.engine.step import Batches, forward, make_stepper
from repro.errors import CheckpointGone, MissingInput
from repro.pruning import (
    Masks,
    hamming_distance,
    layer_rates,
    magnitude_masks,
    sparsity_of,
    weight_std,
)
from repro.record import DIVERGED, DONE, Record, empty_curve, measured
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import State, Store

EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class EpochReport:
    """What an observer hears after each epoch."""

    run: Run
    epoch: int
    images: int
    seconds: float
    train_top1: float
    test_top1: float | None


@dataclass(frozen=True)
class Bench:
    """What Runs of one wave share: the device and the images on it."""

    device: Device
    train: DeviceImages
    test: DeviceImages
    source: str


class OutOfTime(Exception):
    """The next epoch would not end within the time budget; the state of the last one is kept."""


def train(
    run: Run,
    bench: Bench,
    store: Store,
    keep: set[int],
    on_epoch: Callable[[EpochReport], None],
    has_time: Callable[[float], bool],
) -> Record:
    """Train ``run`` to its end, resuming where a state is kept, and return its Record (not yet stored).

    ``keep`` are the epochs whose checkpoints others need. ``has_time(seconds)`` is asked before each epoch,
    with what the last one took, and before each step with 0; on a no, raises `OutOfTime`. A loss that is not
    finite ends the Run with the status ``diverged``.
    """
    store.begin(run)
    network = Network(run.arch, run.seed, bench.device.torch)
    state = store.load_state(run)
    # A Run resumed elsewhere goes on in the precision that it began with.
    name = state.history["provenance"]["precision"] if state else run.precision
    precision = devices.resolve_precision(name, bench.device)
    if state:
        network.load(state.tensors)
        history, first = state.history, state.epoch
    else:
        history, first = _begin(run, network, store, bench, precision), run.first_epoch
    if first in keep and first == run.first_epoch:
        _keep(run, first, network, store, history)
    if not run.epochs:
        return _record(run, history, DONE)
    network.model.train()
    batches = Batches(network, bench.train, run.recipe, precision)
    batches.start_epoch(EpochOrder.draw(run.stream, first, len(bench.train), run.recipe.augment), 0.0)
    stepper = make_stepper(batches, run.epochs * len(bench.train))
    history["provenance"]["strategy"] = stepper.name
    prune_at = dict(run.prune_at)
    seconds = 0.0
    for epoch in range(first, run.last_epoch):
        if not has_time(seconds):
            raise OutOfTime
        start = time.perf_counter()
        done = epoch + 1
        batches.start_epoch(
            EpochOrder.draw(run.stream, epoch, len(bench.train), run.recipe.augment),
            learning_rate(run.recipe, epoch),
        )
        network.model.train()
        for position in range(0, len(bench.train), run.recipe.batch_size):
            if not has_time(0.0):  # an epoch that does not end in time is given up: the last state is kept
                raise OutOfTime
            stepper.step(min(run.recipe.batch_size, len(bench.train) - position))
        loss = float(batches.loss_sum) / len(bench.train)
        if not math.isfinite(loss) or not bool(torch.isfinite(network.weights).all()):
            history["diverged_at"] = done
            return _record(run, history, DIVERGED)
        curve = history["curve"]
        curve["epoch"].append(done)
        curve["train_loss"].append(measured(loss))
        curve["train_top1"].append(measured(100 * int(batches.correct) / len(bench.train)))
        tested = _evaluate(done, network, bench.test, precision, history) if run.evaluates_after(done) else None
        if run.probe is not None:
            _probe(done, run.probe, network, history)
        if done in prune_at:
            network.prune(prune_at[done])
        if done in keep:
            _keep(run, done, network, store, history)
        seconds = time.perf_counter() - start
        history["wall_s"] = history["wall_s"] + seconds
        if done < run.last_epoch:
            store.save_state(run, State(done, network.state(), history))
        on_epoch(EpochReport(run, done, len(bench.train), seconds, curve["train_top1"][-1], tested))
    return _record(run, history, DONE)


def evaluate(network: Network, images: DeviceImages, precision: torch.dtype) -> float:
    """Top-1 accuracy in per cent over all images, whatever the size of the last batch."""
    network.model.eval()
    correct = torch.zeros((), dtype=torch.long, device=images.labels.device)
    with torch.inference_mode():
        for start in range(0, len(images), EVALUATION_BATCH):
            stop = min(start + EVALUATION_BATCH, len(images))
            logits = forward(network.model, images.plain(start, stop), precision)
            correct += (logits.argmax(1) == images.labels[start:stop]).sum()
    return 100 * int(correct) / len(images)


def _begin(run: Run, network: Network, store: Store, bench: Bench, precision: torch.dtype) -> dict[str, Any]:
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
            "data": bench.source,
            "parents": parents,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    if run.probe is not None:
        _probe(run.first_epoch, run.probe, network, history)
    return history


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


def _keep(run: Run, epoch: int, network: Network, store: Store, history: dict[str, Any]) -> None:
    history["checkpoints"][str(epoch)] = store.save_checkpoint(run, epoch, network.checkpoint())


def _evaluate(
    epoch: int, network: Network, images: DeviceImages, precision: torch.dtype, history: dict[str, Any]
) -> float:
    top1 = evaluate(network, images, precision)
    history["curve"]["test_epoch"].append(epoch)
    history["curve"]["test_top1"].append(measured(top1))
    return top1


def _probe(epoch: int, rate: float, network: Network, history: dict[str, Any]) -> None:
    """Fig. 2: mean and standard deviation of every layer's weights, and the prunable layers' shares in a pruning
    at ``rate`` that is not done."""
    probe = history["probe"] or {"rate": rate, "epoch": [], "w_std": {}, "w_mean": {}, "layer_rates": {}}
    probe["epoch"].append(epoch)
    for name, weight in network.layer_weights().items():
        probe["w_mean"].setdefault(name, []).append(measured(float(weight.double().mean())))
    for name, value in weight_std(network.layer_weights()).items():
        probe["w_std"].setdefault(name, []).append(measured(value))
    for name, value in layer_rates(magnitude_masks(network.prunable_weights(), rate)).items():
        probe["layer_rates"].setdefault(name, []).append(measured(value))
    history["probe"] = probe


def _record(run: Run, history: dict[str, Any], status: str) -> Record:
    provenance = dict(history["provenance"], seed=run.seed, wall_s=round(history["wall_s"], 3))
    provenance["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
    if status != DONE:
        provenance["diverged_at"] = history["diverged_at"]
    kept = {name: history[name] for name in ("start", "probe", "checkpoints")}
    return Record.ended(run, status, history["curve"], **kept, provenance=provenance)
