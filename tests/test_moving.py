"""Where what arrives from another machine belongs: by its key, whatever the folder was called that it left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from repro.artifacts import table1
from repro.commands import runs
from repro.experiments import Study
from repro.options import Options
from repro.record import Record, empty_curve
from repro.run import Mask, Run
from repro.store import State, Store, archive
from repro.store.archive import Members
from repro.workspace import Workspace

Command = Callable[..., tuple[int, str, str]]
RecordOf = Callable[..., Record]
KEYS: dict[tuple[str, int], frozenset[str]] = {}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """The keys of each profile once for all tests here: those of four profiles take a while."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("REPRO_DATA", raising=False)
    keys_of = runs._keys_of

    def once(profile: str, seeds: int, options: Options) -> frozenset[str]:
        if (profile, seeds) not in KEYS:
            KEYS[profile, seeds] = keys_of(profile, seeds, options)
        return KEYS[profile, seeds]

    monkeypatch.setattr(runs, "_keys_of", once)


def study(profile: str) -> Study:
    return Workspace(Options(profile=profile)).study


def unknown(run: Run) -> Run:
    """Like ``run``, by a recipe that no profile has."""
    return replace(run, recipe=replace(run.recipe, lr=0.123))


@pytest.fixture
def exported(tmp_path: Path, record_of: RecordOf) -> Callable[..., Members]:
    """``exported(run, *parents)``: a finished Run, and a checkpoint of it; with ``under_way`` where it stands and
    such a checkpoint."""

    def members(run: Run, *parents: Run, under_way: bool = False) -> Members:
        store = Store(tmp_path / "there", tmp_path / "there.jsonl")
        grown_from = {f"{parent.key}@{parent.last_epoch}": "0" * 16 for parent in parents}
        about = {"parents": grown_from, "seed": run.seed}
        store.save_checkpoint(run, 1, {"w": torch.zeros(1)})
        if under_way:
            history = {"curve": empty_curve(), "start": {}, "probe": {}, "checkpoints": {}, "provenance": about}
            store.save_state(run, State(2, {"w": torch.zeros(1)}, history))
        else:
            store.add([record_of(run, provenance=about)])
        found = [*archive.records(store, [run]), *archive.checkpoints(store, [run], {run.key: {1}})]
        return dict([*found, *archive.states(store, [run])])

    return members


Exported = Callable[..., Members]


@pytest.mark.parametrize("under_way", [False, True])
def test_runs_come_home_to_the_profile_whose_keys_they_have(exported: Exported, under_way: bool) -> None:
    """All that belongs to a Run goes along, to paper-128 although its folder was called paper."""
    ours, theirs = (study(name).dense("resnet20", 0) for name in ("paper", "paper-128"))
    assert ours.key != theirs.key
    told = {run.key: exported(run, under_way=under_way) for run in (ours, theirs)}
    assert len(told[ours.key]) == 2
    sorted_out = runs.by_profile({"paper": told[ours.key] | told[theirs.key]}, Options())
    assert sorted_out == {"paper": told[ours.key], "paper-128": told[theirs.key]}


def test_runs_of_further_seeds_come_home_too(exported: Exported) -> None:
    theirs = exported(study("paper-128").dense("resnet20", 4))
    assert runs.by_profile({"paper": theirs}, Options()) == {"paper-128": theirs}


def test_a_seed_beyond_those_of_the_option_is_nobodys(exported: Exported) -> None:
    """A figure of one's own may have trained it."""
    far = exported(study("paper").dense("resnet20", 20240101))
    assert runs.by_profile({"my-own": far}, Options()) == {"my-own": far}


def test_a_changed_profiles_runs_with_the_plain_ones_keys_are_the_plain_ones(exported: Exported) -> None:
    plain = study("smoke").dense("resnet20", 0)
    same, other = exported(plain), exported(unknown(plain))
    found = runs.by_profile({"smoke+3fa2c1": same | other}, Options())
    assert found == {"smoke": same, "smoke+3fa2c1": other}


def test_what_two_profiles_ask_for_stays_where_it_was(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    run = study("smoke").dense("resnet20", 0)
    monkeypatch.setattr(runs, "_keys_of", lambda profile, seeds, options: frozenset([run.key]))
    for told in ("pilot", "paper-128"):
        assert list(runs.by_profile({told: exported(run)}, Options())) == [told]


def test_a_run_that_no_profile_asks_for_goes_where_its_parents_go(exported: Exported) -> None:
    """Table 1's Runs, whose number of examples is named by results; and what grows from such a Run."""
    of = study("paper-128")
    own = of.block("table1", table1.Stepwise)
    mask = Mask(table1.dense_at(of, 0, own.steps[1][0]), own.steps[1][1])
    child = of.memorization(own.arch, 0, mask, min(own.sizes) + 1)
    grandchild = unknown(child)
    for under_way in (False, True):
        found = exported(child, mask.of.run, under_way=under_way)
        found |= exported(grandchild, child, under_way=under_way)
        assert runs.by_profile({"paper": found}, Options()) == {"paper-128": found}


def test_runs_that_nobody_knows_keep_the_name_of_their_folder(exported: Exported) -> None:
    """Their parents are unknown as well, or said to have grown from one another."""
    first = unknown(study("smoke").dense("resnet20", 0))
    second = replace(first, seed=1)
    found = exported(first, second) | exported(second, first, under_way=True)
    assert runs.by_profile({"my-own": found}, Options()) == {"my-own": found}


def test_files_of_many_folders_are_sorted_into_each(exported: Exported) -> None:
    ours, theirs = (exported(study(name).dense("resnet20", 1)) for name in ("paper", "paper-128"))
    assert runs.by_profile({"paper": theirs, "paper-128": ours}, Options()) == {
        "paper": ours,
        "paper-128": theirs,
    }


def test_an_import_sorts_into_results_folders(command: Command, tmp_path: Path, exported: Exported) -> None:
    plain = study("smoke").dense("resnet20", 0)
    members = exported(plain) | exported(unknown(plain), under_way=True)
    home = tmp_path / "home.zip"
    archive.export(members.items(), home, 10**6, "smoke+3fa2c1")
    code, out, err = command("runs", "import", str(home))
    assert code == 0, err
    by_folder = {line.partition(":")[0].rpartition("/")[2]: line for line in out.splitlines()}
    assert "1 Run new, 0 known already, 1 checkpoint" in by_folder["smoke"]
    assert "0 Runs new, 0 known already, 1 checkpoint, 1 state of" in by_folder["smoke+3fa2c1"]
    assert [path.parent.name for path in (tmp_path / "out").glob("*/runs.jsonl")] == ["smoke"]
