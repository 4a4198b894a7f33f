"""`repro reproduce`, and what is left out where ImageNet is not there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import FEW, TINY

from repro import artifacts
from repro.commands import reproduce
from repro.config import recipe
from repro.data.imagenet import index
from repro.experiments import Study
from repro.options import Options
from repro.run import ancestors
from repro.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
Command = Callable[..., tuple[int, str, str]]


# ---- repro reproduce ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quickly_drawn")
def test_everything_is_one_plan_and_an_artifact_is_drawn_as_soon_as_its_runs_are_finished(
    command: Command, tmp_path: Path
) -> None:
    before = (ROOT / "params.yaml").read_bytes()
    code, out, err = command("reproduce", "--profile", "smoke", "--device", "cpu", *FEW)
    assert code == 0, err
    (folder,) = (tmp_path / "out").iterdir()
    assert all((folder / f"{name}.png").exists() for name in artifacts.IMPLEMENTED)
    assert "profile smoke: asked for" in err and f"{folder / 'index.html'}" in out
    lines = err.splitlines()
    begun = [line for line in lines if "Runs to train" in line]
    assert len(begun) == 2, "one plan, and Table 1's own Runs, which its calibration names"
    trained = [number for number, line in enumerate(lines) if line.startswith("done ")]
    drawn = {line.split(":")[0]: number for number, line in enumerate(lines) if ".png; " in line}
    assert set(drawn) == set(artifacts.IMPLEMENTED)
    assert drawn["fig2"] < drawn["fig1"] < trained[-1] < drawn["table1"]
    assert (ROOT / "params.yaml").read_bytes() == before, "no command edits what git tracks"

    code, _, err = command("reproduce", "--profile", "smoke", "--device", "cpu", *FEW)
    assert code == 0 and "to train" not in err


def test_what_the_repository_ships_comes_before_what_is_trained(
    command: Command, record_of: Callable[..., Any], study: Callable[..., Study],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ledger = tmp_path / "shipped" / "pilot" / "runs.jsonl"
    run = study("pilot").dense("resnet20", 0)
    ledger.parent.mkdir(parents=True)
    ledger.write_text(record_of(run).line() + "\n")
    happened: list[str] = []
    monkeypatch.setattr("repro.workspace.shipped_results", lambda root: tmp_path / "shipped")
    monkeypatch.setattr(reproduce, "_train", lambda work, log: happened.append(f"trained {work.settings.name}"))
    monkeypatch.setattr(
        "repro.commands.report.write_report", lambda work: happened.append(f"reported {work.settings.name}") or []
    )
    code, out, _ = command("reproduce", "--profile", "smoke")
    assert code == 0
    assert happened == ["reported pilot", "trained smoke", "reported smoke"]
    assert out.startswith("measured so far, profile pilot, from the repository:")
    happened.clear()
    code, out, _ = command("reproduce", "--profile", "pilot")  # which is brought up to date anyway
    assert happened == ["trained pilot", "reported pilot"] and "measured so far" not in out


def test_what_is_shipped_is_read_under_the_params_that_were_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "params.yaml"
    own.write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "shipped" / "pilot").mkdir(parents=True)
    (tmp_path / "shipped" / "pilot" / "runs.jsonl").touch()
    monkeypatch.setattr("repro.workspace.shipped_results", lambda root: tmp_path / "shipped")
    monkeypatch.setattr(reproduce, "_train", lambda work, log: None)
    read: list[Path] = []
    monkeypatch.setattr("repro.commands.report.write_report", lambda work: read.append(work.params_file) or [])
    code, _, err = command("reproduce", "--profile", "smoke", "--params", str(own))
    assert (code, read) == (0, [own, own]), err
    every = yaml.safe_load(own.read_text())
    own.write_text(yaml.safe_dump(every | {"profiles": {"smoke": every["profiles"]["smoke"]}}))
    code, out, err = command(
        "reproduce", "--profile", "smoke", "--params", str(own)
    )  # the shipped one is not in it
    assert (code, read, "measured so far" in out) == (0, [own] * 3, False), err


@pytest.mark.usefixtures("quickly_drawn")
def test_a_run_without_a_result_fails_the_command_after_all_others_are_drawn(
    command: Command, tmp_path: Path
) -> None:
    code, out, err = command(
        "reproduce", "--profile", "smoke", "--device", "cpu", *FEW, "--set", "recipe.lr=1.0e+20"
    )
    assert code == 4 and "was not finite" in err
    (folder,) = (tmp_path / "out").iterdir()
    assert all((folder / f"{name}.png").exists() for name in artifacts.IMPLEMENTED)
    assert "index.html" in out


def test_with_cifar10_at_hand_and_no_gpu_it_says_what_a_cpu_does_with_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.data.cifar10.find", lambda folders: tmp_path / "cifar")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(reproduce, "_train", lambda work, log: None)
    monkeypatch.setattr("repro.commands.report.write_report", lambda work: [])
    code, out, _ = command("reproduce")
    assert code == 0
    assert "`repro fig3 --profile pilot --ignore-shipped`" in out
    assert "`repro plan --profile pilot --ignore-shipped` estimates how long" in out
    assert "--profile pilot" not in command("reproduce", "--profile", "smoke")[1], "who names a profile knows"


def test_tests_see_nothing_of_the_working_tree_s_runs_results_and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test` passes after `make reproduce`, whatever that left."""
    monkeypatch.chdir(ROOT)
    work = Workspace(Options(profile="smoke"))
    for place in (work.out, work.store.ledger, work.store.runs_dir, *work.store.shipped, *work.folders):
        assert not place.is_relative_to(ROOT) and not place.exists()


