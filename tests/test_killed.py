"""A process killed at any moment loses at most the current epoch, and ends where an undisturbed one ends, in waves
of whatever size it goes on."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FEW = ("fig1.s=[1,2]", "fig1.v=[0,1,2]", "data.train=64", "data.test=32", "recipe.batch_size=32")
MANY = ("fig1.s=[1,2,4]", "fig1.v=[0,1,2,4]")


def start(folder: Path, changes: Sequence[str], wave: int = 1) -> subprocess.Popen[bytes]:
    """``repro fig1 --profile smoke`` with ``changes``, ``wave`` Runs at a time, writing to ``folder`` only."""
    places = ["--runs-dir", str(folder / "runs"), "--out", str(folder / "out"), "--ignore-shipped"]
    command = [sys.executable, "-m", "repro", "fig1", "--profile", "smoke", "--device", "cpu", *places]
    command += ["--strategy", "eager", "--wave", str(wave), *(w for change in changes for w in ("--set", change))]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def outcome(folder: Path) -> tuple[dict[str, object], dict[str, str]]:
    """Every Run's accuracies and curve by key, and every kept checkpoint's SHA-256 by its place."""
    (ledger,) = (folder / "out").glob("smoke*/runs.jsonl")
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    parts = ("status", "top1", "best_top1", "train_top1", "curve", "start", "probe", "checkpoints")
    checkpoints = sorted((folder / "runs").glob("*/*/epoch-*.safetensors"))
    return (
        {record["key"]: [record[part] for part in parts] for record in records},
        {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in checkpoints},
    )


@pytest.mark.parametrize(
    ("kills", "changes", "runs"),
    [(4, FEW, 7), pytest.param(10, MANY, 13, marks=pytest.mark.slow)],
    ids=["4", "10"],
)
def test_kills_change_nothing(tmp_path: Path, kills: int, changes: Sequence[str], runs: int) -> None:
    assert start(tmp_path / "whole", changes).wait() == 0
    moments = random.Random(20260101)
    killed = 0
    while killed < kills:
        process = start(tmp_path / "killed", changes, 1 + killed % 4)
        # The states that are written tell when it trains; from there on, any moment.
        seen, deadline = states(tmp_path / "killed"), time.monotonic() + 120
        while states(tmp_path / "killed") == seen and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.2))
        assert process.poll() is None, f"it ended after {killed} kills: too soon to tell"
        process.kill()
        process.wait()
        killed += 1
    assert start(tmp_path / "killed", changes).wait() == 0
    whole, parts = outcome(tmp_path / "whole"), outcome(tmp_path / "killed")
    assert whole[0] == parts[0]
    assert whole[1] == parts[1]
    assert len(whole[0]) == runs and len(whole[1]) == 5  # fig1's Runs; dense at 0 to 4
    left = list((tmp_path / "killed").rglob("*.tmp"))
    assert len(left) <= kills  # a kill may leave the file it was writing, never a half file in its place


def states(folder: Path) -> set[str]:
    """Names of all files of the store so far."""
    return {path.name for path in folder.glob("runs/*/*/*.safetensors")}
