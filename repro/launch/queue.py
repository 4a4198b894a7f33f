"""Which Runs of a plan can be trained now."""

from __future__ import annotations

from collections.abc import Sequence

from repro.plan import Plan, diverged
from repro.run import Run
from repro.store import Store


class Queue:
    """The missing Runs of a plan: those that most others wait for first, each once its parents are finished."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._store = store
        waited_for = descendants(plan.missing)
        order = sorted(plan.missing, key=lambda run: -waited_for[run.key])  # else in the plan's order
        self._waiting = {run.key: run for run in order}
        self._out: set[str] = set()  # with a worker
        self._stuck: set[str] = set()  # what they grow from is not there

    def take(self, count: int) -> list[Run]:
        """Up to ``count`` Runs that can be trained now; they are out until `finished` or `put_back`."""
        found: list[Run] = []
        for run in self._waiting.values():
            if len(found) >= count:
                break
            if run.key not in self._out | self._stuck and self._ready(run):
                found.append(run)
        self._out |= {run.key for run in found}
        return found

    def finished(self, run: Run) -> None:
        """``run`` has its Record, and others may grow from it."""
        del self._waiting[run.key]
        self._out.discard(run.key)

    def put_back(self, run: Run) -> None:
        """``run`` is to be handed out again."""
        self._out.discard(run.key)

    def give_up(self, run: Run) -> None:
        """``run`` is handed out no more, nor what grows from it."""
        self._stuck.add(run.key)

    def left(self) -> list[Run]:
        """The Runs without a result, those that are out and those that cannot be trained included."""
        return list(self._waiting.values())

    def _ready(self, run: Run) -> bool:
        if any(parent.run.key in self._waiting for parent in run.parents):
            return False
        ready = self._store.can_continue(run) and not any(diverged(self._store, p.run) for p in run.parents)
        if not ready:
            self._stuck.add(run.key)
        return ready


def descendants(runs: Sequence[Run]) -> dict[str, int]:
    """How many of ``runs`` grow from each of them, directly or not. Parents come before their children."""
    found: dict[str, set[str]] = {run.key: set() for run in runs}
    for run in reversed(runs):
        for parent in run.parents:
            if parent.run.key in found:
                found[parent.run.key] |= {run.key} | found[run.key]
    return {key: len(children) for key, children in found.items()}
