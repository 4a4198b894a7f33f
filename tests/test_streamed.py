"""Training on photographs in parts, against a plain loop in PyTorch's own words, interrupted and not."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from lanes import Reports
from PIL import Image
from torch import Tensor

from repro import nets
from repro.config.recipe import MicroBatchRecipe
from repro.data.imagenet.augment import crop_box, draw_crops, flips, normalize
from repro.data.imagenet.decode import decode
from repro.data.imagenet.loader import Loader
from repro.engine import device as devices
from repro.engine.data_source import StreamedData
from repro.engine.events import Observer, OutOfTime
from repro.engine.photo_trainer import epoch_order, train
from repro.engine.ranks import Ranks
from repro.record import DIVERGED, Record
from repro.run import Checkpoint, Mask, Photos, Run
from repro.schedule import learning_rate
from repro.store import Store

CPU = devices.choose("cpu")
QUIET = Observer()
RECIPE = MicroBatchRecipe(2, 8, 0.05, (1,), 0.1, 0.9, 1e-4, True, 1, 2)
DATA = Photos("synthetic-ilsvrc", 23, 9, "made up", crop=32, resize=36, stored=0)
RUN = Run("dense-resnet18", "resnet18", DATA, RECIPE, "float32", 0, 0, 2)


@dataclass
class InMemory:
    """A split whose images are made from a seed; number ``torn`` is no image."""

    count: int
    seed: int
    torn: int = -1

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self.names: Sequence[str] = [f"train/n00000001/{i}.JPEG" for i in range(self.count)]
        self.labels: npt.NDArray[np.int64] = random.integers(0, 5, self.count)
        self._files = []
        for i in range(self.count):
            height, width = random.integers(40, 70, 2)
            small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            file = io.BytesIO()
            Image.fromarray(small).resize((int(width), int(height))).save(file, "JPEG")
            self._files.append(b"no image" if i == self.torn else file.getvalue())

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> bytes:
        return self._files[index]


def bench(train_split: InMemory, data: Photos = DATA) -> StreamedData:
    splits = (train_split, InMemory(DATA.test, 1))
    loaders = [Loader(split, data.crop, data.resize, CPU.torch) for split in splits]
    return StreamedData(CPU, Ranks(), loaders[0], loaders[1], "made up")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs", tmp_path / "runs.jsonl")


@dataclass(frozen=True)
class Whole:
    """`RUN` as it ends undisturbed, with the store that keeps its first and its last epoch."""

    store: Store
    record: Record


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    store = Store(folder / "runs", folder / "runs.jsonl")
    return Whole(store, train(RUN, bench(InMemory(DATA.train, 0)), store, {0, 2}, QUIET, lambda _: True))


def plain_loop(run: Run, split: InMemory, epochs: int) -> dict[str, Tensor]:
    """The same training with torch.optim.SGD, one image decoded after another, one part after another."""
    # In the engine's layout: rounding grows fast where BatchNorm has four values to go by.
    model = nets.build(run.arch, run.seed).to(memory_format=torch.channels_last).train()
    recipe = run.recipe
    assert isinstance(recipe, MicroBatchRecipe) and isinstance(run.data, Photos)
    optimizer = torch.optim.SGD(model.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = learning_rate(recipe, epoch)
        order = epoch_order(run.stream, epoch, len(split))
        for number, start in enumerate(range(0, len(order), recipe.batch_size)):
            chosen = order[start : start + recipe.batch_size]
            crops = draw_crops(run.stream, epoch, number, len(chosen))
            images = []
            for i, index in enumerate(chosen):
                image = decode(split.read(index))
                top, left, height, width = crop_box(crops[i], image.shape[2], image.shape[1])
                cut = image[None, :, top : top + height, left : left + width]
                shown = F.interpolate(cut, (run.data.crop,) * 2, mode="bilinear", antialias=True)[0]
                images.append(shown.flip(2) if flips(crops)[i] else shown)
            labels = torch.from_numpy(split.labels[chosen])
            buffers = {name: value.clone() for name, value in model.named_buffers()}
            means = {name: torch.zeros_like(value) for name, value in buffers.items()}
            cuts = [len(chosen) * n // recipe.micro_batches for n in range(recipe.micro_batches + 1)]
            optimizer.zero_grad()
            for first, last in itertools.pairwise(cuts):
                logits = model(normalize(torch.stack(images[first:last]), None))
                (F.cross_entropy(logits, labels[first:last], reduction="sum") / len(chosen)).backward()
                for name, value in model.named_buffers():
                    means[name] += value / recipe.micro_batches
                    value.data.copy_(buffers[name])
            for name, value in model.named_buffers():
                value.data.copy_(means[name])
            optimizer.step()
    return {name: value.detach() for name, value in model.state_dict().items()}


def apart(first: dict[str, Tensor], second: dict[str, Tensor], start: dict[str, Tensor]) -> float:
    """How far two networks ended from one another, relative to the way that they went from ``start``."""
    a, b, c = (
        torch.cat([tensors[name].reshape(-1) for name in sorted(second)]) for tensors in (first, second, start)
    )
    return float((a - b).norm() / (b - c).norm())


def kept(store: Store, run: Run, epoch: int) -> dict[str, Tensor]:
    loaded = store.load_checkpoint(run, epoch)
    assert loaded is not None
    return loaded[0]


def test_it_trains_as_a_plain_loop_does(store: Store) -> None:
    # So that rounding does not grow: 64 pixels, parts of 8 images, and two batches alone, the last one smaller.
    # (On some processors a third one takes two plain loops, with oneDNN and without, 0.6 % apart.)
    data = replace(DATA, train=28, crop=64, resize=64)
    run = replace(RUN, data=data, recipe=replace(RECIPE, batch_size=16, lr=0.01))
    split = InMemory(data.train, 0)
    record = train(run, bench(split, data), store, {0, 1}, QUIET, lambda _: True)
    assert apart(kept(store, run, 1), plain_loop(run, split, 1), kept(store, run, 0)) < 1e-4
    assert record.top1 is not None and len(record.curve["test_top1"]) == 2
    facts = record.provenance["throughput"]
    assert facts["images_per_second"] > 0 and 0 <= facts["waiting_for_images"] < 1


def interrupted(after: int) -> Callable[[float], bool]:
    """Time for ``after`` questions whether there is any."""
    left = [after]

    def has_time(_: float) -> bool:
        left[0] -= 1
        return left[0] >= 0

    return has_time


def test_an_epoch_left_in_the_middle_goes_on_there(store: Store, whole: Whole) -> None:
    split, stops = InMemory(DATA.train, 0), 0
    while True:
        try:
            parts = train(RUN, bench(split), store, {2}, QUIET, interrupted(1 if stops else 2))
            break
        except OutOfTime:
            stops += 1
            state = store.load_state(RUN)
            assert state is not None and state.epoch * 3 + state.batches == stops + 1
    assert stops == 5 - 1  # three batches an epoch, the first time two of them
    assert parts.curve == whole.record.curve
    ends = [kept(place, RUN, 2) for place in (store, whole.store)]
    assert apart(*ends, kept(whole.store, RUN, 0)) == 0


def test_a_mask_holds_in_every_part_and_step(whole: Whole) -> None:
    split, store = InMemory(DATA.train, 0), whole.store
    ticket = replace(
        RUN, experiment="tickets-resnet18", weights=Checkpoint(RUN, 0), mask=Mask(Checkpoint(RUN, 2), 0.8)
    )
    record = train(ticket, bench(split), store, {1, 2}, QUIET, lambda _: True)
    assert record.start["sparsity"] == pytest.approx(0.8, abs=1e-6)
    for epoch in (1, 2):
        tensors = kept(store, ticket, epoch)
        masks = {name.removeprefix("mask/"): t for name, t in tensors.items() if name.startswith("mask/")}
        assert len(masks) == 19 and "conv1.weight" not in masks and "fc.weight" not in masks
        assert sum(int((~m).sum()) for m in masks.values()) == round(0.8 * 11_157_504)
        assert all(bool((tensors[name][~mask] == 0).all()) for name, mask in masks.items())


def test_an_unreadable_image_takes_part_in_no_loss_and_is_named(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record = train(RUN, bench(InMemory(DATA.train, 0, torn=3)), store, set(), QUIET, lambda _: True)
    assert record.provenance["unreadable"].keys() == {"train/n00000001/3.JPEG"}
    assert 0 < record.curve["train_loss"][0] < 20


def test_a_loss_that_is_not_finite_ends_the_run(store: Store) -> None:
    wild = replace(RUN, recipe=replace(RECIPE, lr=1e30))
    record: Record = train(wild, bench(InMemory(DATA.train, 0)), store, set(), QUIET, lambda _: True)
    assert record.status == DIVERGED and record.provenance["diverged_at"] == 1


def test_a_long_epoch_is_told_of_on_the_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.engine.photo_trainer.REPORT_EVERY", 0.0)
    told = Reports()
    train(RUN, bench(InMemory(DATA.train, 0)), store, set(), told, lambda _: True)
    assert [(report.epoch, report.images) for report in told.steps] == [
        (e, n) for e in (1, 2) for n in (8, 16, 23)
    ]
    assert all(report.speed > 0 and 0 <= report.waiting <= 1 for report in told.steps)