def test_an_unknown_profile_is_refused_before_anything_else(command: Command) -> None:
    code, out, err = command("reproduce", "--profile", "tiny")
    assert code == 2 and "there are smoke, pilot, paper" in err and out == ""


# ---- without ImageNet --------------------------------------------------------------------------------------


def test_what_is_not_here_is_left_out_where_the_profile_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    works = {name: Workspace(Options(profile=name, data_dir=tmp_path)) for name in ("smoke", "pilot", "paper")}
    asked = {name: reproduce.left_out(work) for name, work in works.items()}
    assert asked == {"smoke": [], "pilot": [], "paper": ["imagenet"]}
    unasked = works["paper"].changed(without=["imagenet"])
    monkeypatch.setattr(index, "find", lambda folders: "prepared")
    assert reproduce.left_out(works["paper"]) == []
    assert reproduce.left_out(unasked) == ["imagenet"]


@pytest.mark.parametrize("arguments", [["table3"], ["table3", "--arch", "resnet50"]])
def test_training_leaves_it_out_and_says_so(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("REPRO_WITHOUT", "imagenet")
    code, out, err = command(*arguments, "--profile", "paper")
    assert code == 0, err
    (line,) = err.strip().splitlines()
    assert re.match(r"\d+ Runs are left out \(\$REPRO_WITHOUT\), on imagenet", line)
    if arguments == ["table3"]:
        assert out.count("not run (") == 21


def test_the_rest_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    places = {"runs_dir": tmp_path / "runs", "out": tmp_path / "out"}
    whole = Workspace(Options(profile="paper", **places), ["table4"])  # type: ignore[arg-type]
    monkeypatch.setenv("REPRO_WITHOUT", "imagenet")
    part = Workspace(Options(profile="paper", **places), ["table4"])  # type: ignore[arg-type]
    assert {run.arch for run in part.asked()} == {"resnet20"}
    assert {run.arch for run in part.left_out()} == set(recipe.IMAGENET_ARCHS)
    assert not whole.left_out()
    assert len(ancestors(part.asked())) + len(part.left_out()) == len(ancestors(whole.asked()))


@pytest.mark.parametrize("arguments", [["plan", "--no-calibrate"], ["table4", "--dry-run"]])
def test_it_is_not_planned_either(command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setenv("REPRO_WITHOUT", "imagenet")
    code, out, err = command(*arguments, "--profile", "paper")
    assert code == 0, err
    assert "resnet18" not in out and "resnet50" not in out


def test_an_unknown_name_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_WITHOUT", "imagnet")
    code, _, err = command("table3", "--profile", "smoke")
    assert code == 2
    assert "$REPRO_WITHOUT: unknown data set 'imagnet'; there are cifar10" in err


# ---- all of them ---------------------------------------------------------------------------------------------


def test_list_has_the_papers_ten_artifacts_and_then_our_own(command: Command) -> None:
    code, out, _ = command("list", "--profile", "pilot", "--json")
    assert code == 0
    found = {entry["artifact"]: entry for entry in json.loads(out)["artifacts"]}
    assert tuple(found) == (*artifacts.PAPER, "batch-probe") and len(artifacts.PAPER) == 10
    assert found["batch-probe"]["place"] == "not in the paper"
    assert found["table3"]["state"] == "not in this profile"
    assert found["fig1"]["runs"] > 0


def test_an_artifact_that_the_profile_does_not_ask_for_renders_and_says_so(
    command: Command, tmp_path: Path
) -> None:
    code, out, err = command("table3", "--profile", "smoke", *TINY)
    assert code == 0, err
    assert "no cells" in out
    (folder,) = (tmp_path / "out").iterdir()
    assert json.loads((folder / "table3.json").read_text())["cells"] == []
    assert (folder / "table3.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = command("diff", "table3", "--profile", "smoke", *(["--set", "table3={}"]))
    assert code == 0
    assert "table3: no cells" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fig1", "--arch", "resnet50"], "has no resnet50 in fig1; it has resnet20"),
        (["table2", "--arch", "resnet18"], "has no resnet18 in table2; it has resnet20, resnet56"),
        (["table3", "--arch", "resnet20"], "has no resnet20 in table3; it has resnet18, resnet50"),
        (["table4", "--arch", "resnet18", "--profile", "pilot"], "has no resnet18 in table4; it has resnet20"),
        (["batch-probe", "--arch", "resnet56"], "has no resnet56 in batch-probe; it has resnet20"),
        (["fig6", "--arch", "resnet50"], "has no resnet50 in fig6; it has resnet56, resnet18"),
    ],
)
def test_a_network_that_an_artifact_is_not_about_is_refused(
    command: Command, arguments: list[str], said: str
) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert said in err and err.strip().count("\n") == 0


def test_of_one_network_only_its_runs_are_asked_for_and_its_numbers_stay_comparable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("table3", "fig6", "table4"):
        work = Workspace(Options(profile="paper", arch="resnet18", runs_dir=tmp_path, out=tmp_path), [name])
        assert {run.arch for run in work.asked()} == {"resnet18"}
        assert work.settings.comparable and work.out.name == "paper"
