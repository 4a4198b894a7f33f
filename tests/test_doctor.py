"""`repro doctor`: what stands in the way of the profile asked for, by its state and by the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from repro import estimate
from repro.commands import doctor
from repro.data import cifar10
from repro.engine.speeds import Choice
from repro.errors import MissingInput
from repro.estimate import Pace
from repro.report import terminal

Command = Callable[..., tuple[int, str, str]]
States = dict[str, tuple[str, str]]


@pytest.fixture
def checked(command: Command, tmp_path: Path) -> Callable[..., tuple[int, States]]:
    """``checked("--profile", "paper")``: exit code, and state and finding of every check (of speeds the last)."""

    def run(*arguments: str) -> tuple[int, States]:
        code, out, _ = command("doctor", "--data-dir", str(tmp_path), *arguments, "--json")
        return code, {check["what"]: (check["state"], check["finding"]) for check in json.loads(out)}

    return run


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CIFAR-10 as if it were there."""
    monkeypatch.setattr(cifar10, "find", lambda folders: tmp_path)
    images = SimpleNamespace(labels=[])
    official = SimpleNamespace(fingerprint=cifar10.OFFICIAL_FINGERPRINT, train=images, test=images)
    monkeypatch.setattr(cifar10, "load", lambda place: official)


def test_a_profile_whose_images_are_missing_is_a_problem_with_what_mends_it(
    checked: Callable[..., tuple[int, States]], command: Command, tmp_path: Path
) -> None:
    code, states = checked("--profile", "paper")
    assert code == 3
    assert states["data"][0] == states["imagenet"][0] == "problem"
    assert "run `repro data prepare` to download it" in states["data"][1]
    assert "pass --data-dir DIR" in states["imagenet"][1] and "REPRO_WITHOUT=imagenet" in states["imagenet"][1]
    _, out, _ = command("doctor", "--profile", "paper", "--data-dir", str(tmp_path))
    assert out.splitlines()[-1].startswith("2 problems")


def test_where_nothing_is_asked_of_them_missing_images_are_noted(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("doctor", "--profile", "smoke", "--data-dir", str(tmp_path))
    assert code == 0 and out.splitlines()[-1] == "no problems found"
    assert "note     data" in out and "note     imagenet" in out


def test_what_is_left_out_is_no_problem(
    checked: Callable[..., tuple[int, States]], cifar: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_WITHOUT", "imagenet")
    code, states = checked("--profile", "paper")
    assert code == 0 and states["imagenet"][0] == "note" and states["data"][0] == "ok"
    assert " MB of checkpoints to come" in states["disk"][1], "ImageNet's would be GB"


def test_an_estimate_of_months_is_a_warning(
    checked: Callable[..., tuple[int, States]], cifar: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_WITHOUT", "imagenet")
    pace = Pace(Choice({"eager": {1: 30.0}}), "eager, one Run at a time")
    monkeypatch.setattr(estimate, "ago", lambda date: "2 h ago")
    slow = {arch: pace for arch in ("resnet20", "resnet56")}
    monkeypatch.setattr(estimate, "paces", lambda *_: slow)
    code, states = checked("--profile", "paper")
    assert code == 0 and states["time"][0] == "warning" and "days of training left" in states["time"][1]
    assert "calibrated 2 h ago); `repro plan --calibrate` measures it again" in states["speed"][1]


def test_a_cpu_that_was_not_timed_is_warned_of_much_work(
    checked: Callable[..., tuple[int, States]], cifar: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    _, states = checked("--profile", "paper")
    assert (
        states["time"][0] == "warning" and "`repro plan --profile paper` estimates how long" in states["time"][1]
    )


def test_damaged_images_are_one_check_of_many(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(b"half")
    code, out, _ = command("doctor", "--profile", "smoke", "--data-dir", str(tmp_path))
    assert code == 3 and "4 bytes instead of 30,730,000" in out and "ledger" in out


def test_folders_are_tried_before_anything_is_trained_and_left_as_they_were(
    checked: Callable[..., tuple[int, States]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, states = checked("--profile", "smoke")
    assert code == 0 and states["runs"][0] == states["results"][0] == "ok"
    assert not list(tmp_path.iterdir())

    def refuse(*_: object) -> bool:
        raise MissingInput("this mount has no locks")

    monkeypatch.setattr("repro.files._flock", refuse)
    code, states = checked("--profile", "smoke")
    assert code == 3 and states["runs"][0] == "problem" and "no locks" in states["runs"][1]


def test_a_uid_without_a_name_and_a_cache_that_cannot_be_written_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    (tmp_path / "file").touch()
    monkeypatch.setattr(doctor.pwd, "getpwuid", unknown)
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = {what: (state, finding) for what, state, finding in doctor._account()}
    assert found["user"][0] == "note" and "'somebody' is used instead" in found["user"][1]
    assert found["compiler"][0] == "note" and "set TORCHINDUCTOR_CACHE_DIR" in found["compiler"][1]


@pytest.mark.parametrize("columns", [60, 80])
def test_findings_wrap_at_words_on_a_narrow_terminal(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr(terminal, "console", lambda stderr=False: Console(width=columns))
    _, out, _ = command("doctor", "--profile", "paper", "--data-dir", str(tmp_path))
    said = " ".join(out.split())
    assert "run `repro data prepare` to download it" in said and "…" not in out
    assert all(len(line) <= columns for line in out.splitlines())
    assert "problem  data" in out and "problem  imagenet" in out
