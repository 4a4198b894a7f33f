"""Random labels: where they come from, and that what a network is tested on is what it had to memorize."""

from __future__ import annotations

import lanes as trials
import torch

from repro.data import synthetic
from repro.data.batches import PAD, random_labels
from repro.engine import device
from repro.engine.data_source import InMemoryData
from repro.engine.network import Network
from repro.run import Checkpoint, Data, Mask
from repro.store import Store

CPU = device.choose("cpu")


def test_labels_follow_from_their_name_and_are_uniform() -> None:
    labels = random_labels("random-0", 50_000)
    assert torch.equal(labels, random_labels("random-0", 50_000))
    assert not torch.equal(labels, random_labels("random-1", 50_000))
    counts = torch.bincount(labels, minlength=10)
    assert counts.shape == (10,)
    assert ((counts - 5000).abs() < 5 * 4500**0.5).all()  # five standard deviations of a binomial count


def test_random_labels_are_tested_on_what_they_are_trained_on() -> None:
    images = synthetic.generate()
    dataset = InMemoryData(images, CPU)
    subset = dataset.subset(Data("synthetic", 40, 40, images.fingerprint, "random-3"))
    assert torch.equal(subset.train, subset.test)
    assert torch.equal(subset.labels[subset.train], random_labels("random-3", 40))
    true = dataset.subset(Data("synthetic", 40, 20, images.fingerprint))
    assert torch.equal(true.train, subset.train)  # the same examples under other labels
    assert not torch.equal(true.labels[true.train], subset.labels[subset.train])


def test_a_share_is_the_part_that_the_split_gives() -> None:
    """Training and test images, balanced over classes, in the split's own order, and under its labels."""
    images = synthetic.generate()
    dataset = InMemoryData(images, CPU)
    subset = dataset.subset(Data("synthetic", 70, 30, images.fingerprint))
    for places, split in ((subset.train, images.train.first(70)), (subset.test, images.test.first(30))):
        inner = dataset.images.images[places][:, PAD:-PAD, PAD:-PAD]
        assert torch.equal(inner, torch.from_numpy(split.images))
        assert torch.equal(subset.labels[places], torch.from_numpy(split.labels).long())


def test_a_pruned_network_memorizes_a_few_examples(store: Store) -> None:
    """Its accuracy is that of the finished network on these examples, and pruned weights stay zero."""
    changed = {"memorization.epochs": 30, "memorization.milestones": [18, 24], "memorization.batch_size": 8}
    study = trials.study(changed)
    dense = study.dense("resnet20", 0)
    store.save_checkpoint(dense, 1, Network("resnet20", 0, CPU.torch).checkpoint())
    run = study.memorization("resnet20", 0, Mask(Checkpoint(dense, 1), 0.8), 24)
    record = trials.train_all([run], store, keep={run.key: {run.last_epoch}})[run.label]
    assert record.top1 is not None
    assert record.top1 > 90  # chance is 10
    assert record.curve["test_epoch"] == [30]
    loaded = store.load_checkpoint(run, run.last_epoch)
    assert loaded
    network = Network("resnet20", 0, CPU.torch)
    network.load(loaded[0])
    subset = trials.bench().subset(run.data)
    with torch.inference_mode():
        logits = network.model.eval()(trials.bench().images.gather(subset.train, *middle(24)))
    right = (logits.argmax(1) == subset.labels[subset.train]).sum()
    assert 100 * int(right) / 24 == record.top1
    zeros = sum(int((w == 0).sum()) for w in network.prunable_weights().values())
    assert zeros >= round(0.8 * 267_264)


def middle(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The crop offsets and flips of images as they are."""
    offset = torch.full((count,), PAD)
    return offset, offset, torch.zeros_like(offset)
