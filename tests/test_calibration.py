"""The fastest strategy and wave: measured once, kept, never trusted from a damaged file, and followed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import lanes as trials
import pytest
import torch

from repro.engine import calibration, speeds
from repro.engine.calibration import CALIBRATE_FROM, choose, key_of, known, measure, time_lanes
from repro.engine.device import Device
from repro.engine.speeds import Choice
from repro.errors import MissingInput
from repro.run import Run

CPU = Device(torch.device("cpu"), "some processor")
NOWHERE = Path("/dev/null/waves.json")  # can be neither read nor written
Timed = list[tuple[str, int]]


def names(choice: Choice) -> list[str]:
    return choice.names_at(choice.lanes)


@pytest.fixture
def run() -> Run:
    return trials.study().dense("resnet20", 0)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Timed:
    """What was timed, in order. One eager lane does 100 images/s, streams 60, 200 and 201."""
    calls: Timed = []
    speeds = {("eager", 1): 100.0, ("streams", 1): 60.0, ("streams", 2): 200.0, ("streams", 4): 201.0}

    def time_lanes(name: str, run: Run, device: Device, count: int, seconds: float) -> float:
        calls.append((name, count))
        if (name, count) not in speeds:
            raise RuntimeError(f"strategy '{name}' failed")
        return speeds[name, count]

    monkeypatch.setattr(calibration, "time_lanes", time_lanes)
    return calls


def test_the_fastest_is_taken_with_no_more_lanes_than_help(run: Run, timed: Timed) -> None:
    choice = measure(run, CPU, NOWHERE, ["eager", "streams"])
    assert names(choice) == ["streams", "eager"]
    assert choice.lanes == 2
    assert choice.describe() == "streams, 2 Runs at a time"
    assert choice.speed(2) == 200
    assert choice.speed(3) == pytest.approx(200.5)  # between what was measured
    assert choice.speed(1) == 60


def test_of_equals_the_simplest_is_taken() -> None:
    choice = Choice({"streams, compiled": {1: 50.0, 4: 204.0}, "streams": {4: 205.0}, "eager": {1: 201.0}})
    assert names(choice) == ["eager", "streams", "streams, compiled"]
    assert choice.lanes == 1


def test_with_fewer_lanes_another_strategy_may_come_first() -> None:
    choice = Choice({"streams": {1: 50.0, 2: 80.0}, "fused": {1: 40.0, 4: 120.0, 16: 160.0}})
    assert names(choice) == ["fused", "streams"]
    assert [choice.names_at(lanes)[0] for lanes in (1, 2, 4, 16)] == ["streams", "streams", "fused", "fused"]
    assert all(sorted(choice.names_at(lanes)) == ["fused", "streams"] for lanes in range(1, 17))
    for lanes in range(1, 17):  # none is clearly faster than the first
        first = choice.names_at(lanes)[0]
        assert all(
            choice.speed(lanes, name) <= calibration.GAIN * choice.speed(lanes, first) for name in choice.speeds
        )


def test_where_another_strategy_gains_nothing_the_first_of_all_stays() -> None:
    """Which is the simplest of the fastest: as good with one lane, and with all of them."""
    choice = Choice({"streams, compiled": {1: 61.0, 4: 204.0}, "streams": {1: 60.0, 4: 205.0}, "eager": {1: 61.5}})
    assert names(choice)[0] == "streams"
    assert [choice.names_at(lanes)[0] for lanes in (1, 4)] == ["streams", "streams"]
    assert Choice(unmeasured=("streams", 8)).names_at(3) == ["streams"]


def test_below_the_fewest_lanes_that_were_measured_speed_is_in_proportion() -> None:
    choice = Choice({"streams": {4: 200.0, 8: 300.0}, "eager": {1: 100.0}})
    assert [choice.speed(lanes, "streams") for lanes in (1, 2, 4)] == [50.0, 100.0, 200.0]
    assert choice.speed(6, "streams") == 250.0
    assert choice.speed(16, "streams") == 300.0  # and beyond the most, as measured there
    assert choice.names_at(1) == ["eager", "streams"]
    with pytest.raises(KeyError):
        choice.speed(1, "fused")


def test_a_strategy_that_fails_is_not_chosen_and_not_tried_again(run: Run, timed: Timed, tmp_path: Path) -> None:
    said: list[str] = []
    cache = tmp_path / "waves.json"
    choice = measure(run, CPU, cache, ["eager", "compiled"], said.append)
    assert names(choice) == ["eager"]
    assert choice.describe() == "eager, one Run at a time"
    assert any("failed" in word for word in said)
    before = len(timed)
    assert measure(run, CPU, cache, ["eager", "compiled"]) == choice
    assert len(timed) == before


def test_a_budget_leaves_what_it_has_no_time_for_to_another_time(
    run: Run, timed: Timed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, now = tmp_path / "waves.json", [0.0]
    monkeypatch.setattr(calibration.time, "monotonic", lambda: now.__setitem__(0, now[0] + 30) or now[0])
    assert names(measure(run, CPU, cache, ["eager", "streams"], until=now[0] + 40)) == ["eager"]
    assert timed == [("eager", 1)]
    assert names(measure(run, CPU, cache, ["eager", "streams"])) == ["streams", "eager"]
    assert timed.count(("eager", 1)) == 1


@pytest.mark.parametrize("most", [3, 4])
def test_a_sweep_that_was_cut_short_is_gone_on_with_and_one_that_was_not_is_over(
    run: Run, timed: Timed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """It ends with the last number of lanes there is, or with the first that gains nothing."""
    cache, now = tmp_path / "waves.json", [0.0]
    monkeypatch.setattr(calibration, "LANES", (1, 2, 4, 8)[:most])
    monkeypatch.setattr(calibration.time, "monotonic", lambda: now.__setitem__(0, now[0] + 1) or now[0])
    for counts in ([1], [1, 2]):
        until = now[0] + 2  # the time is asked before each number of lanes
        measure(run, CPU, cache, ["streams"], until=until)
        assert timed == [("streams", count) for count in counts]
        assert sorted(known(run, CPU, cache).speeds["streams"]) == counts
    for _ in range(2):
        choice = measure(run, CPU, cache, ["streams"])
        assert choice.speeds == {"streams": {1: 60.0, 2: 200.0, 4: 201.0}}
        assert timed == [("streams", 1), ("streams", 2), ("streams", 4)]


def test_a_sweep_that_found_what_does_not_work_is_over(run: Run, timed: Timed, tmp_path: Path) -> None:
    cache = tmp_path / "waves.json"
    speeds.keep(cache, key_of(run, CPU), {"streams": {1: 60.0, 2: 0.0}})
    assert measure(run, CPU, cache, ["streams"]).speeds == {"streams": {1: 60.0, 2: 0.0}}
    assert timed == []


def test_numbers_measured_elsewhere_are_kept_beside_the_others(run: Run, timed: Timed, tmp_path: Path) -> None:
    cache = tmp_path / "waves.json"
    measure(run, CPU, cache, ["eager"])
    speeds.keep(cache, key_of(run, CPU), {"streams": {4: 300.0}})
    assert known(run, CPU, cache).speeds == {"eager": {1: 100.0}, "streams": {4: 300.0}}


def test_numbers_of_lanes_that_were_measured_before_are_kept(run: Run, tmp_path: Path) -> None:
    """A later number replaces the earlier one of as many lanes, and no other."""
    cache = tmp_path / "waves.json"
    speeds.keep(cache, key_of(run, CPU), {"streams": {1: 60.0, 4: 300.0}, "eager": {1: 100.0}})
    speeds.keep(cache, key_of(run, CPU), {"streams": {4: 310.0, 8: 400.0}})
    assert known(run, CPU, cache).speeds == {"streams": {1: 60.0, 4: 310.0, 8: 400.0}, "eager": {1: 100.0}}


def test_what_is_measured_anew_replaces_what_is_known_and_carries_its_date(
    run: Run, timed: Timed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes minutes to time is timed again when it is asked for."""
    cache = tmp_path / "waves.json"
    monkeypatch.setattr(speeds, "now", lambda: "2026-11-01T00:00:00+00:00")
    speeds.keep(cache, key_of(run, CPU), {"eager": {1: 10.0}, "streams": {2: 20.0}, "compiled": {1: 15.0}})
    assert known(run, CPU, cache).measured.startswith("2026-11-01")
    monkeypatch.setattr(speeds, "now", lambda: "2026-11-09T00:00:00+00:00")
    choice = measure(run, CPU, cache, ["eager", "streams"], again=True)
    assert choice.speeds == {"eager": {1: 100.0}, "streams": {1: 60.0, 2: 200.0, 4: 201.0}}
    assert known(run, CPU, cache) == choice
    assert known(run, CPU, cache).measured.startswith("2026-11-09")


