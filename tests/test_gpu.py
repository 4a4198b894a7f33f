"""What only a CUDA device shows: `pytest -m gpu`. Skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from repro import params
from repro.data import synthetic
from repro.data.batches import EpochOrder
from repro.engine import device as devices
from repro.engine.bench import Bench, make_bench
from repro.engine.network import Network
from repro.engine.resident import evaluate
from repro.engine.step import Batches, EagerStepper, GraphStepper, make_stepper
from repro.engine.train import Listener, train
from repro.engine.trainer import OutOfTime
from repro.experiments import Study
from repro.run import Checkpoint, Mask, Run
from repro.store import Store

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
ROOT = Path(__file__).resolve().parent.parent

QUIET = Listener(lambda report: None)


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(params.settings(ROOT / "params.yaml", "smoke"), synthetic.FINGERPRINT)


@pytest.fixture(scope="module")
def bench(study: Study) -> Bench:
    return make_bench(synthetic.generate(), study.dense("resnet20", 0).data, devices.choose("cuda"))


def steps(
    stepper_type: type[EagerStepper] | type[GraphStepper], bench: Bench, run: Run, count: int
) -> torch.Tensor:
    """The flat weights after ``count`` updates at a small rate, float32."""
    network = Network("resnet20", 0, bench.device.torch)
    batches = Batches(network, bench.train, run.recipe, torch.float32)
    batches.start_epoch(EpochOrder.draw("test", 0, len(bench.train), True), 0.01)
    stepper = stepper_type(batches)
    for _ in range(count):
        stepper.step(run.recipe.batch_size)
    return network.weights.clone()


def test_a_graph_trains_as_eager_steps_do(bench: Bench, study: Study) -> None:
    run = study.dense("resnet20", 0)
    eager, graph = (steps(kind, bench, run, 6) for kind in (EagerStepper, GraphStepper))
    start = Network("resnet20", 0, bench.device.torch).weights
    assert float((eager - graph).norm() / (eager - start).norm()) < 1e-3


def test_cuda_takes_the_graph(bench: Bench, study: Study) -> None:
    run = study.dense("resnet20", 0)
    network = Network("resnet20", 0, bench.device.torch)
    before = network.weights.clone()
    stepper = make_stepper(Batches(network, bench.train, run.recipe, torch.bfloat16), 1)
    assert stepper.name == "cuda graph"
    assert torch.equal(before, network.weights), "the check left a trace"


def test_a_mask_holds_in_a_graph(bench: Bench, study: Study) -> None:
    run = study.dense("resnet20", 0)
    network = Network("resnet20", 0, bench.device.torch)
    batches = Batches(network, bench.train, run.recipe, torch.bfloat16)
    batches.start_epoch(EpochOrder.draw("test", 0, len(bench.train), True), 0.1)
    stepper = GraphStepper(batches)
    stepper.step(run.recipe.batch_size)
    network.prune(0.8)
    for _ in range(5):
        stepper.step(run.recipe.batch_size)
        assert not network.weights[network.mask == 0].any()


def test_interrupted_is_bit_for_bit_the_same(bench: Bench, study: Study, tmp_path: Path) -> None:
    run = study.dense("resnet20", 0)
    keep = {1, 2, 4}
    whole = train(run, bench, Store(tmp_path / "a", tmp_path / "a.jsonl"), keep, QUIET, lambda s: True)
    store = Store(tmp_path / "b", tmp_path / "b.jsonl")
    for _ in range(run.epochs - 1):
        with pytest.raises(OutOfTime):  # one whole epoch, and a no before the next
            ended: list[int] = []
            train(
                run, bench, store, keep, Listener(lambda r, e=ended: e.append(r.epoch)), lambda s, e=ended: not e
            )
    parts = train(run, bench, store, keep, QUIET, lambda s: True)
    assert parts.curve == whole.curve
    assert parts.checkpoints == whole.checkpoints


def test_whole_schedule_learns(bench: Bench, study: Study, tmp_path: Path) -> None:
    run = study.dense("resnet20", 0)
    record = train(run, bench, Store(tmp_path, tmp_path / "l.jsonl"), set(), QUIET, lambda s: True)
    assert record.curve["train_loss"][-1] < record.curve["train_loss"][0]
    assert record.provenance["strategy"] == "cuda graph"


def test_random_labels_are_memorized_on_cuda(study: Study, tmp_path: Path) -> None:
    store, images, cuda = Store(tmp_path, tmp_path / "l.jsonl"), synthetic.generate(), devices.choose("cuda")
    dense = study.dense("resnet20", 0)
    train(dense, make_bench(images, dense.data, cuda), store, {4}, QUIET, lambda s: True)
    run = study.memorization("resnet20", 0, Mask(Checkpoint(dense, 4), 0.8), 64)
    assert run.precision == "auto"  # bfloat16 on this device
    record = train(run, make_bench(images, run.data, cuda), store, {4}, QUIET, lambda s: True)
    assert record.provenance["strategy"] == "cuda graph"
    assert record.start["sparsity"] == pytest.approx(0.8, abs=1e-5)
    loaded = store.load_checkpoint(run, 4)
    assert loaded
    network = Network("resnet20", 0, cuda.torch)
    network.load(loaded[0])
    again = evaluate(network, make_bench(images, run.data, cuda).train, torch.bfloat16)
    assert again == record.top1
