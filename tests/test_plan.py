"""From artifacts to Runs: what is shared, what is missing, in which waves, at what cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro import artifacts
from repro.errors import RunFailed
from repro.experiments import Study
from repro.options import Options
from repro.plan import CHECKPOINT_BYTES, Plan, budget_spent, check_trained, cost, make_plan
from repro.record import Record
from repro.run import Run, ancestors
from repro.store import Store
from repro.workspace import Workspace

ALL = tuple(artifacts.IMPLEMENTED)
Study_of = Callable[..., Study]
Record_of = Callable[..., Record]


def asked(study: Study, *names: str, seeds: tuple[int, ...] = (0,)) -> list[Run]:
    return [run for name in names for run in artifacts.get(name).runs(study, seeds)]


def checkpoint_file(store: Store, run: Run, epoch: int) -> None:
    """As far as planning looks: a file of that name."""
    folder = store.folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"epoch-{epoch:04d}-0123456789abcdef.safetensors").touch()


def test_fig1_of_the_paper_is_143_tickets_and_a_dense_network(study: Study_of, store: Store) -> None:
    plan = make_plan(asked(study("paper"), "fig1"), store)
    tickets = [run for run in plan.missing if run.mask]
    assert (len(tickets), len(plan.missing)) == (143, 144)
    assert cost(tickets).epochs == 28_600
    assert {run.last_epoch - run.first_epoch for run in tickets} == {200}  # the whole schedule, whatever v


def test_table_2s_diagonal_is_trained_for_fig1(study: Study_of, store: Store) -> None:
    """What Table 2 adds: six windows and their retraining, and ResNet56 (dense and six tickets)."""
    paper = study("paper")
    grid, both = (make_plan(asked(paper, *names), store) for names in (("fig1",), ("fig1", "table2")))
    assert len(both.missing) == len(grid.missing) + 2 * 6 + 1 + 6
    one_shot = [run for run in asked(paper, "table2") if run.mask and run.mask.sparsity]
    diagonal = {run.key for run in one_shot if run.arch == "resnet20"}
    assert len(diagonal) == 6
    assert diagonal <= {run.key for run in grid.missing}


@pytest.mark.parametrize("profile", ["smoke", "pilot", "paper"])
def test_every_run_is_planned_once(study: Study_of, store: Store, profile: str) -> None:
    runs = asked(study(profile), *ALL, *ALL)
    plan = make_plan(runs, store)
    assert len({run.key for run in plan.missing}) == len(plan.missing) == len(plan.runs)
    assert {run.key for run in plan.missing} == {run.key for run in ancestors(runs)}
    assert not plan.replays


@pytest.mark.parametrize("names", [["fig1"], ["table2", "fig4"]])
def test_all_runs_of_a_seed_come_before_those_of_the_next(tmp_path: Path, names: list[str]) -> None:
    """So that a time budget completes one seed first; a wave may train several seeds' dense networks together."""
    work = Workspace(Options(profile="smoke", seeds=3, runs_dir=tmp_path / "runs", out=tmp_path), names)
    for plan in (work.plan(), work.plan(work.asked())):
        for runs in (plan.missing, *plan.waves):
            seeds = [run.seed for run in runs]
            assert seeds == sorted(seeds) and {*seeds} == {0, 1, 2}


def test_seeds_share_nothing(study: Study_of, store: Store) -> None:
    one, two = (make_plan(asked(study(), "fig1", seeds=seeds), store) for seeds in ((0,), (0, 1)))
    assert len(two.missing) == 2 * len(one.missing)


@pytest.mark.parametrize("profile", ["smoke", "pilot", "paper"])
def test_waves_hold_each_run_once_after_its_parents(study: Study_of, store: Store, profile: str) -> None:
    plan = make_plan(asked(study(profile), *ALL), store)
    before: set[str] = set()
    for wave in plan.waves:
        for run in wave:
            assert {parent.run.key for parent in run.parents} <= before
        assert len({(run.arch, run.precision, run.data.name, run.data.fingerprint) for run in wave}) == 1
        assert len({(run.recipe.batch_size, run.recipe.momentum, run.recipe.weight_decay) for run in wave}) == 1
        before |= {run.key for run in wave}
    assert sum(map(len, plan.waves)) == len(before) == len(plan.missing)


def test_a_finished_run_is_not_missing(study: Study_of, store: Store, record_of: Record_of) -> None:
    runs = asked(study(), "fig1")
    for run in runs:
        store.finish([(run, record_of(run))])
    plan = make_plan(runs, store)
    assert plan.missing == ()
    assert plan.waves == []
    assert len(plan.runs) == len(runs)


