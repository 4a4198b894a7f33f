"""Commands that only read: they leave nothing behind, and need no folder that can be written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Strangers

from repro.cli.app import main
from repro.commands import train
from repro.errors import MissingInput
from repro.options import Options
from repro.record import Record
from repro.run import ancestors
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

Command = Callable[..., tuple[int, str, str]]
RecordOf = Callable[..., Record]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--profile", "smoke"],
        ["claims", "--profile", "smoke"],
        ["claims", "--profile", "smoke", "--json"],
        ["diff", "fig1", "--profile", "smoke"],
        ["diff", "fig3", "--profiles", "paper,paper-128"],
        ["plan", "fig1", "--profile", "smoke", "--no-calibrate"],
        ["fig1", "--profile", "smoke", "--dry-run"],
    ],
    ids=" ".join,
)
def test_a_command_that_only_reads_writes_nothing(command: Command, tmp_path: Path, arguments: list[str]) -> None:
    _, out, _ = command(*arguments)
    assert out
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_machine_leaves_no_folder(command: Command, tmp_path: Path) -> None:
    assert json.loads(command("doctor", "--profile", "smoke", "--json")[1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["fig1", "--arch", "resnet56"], ["table2", "--arch", "resnet20"]])
def test_a_command_that_is_refused_leaves_no_folder(
    command: Command, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For want of room on the disk; before it, a results folder was made for the changed profile."""
    monkeypatch.setattr(train, "check_room", refuse)
    code, _, err = command(*arguments, "--profile", "smoke")
    assert (code, err) == (3, "repro: no room\n")
    assert not (tmp_path / "out").exists()


def refuse(*_: object) -> None:
    raise MissingInput("no room")


# ---- results folders of somebody else's


@pytest.fixture
def finished(strangers: Strangers, monkeypatch: pytest.MonkeyPatch, record_of: RecordOf) -> list[str]:
    """All Runs of Fig. 3 are finished, in folders that may be read and not written; the options that say so."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("repro.workspace.shipped_results", lambda root: strangers.folder / "nothing")
    places = {"runs_dir": strangers.folder / "runs", "out": strangers.folder / "out"}
    work = Workspace(Options(profile="smoke", **places), ["fig3"])  # type: ignore[arg-type]
    work.store.add([record_of(run, start={"mask_distance": 0.5}) for run in ancestors(work.asked())])
    places["runs_dir"].mkdir()
    return ["--profile", "smoke", "--runs-dir", str(places["runs_dir"]), "--out", str(places["out"])]


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    captured = capsys.readouterr()
    return (ended.value.code if isinstance(ended.value.code, int) else 0), captured.out, captured.err


@pytest.mark.parametrize("more", [[], ["--no-train"], ["--json"]])
def test_what_is_finished_is_shown_where_nothing_can_be_written(
    finished: list[str], strangers: Strangers, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    called(capsys, "list", *finished)  # imports what another user may not be able to
    called(capsys, "fig3", *finished, "--dry-run")
    before = sorted(strangers.folder.rglob("*"))
    strangers.seal()
    with strangers.acting():
        code, out, err = called(capsys, "fig3", *finished, *more)
    assert code == 0, err
    assert "0.5" in out and "written:" not in out
    assert err == (
        f"nothing was written: {strangers.folder / 'out' / 'smoke'} cannot be written (Permission denied): choose "
        "another folder\n"
    )
    assert sorted(strangers.folder.rglob("*")) == before


def test_what_is_not_finished_is_refused_where_nothing_can_be_written(
    finished: list[str], strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    called(capsys, "list", *finished)
    called(capsys, "fig1", *finished, "--dry-run")
    strangers.seal()
    with strangers.acting():
        code, out, err = called(capsys, "fig1", *finished)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "cannot be written (Permission denied)" in err


def test_a_ledger_that_may_not_be_read_is_one_line(
    finished: list[str], strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    called(capsys, "list", *finished)
    (strangers.folder / "out" / "smoke" / "runs.jsonl").chmod(0o600 if os.geteuid() == 0 else 0)
    with strangers.acting():
        code, _, err = called(capsys, "list", *finished)
    assert (code, err.count("\n")) == (3, 1)
    assert "runs.jsonl cannot be read: Permission denied" in err


def test_a_name_that_is_too_long_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = called(capsys, "data", "status", "--data-dir", f"/tmp/{300 * 'x'}")
    assert (code, err.strip().count("\n")) == (3, 0)
    assert "File name too long" in err
