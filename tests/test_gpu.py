"""What only a CUDA device shows: `pytest -m gpu`. Skipped elsewhere."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lanes as trials
import pytest
import torch

from repro.engine.calibration import time_lanes
from repro.engine.events import OutOfTime
from repro.engine.lanes import Lanes
from repro.engine.strategies import Strategy, available, first_valid
from repro.engine.strategies.lane_by_lane import Eager, Streams
from repro.experiments import Study
from repro.record import DONE
from repro.run import Checkpoint, Mask
from repro.store import Store

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
Making = Callable[[Lanes], Strategy]
GRAPHS = pytest.mark.parametrize(
    "strategy", [Streams, functools.partial(Streams, compiled=True)], ids=["streams", "streams, compiled"]
)


@pytest.fixture(scope="module")
def study() -> Study:
    return trials.study({"precision": "bfloat16"})


def trained(strategy: Making, precision: torch.dtype, steps: int = 4) -> Lanes:
    """Four lanes after a few full batches at a small rate."""
    lanes = trials.started(4, precision, "cuda", rate=0.01)
    strategy(lanes).train(lanes.all, steps // 2, 64)
    strategy(lanes).train(lanes.all, steps - steps // 2, 64)
    torch.cuda.synchronize()
    return lanes


@GRAPHS
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_lanes_go_where_eager_steps_go(strategy: Making, precision: torch.dtype) -> None:
    start = trials.started(4, device="cuda").rows.weights.clone()
    ours, eager = (trained(s, precision, 2).rows.weights for s in (strategy, Eager))
    assert max(trials.apart(ours, eager, start)) < {torch.float32: 1e-2, torch.bfloat16: 0.2}[precision]


def test_a_stream_gives_the_bits_of_a_stream_alone() -> None:
    """Lane by lane, whatever else the device is doing."""
    together = trained(Streams, torch.bfloat16, 6)
    for number in range(4):
        lanes = trials.started(4, torch.bfloat16, "cuda", rate=0.01)
        Streams(lanes).train([lanes.all[number]], 6, 64)
        torch.cuda.synchronize()
        assert torch.equal(lanes.rows.weights[number], together.rows.weights[number])


@GRAPHS
def test_a_mask_holds_in_a_graph(strategy: Making) -> None:
    lanes = trials.started(4, torch.bfloat16, "cuda", rate=0.1)
    training = strategy(lanes)
    training.train(lanes.all, 1, 32)
    lanes.all[0].network.prune(0.8)  # after the graph was recorded
    for _ in range(5):
        training.train(lanes.all, 1, 32)
        torch.cuda.synchronize()
        for lane in lanes.all:
            assert not lane.network.weights[lane.network.mask == 0].any()


@pytest.mark.parametrize("name", available(torch.device("cuda"), compiled=True))
def test_every_strategy_is_sound_here(name: str) -> None:
    lanes = trials.started(4, torch.bfloat16, "cuda")
    before = [tensor.clone() for lane in lanes.all for tensor in lane.touched()]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert first_valid([name], lanes, lanes.all).name == name
    after = [tensor for lane in lanes.all for tensor in lane.touched()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "the check left a trace"


@pytest.mark.parametrize("name", ["streams", "fused"])
def test_interrupted_is_bit_for_bit_the_same_in_waves_of_any_size(study: Study, tmp_path: Path, name: str) -> None:
    runs = [study.dense("resnet20", seed) for seed in range(3)]
    keep = {run.key: {1, 2, 4} for run in runs}
    whole = trials.train_all(runs, Store(tmp_path / "a", tmp_path / "a.jsonl"), 3, [name], "cuda", keep)
    store = Store(tmp_path / "b", tmp_path / "b.jsonl")
    for wave in (2, 1, 3):
        told = trials.Reports()
        with pytest.raises(OutOfTime):
            trials.train_all(
                [run for run in runs if not store.record(run)], store, wave, [name], "cuda", keep,
                told,
                lambda seconds, told=told: not told.epochs,
            )  # fmt: skip
    left = [run for run in runs if not store.record(run)]
    trials.train_all(left, store, 3, [name], "cuda", keep)
    for run in runs:
        record = store.record(run)
        assert record and record.provenance["strategy"] == name
        assert trials.outcome(record) == trials.outcome(whole[run.label])


def test_whole_schedules_learn(study: Study, tmp_path: Path) -> None:
    run = study.dense("resnet20", 0)
    records = trials.train_all([run], Store(tmp_path, tmp_path / "l.jsonl"), 1, ["streams"], "cuda")
    record = records[run.label]
    assert record.status == DONE
    assert record.curve["train_loss"][-1] < record.curve["train_loss"][0]
    assert record.provenance["strategy"] == "streams"


def test_random_labels_of_several_sizes_share_a_wave(study: Study, tmp_path: Path) -> None:
    store, dense = Store(tmp_path, tmp_path / "l.jsonl"), study.dense("resnet20", 0)
    trials.train_all([dense], store, 1, ["streams"], "cuda", {dense.key: {4}})
    runs = [study.memorization("resnet20", 0, Mask(Checkpoint(dense, 4), 0.8), size) for size in (64, 128)]
    records = trials.train_all(runs, store, 2, ["streams"], "cuda")
    for run in runs:
        record = records[run.label]
        assert record.status == DONE
        assert record.top1 is not None
        assert record.top1 * run.data.test / 100 == pytest.approx(
            round(record.top1 * run.data.test / 100), abs=1e-3
        )


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_every_precision_is_timed(study: Study, precision: str) -> None:
    run = replace(study.dense("resnet20", 0), precision=precision)
    assert time_lanes("streams", run, trials.bench("cuda").device, 2, 0.1) > 0
