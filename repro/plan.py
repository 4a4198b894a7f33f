"""Plan the missing Runs of artifacts: shared ones once, in waves, with their cost. Pure: no torch."""

from __future__ import annotations

import bisect
import collections
import functools
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from repro.errors import BudgetSpent, RunFailed
from repro.record import DIVERGED
from repro.run import Photos, Run, ancestors, start_epochs
from repro.store import Store
from repro.words import are, counted

QUESTIONS = ("structures", "ppr", "memorization", "batch-probe")
"""Families of Runs that measure something about other networks; their own networks are not kept."""

# Bytes of a dense checkpoint, float32: parameters and BatchNorm statistics (measured).
CHECKPOINT_BYTES = {"resnet20": 1_090_000, "resnet56": 3_450_000, "resnet18": 46_810_000, "resnet50": 102_460_000}


@dataclass(frozen=True)
class Plan:
    """The Runs to train: ``runs`` are all Runs needed, including ancestors, ``missing`` those to train.

    ``keep`` maps a Run's key to the epochs whose checkpoints other Runs need. ``replays`` are keys of finished
    Runs that must be trained again because a child needs a missing checkpoint. ``blocked`` cannot be trained,
    since an ancestor diverged.
    """

    runs: tuple[Run, ...]
    missing: tuple[Run, ...]
    keep: dict[str, set[int]]
    replays: frozenset[str]
    blocked: tuple[Run, ...] = ()

    @property
    def waves(self) -> list[list[Run]]:
        """`waves` of the missing Runs."""
        return waves(self.missing)

    @property
    def done(self) -> int:
        """The number of Runs that are neither to train nor blocked."""
        return len(self.runs) - len(self.missing) - len(self.blocked)

    @property
    def disk_bytes(self) -> int:
        """The bytes of all checkpoints that the missing Runs will keep."""
        total = 0
        for run in self.missing:
            dense = CHECKPOINT_BYTES[run.arch]
            masked = dense + dense // 4 if run.mask or run.prune_at else dense  # a mask adds a byte per weight
            total += len(self.keep.get(run.key, ())) * masked
        return total


def waves(runs: Iterable[Run]) -> list[list[Run]]:
    """Group ``runs`` into lists that can train together: none is an ancestor of another in its wave, and the
    parents of a wave are in earlier ones, or not among ``runs``.

    On small images they may differ in schedule, labels and number of images."""
    listed = {run.key: run for run in runs}
    depth: dict[str, int] = {}
    found: dict[tuple[int, tuple[object, ...]], list[Run]] = {}
    for run in ancestors(list(listed.values())):
        depth[run.key] = max((depth[p.run.key] + (p.run.key in listed) for p in run.parents), default=0)
        if run.key in listed:
            found.setdefault((depth[run.key], wave_shape(run)), []).append(run)
    return [found[at] for at in sorted(found, key=lambda at: at[0])]


def wave_shape(run: Run) -> tuple[object, ...]:
    """Return what all Runs of a wave must have in common."""
    if isinstance(run.data, Photos):
        return (run.arch, run.data, run.recipe, run.precision, run.first_epoch, run.last_epoch)
    recipe = run.recipe
    common = (run.arch, run.precision, recipe.batch_size, recipe.momentum, recipe.weight_decay)
    return (*common, run.data.name, run.data.fingerprint)


@dataclass(frozen=True)
class Cost:
    """The cost of training: epochs, and images through the network (an evaluated image counts a third)."""

    runs: int
    epochs: int
    images: int


def make_plan(
    asked: Iterable[Run], store: Store, everything: Iterable[Run] = (), keep_final: bool = False
) -> Plan:
    """Plan the Runs ``asked``; checkpoints are also kept for ``everything`` that may be trained later, and with
    ``keep_final`` after the last epoch of each network."""
    asked = list(asked)
    keep = start_epochs(ancestors([*asked, *everything]))
    runs = ancestors(asked)
    for key, epochs in final_epochs(runs).items() if keep_final else ():
        keep[key] = keep.get(key, set()) | epochs
    wanted: set[str] = {run.key for run in asked if store.record(run) is None}
    replays: set[str] = set()
    for run in reversed(runs):  # children first, so that their needs are known at their parents
        if run.key not in wanted:
            continue
        begun = store.newest_state(run) is not None  # it contains what the Run took from its parents
        for parent in run.parents:
            record = store.record(parent.run)
            if record is None:
                wanted.add(parent.run.key)
            elif record.status != DIVERGED and not (begun or store.checkpoint(parent.run, parent.epoch)):
                wanted.add(parent.run.key)
                replays.add(parent.run.key)
    blocked: dict[str, Run] = {}
    for run in runs:  # parents first
        if run.key in wanted and any(p.run.key in blocked or diverged(store, p.run) for p in run.parents):
            blocked[run.key] = run
    wanted -= blocked.keys()
    missing = tuple(run for run in runs if run.key in wanted)
    return Plan(tuple(runs), missing, keep, frozenset(replays), tuple(blocked.values()))


