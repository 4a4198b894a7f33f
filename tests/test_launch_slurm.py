"""Slurm (scripts/one-node-slurm.sh sets one up) trains four Runs into one store, two jobs at a time; a worker, a
job and the driver are killed on the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import launch_trials as trials
import pytest

if not shutil.which("sinfo") or subprocess.run(["sinfo"], capture_output=True, timeout=60).returncode:
    pytest.skip("no Slurm here", allow_module_level=True)
pytestmark = pytest.mark.slow
SLURM = ("--workers", "2", "--launcher", "slurm", "--slurm", "time=10")


def ask(*command: str) -> str:
    """What a command of Slurm's prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_nothing_lost_and_nothing_done_twice(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    count = ask("srun", "-n1", sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))")
    trials.finish(trials.start(whole, cores=int(count)), whole)
    driver = trials.start(killed, *SLURM)
    first = trials.kill_a_worker(driver, killed)
    second = trials.worker_at_work(driver, killed, but=first)
    jobs = ask("squeue", "--noheader", "--format", "%i").split()
    ask("scancel", *jobs)  # all that run: the worker is asked to end
    assert trials.gone(second)
    third = trials.worker_at_work(driver, killed, but=second)
    driver.kill()  # its jobs go on without it
    driver.wait()
    trials.finish(trials.start(killed, *SLURM), killed)
    said = (killed / "driver.log").read_text()
    assert "ended with status 1; another one" in said  # as Slurm tells of a kill
    assert trials.gone(third)
    assert trials.outcome(killed) == trials.outcome(whole)
    trials.nothing_twice(killed)


def test_a_polite_end_takes_the_jobs_back(tmp_path: Path) -> None:
    driver = trials.start(tmp_path, *SLURM)
    worker = trials.worker_at_work(driver, tmp_path)
    driver.terminate()
    assert driver.wait(90) == 130
    assert trials.gone(worker)
    assert not ask("squeue", "--noheader").strip()


def test_a_refusal_is_one_clear_line(tmp_path: Path) -> None:
    driver = trials.start(tmp_path, *SLURM, "--slurm", "partition=nowhere")
    assert driver.wait(90) == 2
    last = (tmp_path / "driver.log").read_text().splitlines()[-1]
    assert last.startswith("repro: sbatch refuses a job: sbatch: error: ") and "partition" in last
