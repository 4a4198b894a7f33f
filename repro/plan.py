"""From artifacts to the Runs that are missing: shared ones once, in waves, with their cost. Pure: no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from repro.record import DIVERGED
from repro.run import Photos, Run, ancestors, generations, kept_epochs
from repro.store import Store

QUESTIONS = ("structures", "ppr", "memorization", "batch-probe")
"""Families whose networks are trained to learn something about others, then forgotten."""


@dataclass(frozen=True)
class Plan:
    """What is to be trained. ``runs`` are all Runs needed, ancestors included; ``missing`` those to train.

    ``keep`` tells, by key, at which epochs a Run's checkpoint is wanted by others. ``replays`` are keys of
    finished Runs that are trained again because a child needs a checkpoint that is not at hand. ``blocked``
    can't be trained, since a Run that they grow from diverged.
    """

    runs: tuple[Run, ...]
    missing: tuple[Run, ...]
    keep: dict[str, set[int]]
    replays: frozenset[str]
    blocked: tuple[Run, ...] = ()

    @property
    def waves(self) -> list[list[Run]]:
        """`waves` of what is missing."""
        return waves(self.missing)


def waves(runs: Iterable[Run]) -> list[list[Run]]:
    """``runs`` in lists of those that may train together: none grows from another of its wave.

    On small images they may differ in schedule, labels and number of images."""
    found: list[list[Run]] = []
    for generation in generations(list(runs)):
        groups: dict[tuple[object, ...], list[Run]] = {}
        for run in generation:
            groups.setdefault(wave_shape(run), []).append(run)
        found.extend(groups.values())
    return found


def wave_shape(run: Run) -> tuple[object, ...]:
    """What Runs that train side by side have in common."""
    if isinstance(run.data, Photos):
        return (run.arch, run.data, run.recipe, run.precision, run.first_epoch, run.last_epoch)
    recipe = run.recipe
    common = (run.arch, run.precision, recipe.batch_size, recipe.momentum, recipe.weight_decay)
    return (*common, run.data.name, run.data.fingerprint)


@dataclass(frozen=True)
class Cost:
    """What training takes: epochs, and images through the network (an image tested counts a third)."""

    runs: int
    epochs: int
    images: int
    images_by_arch: dict[str, int]


def make_plan(asked: Iterable[Run], store: Store, everything: Iterable[Run] = ()) -> Plan:
    """The plan for ``asked``. ``everything`` else that may be asked for later tells which checkpoints to keep."""
    asked = list(asked)
    keep = kept_epochs([*asked, *everything])
    runs = ancestors(asked)
    wanted: set[str] = {run.key for run in asked if store.record(run) is None}
    replays: set[str] = set()
    for run in reversed(runs):  # children first, so that what they need is known when their parent's turn comes
        if run.key not in wanted:
            continue
        begun = store.newest_state(run) is not None  # which holds all that it took from its parents
        for parent in run.parents:
            finished = store.record(parent.run) is not None
            if not finished or not (begun or store.has_checkpoint(parent.run, parent.epoch)):
                wanted.add(parent.run.key)
                if finished:
                    replays.add(parent.run.key)
    blocked: dict[str, Run] = {}
    for run in runs:  # parents first
        if run.key in wanted and any(p.run.key in blocked or diverged(store, p.run) for p in run.parents):
            blocked[run.key] = run
    stuck = {p.run.key for run in blocked.values() for p in run.parents if diverged(store, p.run)}
    missing = tuple(run for run in runs if run.key in wanted and run.key not in blocked and run.key not in stuck)
    return Plan(tuple(runs), missing, keep, frozenset(replays - stuck), tuple(blocked.values()))


def trains_a_network(run: Run) -> bool:
    """Whether ``run`` comes to a trained network, dense or pruned, rather than to an answer about one."""
    return run.epochs > 0 and run.experiment.removesuffix(f"-{run.arch}") not in QUESTIONS


def final_epochs(runs: Iterable[Run]) -> dict[str, set[int]]:
    """Key of a Run -> its last epoch, of those that train a network."""
    return {run.key: {run.last_epoch} for run in runs if trains_a_network(run)}


def keeping_final(plan: Plan, also: Iterable[Run] = ()) -> Plan:
    """``plan`` with a checkpoint of the last epoch, mask included, of every network that it trains, and of
    ``also``."""
    keep = dict(plan.keep)
    for run in (*filter(trains_a_network, plan.missing), *also):
        keep[run.key] = {*keep.get(run.key, ()), run.last_epoch}
    return dataclasses.replace(plan, keep=keep)


def forgotten(runs: Iterable[Run], store: Store) -> list[Run]:
    """Those of ``runs`` that ended in a trained network whose final weights were not kept."""
    ended = (run for run in runs if trains_a_network(run) and store.record(run) and not diverged(store, run))
    return [run for run in ended if not store.has_checkpoint(run, run.last_epoch)]


def diverged(store: Store, run: Run) -> bool:
    """Whether ``run`` ended without a result."""
    record = store.record(run)
    return record is not None and record.status == DIVERGED


def cost(runs: Iterable[Run], store: Store | None = None) -> Cost:
    """What ``runs`` cost; with a ``store``, less what their kept states have behind them."""
    epochs = images = count = 0
    by_arch: dict[str, int] = {}
    for run in runs:
        left = run.epochs - (store.progress(run) if store else 0)
        tests = sum(run.evaluates_after(epoch) for epoch in range(run.last_epoch - left + 1, run.last_epoch + 1))
        work = left * run.data.train + tests * run.data.test // 3
        count, epochs, images = count + 1, epochs + left, images + work
        by_arch[run.arch] = by_arch.get(run.arch, 0) + work
    return Cost(count, epochs, images, by_arch)


def disk_bytes(runs: Iterable[Run], keep: dict[str, set[int]]) -> int:
    """Bytes that the checkpoints of ``runs`` take in the store once all are trained."""
    return sum(len(keep.get(run.key, ())) * _checkpoint_bytes(run) for run in runs)


def _checkpoint_bytes(run: Run) -> int:
    masked = bool(run.mask or run.prune_at)
    return CHECKPOINT_BYTES[run.arch] * (5 if masked else 4) // 4


# A kept checkpoint, float32: parameters and BatchNorm statistics (measured; a mask adds a byte a weight).
CHECKPOINT_BYTES = {"resnet20": 1_090_000, "resnet56": 3_450_000, "resnet18": 46_810_000, "resnet50": 102_460_000}
