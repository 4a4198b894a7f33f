"""A local Ray of two workers trains four Runs into one store; a worker and a Ray process are killed on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import launch_trials as trials
import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
RAY = ("--workers", "2", "--launcher", "ray")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray of our own, whatever is set here."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_nothing_lost_and_nothing_done_twice(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    trials.finish(trials.start(whole), whole)
    driver = trials.start(killed, *RAY)
    first = trials.kill_a_worker(driver, killed)
    second = trials.worker_at_work(driver, killed, but=first)
    os.kill(trials.parent(second), signal.SIGKILL)  # Ray's own process, which holds the task
    assert trials.gone(second)
    trials.finish(driver, killed)
    said = (killed / "driver.log").read_text()
    assert "was killed (SIGKILL); another one" in said and "was lost with its machine; another one" in said
    assert trials.outcome(killed) == trials.outcome(whole)
    trials.nothing_twice(killed)


def test_a_polite_end_leaves_no_process_behind(tmp_path: Path) -> None:
    driver = trials.start(tmp_path, *RAY)
    worker = trials.worker_at_work(driver, tmp_path)
    ray = trials.parent(worker)
    driver.terminate()
    assert driver.wait(90) == 130
    assert not trials.alive(worker) and trials.gone(ray)
    assert "repro: interrupted" in (tmp_path / "driver.log").read_text()


def test_a_cluster_that_is_not_there_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    driver = trials.start(tmp_path, *RAY)
    assert driver.wait(60) == 3
    assert "repro: --launcher ray: no Ray at 127.0.0.1:1 ($RAY_ADDRESS)" in (tmp_path / "driver.log").read_text()
