"""`repro runs list` and `repro runs show`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import TINY

from repro import files
from repro.options import Options
from repro.record import DIVERGED, Record
from repro.run import Run
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

Command = Callable[..., tuple[int, str, str]]
Record_of = Callable[..., Record]
WORDS = ("--profile", "smoke", *(word for word in TINY))
SHA = "0123456789abcdef"


@pytest.fixture
def runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_of: Record_of) -> list[Run]:
    """The tiny Fig. 1: its dense Run finished, a ticket diverged, one begun, others missing; and a finished Run
    of a seed that nothing asks for."""
    monkeypatch.chdir(root)
    options = Options(profile="smoke", overrides=TINY[1::2], out=tmp_path / "out", runs_dir=tmp_path / "runs")
    work = Workspace(options, ["fig1"])
    runs = sorted(work.asked(), key=lambda run: run.mask is not None)
    provenance = {"seed": 0, "device": "an abacus", "ended": "today"}
    dense = record_of(runs[0], provenance=provenance, top1=91.239)
    other = record_of(replace(runs[0], seed=7), provenance=provenance | {"seed": 7})
    work.store.add([dense, record_of(runs[1], status=DIVERGED, top1=None, provenance=provenance), other])
    files.write_bytes(work.store.folder(runs[2]) / f"state-e0001-{SHA}.safetensors", b"")
    for epoch in (2, 0):
        files.write_bytes(work.store.folder(runs[0]) / f"epoch-{epoch:04d}-{SHA}.safetensors", b"")
    return runs


def listed(command: Command, *words: str) -> dict[str, dict[str, object]]:
    code, out, err = command("runs", "list", *WORDS, *words, "--json")
    assert code == 0, err
    return {entry["key"]: entry for entry in json.loads(out)["runs"]}


def test_a_run_that_stopped_within_its_first_epoch_is_begun(
    command: Command, runs: list[Run], tmp_path: Path
) -> None:
    missing = runs[3]
    place = tmp_path / "runs" / missing.experiment / missing.key
    files.write_bytes(place / f"state-e{missing.first_epoch:04d}.000345-{SHA}.safetensors", b"")
    entry = listed(command)[missing.key]
    assert (entry["state"], entry["epochs_done"]) == ("begun", 0)


def test_every_run_is_listed_with_its_state(command: Command, runs: list[Run]) -> None:
    found = listed(command)
    assert [found[run.key]["state"] for run in runs[:4]] == ["done", "diverged", "begun", "missing"]
    assert found[runs[0].key]["top1"] == 91.239 and found[runs[2].key]["epochs_done"] == 1
    assert "dense resnet20 seed 7" in [entry["label"] for entry in found.values()]
    out = command("runs", "list", *WORDS)[1]
    assert f"{runs[0].key}  dense resnet20 seed 0" in out and "91.24" in out and "begun, 1 of 2 epochs" in out


def test_runs_are_listed_by_artifact_and_by_state(command: Command, runs: list[Run]) -> None:
    assert set(listed(command, "--artifact", "fig1")) == {run.key for run in runs}
    assert set(listed(command, "--artifact", "fig1", "--state", "diverged")) == {runs[1].key}
    code, _, err = command("runs", "list", "--state", "over")
    assert code == 2 and "there are done, diverged, begun, missing" in err


def test_a_run_is_shown_by_how_its_key_begins(command: Command, runs: list[Run], tmp_path: Path) -> None:
    dense, ticket = runs[0], runs[1]
    code, out, err = command("runs", "show", dense.key[:9], *WORDS)
    assert code == 0, err
    last = tmp_path / "runs" / "dense-resnet20" / dense.key / f"epoch-0002-{SHA}.safetensors"
    for said in (
        "top-1        91.24 %", "on an abacus", f"epoch 2: {last}", f"load_checkpoint('{last}')",
        "asked by     fig1, ", "weights      fresh", "epochs 0 to 2 of 2",
    ):  # fmt: skip
        assert said in out, said
    assert "not kept" not in out
    told = json.loads(command("runs", "show", ticket.key, *WORDS, "--json")[1])
    assert told["state"] == "diverged" and told["spec"]["mask"]["sparsity"] == 0.8 and told["checkpoints"] == {}
    out = command("runs", "show", ticket.key, *WORDS)[1]
    assert f"mask         of Run {dense.key} after epoch" in out and "global magnitude pruning at 80%" in out


def test_a_key_of_no_run_or_of_several_is_one_clear_line(command: Command, runs: list[Run]) -> None:
    ((shared, _),) = Counter(key[0] for key in listed(command)).most_common(1)
    for key, said in (("xyz", "begins with 'xyz'"), (shared, "begins the keys of ")):
        code, _, err = command("runs", "show", key, *WORDS)
        assert code == 2 and said in err and err.count("\n") == 1