def test_a_parent_without_the_checkpoint_that_is_needed_is_trained_again(
    study: Study_of, store: Store, record_of: Record_of
) -> None:
    dense, ticket = study().dense("resnet20", 0), study().ticket("resnet20", 0, 2, 1)
    store.finish([(dense, record_of(dense))])
    plan = make_plan([ticket], store)
    assert plan.missing == (dense, ticket)
    assert plan.replays == {dense.key}
    assert plan.keep[dense.key] == {1, 2}
    checkpoint_file(store, dense, 1)
    assert make_plan([ticket], store).replays == {dense.key}  # one of two is not enough
    checkpoint_file(store, dense, 2)
    plan = make_plan([ticket], store)
    assert (plan.missing, plan.replays) == ((ticket,), frozenset())


def test_a_run_under_way_needs_its_parents_checkpoints_no_more(
    study: Study_of, store: Store, record_of: Record_of
) -> None:
    """Its state holds weights and mask; where that turns out to be damaged, its parent is trained again."""
    dense, ticket = study().dense("resnet20", 0), study().ticket("resnet20", 0, 2, 1)
    store.finish([(dense, record_of(dense))])
    state = store.folder(ticket) / "state-e0003-0000000000000000.safetensors"
    state.parent.mkdir(parents=True)
    state.touch()
    assert make_plan([ticket], store).missing == (ticket,)
    assert store.can_continue(ticket)
    state.unlink()
    assert make_plan([ticket], store).replays == {dense.key}
    assert not store.can_continue(ticket)


def test_no_replay_for_what_nobody_needs(study: Study_of, store: Store, record_of: Record_of) -> None:
    dense, ticket = study().dense("resnet20", 0), study().ticket("resnet20", 0, 2, 1)
    for run in (dense, ticket):
        store.finish([(run, record_of(run))])
    assert make_plan([dense, ticket], store).missing == ()


def test_a_replay_reaches_as_far_back_as_it_must(study: Study_of, store: Store, record_of: Record_of) -> None:
    retrained = study().gradual("resnet20", 0, 1, 2)
    assert retrained.weights
    assert retrained.weights.run.weights
    window = retrained.weights.run
    dense = retrained.weights.run.weights.run
    for run in (dense, window):
        store.finish([(run, record_of(run))])
    plan = make_plan([retrained], store)
    assert plan.missing == (dense, window, retrained)
    assert plan.replays == {dense.key, window.key}
    checkpoint_file(store, window, 2)
    assert make_plan([retrained], store).missing == (retrained,)


def test_checkpoints_are_kept_for_what_may_be_asked_later(study: Study_of, store: Store) -> None:
    smoke = study()
    dense = smoke.dense("resnet20", 0)
    assert make_plan([dense], store).keep == {}
    plan = make_plan([dense], store, everything=asked(smoke, "fig1"))
    assert plan.missing == (dense,)
    assert plan.keep[dense.key] == {0, 2, 4}


def test_a_diverged_parent_is_not_trained_again_and_again(
    study: Study_of, store: Store, record_of: Record_of
) -> None:
    """Its result is that it diverged: the same training would diverge again, and its ticket never starts."""
    dense, ticket = study().dense("resnet20", 0), study().ticket("resnet20", 0, 2, 1)
    store.finish([(dense, record_of(dense, status="diverged", top1=None))])
    other = study().ticket("resnet20", 1, 2, 1)  # of another seed: it goes on
    plan = make_plan([ticket, other], store)
    assert [run.seed for run in plan.missing] == [1, 1]
    assert (len(plan.runs), plan.done) == (4, 1)  # that it diverged is known of one; its ticket is not done


def test_nothing_is_trained_again_for_what_diverged(study: Study_of, store: Store, record_of: Record_of) -> None:
    """The window's end would need the dense checkpoint again, but it is never trained again."""
    dense, retrained = study().dense("resnet20", 0), study().gradual("resnet20", 0, 1, 2)
    assert retrained.weights
    window = retrained.weights.run
    store.finish([(dense, record_of(dense)), (window, record_of(window, status="diverged", top1=None))])
    plan = make_plan([retrained], store)
    assert (plan.missing, plan.replays, plan.blocked) == ((), frozenset(), (retrained,))


def test_what_is_left_is_told(study: Study_of, store: Store, record_of: Record_of) -> None:
    dense, ticket = study().dense("resnet20", 0), study().ticket("resnet20", 0, 2, 1)
    again = "run the same command again to resume"
    plan = make_plan([ticket], store)
    assert str(budget_spent(plan, store)) == f"time budget spent: 2 Runs are left (8 epochs); {again}"
    check_trained(plan, store, {})
    store.finish([(dense, record_of(dense, status="diverged", top1=None))])
    assert str(budget_spent(plan, store)) == f"time budget spent: 1 Run is left (4 epochs); {again}"
    diverged = f"^the loss of 1 Run was not finite: {dense.label}"
    with pytest.raises(RunFailed, match=f"{diverged}; 1 Run could not be trained: no checkpoint to start from$"):
        check_trained(plan, store, {})
    with pytest.raises(RunFailed, match=f"{diverged}; it was killed$"):
        check_trained(plan, store, {ticket.key: "it was killed"})


