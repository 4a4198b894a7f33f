"""Waves of Runs: each ends where it ends alone, whatever trains beside it and however often it is interrupted."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import lanes as trials
import pytest
import torch
from lanes import Reports, outcome, train_all

from repro.engine.events import EpochReport, OutOfTime
from repro.engine.network import Network, masks_of
from repro.errors import BudgetSpent, MissingInput
from repro.experiments import Study
from repro.record import DIVERGED, DONE, Record
from repro.run import Checkpoint, Mask, Run, ancestors, start_epochs
from repro.store import State, Store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def study() -> Study:
    """A few epochs on few images."""
    return trials.study(
        {
            "data.train": 24,
            "fig5.sizes": [12, 20],
            "table1.sizes": [12, 20],
            "data.test": 20,
            "recipe.batch_size": 16,
            "memorization.epochs": 2,
            "memorization.milestones": [1],
            "memorization.batch_size": 16,  # as the others': a wave shares it
        }
    )


def with_checkpoints(study: Study, folder: Path) -> Store:
    """A store in which the dense network has checkpoints to grow from."""
    store = Store(folder, folder.with_suffix(".jsonl"))
    dense, network = study.dense("resnet20", 0), Network("resnet20", 0, CPU)
    for epoch in range(5):
        network.reset(epoch)
        store.save_checkpoint(dense, epoch, network.checkpoint())
    return store


@pytest.fixture
def grown(study: Study, tmp_path: Path) -> Callable[[str], Store]:
    """Stores of the test's own by name."""
    return lambda name: with_checkpoints(study, tmp_path / name)


