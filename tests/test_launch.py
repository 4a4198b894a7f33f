"""The driver of many workers, with a launcher whose workers do as they are told: nothing is trained here."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from repro import artifacts, files
from repro.engine.events import Observer
from repro.errors import BudgetSpent, CheckpointGone, Interrupted, MissingInput, RunFailed, UsageError
from repro.experiments import Study
from repro.launch import driver
from repro.launch.task import LOST, Launcher, Task
from repro.plan import Plan, make_plan
from repro.record import DIVERGED, DONE, Record
from repro.run import Run
from repro.store import Store

Study_of = Callable[..., Study]
Record_of = Callable[..., Record]
KILLED = -9


class Workers(Launcher):
    """A launcher. ``script`` holds, by Run label, how its workers end, one after another: ``done``, ``diverged``,
    or an exit status; ``done`` where nothing is said. ``before`` hears of each Run about to end; after it has set
    ``stuck`` no other does. A job is a Run's label."""

    name = "a script"

    def __init__(
        self,
        plan: Plan,
        store: Store,
        record_of: Record_of,
        script: dict[str, list[str | int]] | None = None,
    ) -> None:
        self.runs = {run.label: run for run in plan.runs}
        self.keep, self.store, self.record_of, self.script = plan.keep, store, record_of, script or {}
        self.before: Callable[[Run], None] = lambda run: None
        self.out: list[str] = []
        self.submitted: list[str] = []
        self.most = self.cancelled = 0
        self.stuck = False

    def start(self, task: Task) -> str:
        assert task.label not in self.out
        self.out.append(task.label)
        self.submitted.append(task.label)
        self.most = max(self.most, len(self.out))
        return task.label

    def poll(self, job: str) -> int | None:
        if self.stuck:
            return None
        run = self.runs[job]
        self.out.remove(job)
        self.before(run)
        end = (self.script.get(run.label) or ["done"]).pop(0)
        if not isinstance(end, str):
            return end
        for epoch in self.keep.get(run.key, ()):
            leave_checkpoint(self.store, run, epoch)
        record = self.record_of(run, status=DONE if end == "done" else DIVERGED, label=run.label)
        files.write_text(self.store.folder(run) / "result.json", record.line() + "\n")
        return 0 if end == "done" else RunFailed.exit_code

    def cancel(self, jobs: Collection[str]) -> None:
        assert sorted(jobs) == sorted(self.out)
        self.cancelled = len(jobs)


