"""Cost before commitment: what other ways to run ImageNet's half would cost, as `repro plan` says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro import estimate
from repro.cli.app import main
from repro.commands.plan import alternatives
from repro.engine.speeds import Choice
from repro.estimate import Pace
from repro.options import Options
from repro.plan import SLACK, cost
from repro.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workspace]:
    monkeypatch.chdir(ROOT)

    def make(*names: str, **options: object) -> Workspace:
        given = Options(runs_dir=tmp_path / "runs", out=tmp_path / "out", **{"profile": "paper"} | options)  # type: ignore[arg-type]
        return Workspace(given, list(names))

    return make


def by_name(work: Workspace) -> dict[str, dict[str, Any]]:
    return {other["what"]: other for other in alternatives(work, work.plan(), {})}


def test_table_3_by_hand(work: Callable[..., Workspace]) -> None:
    """A dense network and seven windows each (30 epochs and 90 of retraining); ResNet18 has seven tickets, too."""
    found = by_name(work("table3"))
    windows, dense = 7 * (30 + 90), 90
    assert found["--arch resnet50"]["epochs"] == dense + windows
    assert found["--arch resnet18"]["epochs"] == dense + windows + 7 * 90
    assert found["as asked"]["epochs"] == 2 * (dense + windows) + 7 * 90
    assert found["one window only"]["epochs"] == 2 * (90 + 30 + 90)
    assert all(0 < other["disk_bytes"] <= found["as asked"]["disk_bytes"] for other in found.values())


def test_the_options_that_are_told_cost_what_is_told(work: Callable[..., Workspace]) -> None:
    """As a user would pass them."""
    asked = work("table3")
    for other in alternatives(asked, asked.plan(), {}):
        changes = [word for word in other["options"] if "=" in word]
        arch = other["options"][1] if other["options"][:1] == ["--arch"] else None
        price = cost(work("table3", overrides=changes, arch=arch).plan().missing)
        assert (price.runs, price.epochs, price.images) == (other["runs"], other["epochs"], other["images"])


def test_iterative_pruning_has_its_price_and_is_trained_only_if_asked_for(work: Callable[..., Workspace]) -> None:
    found = by_name(work("table4"))
    more = found["--with-iterative"]
    assert more["runs"] - found["as asked"]["runs"] == 7  # the first of the eight trainings is the dense one
    assert more["epochs"] - found["as asked"]["epochs"] == 7 * 90
    asked = {run.experiment for run in work("table4").asked()}
    asked_with = {run.experiment for run in work("table4", with_iterative=True).asked()}
    assert asked_with - asked == {"iterative-resnet50"}
    assert "--with-iterative" not in by_name(work("table4", with_iterative=True))
    assert "--with-iterative" not in by_name(work("table3"))


def test_the_dense_epoch_that_iterative_pruning_rewinds_to_is_kept_in_any_case(
    work: Callable[..., Workspace],
) -> None:
    """Or the option would train ResNet50's 90 dense epochs again."""
    plain = work("table3")
    assert 5 in plain.plan().keep[plain.study.dense("resnet50", 0).key]


def test_of_one_network_its_own_alternatives(work: Callable[..., Workspace]) -> None:
    found = by_name(work("table3", arch="resnet50"))
    assert list(found) == ["as asked", "one window only"]
    assert found["one window only"]["epochs"] == 90 + 30 + 90
    assert not any("resnet18" in option for option in found["one window only"]["options"])


def test_cifar10_has_none(work: Callable[..., Workspace]) -> None:
    assert by_name(work("fig1", "table2")) == {}
    assert by_name(work("fig6", arch="resnet56")) == {}
    assert by_name(work("table3", profile="pilot")) == {}


def test_plan_tells_them(command: Command) -> None:
    code, out, err = command("plan", "table3", "--profile", "paper", "--no-calibrate")
    assert code == 0, err
    for word in ("--arch resnet18", "--arch resnet50", "one window only", "not calibrated"):
        assert word in out
    (line,) = [line for line in out.splitlines() if line.startswith("one window only: --set")]
    assert "'table3.resnet50={one_shot: [], windows: [[40, 70]]}'" in line
    code, out, _ = command("plan", "table4", "--profile", "paper", "--no-calibrate", "--json")
    told = json.loads(out)
    assert told["gpu_hours_left"] is None
    assert {other["what"] for other in told["alternatives"]} >= {"as asked", "--with-iterative"}
    assert told["alternatives"][0]["epochs"] == told["epochs_left"]


def test_time_and_gpu_hours_follow_from_the_measured_speeds(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = {"resnet18": 2000.0, "resnet50": 1000.0}
    paces = {arch: Pace(Choice({"eager": {1: speed}}), cuda=True) for arch, speed in speeds.items()}
    monkeypatch.setattr(estimate, "paces", lambda *given, **how: paces)
    _, out, _ = command("plan", "table3", "--profile", "paper", "--json")
    told = json.loads(out)
    images = {other["what"]: other["images"] for other in told["alternatives"]}
    expected = SLACK * (images["--arch resnet18"] / 2000 + images["--arch resnet50"] / 1000)
    assert told["seconds_left"] == pytest.approx(expected)
    assert told["gpu_hours_left"] == pytest.approx(expected / 3600)
    (only18,) = [other for other in told["alternatives"] if other["what"] == "--arch resnet18"]
    assert only18["seconds"] == pytest.approx(SLACK * images["--arch resnet18"] / 2000)
    _, out, _ = command("plan", "table3", "--profile", "paper")
    assert f"({expected / 3600:,.1f} GPU-hours)" in out


def test_only_table_4_plan_and_train_take_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    for name, takes in (("table4", True), ("plan", True), ("reproduce", True), ("table3", False), ("fig1", False)):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert ("--with-iterative" in capsys.readouterr().out) is takes
