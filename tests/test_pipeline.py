"""`repro reproduce`, and what is left out where ImageNet is not there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import TINY

from repro import artifacts, params, pipeline
from repro.data.photos import index
from repro.options import Options
from repro.run import ancestors
from repro.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
Command = Callable[..., tuple[int, str, str]]


# ---- without ImageNet --------------------------------------------------------------------------------------


def test_what_is_not_here_is_left_out_where_the_profile_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {
        name: pipeline.left_out(params.settings(ROOT / "params.yaml", name).profile, [tmp_path])
        for name in ("smoke", "pilot", "paper")
    }
    assert asked == {"smoke": [], "pilot": [], "paper": ["imagenet"]}
    monkeypatch.setattr(index, "find", lambda folders: "prepared")
    assert pipeline.left_out(params.settings(ROOT / "params.yaml", "paper").profile, [tmp_path]) == []


@pytest.mark.parametrize("arguments", [["table3"], ["train", "gradual", "--arch", "resnet50"]])
def test_training_leaves_it_out_and_says_so(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("REPRO_WITHOUT", "imagenet")
    code, out, err = command(*arguments, "--profile", "paper")
    assert code == 0, err
    (line,) = err.strip().splitlines()
    assert re.match(r"\d+ Runs on imagenet are left out \(\$REPRO_WITHOUT\)", line)
    if arguments == ["table3"]:
        assert out.count("not run (") == 21


def test_the_rest_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    places = {"runs_dir": tmp_path / "runs", "out": tmp_path / "out"}
    whole = Workspace(Options(profile="paper", **places), ["table4"])  # type: ignore[arg-type]
    monkeypatch.setenv("REPRO_WITHOUT", "imagenet")
    part = Workspace(Options(profile="paper", **places), ["table4"])  # type: ignore[arg-type]
    assert {run.arch for run in part.asked()} == {"resnet20"}
    assert {run.arch for run in part.left_out()} == set(params.IMAGENET_ARCHS)
    assert not whole.left_out()
    assert len(ancestors(part.asked())) + len(part.left_out()) == len(ancestors(whole.asked()))


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
        (["fig1", "--arch", "resnet50"], "fig1 is about CIFAR-10; there are resnet20, resnet56"),
        (["table2", "--arch", "resnet18"], "has no resnet18 in table2; it has resnet20, resnet56"),
        (["table3", "--arch", "resnet20"], "has no resnet20 in table3; it has resnet18, resnet50"),
        (["table4", "--arch", "resnet18", "--profile", "pilot"], "has no resnet18 in table4; it has none"),
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