@pytest.fixture(scope="module")
def alone(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """What `kinds` come to one after another."""
    runs, store = kinds(study), with_checkpoints(study, tmp_path_factory.mktemp("waves") / "alone")
    return train_all(runs, store, keep=keep(runs))


@dataclass(frozen=True)
class Heard:
    """A wave that ended: its store, its Runs' Records by label and what its observers heard."""

    store: Store
    records: dict[str, Record]
    reports: list[EpochReport]


@pytest.fixture(scope="module")
def in_fours(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """`kinds` in four lanes."""
    runs, store = kinds(study), with_checkpoints(study, tmp_path_factory.mktemp("waves") / "fours")
    told = Reports()
    return Heard(store, train_all(runs, store, 4, keep=keep(runs), observer=told), told.epochs)


def kinds(study: Study) -> list[Run]:
    """One or two of everything that trains (tickets, PPR at two rates, a gradual window, random labels on two
    numbers of images, dense replicates), and a structure that trains nothing."""
    dense = study.dense("resnet20", 0)
    gradual = study.gradual("resnet20", 0, 1, 3)
    assert gradual.weights
    return [
        study.ticket("resnet20", 0, 1, 0),
        study.ticket("resnet20", 0, 3, 2),
        study.ppr("resnet20", 0, 1, 0.1),
        study.ppr("resnet20", 0, 2, 0.01),
        gradual.weights.run,
        study.mask_distance("resnet20", 0, 1, 2),
        study.memorization("resnet20", 0, Mask(Checkpoint(dense, 1), 0.8), 12),
        study.memorization("resnet20", 0, Mask(Checkpoint(dense, 3), 0.8), 20),
        study.dense("resnet20", 1),
        study.dense("resnet20", 2),
    ]


def keep(runs: Sequence[Run]) -> dict[str, set[int]]:
    return start_epochs(ancestors(list(runs))) | {run.key: {run.last_epoch} for run in runs}


def outcomes(records: dict[str, Record]) -> dict[str, tuple[object, ...]]:
    return {label: outcome(record) for label, record in records.items()}


def test_every_kind_of_run_ends_in_a_wave_where_it_ends_alone(
    study: Study, grown: Callable[[str], Store], alone: dict[str, Record], in_fours: Heard
) -> None:
    """Bit for bit, checkpoints included, where the operations are the same; in any order and number of lanes."""
    runs = kinds(study)
    assert len(alone) == len(runs)
    assert all(record.status == DONE for record in alone.values())
    assert outcomes(in_fours.records) == outcomes(alone)
    for lanes, seed in ((3, 1), (len(runs), 3)):
        shuffled = random.Random(seed).sample(runs, len(runs))
        together = train_all(shuffled, grown(f"{lanes} lanes"), lanes, keep=keep(runs))
        assert outcomes(together) == outcomes(alone)


def test_masks_do_not_leak(study: Study, in_fours: Heard) -> None:
    for run in kinds(study):
        loaded = in_fours.store.load_checkpoint(run, run.last_epoch)
        assert loaded
        tensors, masks = loaded[0], masks_of(loaded[0])
        assert (masks is None) == (run.mask is None and not run.prune_at), run.label
        for name, mask in (masks or {}).items():
            assert not tensors[name][~mask].any(), run.label
            assert tensors[name][mask].all(), run.label
        if masks is None:
            assert all(t.all() for name, t in tensors.items() if "conv" in name), run.label


def test_no_two_runs_of_a_wave_see_the_same_batches(study: Study) -> None:
    streams = [run.stream for run in kinds(study) if run.epochs]
    assert len(set(streams)) == len(streams)


def test_one_run_that_diverges_fails_alone(study: Study, grown: Callable[[str], Store]) -> None:
    sound = [study.ticket("resnet20", 0, 1, 0), study.ticket("resnet20", 0, 2, 1)]
    recipe = replace(sound[0].recipe, lr=1e20)
    wild = replace(sound[0], experiment="wild-resnet20", recipe=recipe)
    alone = train_all(sound, grown("alone"), keep=keep(sound))
    together = train_all([sound[0], wild, sound[1]], grown("together"), 3, keep=keep(sound))
    record = together[wild.label]
    assert record.status == DIVERGED
    assert record.top1 is None
    assert record.provenance["diverged_at"] in (1, 2)
    assert {together[run.label].status for run in sound} == {DONE}
    assert all(outcome(together[run.label]) == outcome(alone[run.label]) for run in sound)


def test_interrupted_waves_go_on_in_waves_of_any_size(
    study: Study, grown: Callable[[str], Store], alone: dict[str, Record]
) -> None:
    """Time runs out again and again, in the middle of epochs and between them; nothing shows in the end."""
    runs = kinds(study)
    store, moments = grown("parts"), random.Random(5)
    found: dict[str, Record] = {}
    ended: list[int] = []
    for attempt in range(60):
        left = [run for run in runs if store.record(run) is None]
        if not left:
            break
        asked, most = 0, moments.randrange(2, 7)

        def has_time(seconds: float, most: int = most) -> bool:
            nonlocal asked
            asked += 1
            return asked <= most

        try:
            train_all(left, store, 1 + attempt % 4, keep=keep(runs), has_time=has_time)
        except OutOfTime:
            ended.append(attempt)
    assert len(ended) > 5
    for run in runs:
        record = Store(store.runs_dir, store.ledger).record(run)
        assert record, run.label
        found[run.label] = record
    assert outcomes(found) == outcomes(alone)
    assert not list(store.runs_dir.rglob("state-*")), "states of finished Runs are left"


def test_a_state_that_cannot_be_written_ends_the_wave_aloud_and_later_all_is_well(
    study: Study, grown: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """States are written while the next epoch trains: an error there is not lost."""
    store, runs = grown("full"), [study.ticket("resnet20", 0, s, 0) for s in (1, 2)]

    def full(*_: object) -> None:
        raise MissingInput("no room left on the disk")

    with monkeypatch.context() as patched, pytest.raises(MissingInput, match="no room"):
        patched.setattr(Store, "save_state", full)
        train_all(runs, store, 2)
    assert not any(store.record(run) for run in runs)
    assert {record.status for record in train_all(runs, store, 2).values()} == {DONE}


def test_a_lock_is_held_until_the_state_is_written_also_where_another_could_not_be(
    study: Study, grown: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, runs, held = grown("slow"), [study.ticket("resnet20", 0, s, 0) for s in (1, 2)], list[bool]()

    def save(store: Store, run: Run, state: State) -> None:
        if run == runs[0]:
            raise MissingInput("no room left on the disk")
        time.sleep(0.3)
        try:
            with store.run_lock(run, deadline=0.0):
                held.append(False)
        except BudgetSpent:
            held.append(True)

    monkeypatch.setattr(Store, "save_state", save)
    with pytest.raises(MissingInput, match="no room"):
        train_all(runs, store, 2, has_time=lambda seconds: seconds == 0)  # until the second epoch would begin
    assert held == [True]


def test_what_is_heard_of_is_kept_when_time_runs_out(study: Study, grown: Callable[[str], Store]) -> None:
    store, run = grown("kept"), study.ticket("resnet20", 0, 1, 0)
    told = Reports()
    with pytest.raises(OutOfTime):
        train_all([run], store, observer=told, has_time=lambda seconds: len(told.epochs) < 2)
    state = store.load_state(run)
    assert state and state.epoch == len(told.epochs) == 2
    assert state.history["curve"]["epoch"] == [1, 2]


def test_a_run_that_began_in_another_precision_goes_on_in_it(study: Study, grown: Callable[[str], Store]) -> None:
    """`auto` means something else on another machine: such a Run does not join the others."""
    runs = [replace(study.ticket("resnet20", 0, s, 1), precision="auto") for s in (1, 2)]
    as_float32 = [replace(run, precision="float32") for run in runs]
    low = trials.devices.resolve_precision("auto", trials.bench().device) == "bfloat16"
    store = grown("moved")
    told = Reports()
    with pytest.raises(OutOfTime):
        train_all([runs[0]], store, observer=told, has_time=lambda seconds: not told.epochs)
    state = store.load_state(runs[0])
    assert state
    state.history["provenance"]["precision"] = "float32" if low else "bfloat16"
    store.save_state(runs[0], state)
    records = train_all(runs, store, 2)
    kinds_of = [records[run.label].provenance["precision"] for run in runs]
    assert kinds_of == (["float32", "bfloat16"] if low else ["bfloat16", "float32"])
    assert as_float32[0].key != runs[0].key


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["A", "A"], "A"),
        (["A", "B"], "A, then B"),
        (["A", "B", "B"], "A, then B"),
        (["A", "B", "A"], "A, then B, then A"),
    ],
)
def test_a_run_that_goes_on_elsewhere_names_every_device(
    study: Study,
    grown: Callable[[str], Store],
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
    told: str,
) -> None:
    store, run, bench = grown("travelled"), study.ticket("resnet20", 0, 1, 0), trials.bench()
    for number, name in enumerate(names, 1):
        here = copy.copy(bench)
        here.device = replace(bench.device, name=name)
        monkeypatch.setattr(trials, "bench", lambda device, here=here: here)
        told_of = Reports()
        if number < len(names):
            with pytest.raises(OutOfTime):
                train_all(
                    [run], store, observer=told_of, has_time=lambda seconds, told_of=told_of: not told_of.epochs
                )
        else:
            record = train_all([run], store, observer=told_of)[run.label]
        assert told_of.epochs
    assert record.provenance["device"] == told


def test_observers_hear_of_every_epoch_of_every_run(study: Study, in_fours: Heard) -> None:
    runs, heard = kinds(study), in_fours.reports
    by_run = {run.key: [r.epoch for r in heard if r.run == run] for run in runs}
    assert by_run == {run.key: list(range(run.first_epoch + 1, run.last_epoch + 1)) for run in runs}
    assert {report.images for report in heard} == {24, 12, 20}
    assert max(report.wave for report in heard) == 4
    assert all(math.isfinite(report.seconds) and report.seconds > 0 for report in heard)


def test_device_time_is_shared_out(study: Study, grown: Callable[[str], Store]) -> None:
    """The times of Runs that trained side by side add up to what went by, and not to a multiple of it."""
    runs = [study.ticket("resnet20", 0, s, v) for s in (1, 2) for v in (0, 1)]
    start = time.perf_counter()
    records = train_all(runs, grown("timed"), 4)
    spent = time.perf_counter() - start
    assert 0 < sum(record.provenance["wall_s"] for record in records.values()) <= spent