def trains_a_network(run: Run) -> bool:
    """Return whether the result of ``run`` is a trained network, not a measurement of one."""
    return run.epochs > 0 and run.experiment.removesuffix(f"-{run.arch}") not in QUESTIONS


def final_epochs(runs: Iterable[Run]) -> dict[str, set[int]]:
    """Map the keys of Runs that train a network to their last epochs."""
    return {run.key: {run.last_epoch} for run in runs if trains_a_network(run)}


def forgotten(runs: Iterable[Run], store: Store) -> list[Run]:
    """Return the ``runs`` that trained a network whose final weights were not kept."""
    ended = (run for run in runs if trains_a_network(run) and store.record(run) and not diverged(store, run))
    return [run for run in ended if not store.checkpoint(run, run.last_epoch)]


def diverged(store: Store, run: Run) -> bool:
    """Return whether ``run`` ended without a result."""
    record = store.record(run)
    return record is not None and record.status == DIVERGED


def cost(runs: Iterable[Run], store: Store | None = None) -> Cost:
    """Return the cost of ``runs``; with a ``store``, of the epochs that their resume states do not cover."""
    epochs = images = count = 0
    for run in runs:
        left = run.epochs - (store.progress(run) if store else 0)
        tests = sum(run.evaluates_after(epoch) for epoch in range(run.last_epoch - left + 1, run.last_epoch + 1))
        count, epochs = count + 1, epochs + left
        images += left * run.data.train + tests * run.data.test // 3
    return Cost(count, epochs, images)


def budget_spent(plan: Plan, store: Store) -> BudgetSpent:
    """Make the error for a time budget that ends before the Runs of ``plan``."""
    left = cost((run for run in plan.missing if store.record(run) is None), store)
    what = f"{are(left.runs, 'Run')} left ({counted(left.epochs, 'epoch')})"
    return BudgetSpent(f"time budget spent: {what}; run the same command again to resume")


def check_trained(plan: Plan, store: Store, given_up: Mapping[str, str]) -> None:
    """Raise `RunFailed` if Runs of ``plan`` diverged or were ``given_up`` (by key, why)."""
    messages = list(given_up.values())
    if failed := [run.label for run in plan.runs if diverged(store, run)]:
        messages.insert(0, f"the loss of {counted(len(failed), 'Run')} was not finite: {', '.join(failed)}")
    left = [run for run in (*plan.missing, *plan.blocked) if store.record(run) is None and run.key not in given_up]
    if messages and left:
        messages.append(f"{counted(len(left), 'Run')} could not be trained: no checkpoint to start from")
    if messages:
        raise RunFailed("; ".join(messages))


# The number of Runs to train at a time, so that most of them end within a time budget.

SLACK = 1.06  # time of a wave relative to its steps and evaluations alone: states, starts

Speed = Callable[[int, int], float]
"""Images per second of all lanes together: ``speed(busy, lanes)``, with ``busy`` of ``lanes`` at work."""


def end_times(images: Sequence[int], lanes: int, speed: Speed) -> list[float]:
    """Return when each Run ends, in seconds. ``images`` remain of each; when a lane becomes free, the next queued
    Run takes it. All busy lanes are equally fast, at a ``speed`` that depends on their number."""
    speed = functools.cache(speed)  # asked for each Run that ends
    ended = [0.0] * len(images)
    queue = collections.deque(enumerate(images))
    at_work: list[tuple[float, int]] = []  # (images per lane when its Run ends, number of the Run)
    now = behind = 0.0
    while queue or at_work:
        while queue and len(at_work) < lanes:
            number, count = queue.popleft()
            heapq.heappush(at_work, (behind + count, number))
        busy = len(at_work)
        target, first = heapq.heappop(at_work)
        now += SLACK * (target - behind) * busy / speed(busy, lanes)
        ended[first], behind = now, target
    return ended


def most_in_time(images: Sequence[int], most: int, speed: Speed, seconds: float) -> tuple[int, int]:
    """Return how many of the first Runs can all end within ``seconds``, and in how many lanes (up to ``most``).

    If several numbers of lanes allow this, the fastest one. (0, ``most``) if not even the first Run would end."""
    speed = functools.cache(speed)
    best = (0, 0.0, most)

    def end(lanes: int, count: int) -> float:
        return max(end_times(images[:count], lanes, speed), default=0.0)

    for lanes in range(1, most + 1):
        counts = range(max(best[0], 1), len(images) + 1)
        if more := bisect.bisect_right(counts, seconds, key=functools.partial(end, lanes)):
            best = max(best, (counts[more - 1], -end(lanes, counts[more - 1]), lanes))
    return best[0], best[2]


def lanes_for(images: Sequence[int], most: int, speed: Speed, seconds: float) -> int:
    """Return the number of lanes, up to ``most``, in which most of these Runs end within ``seconds``.

    If several are equal, the fastest (unfinished Runs can be resumed), then the smallest."""
    ended = {n: sum(end <= seconds for end in end_times(images, n, speed)) for n in range(1, most + 1)}
    return max(ended, key=lambda lanes: (ended[lanes], speed(lanes, lanes), -lanes))
