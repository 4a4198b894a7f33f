"""`import repro`: its functions, and docs/api.md, whose blocks run here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import repro
from repro.artifacts.fig1 import Grid
from repro.artifacts.table4 import iterative
from repro.engine.network import Network
from repro.errors import MissingInput, UsageError
from repro.experiments import Study
from repro.pruning import sparsity_of
from repro.record import Record
from repro.run import Run
from repro.store import Store

KEY = "8fc1f6b240817fbf"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, the current folder."""
    monkeypatch.setenv("REPRO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def smoke(home: Path, study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch) -> Study:
    """The smoke profile, on images with the fingerprint that the workspace will compute."""
    from repro.options import Options
    from repro.workspace import Workspace

    return Workspace(Options(profile="smoke")).study


def keep(folder: Path, run: Run, epoch: int, sparsity: float = 0.0) -> Network:
    """Keep a checkpoint of ``run`` in runs/ of ``folder``."""
    network = Network("resnet20", 0, torch.device("cpu"))
    if sparsity:
        network.prune(sparsity)
    Store(folder / "runs", folder / "none").save_checkpoint(run, epoch, network.checkpoint())
    return network


@pytest.mark.shipped
def test_every_block_of_the_page_runs_and_its_columns_are_all_there_are(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(Path(os.environ["REPRO_HOME"]) / "results", tmp_path / "results")  # the shipped ledgers
    monkeypatch.setenv("REPRO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/paper/checkpoints").mkdir()
    dense = next(run for run in repro.runs("fig1") if run["key"] == KEY)
    assert dense["experiment"] == "dense" and dense["seed"] == 0

    class Kept:  # as much of a Run as a store needs
        experiment, key = "dense-resnet20", KEY

    keep(tmp_path, Kept(), 100)  # type: ignore[arg-type]
    shutil.move(tmp_path / "runs/dense-resnet20" / KEY, tmp_path / "results/paper/checkpoints" / KEY)

    text = (root / "docs/api.md").read_text()
    scope: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "docs/api.md", "exec"), scope)
    assert 0 < scope["distance"][10, 12] < scope["distance"][10, 20] < 1
    assert scope["loss"][20] < scope["loss"][1]
    assert capsys.readouterr().out.startswith("0.8000 ")
    assert scope["moved"] == pytest.approx(0.1, abs=1e-5) and scope["steps"] == pytest.approx([0, 0.7, 0.8])
    columns = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, re.MULTILINE)))
    assert set(columns) == set(scope["dense"])


def test_the_public_names_resolve_and_the_import_is_light() -> None:
    assert set(repro.__all__) <= set(dir(repro))
    assert all(callable(getattr(repro, name)) for name in repro.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'prune'"):
        repro.prune  # type: ignore[attr-defined]  # noqa: B018
    heavy = "import sys, repro; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'yaml')))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0


def test_runs_have_the_coordinates_of_their_figures(
    home: Path, smoke: Study, record_of: Callable[..., Record]
) -> None:
    grid = smoke.block("fig1", Grid)
    s, v = grid.s[-1], grid.v[0]
    dense, ticket = smoke.dense(grid.arch, 0), smoke.ticket(grid.arch, 0, s, v)
    gradual, other = smoke.gradual(grid.arch, 0, 1, 2), smoke.ppr(grid.arch, 0, 1, 0.01)
    third = iterative(smoke, grid.arch, 0, 3)
    every = [dense, ticket, gradual.parents[0].run, gradual, other, iterative(smoke, grid.arch, 0, 2), third]
    Store(home / "runs", home / "results/smoke/runs.jsonl").add([record_of(run) for run in every])
    rows = {row["key"]: row for row in repro.runs(profile="smoke")}
    assert set(rows) == {run.key for run in every}
    assert (rows[ticket.key]["s"], rows[ticket.key]["v"], rows[ticket.key]["sparsity"]) == (s, v, 0.8)
    assert rows[gradual.key]["window"] == rows[gradual.parents[0].run.key]["window"] == "1-2"
    assert (rows[gradual.key]["s"], rows[gradual.key]["sparsity"]) == (None, pytest.approx(0.8))
    assert rows[third.key]["rounds"] == 2 and rows[other.key]["rate"] == 0.01
    assert rows[dense.key]["sparsity"] == 0 and "curve" not in rows[dense.key]
    assert {row["key"] for row in repro.runs("fig1", "smoke")} == {dense.key, ticket.key}


def test_a_checkpoint_is_found_by_the_coordinates_of_its_run(home: Path, smoke: Study) -> None:
    grid = smoke.block("fig1", Grid)
    s, v, last = grid.s[-1], grid.v[0], smoke.schedule
    keep(home, smoke.dense(grid.arch, 0), last)
    network = keep(home, smoke.ticket(grid.arch, 0, s, v), last, 0.8)
    model, masks = repro.checkpoint("fig1", profile="smoke", s=s, v=v)
    assert masks is not None and sparsity_of(masks) == pytest.approx(0.8, abs=1e-5)
    assert torch.equal(model.get_parameter("conv.weight"), network.model.get_parameter("conv.weight"))
    # The dense Run is none of Fig. 4's own: they start from it.
    assert repro.checkpoint("fig4", profile="smoke", experiment="dense", epoch=last)[1] is None
    with pytest.raises(MissingInput, match=r"at epoch 1 .* it has epochs"):
        repro.checkpoint("fig1", profile="smoke", s=s, v=v, epoch=1)


def test_an_artifact_without_runs_in_a_profile_has_no_checkpoint(home: Path) -> None:
    with pytest.raises(UsageError, match="s=1: no such Run; s is one of none"):
        repro.checkpoint("batch-probe", profile="pilot", s=1)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"s": 3}, r"s=3: no such Run; s is one of \d"),
        (
            {"structure": 3},
            "'structure' is no coordinate of a Run; there are experiment, arch, seed, s, v, window",
        ),
        ({"experiment": "tickets"}, r"\d Runs match: tickets resnet20 s="),
    ],
)
def test_coordinates_that_single_out_no_run_are_refused(home: Path, where: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        repro.checkpoint("fig1", profile="smoke", **where)
