"""Steps as CUDA graphs, acted out on a CPU (recorded.py): replays do what eager steps do, whatever changed between
them. That the kernels do so on a GPU is test_gpu.py's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lanes as trials
import pytest
import recorded
import torch
from torch import Tensor

from repro.engine.lanes import Lanes
from repro.engine.strategies import Strategy
from repro.engine.strategies.lane_by_lane import CapturedStep, Eager, Streams
from repro.run import Checkpoint, Mask
from repro.store import Store

Making = Callable[[Lanes], Strategy]


@pytest.fixture(autouse=True)
def graphs_made(monkeypatch: pytest.MonkeyPatch) -> list[recorded.Graph]:
    return recorded.act_out(monkeypatch)


def everything(lanes: Lanes) -> list[Tensor]:
    """All that lanes have to show for their steps."""
    return [tensor.clone() for lane in lanes.all for tensor in lane.touched()]


def story(making: Making, precision: torch.dtype) -> list[list[Tensor]]:
    """Two lanes through all that may happen between steps; what they hold after each part."""
    lanes = trials.started(2, precision, rate=0.01)
    strategy, after = making(lanes), []

    def step(steps: int = 1, size: int = 8) -> None:
        strategy.train(lanes.all, steps, size)
        after.append(everything(lanes))

    step(2)
    for lane in lanes.all:  # the next epoch: another order, another rate
        subset = trials.bench().subset(trials.data(64))
        lane.enter(subset)
        lane.start_epoch(subset.draw_epoch(f"next {lane.number}", 1, True), 0.002)
    step()
    step(1, 5)  # the smaller last batch
    lanes.all[0].network.prune(0.5)
    step()
    before = lanes.all[1].network.snapshot()()
    lanes.all[1].network.reset(7)  # another Run in the lane, with labels of its own
    lanes.all[1].enter(trials.bench().subset(trials.data(64, "random-3")))
    step()
    lanes.all[1].network.load(before)
    lanes.all[0].position.zero_()
    step()
    for lane in lanes.all:
        lane.start_evaluation()
    for size in (16, 8):
        strategy.evaluate_batch(lanes.all, size)
        after.append(everything(lanes))
    return after


@trials.BOTH_PRECISIONS
def test_replays_are_the_steps(precision: torch.dtype, graphs_made: list[recorded.Graph]) -> None:
    ours, expected = story(Streams, precision), story(Eager, precision)
    assert sum(graph.replays for graph in graphs_made) >= 9
    for part, (one, other) in enumerate(zip(ours, expected, strict=True)):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True)), f"part {part}"


def test_recording_leaves_no_trace(graphs_made: list[recorded.Graph]) -> None:
    lanes = trials.started(1, rate=0.1)
    lane = lanes.all[0]
    before = everything(lanes)
    CapturedStep(lane.update, lane.touched(), torch.cuda.Stream()).graph(16)
    assert len(graphs_made) == 1
    assert all(torch.equal(a, b) for a, b in zip(before, everything(lanes), strict=True))


def test_whole_waves_of_graphs_end_on_the_bits_of_runs_alone(
    tmp_path: Path, graphs_made: list[recorded.Graph]
) -> None:
    study = trials.study(
        {
            "data.train": 24,
            "data.test": 20,
            "recipe.batch_size": 16,
            "memorization": {"epochs": 2, "milestones": [1], "batch_size": 16},
            "fig5.sizes": [20],
            "table1.sizes": [20],
        }
    )
    store = {name: Store(tmp_path / name, tmp_path / f"{name}.jsonl") for name in ("alone", "wave")}
    dense = study.dense("resnet20", 0)
    keep = {dense.key: {0, 1, 2, 4}}
    tickets = [study.ticket("resnet20", 0, s, v) for s, v in ((1, 0), (2, 1), (4, 2))]
    labels = [study.memorization("resnet20", 0, Mask(Checkpoint(dense, 4), 0.8), size) for size in (12, 20)]
    found = {}
    for name, count, strategy in (("alone", 1, "eager"), ("wave", 2, "streams")):
        for runs in ([dense], tickets, labels):
            found |= {
                (name, label): trials.outcome(record)
                for label, record in trials.train_all(runs, store[name], count, [strategy], keep=keep).items()
            }
    assert graphs_made
    for run in (dense, *tickets, *labels):
        assert found["wave", run.label] == found["alone", run.label]
        record = store["wave"].record(run)
        assert record and record.provenance["strategy"] == "streams"


def test_what_a_capture_refuses_is_refused_here_too() -> None:
    seen = torch.ones(3)
    with pytest.raises(RuntimeError, match="capturing"):
        CapturedStep(lambda size: float(seen.sum()), [seen], torch.cuda.Stream()).graph(1)  # type: ignore[arg-type, return-value]
