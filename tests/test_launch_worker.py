"""`repro runs train KEY`: one Run, under its own lock, into its own folder."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY

from repro import files
from repro.commands.runs import by_key
from repro.errors import BudgetSpent, MissingInput, RunFailed, UsageError
from repro.options import Options
from repro.record import DIVERGED, Record
from repro.run import Run
from repro.store import Store
from repro.workspace import Workspace

Command = Callable[..., tuple[int, str, str]]
Record_of = Callable[..., Record]
WORDS = ("--profile", "smoke", "--device", "cpu", *TINY)


@pytest.fixture
def runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The tiny Fig. 1: a dense network and its tickets."""
    monkeypatch.chdir(root)
    work = Workspace(Options(profile="smoke", overrides=TINY[1::2]), ["fig1"])
    return sorted(work.asked(), key=lambda run: run.mask is not None)


@pytest.fixture
def here(tmp_path: Path) -> Store:
    """The store that `command` uses."""
    return Store(tmp_path / "runs", tmp_path / "out" / "none" / "runs.jsonl")


def finished(store: Store, record: Record, run: Run) -> None:
    files.write_text(store.folder(run) / "result.json", record.line() + "\n")


def test_a_key_is_found_by_its_beginning(runs: list[Run]) -> None:
    for run in runs:
        assert by_key(runs, run.key, "smoke") is by_key(runs, run.key[:8], "smoke") is run
    with pytest.raises(UsageError, match=r"no Run of profile smoke has a key that begins with 'xyz'"):
        by_key(runs, "xyz", "smoke")
    with pytest.raises(UsageError, match=f"'' begins the keys of {len(runs)} Runs: {runs[0].key}"):
        by_key(runs, "", "smoke")


def test_a_run_writes_its_folder_and_leaves_the_ledger_alone(
    runs: list[Run], command: Command, here: Store, tmp_path: Path
) -> None:
    dense = runs[0]
    code, out, err = command("runs", "train", dense.key[:10], *WORDS)
    assert (code, out) == (0, ""), err
    assert re.findall(r"epoch (\d)/2, ", err) == ["1", "2"]  # a line each, for a log
    record = here.record(dense)
    assert record and record.status == "done"
    assert all(here.checkpoint(dense, epoch) for epoch in (0, 1, 2))  # what any artifact needs
    assert not list(here.folder(dense).glob("state-*")) and not list(tmp_path.glob("out/*/runs.jsonl"))
    before = here.folder(dense).joinpath("result.json").stat().st_mtime_ns
    code, _, err = command("runs", "train", dense.key, *WORDS)
    assert (code, err) == (0, f"{dense.label} is finished already\n")
    assert here.folder(dense).joinpath("result.json").stat().st_mtime_ns == before


def test_parents_come_first(runs: list[Run], command: Command, here: Store, record_of: Record_of) -> None:
    dense, ticket = runs[0], runs[1]
    code, _, err = command("runs", "train", ticket.key, *WORDS)
    assert (code, err.count("\n")) == (MissingInput.exit_code, 1)
    assert f"which is not finished: train that first (repro runs train {dense.key})" in err
    finished(here, record_of(dense), dense)
    code, _, err = command("runs", "train", ticket.key, *WORDS)
    assert (code, "whose checkpoint is not at hand" in err) == (MissingInput.exit_code, True)
    finished(here, record_of(dense, status=DIVERGED), dense)
    for run, said in ((ticket, "which diverged"), (dense, "its loss was not finite")):
        code, _, err = command("runs", "train", run.key, *WORDS)
        assert (code, said in err) == (RunFailed.exit_code, True)


def test_an_unknown_key_is_a_users_error(command: Command) -> None:
    code, _, err = command("runs", "train", "nothing", *WORDS)
    assert (code, "no Run of profile smoke" in err) == (UsageError.exit_code, True)


HOLDER = """
import sys, time
from pathlib import Path
from repro.commands.runs import by_key
from repro.options import Options
from repro.store import Store
from repro.workspace import Workspace
runs = Workspace(Options(profile="smoke", overrides={words!r}), ["fig1"]).asked()
run = by_key(runs, {key!r}, "smoke")
with Store(Path({folder!r}), Path("nowhere")).run_lock(run):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(run: Run, store: Store) -> subprocess.Popen[str]:
    """Another process that holds ``run`` until it is told to let go."""
    code = HOLDER.format(words=TINY[1::2], key=run.key, folder=str(store.runs_dir))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


def test_a_run_that_another_process_trains_is_waited_for(
    runs: list[Run], command: Command, here: Store, record_of: Record_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An orphan finishes the Run meanwhile: it is not trained again."""
    run = runs[0]
    other = hold(run, here)

    def finish() -> None:
        for epoch in (0, 1, 2):
            files.write_bytes(here.folder(run) / f"epoch-{epoch:04d}-0123456789abcdef.safetensors", b"")
        finished(here, record_of(run), run)
        assert other.stdin
        other.stdin.write("\n")
        other.stdin.flush()

    def said(*words: str, **how: Any) -> None:
        print(*words, **how)
        threading.Timer(0.1, finish).start()  # once the command waits

    monkeypatch.setattr("repro.store.print", said, raising=False)
    code, _, err = command("runs", "train", run.key, *WORDS)
    other.communicate()
    assert code == 0
    assert err.splitlines()[0].startswith(f"{run.label} is being trained by process {other.pid} on ")
    assert err.splitlines()[1:] == [f"{run.label} is finished already"]


def test_the_time_budget_ends_the_waiting(runs: list[Run], here: Store, command: Command) -> None:
    other = hold(runs[0], here)
    code, _, err = command("runs", "train", runs[0].key, *WORDS, "--time-budget", "1s")
    assert (code, "time budget spent waiting for process" in err) == (BudgetSpent.exit_code, True)
    other.kill()
    other.communicate()
    start = time.monotonic()
    with here.run_lock(runs[0]):
        assert time.monotonic() - start < 5  # what a killed process held is free
