"""The machine's speed: measured once, remembered, never trusted from a damaged file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from repro.config.recipe import MicroBatchRecipe
from repro.engine import calibration, speeds
from repro.engine.device import Device
from repro.errors import MissingInput
from repro.run import Photos, Run

Calls = list[tuple[object, ...]]

NOWHERE = Path("/dev/null/speed.json")  # can be neither read nor written

DEVICE = Device(torch.device("cpu"), "some processor, 2 threads")
RECIPE = MicroBatchRecipe(
    epochs=1,
    batch_size=4,
    lr=0.1,
    milestones=(),
    gamma=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    augment=True,
    evaluate_every=1,
    micro_batches=2,
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What was measured, in order; each measurement gives 100 images/s more than the last."""
    calls: Calls = []

    def measure(*asked: object) -> float:
        calls.append(asked)
        return 100.0 * len(calls)

    monkeypatch.setattr(calibration, "time_photos_of", measure)
    return calls


def speed(
    cache: Path,
    recipe: MicroBatchRecipe = RECIPE,
    arch: str = "resnet18",
    precision: str = "float32",
    anew: bool = False,
) -> float:
    run = run_of(recipe, arch, precision)
    return calibration.measure(run, DEVICE, cache, seconds=0.0, again=anew).speed(1)


def run_of(recipe: MicroBatchRecipe, arch: str = "resnet18", precision: str = "float32") -> Run:
    """A Run on crops of 32 pixels."""
    data = Photos("imagenet", 64, 64, "", "true", crop=32, resize=32, stored=0)
    return Run("dense", arch, data, recipe, precision, 0, 0, 1)


def test_cache_saves_the_second_measurement(tmp_path: Path, measured: Calls) -> None:
    cache = tmp_path / "new" / "speed.json"
    assert speed(cache) == speed(cache) == 100.0
    assert len(measured) == 1
    [key] = json.loads(cache.read_text())
    for part in (
        DEVICE.name,
        f"torch {torch.__version__}",
        "resnet18",
        "batch 4",
        "2 parts, 32 px",
        "float32",
        "threads",
    ):
        assert part in key


def test_cache_tells_apart_what_changes_the_speed(tmp_path: Path, measured: Calls) -> None:
    cache = tmp_path / "speed.json"
    asked = [{}, {"arch": "resnet50"}, {"precision": "bfloat16"}, {"recipe": replace(RECIPE, batch_size=8)}]
    speeds = [speed(cache, **one) for one in asked]  # type: ignore[arg-type]
    assert speeds == [100.0, 200.0, 300.0, 400.0]
    assert [speed(cache, **one) for one in asked] == speeds  # type: ignore[arg-type]
    assert speed(cache, recipe=replace(RECIPE, epochs=7, lr=0.01)) == 100.0  # these do not


@pytest.mark.parametrize("fast", [True, False])
def test_emulated_bfloat16_is_timed_on_few_images(
    measured: Calls, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    """A part of a batch would take a minute or more."""
    monkeypatch.setattr(calibration.devices, "fast_bfloat16", lambda device: fast)
    for precision in ("bfloat16", "float32"):
        speed(NOWHERE, replace(RECIPE, batch_size=64), precision=precision)
    sizes = [run.recipe.batch_size // run.recipe.micro_batches for run, *_ in measured]  # type: ignore[attr-defined]
    assert sizes == [32 if fast else calibration.FEW, 32]


def test_what_is_measured_anew_replaces_what_is_known_and_its_date(
    tmp_path: Path, measured: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "speed.json"
    monkeypatch.setattr(speeds, "now", lambda: "2026-11-01T00:00:00+00:00")
    speed(cache)
    monkeypatch.setattr(speeds, "now", lambda: "2026-11-02T00:00:00+00:00")
    assert speed(cache, anew=True) == speed(cache) == 200.0
    assert calibration.known(run_of(RECIPE), DEVICE, cache).measured.startswith("2026-11-02")


def test_without_cache_every_call_measures(measured: Calls) -> None:
    assert [speed(NOWHERE), speed(NOWHERE)] == [100.0, 200.0]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1, 2]", b"3", b"\xff\xfe", b'{"x": "fast"}', b"null", b'{"x": NaN}']
)
def test_damaged_cache_is_rewritten(tmp_path: Path, measured: Calls, content: bytes) -> None:
    cache = tmp_path / "speed.json"
    cache.write_bytes(content)
    assert speed(cache) == speed(cache) == 100.0
    [kept] = json.loads(cache.read_text()).values()
    assert kept["eager"] == {"1": 100.0}


@pytest.mark.parametrize("value", [-5, float("inf"), float("nan"), None, True, "900"])
def test_impossible_speed_is_measured_anew(tmp_path: Path, measured: Calls, value: object) -> None:
    cache = tmp_path / "speed.json"
    speed(cache)
    [key] = json.loads(cache.read_text())
    other = {"eager": {"1": 7.0}}
    cache.write_text(json.dumps({key: {"eager": {"1": value}}, "another machine": other}))
    assert speed(cache) == 200.0
    kept = json.loads(cache.read_text())
    assert kept[key]["eager"] == {"1": 200.0} and kept["another machine"] == other


def test_cache_that_cannot_be_written_does_not_matter(
    tmp_path: Path, measured: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: str) -> None:
        raise MissingInput(f"no room left on the disk for {path}")

    monkeypatch.setattr(speeds, "write_text", full)
    assert speed(tmp_path / "speed.json") == 100.0


def test_real_steps_are_timed() -> None:
    assert 0 < speed(NOWHERE) < 1e9


def test_what_is_very_slow_is_timed_once_after_one_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], []

    def work() -> None:
        calls.append(now[0])
        now[0] += 16.0

    monkeypatch.setattr(calibration.time, "perf_counter", lambda: now[0])
    assert calibration.times(work, DEVICE, seconds=1.0) == [16.0]
    assert len(calls) == 2
