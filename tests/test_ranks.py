"""One Run on two processes: the same result as on one, killed and resumed on another number, no hang."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from launch_trials import gone
from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
# Parts of 8 images, and two updates: what rounding does to BatchNorm over fewer values grows from step to step.
CALM = {
    "imagenet.data.train": 32,
    "imagenet.data.test": 16,
    "imagenet.recipe.batch_size": 32,
    "imagenet.recipe.lr": 0.01,
    "imagenet.recipe.epochs": 2,
    "imagenet.recipe.milestones": [1],
    "table3.resnet18.one_shot": [0, 2],
    "table3.resnet18.windows": [[0, 1]],
    "table3.resnet50.windows": [],
}
# Many batches, so that there is time to be interrupted within an epoch, at a rate at which rounding grows slowly.
LONG = CALM | {"imagenet.data.train": 64, "imagenet.recipe.batch_size": 16, "imagenet.recipe.lr": 0.0001}
BY_HAND = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ALONE = {"OMP_NUM_THREADS": "1", "REPRO_ARTIFACTS": str(ROOT / "tests" / "dense_only.py")}
GIVEN_UP = 60.0  # seconds within which whatever went wrong has to be over: far below the ranks' own timeout


def start(folder: Path, ranks: int, settings: dict[str, Any], by_hand: bool = True) -> subprocess.Popen[str]:
    """A dense ResNet18 in float32, one thread a process, everything in ``folder``."""
    # PyTorch takes a thread for each core that it may use, and two threads add in another order than one.
    cores = sorted(os.sched_getaffinity(0))[:ranks]
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    command = ["dense-only", "--profile", "smoke", "--device", "cpu"]
    command += ["--precision", "float32", "--runs-dir", str(folder / "runs"), "--out", str(folder / "out"), *words]
    launcher = BY_HAND if ranks > 1 and by_hand else ()
    command += [] if by_hand else ["--gpus", str(ranks)]
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "repro", *command],
        cwd=ROOT, env=os.environ | ALONE, text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )  # fmt: skip


def checkpoint(folder: Path, epoch: int) -> Tensor:
    """All weights and statistics after ``epoch``, as one vector."""
    (file,) = folder.glob(f"runs/dense-resnet18/*/epoch-{epoch:04d}-*.safetensors")
    tensors = load_file(file)
    return torch.cat([tensors[name].float().reshape(-1) for name in sorted(tensors)])


def apart(first: Path, second: Path, epoch: int) -> float:
    """Distance of two ends, relative to the way from the start."""
    start_, a, b = checkpoint(second, 0), checkpoint(first, epoch), checkpoint(second, epoch)
    return float((a - b).norm() / (b - start_).norm())


def ledger(folder: Path) -> dict[str, Any]:
    """The only Record there is."""
    (file,) = folder.glob("out/*/runs.jsonl")
    (line,) = file.read_text().splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


def states(folder: Path) -> list[str]:
    """Names of the states kept, without their hashes."""
    return sorted(p.name.rpartition("-")[0] for p in folder.glob("runs/dense-resnet18/*/state-*.safetensors"))


def when_trained(folder: Path, process: subprocess.Popen[str]) -> None:
    """Returns a moment after the first epoch ended."""
    deadline = time.monotonic() + 120
    while not states(folder):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    time.sleep(0.3)


def children(pid: int) -> list[int]:
    """Processes that ``pid`` started."""
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed `LONG` Run on one process."""
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder, 1, LONG).wait() == 0
    return folder


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    both = [start(tmp_path / "one", 1, CALM), start(tmp_path / "two", 2, CALM)]
    assert [process.wait() for process in both] == [0, 0], [process.communicate() for process in both]
    for epoch in (1, 2):
        assert apart(tmp_path / "two", tmp_path / "one", epoch) < 1e-4
    one, two = ledger(tmp_path / "one"), ledger(tmp_path / "two")
    assert two["key"] == one["key"] and (one["provenance"]["ranks"], two["provenance"]["ranks"]) == (1, 2)
    assert two["curve"]["train_loss"] == pytest.approx(one["curve"]["train_loss"], rel=1e-4)
    assert two["curve"]["test_top1"] == one["curve"]["test_top1"]


def test_ended_within_an_epoch_on_two_it_goes_on_there_on_one(tmp_path: Path, whole: Path) -> None:
    process = start(tmp_path, 2, LONG)
    when_trained(tmp_path, process)
    process.send_signal(signal.SIGTERM)
    process.wait(GIVEN_UP)
    (_, err) = process.communicate()
    assert "repro: interrupted; run the same command again to resume" in err
    assert "." in states(tmp_path)[-1], states(tmp_path)  # so many batches into an epoch
    last = start(tmp_path, 1, LONG)
    assert last.wait() == 0, last.communicate()
    found, expected = ledger(tmp_path), ledger(whole)
    assert found["curve"]["epoch"] == expected["curve"]["epoch"]
    assert found["curve"]["train_loss"] == pytest.approx(expected["curve"]["train_loss"], rel=0.01)


def test_a_rank_that_dies_ends_the_others(tmp_path: Path) -> None:
    process = start(tmp_path, 2, LONG)
    when_trained(tmp_path, process)
    kept = states(tmp_path)
    first, second = children(process.pid)
    process.send_signal(signal.SIGSTOP)  # torchrun would end the other too, at times before it knows by itself
    os.kill(first, signal.SIGKILL)
    assert gone(second, GIVEN_UP)
    process.send_signal(signal.SIGCONT)
    assert process.wait(GIVEN_UP) != 0
    (_, err) = process.communicate()
    assert "repro, rank 1: rank 1 lost contact with another" in err
    assert set(states(tmp_path)) >= set(kept)


@pytest.mark.slow  # as the one before, by way of a pool of workers
def test_with_gpus_a_rank_that_dies_is_started_again(tmp_path: Path) -> None:
    process = start(tmp_path, 2, LONG, by_hand=False)
    when_trained(tmp_path, process)
    (worker,) = children(process.pid)
    ranks = [pid for pid in children(worker) if b"repro" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    assert process.wait(GIVEN_UP * 2) == 0, process.communicate()
    (_, err) = process.communicate()
    assert "its worker ended with status 4; another one goes on from its last state" in err
    (log,) = tmp_path.glob("runs/dense-resnet18/*/worker.log")
    # Which rank a process is its number does not tell, and another rank may be the first to say that it is gone.
    said = log.read_text()
    assert re.search(r"rank [01] of 2 was killed by signal 9|lost contact with another", said), said
    record = ledger(tmp_path)
    assert record["curve"]["epoch"] == [1, 2] and record["provenance"]["ranks"] == 2


def test_parts_that_do_not_divide_are_refused_in_one_line(tmp_path: Path) -> None:
    process = start(tmp_path, 2, CALM | {"imagenet.recipe.micro_batches": 1})
    (_, err) = process.communicate(timeout=GIVEN_UP)
    said = [line for line in err.splitlines() if line.startswith(("repro:", "repro,"))]
    assert said == ["repro: 2 GPUs for one Run: a batch of 1 parts divides among 1"]
