"""Artifacts from what is finished, where nothing is to be trained (`--no-train`), or can be for want of images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import TINY

from repro.engine import session
from repro.options import Options
from repro.record import Record
from repro.run import ancestors
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

Command = Callable[..., tuple[int, str, str]]
RecordOf = Callable[..., Record]
NOTE = "not finished, their cells stay 'not run'"


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of the pilot profile in a project that ships no results and has no images; training is an error."""
    shutil.copy(root / "params.yaml", tmp_path)
    monkeypatch.delenv("REPRO_DATA", raising=False)
    monkeypatch.setattr(session.Session, "execute", lambda *a: pytest.fail("something was trained"))
    return ["--profile", "pilot", "--params", str(tmp_path / "params.yaml")]


def finish_one(tmp_path: Path, record_of: RecordOf) -> int:
    """The dense network of the pilot's Fig. 1 is finished, its checkpoints are not here; returns how many Runs are
    not."""
    places = {"runs_dir": tmp_path / "runs", "out": tmp_path / "out", "params_file": tmp_path / "params.yaml"}
    work = Workspace(Options(profile="pilot", **places), ["fig1"])  # type: ignore[arg-type]
    runs = ancestors(work.asked())
    about = {"device": "none", "seed": 0, "wall_s": 1.0, "ended": "2026-01-01"}
    work.store.add([record_of(run, provenance=about) for run in runs if not run.parents])
    return sum(bool(run.parents) for run in runs)


def verdicts(tmp_path: Path, folder: str = "pilot") -> set[str]:
    document = json.loads((tmp_path / "out" / folder / "fig1.json").read_text())
    return {cell["verdict"] for cell in document["cells"]}


def state_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_without_images_what_is_finished_is_shown(
    command: Command, tmp_path: Path, record_of: RecordOf, project: list[str]
) -> None:
    left = finish_one(tmp_path, record_of)
    ledger = (tmp_path / "out" / "pilot" / "runs.jsonl").read_bytes()
    code, out, err = command("fig1", *project)
    assert code == 0
    assert f"{left} Runs are {NOTE}" in " ".join(err.split())
    assert "data prepare" in err
    assert "written:" in out and NOTE not in out
    assert "not run" in verdicts(tmp_path) and len(verdicts(tmp_path)) > 1
    assert (tmp_path / "out" / "pilot" / "runs.jsonl").read_bytes() == ledger
    assert not (tmp_path / "runs").exists()


def test_a_data_folder_that_is_named_has_to_hold_the_images(
    command: Command, tmp_path: Path, record_of: RecordOf, project: list[str]
) -> None:
    finish_one(tmp_path, record_of)
    before = state_of(tmp_path / "out")
    code, out, err = command("fig1", *project, "--data-dir", str(tmp_path / "nothing"))
    assert (code, out) == (3, "")
    assert NOTE not in err
    assert state_of(tmp_path / "out") == before


def test_where_nothing_is_finished_images_are_asked_for(command: Command, project: list[str]) -> None:
    code, _, err = command("fig1", *project)
    assert code == 3
    assert NOTE not in err and "data prepare" in err


def test_where_all_is_finished_there_is_no_note(
    command: Command, tmp_path: Path, root: Path, project: list[str]
) -> None:
    (tmp_path / "out" / "pilot").mkdir(parents=True)
    shutil.copy(root / "results" / "pilot" / "runs.jsonl", tmp_path / "out" / "pilot")
    code, _, err = command("fig1", *project)
    assert (code, err) == (0, "")
    assert "not run" not in verdicts(tmp_path)


def test_no_train_shows_what_is_finished_wherever_images_are(
    command: Command, tmp_path: Path, record_of: RecordOf, project: list[str]
) -> None:
    """It was asked for, so there is nothing to say about it."""
    finish_one(tmp_path, record_of)
    code, out, err = command("fig1", *project, "--no-train")
    assert (code, err) == (0, "")
    assert "written:" in out
    assert "not run" in verdicts(tmp_path)
    assert not (tmp_path / "runs").exists()


def test_no_train_trains_nothing_where_it_could(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Session, "execute", lambda *a: pytest.fail("something was trained"))
    code, out, err = command("fig1", "--profile", "smoke", *TINY, "--no-train", "--json")
    assert (code, err) == (0, "")
    assert {cell["verdict"] for cell in json.loads(out)["cells"]} == {"not run"}
    assert not (tmp_path / "runs").exists()
