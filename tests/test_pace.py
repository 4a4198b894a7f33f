"""How long a plan takes: by its waves, by what is behind it, and as `repro plan` and `repro doctor` say it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import TINY

from repro import artifacts, pace
from repro.engine import tuning
from repro.experiments import Study
from repro.pace import Pace
from repro.plan import cost
from repro.run import Run
from repro.store import Store

Study_of = Callable[..., Study]
Command = Callable[..., tuple[int, str, str]]


def saturating(lanes: int) -> float:
    """Images a second of so many Runs together."""
    return min(1000.0 * lanes, 8000.0)


@pytest.fixture
def grid(study: Study_of) -> list[Run]:
    """The Runs of Fig. 1: a dense network and 143 tickets."""
    return list(artifacts.get("fig1").runs(study("paper"), (0,)))


def images(run: Run, store: Store | None = None) -> int:
    return cost([run], store).images


def test_the_dense_network_trains_alone_and_the_tickets_side_by_side(grid: list[Run]) -> None:
    (dense,), tickets = ([run for run in grid if not run.mask], [run for run in grid if run.mask])
    assert len(tickets) == 143
    # 143 tickets in eights: 17 full rounds and seven that share the device.
    expected = images(dense) / 1000 + images(tickets[0]) * (136 / 8000 + 7 / 7000)
    assert pace.seconds(grid, {"resnet20": Pace(8, saturating)}) == pytest.approx(expected)


def test_more_lanes_shorten_a_grid_as_far_as_they_are_faster(grid: list[Run]) -> None:
    times = [pace.seconds(grid, {"resnet20": Pace(lanes, saturating)}) for lanes in (1, 2, 4, 8)]
    assert times == sorted(times, reverse=True)
    assert times[0] == pytest.approx(cost(grid).images / 1000)


def test_what_is_trained_already_takes_no_time(
    grid: list[Run], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces = {"resnet20": Pace(1, saturating)}
    monkeypatch.setattr(Store, "progress", lambda self, run: run.epochs // 2)
    half, whole = pace.seconds(grid, paces, store), pace.seconds(grid, paces)
    assert half == pytest.approx(cost(grid, store).images / 1000)
    assert half is not None and whole is not None and half < 0.6 * whole
    monkeypatch.setattr(Store, "progress", lambda self, run: run.epochs)
    assert pace.seconds(grid, paces, store) == 0


def test_a_network_that_was_not_timed_has_no_time(grid: list[Run], study: Study_of) -> None:
    assert pace.seconds(grid, {"resnet56": Pace(1, saturating)}) is None
    structures = [run for run in artifacts.get("fig3").runs(study("paper"), (0,)) if not run.epochs]
    assert structures and pace.seconds(structures, {}) == 0  # what is only observed takes none


def test_plan_and_doctor_say_how_this_device_trains(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan times every strategy once, and from then on both know."""
    timed: list[tuple[str, int]] = []

    def time_lanes(name: str, run: Run, device: object, count: int, seconds: float) -> float:
        timed.append((name, count))
        return 1000.0 if name == "eager" else saturating(count) * 1.5

    monkeypatch.setattr(tuning, "time_lanes", time_lanes)
    _, out, _ = command("doctor", "--profile", "smoke")
    assert "not calibrated yet" in out and not timed

    ask = ("plan", "fig1", "--profile", "smoke", *TINY)
    code, out, err = command(*ask, "--json")
    assert code == 0 and "timing resnet20: batched, 2 at a time" in err
    summary = json.loads(out)
    assert summary["strategies"] == {"resnet20": "batched, 4 Runs at a time"}
    assert summary["images_per_second"] == {"resnet20": 6000.0}
    plan = images_of(summary)
    assert summary["seconds_left"] == pytest.approx(plan["dense"] / 1500 + plan["tickets"] / 6000, rel=1e-6)
    assert {name for name, _ in timed} == {"eager", "batched"}

    timed.clear()
    _, out, err = command(*ask)
    assert not timed and "timing" not in err
    assert "resnet20: 6,000 images/s here (batched, 4 Runs at a time; calibrated)" in out
    _, out, _ = command("doctor", "--profile", "smoke")
    assert "resnet20: 6,000 images/s, batched, 4 Runs at a time" in out


def images_of(summary: dict[str, int]) -> dict[str, int]:
    """Images of the tiny grid's dense Run, which is tested after each of its two epochs, and of its four tickets,
    which differ in nothing that costs."""
    dense = 2 * 96 + 2 * (40 // 3)
    return {"dense": dense, "tickets": summary["images_left"] - dense}
