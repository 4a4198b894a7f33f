"""Random labels: where they come from, and that what a network is tested on is what it had to memorize."""

from __future__ import annotations

from pathlib import Path

import torch

from repro import params
from repro.data import synthetic
from repro.data.batches import random_labels
from repro.engine import device
from repro.engine.bench import make_bench
from repro.engine.network import Network
from repro.engine.resident import evaluate
from repro.engine.train import Listener, train
from repro.experiments import Study
from repro.run import Checkpoint, Data, Mask
from repro.store import Store

ROOT = Path(__file__).resolve().parent.parent
CPU = device.choose("cpu")

QUIET = Listener(lambda report: None)


def test_labels_follow_from_their_name_and_are_uniform() -> None:
    labels = random_labels("random-0", 50_000)
    assert torch.equal(labels, random_labels("random-0", 50_000))
    assert not torch.equal(labels, random_labels("random-1", 50_000))
    counts = torch.bincount(labels, minlength=10)
    assert counts.shape == (10,)
    assert ((counts - 5000).abs() < 5 * 4500**0.5).all()  # five standard deviations of a binomial count


def test_a_bench_of_random_labels_tests_on_what_it_trains_on() -> None:
    images = synthetic.generate()
    bench = make_bench(images, Data("synthetic", 40, 40, images.fingerprint, "random-3"), CPU)
    assert bench.train is bench.test
    assert torch.equal(bench.train.labels, random_labels("random-3", 40))
    true = make_bench(images, Data("synthetic", 40, 40, images.fingerprint), CPU)
    assert torch.equal(true.train.images, bench.train.images)  # the same examples under other labels
    assert not torch.equal(true.train.labels, bench.train.labels)


def test_a_pruned_network_memorizes_a_few_examples(store: Store) -> None:
    """Its accuracy is that of the finished network on these examples, and pruned weights stay zero."""
    schedule = {"epochs": 30, "milestones": [18, 24], "batch_size": 8}
    changed = {"memorization": schedule, "precision": "float32"}
    images = synthetic.generate()
    study = Study(params.settings(ROOT / "params.yaml", "smoke", changed), images.fingerprint)
    dense = study.dense("resnet20", 0)
    store.save_checkpoint(dense, 1, Network("resnet20", 0, CPU.torch).checkpoint())
    run = study.memorization("resnet20", 0, Mask(Checkpoint(dense, 1), 0.8), 24)
    bench = make_bench(images, run.data, CPU)
    record = train(run, bench, store, {run.last_epoch}, QUIET, lambda _: True)
    assert record.top1 is not None
    assert record.top1 > 90  # chance is 10
    assert record.curve["test_epoch"] == [30]
    loaded = store.load_checkpoint(run, run.last_epoch)
    assert loaded
    network = Network("resnet20", 0, CPU.torch)
    network.load(loaded[0])
    assert evaluate(network, bench.train, torch.float32) == record.top1
    zeros = sum(int((w == 0).sum()) for w in network.prunable_weights().values())
    assert zeros >= round(0.8 * 267_264)
