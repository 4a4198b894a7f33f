"""Trials of many workers, whoever starts them: the tiny Fig. 1 (three Runs), with workers killed on the way.

On a CPU a result depends on the number of threads: the one process that is compared with, and each worker, has one
core to itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tiny import TINY

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 4
RUNS = 3  # a dense network and two tickets
CHANGES = [f"recipe.epochs={EPOCHS}", f"table1.further_milestones=[{EPOCHS}]", "fig1.s=[1]", "fig1.v=[0,1]"]
WORDS = [*TINY, *(word for change in CHANGES for word in ("--set", change))]
PARTS = ("status", "top1", "best_top1", "train_top1", "curve", "start", "probe", "checkpoints")


def start(folder: Path, *arguments: str, cores: int = 1) -> subprocess.Popen[bytes]:
    """``repro fig1``, tiny, with everything that it writes in ``folder``, on ``cores`` cores."""
    places = ["--runs-dir", str(folder / "runs"), "--out", str(folder / "out")]
    words = ["fig1", "--profile", "smoke", "--device", "cpu", *places, *WORDS]
    folder.mkdir(parents=True, exist_ok=True)
    own = sorted(os.sched_getaffinity(0))[:cores]
    # A trial starts some ten processes: torch is compiled once, also where the environment keeps no bytecode.
    cache = {"PYTHONPYCACHEPREFIX": str(folder.parent / "pyc"), "PYTHONDONTWRITEBYTECODE": ""}
    cache = cache if sys.dont_write_bytecode else {}
    with open(folder / "driver.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "repro", *words, *arguments],
            cwd=ROOT,
            env={**os.environ, **cache},
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, own),
        )


def finish(process: subprocess.Popen[bytes], folder: Path, seconds: float = 300) -> None:
    """Wait for ``process`` to succeed."""
    assert process.wait(seconds) == 0, (folder / "driver.log").read_text()


def outcome(folder: Path) -> tuple[dict[str, object], dict[str, str]]:
    """What the ledger says of every Run by key, and every kept checkpoint's SHA-256 by its place."""
    (ledger,) = folder.glob("out/*/runs.jsonl")
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len(records) == len({record["key"] for record in records})
    checkpoints = sorted(folder.glob("runs/*/*/epoch-*.safetensors"))
    return (
        {record["key"]: [record[part] for part in PARTS] for record in records},
        {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoints},
    )


def epochs_trained(folder: Path) -> dict[str, list[int]]:
    """By key, the epochs that its workers said they had trained, in order."""
    found = {}
    for log in folder.glob("runs/*/*/worker.log"):
        found[log.parent.name] = [int(epoch) for epoch in re.findall(r"epoch (\d+)/\d+, ", log.read_text())]
    return found


def nothing_twice(folder: Path) -> None:
    """Each Run was trained once: no whole epoch was trained again."""
    trained = epochs_trained(folder)
    assert len(trained) == RUNS
    for epochs in trained.values():
        before_the_last = [epoch for epoch in epochs if epoch < EPOCHS]
        assert before_the_last == sorted(set(before_the_last)), epochs
        assert epochs.count(EPOCHS) <= 2  # a kill after the last epoch and before the Record repeats that epoch


def worker_at_work(process: subprocess.Popen[bytes], folder: Path, but: int = 0) -> int:
    """The process id of a worker that has a whole epoch behind it and more to do; not ``but``."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for state in folder.glob("runs/*/*/state-e*.safetensors"):
            lock = state.parent / ".lock"
            if not (state.parent / "result.json").exists() and lock.exists():
                found = re.match(r"process (\d+)", lock.read_text())
                if found and int(found[1]) != but and alive(int(found[1])):
                    return int(found[1])
        assert process.poll() is None, (folder / "driver.log").read_text()
        time.sleep(0.005)
    raise AssertionError("no worker began to train: " + (folder / "driver.log").read_text())


def kill_a_worker(process: subprocess.Popen[bytes], folder: Path) -> int:
    """SIGKILL for a worker in the middle of its Run; returns its process id."""
    number = worker_at_work(process, folder)
    os.kill(number, signal.SIGKILL)
    return number


def alive(number: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(number: int, seconds: float = 60) -> bool:
    """Whether that process ends within ``seconds``."""
    deadline = time.monotonic() + seconds
    while alive(number) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(number)


def parent(number: int) -> int:
    """The process that started that one."""
    return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
