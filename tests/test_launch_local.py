"""Launchers: slots on this machine, processes in them, and what is asked of Ray and Slurm."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from launch_trials import alive, gone

from repro.errors import MissingInput, UsageError
from repro.launch import task as tasks
from repro.launch.local import Job, LocalPool, slots
from repro.launch.ray_pool import gpus_each
from repro.launch.slurm import refusal, sbatch_options
from repro.launch.task import STARTED_BY, Task, task_for
from repro.options import Options
from repro.workspace import Workspace

Command = Callable[..., tuple[int, str, str]]
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(print("bye", flush=True) or 7))
print("ready", flush=True)
time.sleep(60)
"""


def task(folder: Path, code: str, key: str = "0") -> Task:
    """A Task of a few lines of Python instead of a Run."""
    return Task(key, (sys.executable, "-S", "-c", code), {"OURS": "1"}, folder / key / "worker.log")


def until(path: Path, words: str) -> None:
    """Wait for ``words`` in a log."""
    deadline = time.monotonic() + 30
    while not path.exists() or words not in path.read_text():
        assert time.monotonic() < deadline, path.read_text() if path.exists() else f"no {path}"
        time.sleep(0.01)


@pytest.fixture
def pool() -> LocalPool:
    """Two workers on the CPU."""
    return LocalPool(Options(workers=2, device="cpu"))


