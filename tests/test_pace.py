"""How long a plan takes: by its waves, by what is behind it, and as `repro plan` and `repro doctor` say it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tiny import TINY

from repro import artifacts, estimate
from repro.engine import calibration, device
from repro.engine.speeds import Choice
from repro.estimate import Pace
from repro.experiments import Study
from repro.plan import SLACK, cost
from repro.run import Run
from repro.store import Store

Study_of = Callable[..., Study]
Command = Callable[..., tuple[int, str, str]]


def saturating(lanes: int) -> float:
    """Images a second of so many Runs together."""
    return min(1000.0 * lanes, 8000.0)


def pace(lanes: int) -> Pace:
    """A device that is fastest with so many lanes."""
    return Pace(Choice({"eager": {count: saturating(count) for count in range(1, lanes + 1)}}))


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
    expected = SLACK * (images(dense) / 1000 + images(tickets[0]) * (136 / 8000 + 7 / 7000))
    assert estimate.seconds(grid, {"resnet20": pace(8)}) == pytest.approx(expected)


def test_more_lanes_shorten_a_grid_as_far_as_they_are_faster(grid: list[Run]) -> None:
    times = [estimate.seconds(grid, {"resnet20": pace(lanes)}) for lanes in (1, 2, 4, 8)]
    assert times == sorted(times, reverse=True)
    assert times[0] == pytest.approx(SLACK * cost(grid).images / 1000)


def test_what_is_trained_already_takes_no_time(
    grid: list[Run], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces = {"resnet20": pace(1)}
    monkeypatch.setattr(Store, "progress", lambda self, run: run.epochs // 2)
    half, whole = estimate.seconds(grid, paces, store), estimate.seconds(grid, paces)
    assert half == pytest.approx(SLACK * cost(grid, store).images / 1000)
    assert half is not None and whole is not None and half < 0.6 * whole
    monkeypatch.setattr(Store, "progress", lambda self, run: run.epochs)
    assert estimate.seconds(grid, paces, store) == 0


def test_a_network_that_was_not_timed_has_no_time(grid: list[Run], study: Study_of) -> None:
    assert estimate.seconds(grid, {"resnet56": pace(1)}) is None
    structures = [run for run in artifacts.get("fig3").runs(study("paper"), (0,)) if not run.epochs]
    assert structures and estimate.seconds(structures, {}) == 0  # what is only observed takes none


def test_plan_and_doctor_say_how_this_device_trains(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan times every strategy once, and from then on both know."""
    timed: list[tuple[str, int]] = []

    def time_lanes(name: str, run: Run, device: object, count: int, seconds: float) -> float:
        timed.append((name, count))
        return 1000.0 if name == "eager" else saturating(count) * 1.5

    monkeypatch.setattr(calibration, "time_lanes", time_lanes)
    monkeypatch.setattr(calibration, "available", lambda device, compiled: ["eager", "streams"])
    monkeypatch.setattr(calibration, "LANES", (1, 2, 4))
    monkeypatch.setattr(calibration, "CALIBRATE_FROM", 0)
    _, out, _ = command("doctor", "--profile", "smoke")
    assert "not calibrated yet" in out and not timed

    ask = ("plan", "fig1", "--profile", "smoke", *TINY)
    code, out, err = command(*ask, "--json")
    assert code == 0 and "timing resnet20: streams, 2 at a time" in err
    summary = json.loads(out)
    assert summary["strategies"] == {"resnet20": "streams, 4 Runs at a time"}
    assert summary["images_per_second"] == {"resnet20": 6000.0}
    plan = images_of(summary)
    expected = SLACK * (plan["dense"] / 1500 + plan["tickets"] / 6000)
    assert summary["seconds_left"] == pytest.approx(expected, rel=1e-6)
    assert {name for name, _ in timed} == {"eager", "streams"}

    timed.clear()
    _, out, err = command(*ask)
    assert not timed and "timing" not in err
    assert "resnet20: 6,000 images/s (streams, 4 Runs at a time; calibrated just now)" in out
    _, out, _ = command("doctor", "--profile", "smoke")
    assert "resnet20: 6,000 images/s (streams, 4 Runs at a time; calibrated just now)" in out


CPU = device.Device(torch.device("cpu"), "some processor, 1 thread")


@pytest.fixture
def run(study: Study_of) -> Run:
    return dense(study, 0)


def dense(study: Study_of, seed: int) -> Run:
    """Of so many images that its time tells something, in a precision that does not depend on the processor."""
    own = study("smoke").dense("resnet20", seed)
    return replace(own, data=replace(own.data, train=512, test=256), precision="float32")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was timed on a made-up device, on which a step's speed is 100 images/s for ever."""
    calls: list[str] = []
    monkeypatch.setattr(device, "choose", lambda name: CPU)
    monkeypatch.setattr(calibration, "time_lanes", lambda name, *_: calls.append(name) or 100.0)
    return calls


def speed_of(run: Run, store: Store, anew: bool = False) -> tuple[float, str, str]:
    """Images a second, how they are known, and what was said."""
    said = Console(record=True, width=200, file=io.StringIO())
    pace = estimate.paces([run], "auto", store, said, anew)["resnet20"]
    return pace.best, pace.describe(), said.export_text()


def test_a_calibration_is_repeated_where_that_is_asked_for(run: Run, timed: list[str], store: Store) -> None:
    known = "100 images/s (eager, one Run at a time; calibrated just now)"
    assert speed_of(run, store)[:2] == (100.0, known) and len(timed) == 1
    assert speed_of(run, store)[0] == 100.0 and len(timed) == 1
    assert speed_of(run, store, anew=True)[:2] == (100.0, known) and len(timed) == 2


def test_little_work_is_estimated_as_it_is_trained_without_timing_strategies(
    run: Run, timed: list[str], store: Store
) -> None:
    """A session under `CALIBRATE_FROM` images takes one Run after another on a CPU."""
    assert estimate.paces([run], "auto", store, Console(quiet=True))["resnet20"].choice.lanes == 1
    assert timed == ["eager"]


def test_a_plan_with_nothing_to_train_needs_no_torch(
    study: Study_of, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "choose", lambda name: pytest.fail("the device was looked for"))
    observed = [run for run in artifacts.get("fig3").runs(study("paper"), (0,)) if not run.epochs]
    assert estimate.paces(observed, "auto", store, Console(quiet=True)) == {}


@pytest.mark.parametrize(("load", "busy"), [(1.0, False), (1000.0, True)])
def test_a_measurement_in_a_busy_moment_says_so(
    run: Run, timed: list[str], store: Store, monkeypatch: pytest.MonkeyPatch, load: float, busy: bool
) -> None:
    monkeypatch.setattr(estimate.os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert ("this machine is busy" in speed_of(run, store)[2]) == busy
    assert "busy" not in speed_of(run, store)[2]  # nothing is timed


@pytest.mark.parametrize(
    ("date", "said"),
    [("", "at an unknown time"), ("soon", "at an unknown time"), ("2026-01-01", "at an unknown time")],
)
def test_a_date_that_is_none_is_said(date: str, said: str) -> None:
    assert estimate.ago(date) == said


def images_of(summary: dict[str, int]) -> dict[str, int]:
    """Images of the tiny grid's dense Run, which is tested after each of its two epochs, and of its four tickets,
    which differ in nothing that costs."""
    dense = 2 * 64 + 2 * 20 // 3
    return {"dense": dense, "tickets": summary["images_left"] - dense}
