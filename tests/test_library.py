"""docs/library.md does what it says."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.experiments import Study
from repro.record import Record
from repro.store import Store

KEY = "138f3bffc4e35bea"


def test_its_snippets_run_and_its_columns_are_all_there_are(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    study: Callable[..., Study],
    record_of: Callable[..., Record],
) -> None:
    text = (root / "docs" / "library.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == 4

    # A checkout with results of its own: a ticket in the pilot's ledger, and the Run whose key the page names.
    monkeypatch.setenv("REPRO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pilot = study("pilot")
    ledger = Store(tmp_path / "runs", tmp_path / "results" / "pilot" / "runs.jsonl")
    (tmp_path / "results" / "paper" / "checkpoints").mkdir(parents=True)
    ledger.add([record_of(pilot.ticket("resnet20", 0, 10, 5), top1=80.5)])
    _keep(tmp_path / "results" / "paper" / "checkpoints" / KEY)

    scope: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, "docs/library.md", "exec"), scope)
    assert scope["top1"] == {(10, 5): 80.5}
    assert capsys.readouterr().out.startswith("0.8000 ")
    columns = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))))
    assert columns == {field.name for field in dataclasses.fields(Record)}


def _keep(folder: Path) -> None:
    """A checkpoint of ResNet20 at epoch 200, as a results folder ships it."""
    import torch

    from repro.engine.network import Network

    class Kept:
        experiment, key = "dense-resnet20", KEY

    store = Store(folder.parent / "trained", folder.parent / "none")
    store.save_checkpoint(Kept(), 200, Network("resnet20", 0, torch.device("cpu")).checkpoint())  # type: ignore[arg-type]
    shutil.move(store.runs_dir / Kept.experiment / KEY, folder)