def status(pool: LocalPool, job: Job) -> int:
    """Its exit status, once it has ended."""
    deadline = time.monotonic() + 30
    while (found := pool.poll(job)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(("workers", "gpus", "count"), [(1, 1, 1), (2, 1, 2), (2, 2, 4), (3, 2, 8), (8, 1, 8)])
def test_every_worker_has_gpus_of_its_own(workers: int, gpus: int, count: int) -> None:
    found = slots(workers, gpus, [f"GPU-{index}" for index in range(count)], frozenset(range(16)))
    devices = [device for slot in found for device in (slot.devices or "").split(",")]
    assert [len((slot.devices or "").split(",")) for slot in found] == [gpus] * workers
    assert len(devices) == len(set(devices)) == workers * gpus


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 16])
def test_cores_are_shared_out_equally_and_none_twice(workers: int) -> None:
    found = slots(workers, 1, [], frozenset(range(100, 116)))
    assert [len(slot.cores) for slot in found] == [16 // workers] * workers
    assert len(frozenset().union(*(slot.cores for slot in found))) == workers * (16 // workers)


def test_more_workers_than_cores_share_them() -> None:
    assert [sorted(slot.cores) for slot in slots(5, 1, [], frozenset({3, 8}))] == [[3], [8], [3], [8], [3]]


def test_more_gpus_than_there_are_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"--workers 3 --gpus 2 needs 6 GPUs, and there are 4 here: .* at most 2"):
        slots(3, 2, ["0", "1", "2", "3"], frozenset({0}))
    monkeypatch.setattr("repro.launch.local.cuda_devices", list)
    with pytest.raises(UsageError, match="--gpus 2: there is no CUDA device here"):
        LocalPool(Options(gpus=2))
    LocalPool(Options(gpus=2, device="cpu")).close()  # two processes that train together, as tests do


def test_tasks_run_at_the_same_time_and_their_output_is_kept(pool: LocalPool, tmp_path: Path) -> None:
    code = "import os; print(os.environ['OURS']); {}"
    meet = "import time\nopen({0!r}, 'w')\nwhile not os.path.exists({1!r}): time.sleep(0.01)"
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    jobs = [  # each waits for the other
        pool.start(task(tmp_path, code.format(meet.format(*places)), key))
        for key, places in (("a", (here, there)), ("b", (there, here)))
    ]
    assert [status(pool, job) for job in jobs] == [0, 0]
    assert status(pool, pool.start(task(tmp_path, "import sys; sys.exit('repro: of no use')", "a"))) == 1
    assert (tmp_path / "a" / "worker.log").read_text() == "1\nrepro: of no use\n"


def test_a_killed_task_tells_its_signal_and_what_it_left_is_killed(pool: LocalPool, tmp_path: Path) -> None:
    code = "import os, subprocess, sys\n"
    code += (
        "print(subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
    )
    assert status(pool, pool.start(task(tmp_path, code + "os.kill(os.getpid(), 9)"))) == -signal.SIGKILL
    assert gone(int((tmp_path / "0" / "worker.log").read_text()))


def test_cancelling_is_polite_and_final(pool: LocalPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "GRACE", 0.5)
    jobs = [pool.start(task(tmp_path, POLITE, "polite")), pool.start(task(tmp_path, STUBBORN, "stubborn"))]
    polite, stubborn = (tmp_path / key / "worker.log" for key in ("polite", "stubborn"))
    until(polite, "ready"), until(stubborn, "deaf")
    start = time.monotonic()
    pool.cancel(jobs)
    assert time.monotonic() - start < 10
    assert polite.read_text() == "ready\nbye\n"
    assert status(pool, pool.start(task(tmp_path, "", "next"))) == 0  # its slots are free again


def test_a_task_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = "from repro.launch.task import exit_with_parent; exit_with_parent(); print('ready', flush=True)\n"
    code += "import time; time.sleep(60)"
    log = tmp_path / "log"
    starter = f"""
import os, subprocess, sys, time
worker = [sys.executable, "-c", {code!r}]
log = open({str(log)!r}, "w")
print(subprocess.Popen(worker, stdout=log, env=dict(os.environ, {STARTED_BY}=str(os.getpid()))).pid, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-S", "-c", starter], stdout=subprocess.PIPE, cwd=tasks.PACKAGE)
    assert process.stdout
    worker = int(process.stdout.readline())
    until(log, "ready")
    assert alive(worker)
    process.kill()
    process.communicate()
    assert gone(worker, 10)


def test_a_worker_gets_the_commands_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Whatever the options are, `repro runs train` reads the same ones back from the Task."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("REPRO_DATA", "data")
    changes = ["recipe.lr=0.05", "fig1={arch: resnet20, s: [1], v: [0]}"]
    asked = Options(
        profile="smoke", seeds=2, runs_dir=tmp_path / "runs", out=tmp_path / "a b", device="cpu", gpus=2,
        precision="float32", overrides=changes, ignore_shipped=True, workers=3, time_budget="3h",
    )  # fmt: skip
    made = task_for(Workspace(asked, ["fig1"]))
    run = Workspace(asked, ["fig1"]).asked()[0]
    argv = made(run, 90.0).argv
    assert argv[1:9] == ("-m", "repro", "runs", "train", run.key, "--artifact", "fig1", "--options")
    options, names = Options.of_worker(argv[9]), ["fig1"]
    for field in ("profile", "arch", "seeds", "out", "device", "precision", "ignore_shipped", "gpus", "runs_dir"):
        assert getattr(options, field) == getattr(asked, field), field
    assert list(options.overrides) == changes and options.workers == 1
    assert options.params_file == root / "params.yaml"
    assert 80 < options.deadline - time.monotonic() <= 90
    assert made(run, math.inf).environment["REPRO_DATA"] == str(root / "data")
    assert Workspace(options, names).asked()[0].key == run.key


def test_gpus_are_asked_of_ray_only_where_they_can_be_given() -> None:
    nodes = [{"CPU": 8.0}, {"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0, "GPU": 4.0}]
    assert [gpus_each(nodes, 1, device) for device in ("cpu", "auto", "cuda")] == [0, 1, 1]
    assert gpus_each([{"CPU": 8.0}], 1, "auto") == 0
    for gpus, device, some in ((8, "auto", nodes), (1, "cuda", nodes[:1]), (2, "auto", [])):
        with pytest.raises(UsageError, match=f"--gpus {gpus}: the largest node of this Ray cluster has"):
            gpus_each(some, gpus, device)


def test_what_sbatch_is_asked() -> None:
    asked = sbatch_options(["partition=gpu", "gpus_per_node=h100:4", "--time=2:00:00"], 4, "auto")
    assert asked == ["--gpus-per-node=4", "--partition=gpu", "--gpus-per-node=h100:4", "--time=2:00:00"]
    assert sbatch_options([], 1, "cpu") == []
    for word in ("partition", "=gpu"):
        with pytest.raises(UsageError, match=f"--slurm {word}: write key=value"):
            sbatch_options([word], 1, "cpu")


def test_a_missing_package_is_one_clear_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = command("fig1", "--profile", "smoke", "--launcher", "ray", "--device", "cpu")
    assert code == MissingInput.exit_code
    assert err.splitlines()[-1].startswith(
        "repro: --launcher ray needs the package ray: `make cluster`, or pip install"
    )


def test_slurm_without_slurm_is_one_clear_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    code, _, err = command("fig1", "--profile", "smoke", "--launcher", "slurm", "--device", "cpu")
    assert (code, "no sbatch here" in err) == (MissingInput.exit_code, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--launcher", "kubernetes"], "--launcher kubernetes: choose local, ray or slurm"),
        (["--workers", "0"], "--workers 0: choose 1 or more"),
        (["--slurm", "partition=gpu"], "--slurm partition=gpu goes with --launcher slurm"),
    ],
)
def test_what_cannot_be_is_one_clear_line(words: list[str], said: str, command: Command) -> None:
    code, _, err = command("fig1", "--profile", "smoke", *words)
    assert (code, err.splitlines()[-1]) == (UsageError.exit_code, f"repro: {said}")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("sbatch: error: invalid partition specified: gpux\nsbatch: error: Batch job submission failed",
         "sbatch: error: invalid partition specified: gpux sbatch: error: Batch job submission failed"),
        ("  WELCOME TO OUR CLUSTER\n\nAccess denied: no hours left in project p1 (see our pages)\n",
         "Access denied: no hours left in project p1 (see our pages)"),
        ("Your budget is spent (ask the help desk)", "Your budget is spent (ask the help desk)"),
        ("", "without a word"),
    ],
)  # fmt: skip
def test_a_scheduler_refuses_in_its_own_words(said: str, shown: str) -> None:
    assert refusal(said) == shown