def test_a_cache_saves_the_second_measurement_and_is_added_to(run: Run, timed: Timed, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "waves.json"
    assert names(measure(run, CPU, cache, ["eager"])) == ["eager"]
    assert names(known(run, CPU, cache)) == ["eager"]
    assert names(measure(run, CPU, cache, ["eager", "streams"])) == ["streams", "eager"]
    assert timed.count(("eager", 1)) == 1
    [key] = json.loads(cache.read_text())
    for part in ("some processor", torch.__version__, "resnet20", f"batch {run.recipe.batch_size}", "float32"):
        assert part in key


def test_a_cache_tells_apart_what_changes_the_speed(run: Run, timed: Timed, tmp_path: Path) -> None:
    cache = tmp_path / "waves.json"
    measure(run, CPU, cache, ["eager"])
    others = [
        replace(run, recipe=replace(run.recipe, batch_size=2 * run.recipe.batch_size)),
        replace(run, precision="bfloat16"),
        replace(run, arch="resnet56"),
    ]
    assert all(known(other, CPU, cache).speeds == {} for other in others)
    same = replace(run, recipe=replace(run.recipe, epochs=9, lr=1.0), last_epoch=9, seed=4)
    assert names(known(same, CPU, cache)) == ["eager"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[1]", b"3", b"\xff", b"null", b'{"KEY": 3}',
        b'{"KEY": {"eager": {"1": "fast", "x": 3, "0": 1}}}',
        b'{"KEY": {"eager": {"1": NaN}}}',
        b'{"KEY": {"eager": {"1": -5}, "streams": []}}',
    ],
)  # fmt: skip
def test_a_damaged_cache_costs_a_measurement(run: Run, timed: Timed, tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "waves.json"
    measure(run, CPU, cache, ["eager"])
    [key] = json.loads(cache.read_text())
    cache.write_bytes(content.replace(b"KEY", key.encode()))
    assert measure(run, CPU, cache, ["eager"]).speeds == {"eager": {1: 100.0}}
    assert json.loads(cache.read_text())[key]["eager"] == {"1": 100.0}


def test_a_cache_that_cannot_be_written_does_not_matter(
    run: Run, timed: Timed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: str) -> None:
        raise MissingInput(f"no room left on the disk for {path}")

    monkeypatch.setattr(speeds, "write_text", full)
    assert names(measure(run, CPU, tmp_path / "waves.json", ["eager"])) == ["eager"]


def test_shipped_measurements_are_read() -> None:
    """docs/gpu.md: a sprint on an H200 need not repeat them. One of them has no date."""
    shipped = trials.ROOT / "scripts" / "lent" / "waves-h200.json"
    found = {key: speeds.read(shipped, key).best for key in json.loads(shipped.read_text())}
    assert list(found.values()) == [("fused", 64), ("streams", 16)]


def test_little_work_is_not_worth_a_calibration(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(calibration, "measure", lambda run, device, cache, names, *_, **__: asked.extend(names))
    card = Device(torch.device("cuda"), "some card")
    assert choose(run, card, NOWHERE, CALIBRATE_FROM - 1).describe() == "streams, 8 Runs at a time"
    assert asked == []
    choose(run, card, NOWHERE, CALIBRATE_FROM)
    assert asked == ["streams", "fused"]


def test_compiling_is_tried_for_long_runs_in_bfloat16_alone(
    run: Run, timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU, where a strategy follows from the Run and not from what else there is to train; there is nothing
    to compare otherwise."""
    monkeypatch.setattr(calibration, "available", lambda device, compiled: ["compiled"] if compiled else ["eager"])
    long = replace(run, precision="bfloat16", data=replace(run.data, train=10**6))
    for asked, names in ((long, ["compiled"]), (replace(long, precision="float32"), []), (run, [])):
        timed.clear()
        assert choose(asked, CPU, NOWHERE, 10**9).describe() == "eager, one Run at a time"
        assert [name for name, _ in timed] == names


def test_unmeasured_devices_have_a_default() -> None:
    assert Choice().describe() == "eager, one Run at a time"
    assert Choice(unmeasured=("streams", 8)).lanes == 8


def test_real_steps_are_timed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "EVAL_BATCH", 32)
    small = replace(run, recipe=replace(run.recipe, batch_size=16))
    assert 0 < time_lanes("eager", small, CPU, 2, 0.0) < 1e9


def test_what_is_refused_is_not_timed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.engine import strategies

    monkeypatch.setattr(strategies, "_trusted", set())
    monkeypatch.setattr(strategies, "compare_with_eager", lambda *_: "is wrong")
    with pytest.raises(RuntimeError, match="is wrong"):
        time_lanes("compiled", run, CPU, 2, 0.0)
