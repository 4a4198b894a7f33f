"""How many threads a process computes with."""

from __future__ import annotations

import pytest

from repro import machine


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("asked", "threads"), [(None, 8), ("1", 1), ("3", 3), ("99", 8), ("0", 1), ("", 8), ("4,2", 8), ("many", 8)]
)
def test_a_thread_a_core_or_fewer_if_the_user_says_so(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, threads: int
) -> None:
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert machine.threads() == threads


def test_what_torchrun_says_of_threads_is_not_the_users_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert machine.threads() == 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert machine.threads() == 1
