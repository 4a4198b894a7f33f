"""Run: what its key covers, what its stream is, and the graph that Runs form."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro import run as run_module
from repro.artifacts import batch_probe, table1, table4
from repro.config.recipe import Recipe
from repro.experiments import Study
from repro.plan import waves
from repro.run import Checkpoint, Data, Mask, Run, ancestors, start_epochs

RECIPE = Recipe(
    epochs=20, batch_size=128, lr=0.1, milestones=(12, 16), gamma=0.1, momentum=0.9, weight_decay=1e-4,
    augment=True, evaluate_every=5,
)  # fmt: skip
DATA = Data("cifar10", 5000, 10_000, "0123456789abcdef")
DENSE = Run("dense-resnet20", "resnet20", DATA, RECIPE, "float32", seed=0, first_epoch=0, last_epoch=20, probe=0.8)
OTHER_DENSE = replace(DENSE, seed=1)
TICKET = replace(
    DENSE,
    experiment="tickets-resnet20",
    weights=Checkpoint(DENSE, 5),
    mask=Mask(Checkpoint(DENSE, 10), 0.8),
    probe=None,
)
CHANGED: dict[str, Any] = {
    "experiment": "tickets-other",
    "arch": "resnet56",
    "data": replace(DATA, train=5001),
    "recipe": replace(RECIPE, lr=0.2),
    "precision": "bfloat16",
    "seed": 1,
    "first_epoch": 1,
    "last_epoch": 19,
    "weights": Checkpoint(DENSE, 6),
    "mask": Mask(Checkpoint(DENSE, 10), 0.7),
    "prune_at": ((5, 0.4),),
    "probe": 0.8,
}
CHANGED_RECIPE: dict[str, Any] = {
    "epochs": 21,
    "batch_size": 64,
    "lr": 0.05,
    "milestones": (12, 17),
    "gamma": 0.2,
    "momentum": 0.8,
    "weight_decay": 2e-4,
    "augment": False,
    "evaluate_every": 1,
}
CHANGED_DATA: dict[str, Any] = {
    "name": "synthetic",
    "train": 5001,
    "test": 9999,
    "fingerprint": "f" * 16,
    "labels": "random",
}


def names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("name", names(Run))
def test_every_field_of_a_run_is_in_its_key(name: str) -> None:
    assert replace(TICKET, **{name: CHANGED[name]}).key != TICKET.key


@pytest.mark.parametrize("name", names(Recipe))
def test_every_field_of_the_recipe_is_in_the_key(name: str) -> None:
    assert replace(TICKET, recipe=replace(RECIPE, **{name: CHANGED_RECIPE[name]})).key != TICKET.key


@pytest.mark.parametrize("name", names(Data))
def test_every_field_of_the_data_is_in_the_key(name: str) -> None:
    assert replace(TICKET, data=replace(DATA, **{name: CHANGED_DATA[name]})).key != TICKET.key


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": None},
        {"mask": None},
        {"weights": Checkpoint(OTHER_DENSE, 5)},
        {"mask": Mask(Checkpoint(OTHER_DENSE, 10), 0.8)},
        {"mask": Mask(Checkpoint(DENSE, 11), 0.8)},
        {"mask": Mask(Checkpoint(DENSE, 10), None)},
    ],
)
def test_parents_and_where_they_are_taken_from_are_in_the_key(changes: dict[str, Any]) -> None:
    assert replace(TICKET, **changes).key != TICKET.key


def test_a_grandparent_is_in_the_key() -> None:
    def child(of: Run) -> Run:
        return replace(TICKET, weights=Checkpoint(of, 20), mask=Mask(Checkpoint(of, 20), None))

    assert child(TICKET).key != child(replace(TICKET, weights=Checkpoint(OTHER_DENSE, 5))).key


def test_all_these_changes_have_keys_of_their_own() -> None:
    runs = [TICKET, *(replace(TICKET, **{name: value}) for name, value in CHANGED.items())]
    runs += [replace(TICKET, recipe=replace(RECIPE, **{n: v})) for n, v in CHANGED_RECIPE.items()]
    runs += [replace(TICKET, data=replace(DATA, **{n: v})) for n, v in CHANGED_DATA.items() if n != "train"]
    assert len({run.key for run in runs}) == len(runs)


def test_the_version_of_the_training_semantics_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TICKET.key
    monkeypatch.setattr(run_module, "SEMANTICS", run_module.SEMANTICS + 1)
    assert replace(TICKET).key != before


def test_equal_runs_have_equal_keys_however_they_were_made() -> None:
    twin = Run(**{name: getattr(TICKET, name) for name in reversed(names(Run))})
    assert twin is not TICKET
    assert twin.key == TICKET.key
    assert len(twin.key) == 16
    assert set(twin.key) <= set("0123456789abcdef")


def test_keys_are_the_same_in_another_process_and_need_no_torch(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from repro import artifacts, plan\n"
        "from repro.config import params\n"
        "from repro.experiments import Study\n"
        "study = Study(params.settings(Path('params.yaml'), 'smoke'), 'f')\n"
        "print(study.ticket('resnet20', 0, 2, 1).key, study.gradual('resnet20', 0, 1, 2).key)\n"
        "print('torch' in sys.modules)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1
    assert outputs.pop().split()[2] == "False"


def test_the_stream_does_not_depend_on_precision() -> None:
    """So that a precision can be compared with another on the same batches."""
    dense = replace(DENSE, precision="bfloat16")
    other = replace(
        TICKET, precision="bfloat16", weights=Checkpoint(dense, 5), mask=Mask(Checkpoint(dense, 10), 0.8)
    )
    assert other.key != TICKET.key
    assert other.stream == TICKET.stream


@pytest.mark.parametrize("profile", ["smoke", "pilot", "paper"])
def test_no_two_cells_or_seeds_share_their_noise(study: Callable[..., Study], profile: str) -> None:
    from repro.artifacts import IMPLEMENTED

    runs = ancestors([run for artifact in IMPLEMENTED.values() for run in artifact.runs(study(profile), [0, 1])])
    trained = [run for run in runs if run.epochs]
    assert len({run.stream for run in trained}) == len(trained)


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (6, 5), (0, 21), (20, 21)])
def test_epochs_outside_the_schedule_are_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="schedule of 20"):
        replace(DENSE, first_epoch=first, last_epoch=last)


@pytest.mark.parametrize("epoch", [4, 16, -1])
@pytest.mark.parametrize("role", ["weights", "mask"])
def test_an_epoch_that_a_parent_does_not_have_is_refused(epoch: int, role: str) -> None:
    window = replace(DENSE, first_epoch=5, last_epoch=15)
    start = Checkpoint(window, epoch)
    with pytest.raises(ValueError, match=f"no epoch {epoch}"):
        replace(DENSE, **{role: start if role == "weights" else Mask(start, 0.8)})


def test_a_parent_gives_its_first_and_its_last_epoch() -> None:
    window = replace(DENSE, first_epoch=5, last_epoch=15)
    for epoch in (5, 15):
        assert replace(DENSE, weights=Checkpoint(window, epoch)).parents == (Checkpoint(window, epoch),)


def test_a_run_without_epochs_observes() -> None:
    assert replace(TICKET, last_epoch=0).epochs == 0
    assert TICKET.epochs == 20


def test_weights_and_mask_of_one_checkpoint_are_one_parent() -> None:
    same = replace(TICKET, weights=Checkpoint(DENSE, 10))
    assert same.parents == (Checkpoint(DENSE, 10),)
    assert TICKET.parents == (Checkpoint(DENSE, 5), Checkpoint(DENSE, 10))


def test_the_last_epoch_is_always_evaluated() -> None:
    assert [e for e in range(1, 21) if DENSE.evaluates_after(e)] == [5, 10, 15, 20]
    assert [e for e in range(1, 14) if replace(DENSE, last_epoch=13).evaluates_after(e)] == [5, 10, 13]


# A small graph: dense -> window -> retrained, dense -> ticket (at 5 and 10).
WINDOW = replace(
    DENSE,
    experiment="gradual",
    first_epoch=5,
    last_epoch=15,
    weights=Checkpoint(DENSE, 5),
    prune_at=((15, 0.8),),
)
RETRAINED = replace(
    DENSE, experiment="gradual", weights=Checkpoint(WINDOW, 15), mask=Mask(Checkpoint(WINDOW, 15), None)
)


def test_ancestors_come_once_and_before_their_children() -> None:
    assert ancestors([RETRAINED, TICKET, RETRAINED]) == [DENSE, WINDOW, RETRAINED, TICKET]
    assert ancestors([]) == []


def test_start_epochs_are_those_that_someone_starts_from() -> None:
    assert start_epochs(ancestors([TICKET, RETRAINED])) == {DENSE.key: {5, 10}, WINDOW.key: {15}}
    assert start_epochs(ancestors([RETRAINED])) == {DENSE.key: {5}, WINDOW.key: {15}}  # through an ancestor
    assert start_epochs([DENSE]) == {}


def test_waves_grow_only_from_earlier_ones() -> None:
    assert waves([RETRAINED, TICKET, WINDOW, DENSE]) == [[DENSE], [WINDOW, TICKET], [RETRAINED]]


def test_a_run_waits_for_the_later_of_its_parents() -> None:
    for weights, mask in ((DENSE, WINDOW), (WINDOW, DENSE)):
        child = replace(DENSE, weights=Checkpoint(weights, 5), mask=Mask(Checkpoint(mask, 5), 0.8))
        assert waves([child, DENSE, WINDOW]) == [[DENSE], [WINDOW], [child]]


def test_a_run_that_is_not_listed_separates_nobody() -> None:
    """Finished parents do not make a Run wait."""
    assert waves([TICKET, WINDOW]) == [[TICKET, WINDOW]]
    # Though through one that is not listed, a Run still waits for its grandparent.
    assert waves([RETRAINED, DENSE]) == [[DENSE], [RETRAINED]]


def test_labels_say_what_a_run_is() -> None:
    assert TICKET.label == "tickets resnet20 s=10 v=5 seed 0"
    assert replace(TICKET, mask=Mask(Checkpoint(DENSE, 11), 0.8)).label != TICKET.label


def test_what_the_labels_of_the_papers_experiments_say(study: Callable[..., Study]) -> None:
    paper = study("paper")
    mask = Mask(Checkpoint(paper.dense("resnet20", 1), 120), 0.8)
    found = [
        paper.dense("resnet20", 1),
        table1.dense_at(paper, 1, 240).run,
        table1.stepwise(paper, 1),
        paper.ppr("resnet20", 1, 60, 0.01),
        paper.memorization("resnet20", 1, mask, 5000),
        table4.iterative(paper, "resnet20", 1, 8),
        (branched := batch_probe.branched(paper, "resnet20", 1, 120, 140, 64)),
        batch_probe.moved(paper, branched, 125),
    ]
    assert [run.label for run in found] == [
        "dense resnet20 seed 1",
        "dense resnet20 200-240 seed 1",
        "gradual resnet20 prune 120-240 seed 1",
        "ppr resnet20 s=60 v=60 rate 0.01 seed 1",
        "memorization resnet20 s=120 v=120 N=5000 at 80% seed 1",
        "iterative resnet20 round 7 seed 1",
        "batch-probe resnet20 120-140 batch 64 seed 1",
        "batch-probe resnet20 s=120 v=125 batch 64 seed 1",
    ]


def test_iterative_pruning_prunes_what_its_last_training_left(study: Callable[..., Study]) -> None:
    """Table 4: eight trainings, the dense one first, each rewound to epoch 5; seven prunings leave 0.8^7."""
    paper = study("paper")
    last = table4.iterative(paper, "resnet20", 0, 8)
    chain = [run for run in ancestors([last]) if run.mask]
    assert [round(1 - run.mask.sparsity, 9) for run in chain if run.mask and run.mask.sparsity] == [
        round(0.8**k, 9) for k in range(1, 8)
    ]
    assert all(run.weights == Checkpoint(paper.dense("resnet20", 0), 5) for run in chain)
    assert [run.rounds for run in chain] == list(range(1, 8))
    assert sum(run.epochs for run in ancestors([last])) == 1600
    assert len({run.stream for run in chain}) == 7


def test_the_schedule_of_table_1_goes_on_to_epoch_240(study: Callable[..., Study]) -> None:
    from repro.schedule import learning_rate

    paper = study("paper")
    beyond, stepwise = table1.dense_at(paper, 0, 240).run, table1.stepwise(paper, 0)
    for run in (beyond, stepwise):
        rates = [learning_rate(run.recipe, epoch) for epoch in (119, 120, 160, 200, 239)]
        assert rates == pytest.approx([0.1, 0.01, 1e-3, 1e-4, 1e-4])
    assert (beyond.first_epoch, beyond.last_epoch) == (200, 240)
    assert (stepwise.first_epoch, stepwise.last_epoch) == (120, 240)
    assert stepwise.mask == Mask(Checkpoint(paper.dense("resnet20", 0), 120), 0.4)
    assert stepwise.prune_at == ((160, 0.6), (200, 0.7), (240, 0.8))
    assert table1.dense_at(paper, 0, 160) == Checkpoint(paper.dense("resnet20", 0), 160)
