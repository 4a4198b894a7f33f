"""Trains one Run of a search from where it stands to its end, or to where the search has it stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from torch import Tensor

from repro.engine import device as devices
from repro.engine.device import Device
from repro.errors import ReproError, RunFailed
from repro.pruning import sparsity_of
from repro.record import DONE, Record, empty_curve, measured
from repro.run import Run
from repro.schedule import learning_rate
from repro.store import State, Store
from repro.ticket.samples import Samples
from repro.ticket.trainee import Subject, Trainee


class Gone(ReproError):
    """What was kept of ``run`` is absent or was damaged: it has to be trained again from its start."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"a checkpoint of {run.label} is gone or was damaged")
        self.run = run


@dataclass(frozen=True)
class Bench:
    """What all Runs of a search share: the network, the device, the data on it."""

    subject: Subject
    device: Device
    train: Samples
    test: Samples


@dataclass(frozen=True)
class Trained:
    """One epoch: ``epoch`` are done, with its mean loss, test accuracy in % where taken, and speed."""

    epoch: int
    loss: float
    top1: float | None
    images_per_second: float


def train(
    run: Run,
    bench: Bench,
    store: Store,
    keep: set[int],
    heard: Callable[[Trained], None],
    stop: Callable[[int, Trainee], bool] | None = None,
) -> Record:
    """Train ``run``, resuming where a state is kept, and return its Record, stored where the Run ended.

    The epochs of ``keep`` leave a checkpoint. ``stop`` is asked before every epoch and at the end, with the
    number of epochs done; on a yes the Record so far is returned, and the state stays. Every epoch is on disk
    before ``heard`` hears of it. Raises `RunFailed` for a loss that is not finite, `Gone` where a parent's
    checkpoint is missing.
    """
    store.begin(run)
    trainee = Trainee(bench.subject)
    state = store.load_state(run)
    if state:
        trainee.load(state.tensors)
        history, epoch = state.history, state.epoch
    else:
        start(run, trainee, store)
        history, epoch = _history(bench), run.first_epoch
        if epoch in keep:
            store.save_checkpoint(run, epoch, trainee.tensors())
    prune_at, curve = dict(run.prune_at), history["curve"]
    while True:
        if stop and stop(epoch, trainee):
            return _record(run, trainee, history)
        if epoch == run.last_epoch:
            break
        began = time.perf_counter()
        rate = learning_rate(run.recipe, epoch)
        loss, train_top1 = trainee.epoch(bench.train, run.recipe, rate, run.stream, epoch)
        epoch += 1
        if not math.isfinite(loss):
            raise RunFailed(
                f"{run.experiment}: the loss is not finite in epoch {epoch} at a learning rate of {rate:g}; "
                "a smaller recipe.lr may help"
            )
        top1 = trainee.evaluate(bench.test) if run.evaluates_after(epoch) else None
        curve["epoch"].append(epoch)
        curve["train_loss"].append(measured(loss))
        curve["train_top1"].append(measured(train_top1))
        if top1 is not None:
            curve["test_epoch"].append(epoch)
            curve["test_top1"].append(measured(top1))
        if epoch in prune_at:
            trainee.prune(prune_at[epoch])
        seconds = time.perf_counter() - began
        history["wall_s"] += seconds
        if epoch in keep:
            history["checkpoints"][str(epoch)] = store.save_checkpoint(run, epoch, trainee.tensors())
        store.save_state(run, State(epoch, trainee.state(), history))
        heard(Trained(epoch, loss, top1, len(bench.train) / seconds))
    record = _record(run, trainee, history)
    store.finish(run, record)
    return record


def start(run: Run, trainee: Trainee, store: Store) -> None:
    """Weights and mask as the Run asks for them."""
    if run.weights:
        trainee.load(checkpoint(store, run.weights.run, run.weights.epoch))
    if not run.mask:
        return
    if run.mask.of != run.weights:  # the mask of one network on the weights of another
        own = trainee.tensors()
        trainee.load(checkpoint(store, run.mask.of.run, run.mask.of.epoch))
        trainee.prune(run.mask.sparsity or 0)
        masks = trainee.masks or {}
        trainee.load(own)
        trainee.apply_masks(masks)
    elif run.mask.sparsity is not None:
        trainee.prune(run.mask.sparsity)


def checkpoint(store: Store, run: Run, epoch: int) -> dict[str, Tensor]:
    """A kept network. Raises `Gone` where it is absent or was damaged."""
    loaded = store.load_checkpoint(run, epoch)
    if loaded is None:
        raise Gone(run)
    return loaded[0]


def _history(bench: Bench) -> dict[str, Any]:
    precision = str(bench.subject.precision).removeprefix("torch.")
    provenance = devices.provenance(bench.device, precision)
    return {
        "curve": empty_curve(),
        "checkpoints": {},
        "wall_s": 0.0,
        "provenance": {**provenance, "started": datetime.now(UTC).isoformat(timespec="seconds")},
    }


def _record(run: Run, trainee: Trainee, history: dict[str, Any]) -> Record:
    return Record.ended(
        run,
        DONE,
        history["curve"],
        start={"sparsity": sparsity_of(trainee.masks)} if trainee.masks else {},
        checkpoints=history["checkpoints"],
        provenance={**history["provenance"], "seed": run.seed, "wall_s": round(history["wall_s"], 3)},
    )