def test_cost_by_hand(study: Study_of) -> None:
    """smoke: 4 epochs of 128 images, 64 tested after each, which count a third."""
    dense, ticket = study().dense("resnet20", 0), study().ticket("resnet56", 0, 2, 1)
    each = 4 * 128 + 4 * 64 // 3
    found = cost([dense, ticket])
    assert (found.runs, found.epochs, found.images) == (2, 8, 2 * each)


def test_cost_counts_the_epochs_that_are_evaluated(study: Study_of) -> None:
    """pilot: tickets are tested after 5, 10, 15 and 20 epochs, the dense network after each."""
    pilot = study("pilot")
    assert cost([pilot.ticket("resnet20", 0, 2, 1)]).images == 20 * 5000 + 4 * 10_000 // 3
    assert cost([pilot.dense("resnet20", 0)]).images == 20 * 5000 + 20 * 10_000 // 3


def test_what_only_observes_costs_no_epoch(study: Study_of) -> None:
    found = cost([study().mask_distance("resnet20", 0, 2, 3)])
    assert (found.runs, found.epochs, found.images) == (1, 0, 0)


@pytest.mark.parametrize("done", [1, 3])
def test_cost_leaves_out_what_a_state_has_behind_it(study: Study_of, store: Store, done: int) -> None:
    dense = study().dense("resnet20", 0)
    window = replace(dense, first_epoch=1)
    for run in (dense, window):
        store.folder(run).mkdir(parents=True)
        (store.folder(run) / f"state-e{run.first_epoch + done:04d}-0123456789abcdef.safetensors").touch()
    assert cost([dense], store).epochs == 4 - done
    assert cost([window], store).epochs == 3 - done
    assert cost([dense], store).images == (4 - done) * 128 + (4 - done) * 64 // 3


def test_disk_space_is_that_of_the_kept_checkpoints(study: Study_of, store: Store) -> None:
    plan = make_plan(asked(study("paper"), "fig1"), store)
    assert plan.disk_bytes == 13 * CHECKPOINT_BYTES["resnet20"]


def test_table_3_keeps_the_dense_epochs_that_others_start_from(study: Study_of, store: Store) -> None:
    """ResNet50: where its windows start. ResNet18: where its windows start, and its tickets."""
    plan = make_plan(asked(study("paper"), "table3"), store)
    kept = {arch: plan.keep[study("paper").dense(arch, 0).key] for arch in ("resnet18", "resnet50")}
    starts = set(range(0, 61, 10))
    assert kept == {"resnet50": starts, "resnet18": starts | set(range(0, 91, 15))}
    windows = [run for run in plan.missing if run.prune_at]
    assert len(windows) == 14 and all(plan.keep[run.key] == {run.last_epoch} for run in windows)
    # A window's end carries its mask, a quarter more.
    whole = 7 * CHECKPOINT_BYTES["resnet50"] + 11 * CHECKPOINT_BYTES["resnet18"]
    ends = 7 * 5 * (CHECKPOINT_BYTES["resnet50"] + CHECKPOINT_BYTES["resnet18"]) // 4
    assert plan.disk_bytes == pytest.approx(whole + ends, abs=20)


def test_what_a_masked_checkpoint_takes(study: Study_of, store: Store) -> None:
    import torch

    from repro.engine.network import Network

    window = study().gradual("resnet20", 0, 1, 2).mask
    assert window
    network = Network("resnet20", 0, torch.device("cpu"))
    network.prune(0.8)
    store.save_checkpoint(window.of.run, 2, network.checkpoint())
    kept = store.checkpoint(window.of.run, 2)
    assert kept
    declared = Plan((), (window.of.run,), {window.of.run.key: {2}}, frozenset()).disk_bytes
    assert kept.path.stat().st_size == pytest.approx(declared, rel=0.05)


def test_the_declared_size_of_a_checkpoint_is_about_right(study: Study_of, store: Store) -> None:
    import torch

    from repro.engine.network import Network

    for arch, declared in CHECKPOINT_BYTES.items():
        run = study().dense(arch, 0)
        store.save_checkpoint(run, 0, Network(arch, 0, torch.device("cpu")).checkpoint())
        kept = store.checkpoint(run, 0)
        assert kept is not None
        assert kept.path.stat().st_size == pytest.approx(declared, rel=0.05)