class Ears(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.died: list[tuple[str, str, bool, list[str]]] = []

    def run_done(self, run: Run, record: Record, left: int) -> None:
        self.done.append(run.label)

    def worker_died(self, run: Run, why: str, again: bool, last: list[str]) -> None:
        self.died.append((run.label, why, again, last))


def leave_checkpoint(store: Store, run: Run, epoch: int) -> None:
    files.write_bytes(store.folder(run) / f"epoch-{epoch:04d}-0123456789abcdef.safetensors", b"")


def task_for(store: Store) -> Callable[[Run, float], Task]:
    return lambda run, left: Task(run.label, (), {}, store.folder(run) / "worker.log")


def go(plan: Plan, store: Store, workers: Workers, count: int = 2, deadline: float = math.inf) -> Ears:
    ears = Ears()
    driver.Driver(plan, store, workers, ears, task_for(store), count, deadline).train()
    return ears


def plan_of(study: Study_of, store: Store, *names: str) -> Plan:
    """Smoke's Runs of ``names``: for Fig. 1 a dense network and twelve tickets, v in 0, 1, 2, 4."""
    return make_plan([run for name in names for run in artifacts.get(name).runs(study("smoke"), (0,))], store)


@pytest.fixture
def fig1(study: Study_of, store: Store) -> Plan:
    return plan_of(study, store, "fig1")


def labels(runs: Sequence[Run]) -> list[str]:
    return [run.label for run in runs]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_run_once_parents_first_never_more_than_asked(
    study: Study_of, store: Store, record_of: Record_of, count: int
) -> None:
    plan = plan_of(study, store, "fig1", "table2", "table4")
    workers = Workers(plan, store, record_of)
    ears = go(plan, store, workers, count)
    assert sorted(workers.submitted) == sorted(labels(plan.missing)) == sorted(ears.done)
    place = {label: index for index, label in enumerate(ears.done)}
    assert all(place[p.run.label] < place[run.label] for run in plan.missing for p in run.parents)
    assert workers.most == count
    ledger = Store(store.runs_dir, store.ledger).records()
    assert sorted(record.key for record in ledger) == sorted(run.key for run in plan.missing)


def test_what_most_others_wait_for_comes_first(study: Study_of, store: Store, record_of: Record_of) -> None:
    """Table 4's chain of rounds is begun before the tickets of Fig. 1, which nothing grows from."""
    plan = plan_of(study, store, "fig1", "table4")
    counts = driver.descendants(plan.missing)
    order = go(plan, store, Workers(plan, store, record_of), 1).done
    by_label = {run.label: counts[run.key] for run in plan.missing}
    assert [by_label[label] for label in order] == sorted(by_label.values(), reverse=True)


def test_a_worker_that_dies_is_replaced_and_that_is_said(fig1: Plan, store: Store, record_of: Record_of) -> None:
    dense, ticket = labels(fig1.missing)[:2]
    workers = Workers(fig1, store, record_of, {dense: [KILLED, "done"], ticket: [LOST, 1, "done"]})
    ears = go(fig1, store, workers)
    assert sorted(ears.done) == sorted(labels(fig1.missing))
    assert [(label, again) for label, _, again, _ in ears.died] == [(dense, True), (ticket, True), (ticket, True)]
    assert ears.died[0][1] == "was killed (SIGKILL)" and "lost" in ears.died[1][1]


def test_three_deaths_in_a_row_give_a_run_up_and_what_grows_from_it(
    study: Study_of, store: Store, record_of: Record_of
) -> None:
    rounds = [run for run in artifacts.get("table4").runs(study("pilot"), (0,)) if run.rounds > 2]
    plan = make_plan(rounds, store)
    chain = plan.missing
    workers = Workers(plan, store, record_of, {chain[2].label: [KILLED] * 3})
    log(store, chain[2], "of an earlier worker")
    workers.before = lambda run: log(store, run, "one", "", "two")
    said = f"{chain[2].label}: its worker was killed .* 3 times.* {len(chain) - 3} Runs could not be trained"
    ears = Ears()
    with pytest.raises(RunFailed, match=said):
        driver.Driver(plan, store, workers, ears, task_for(store), 2, math.inf).train()
    assert workers.submitted == [*labels(chain[:2]), *[chain[2].label] * 3]
    assert [(again, last) for _, _, again, last in ears.died] == [(n < 2, ["one", "two"]) for n in range(3)]


def log(store: Store, run: Run, *lines: str) -> None:
    store.folder(run).mkdir(parents=True, exist_ok=True)
    with open(task_for(store)(run, 0.0).log, "a") as file:
        file.write("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("reached", ["e{:04d}", "e0000.{:06d}"])
def test_a_worker_may_die_more_often_if_it_gets_on(
    fig1: Plan, store: Store, record_of: Record_of, reached: str
) -> None:
    """A partition whose time is short: each job does an epoch, or a part of a long one."""
    dense = fig1.missing[0]
    workers = Workers(fig1, store, record_of, {dense.label: [KILLED] * 4 + ["done"]})
    numbers = iter(range(1, 5))

    def advance(run: Run) -> None:
        if run is dense and (number := next(numbers, None)):
            name = f"state-{reached.format(number)}-0123456789abcdef.safetensors"
            files.write_bytes(store.folder(run) / name, b"")

    workers.before = advance
    assert sorted(go(fig1, store, workers).done) == sorted(labels(fig1.missing))


def test_a_users_error_stops_everything_with_the_workers_words(
    fig1: Plan, store: Store, record_of: Record_of
) -> None:
    second = fig1.missing[1]
    workers = Workers(fig1, store, record_of, {second.label: [UsageError.exit_code]})
    workers.before = lambda run: log(store, run, "repro: --seeds 99: choose 1 to 64") if run is second else None
    with pytest.raises(UsageError, match=r"^--seeds 99: choose 1 to 64$"):
        go(fig1, store, workers, 3)
    assert workers.cancelled == 2  # what ran beside it was asked to end
    assert len(store.records()) == 1


def test_missing_input_is_tried_elsewhere_and_then_stops_everything(
    fig1: Plan, store: Store, record_of: Record_of
) -> None:
    dense = fig1.missing[0]
    workers = Workers(fig1, store, record_of, {dense.label: [MissingInput.exit_code] * 3})
    workers.before = lambda run: log(store, run, "repro: no room left on the disk")
    with pytest.raises(MissingInput, match=r"^no room left on the disk$"):
        go(fig1, store, workers)
    assert len(workers.submitted) == 3


def test_three_runs_given_up_in_a_row_stop_everything(fig1: Plan, store: Store, record_of: Record_of) -> None:
    """Where every worker dies at once, the rest of a large plan would die as well."""
    script: dict[str, list[str | int]] = {label: [1] * 3 for label in labels(fig1.missing)[1:]}
    workers = Workers(fig1, store, record_of, script)
    with pytest.raises(RunFailed):
        go(fig1, store, workers, 1)
    assert len(workers.submitted) == 1 + 3 * 3


def test_a_diverged_run_blocks_only_what_grows_from_it(
    study: Study_of, store: Store, record_of: Record_of
) -> None:
    plan = plan_of(study, store, "fig1", "table4")
    round_2 = next(run for run in plan.missing if run.rounds == 1 and run.experiment.startswith("iterative"))
    workers = Workers(plan, store, record_of, {round_2.label: ["diverged"]})
    with pytest.raises(
        RunFailed, match=f"the loss of 1 Run was not finite: {round_2.label}; .* could not be trained"
    ):
        go(plan, store, workers)
    blocked = {run.label for run in plan.missing if run.rounds > 1}
    assert set(workers.submitted) == set(labels(plan.missing)) - blocked and blocked


def test_a_workers_budget_ends_the_handing_out(fig1: Plan, store: Store, record_of: Record_of) -> None:
    second = labels(fig1.missing)[1]
    workers = Workers(fig1, store, record_of, {second: [BudgetSpent.exit_code]})
    with pytest.raises(BudgetSpent, match=f"{len(fig1.missing) - 2} Runs"):
        go(fig1, store, workers, 2, time.monotonic() + 3600)
    assert len(workers.submitted) == 3 and workers.cancelled == 0  # the one beside it ends by its own budget


def test_past_the_deadline_nothing_is_handed_out(fig1: Plan, store: Store, record_of: Record_of) -> None:
    workers = Workers(fig1, store, record_of)
    with pytest.raises(BudgetSpent):
        go(fig1, store, workers, 2, time.monotonic() - 1)
    assert not workers.submitted


def test_a_finished_run_without_its_checkpoints_is_trained_again(
    study: Study_of, store: Store, record_of: Record_of
) -> None:
    plan = plan_of(study, store, "fig1")
    dense = plan.missing[0]
    first = record_of(dense, label=dense.label, top1=12.5)
    store.add([first])
    plan = plan_of(study, store, "fig1")
    assert plan.replays == {dense.key}
    workers = Workers(plan, store, record_of, {dense.label: [KILLED, "done"]})
    go(plan, store, workers)
    assert workers.submitted[:2] == [dense.label] * 2
    ledger = {record.key: record for record in Store(store.runs_dir, store.ledger).records()}
    assert ledger[dense.key] == first  # the Record that others have seen stays


def test_a_damaged_checkpoint_is_said_so_that_its_run_is_planned_again(
    fig1: Plan, store: Store, record_of: Record_of
) -> None:
    dense = fig1.missing[0]

    def damage(run: Run) -> None:
        if run is not dense:
            for path in store.folder(dense).glob("epoch-*"):
                path.unlink()

    workers = Workers(fig1, store, record_of)
    workers.before = damage
    with pytest.raises(CheckpointGone):
        go(fig1, store, workers)


def test_a_result_counts_even_if_its_worker_was_lost(fig1: Plan, store: Store, record_of: Record_of) -> None:
    dense = fig1.missing[0]
    workers = Workers(fig1, store, record_of, {dense.label: [LOST]})
    done = Workers(fig1, store, record_of)

    def finish(run: Run) -> None:
        if run is dense:
            done.out.append(run.label)
            done.poll(run.label)

    workers.before = finish
    ears = go(fig1, store, workers)
    assert workers.submitted.count(dense.label) == 1 and not ears.died


def test_a_signal_ends_the_workers_before_it_takes_effect(fig1: Plan, store: Store, record_of: Record_of) -> None:
    workers = Workers(fig1, store, record_of)
    heard: list[int] = []

    def leave(number: int, frame: object) -> None:
        heard.append(workers.cancelled)
        raise Interrupted

    usual = signal.signal(signal.SIGTERM, leave)

    def end(run: Run) -> None:
        if run is fig1.missing[1]:
            workers.stuck = True
            os.kill(os.getpid(), signal.SIGTERM)

    workers.before = end
    try:
        with pytest.raises(Interrupted):
            go(fig1, store, workers, 4)
    finally:
        signal.signal(signal.SIGTERM, usual)
    assert heard == [3]  # beside the second Run, whose end is taken in, three more


def test_what_a_worker_finished_without_a_driver_reaches_the_ledger(
    fig1: Plan, store: Store, record_of: Record_of, tmp_path: Path
) -> None:
    orphan = Workers(fig1, store, record_of)
    orphan.out = labels(fig1.missing[:2])
    orphan.poll(orphan.out[0]), orphan.poll(orphan.out[0])
    later = Store(store.runs_dir, store.ledger)
    later.add([record for run in fig1.runs if (record := later.record(run))])  # as `train.execute` does
    assert {record.key for record in Store(tmp_path / "none", store.ledger).records()} == {
        run.key for run in fig1.missing[:2]
    }
