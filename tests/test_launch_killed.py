"""Two workers into one store, killed on the way, and their driver too: nothing lost, nothing done twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import launch_trials as trials
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are shared out on Linux")
POOL = ("--workers", "2")


def test_a_killed_worker_and_a_killed_driver_change_nothing(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    alone = trials.start(whole)
    driver = trials.start(killed, *POOL, cores=2)
    first = trials.kill_a_worker(driver, killed)
    second = trials.worker_at_work(driver, killed, but=first)
    driver.kill()
    driver.wait()
    assert trials.gone(second)  # no orphan: it ends politely once its starter is gone
    trials.finish(trials.start(killed, *POOL, cores=2), killed)
    trials.finish(alone, whole)
    assert "was killed (SIGKILL); another one goes on from its last state" in (killed / "driver.log").read_text()
    assert trials.outcome(killed) == trials.outcome(whole)
    trials.nothing_twice(killed)


@pytest.mark.slow
def test_a_polite_end_leaves_no_worker_behind(tmp_path: Path) -> None:
    driver = trials.start(tmp_path, *POOL, cores=2)
    worker = trials.worker_at_work(driver, tmp_path)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(60) == 130
    assert not trials.alive(worker)
    (log,) = tmp_path.glob("runs/dense-*/*/worker.log")
    assert all("repro: interrupted" in file.read_text() for file in (log, tmp_path / "driver.log"))
