"""People's own Datasets: what is wrong with an item is said before anything is trained, and random ones resume."""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_ticket import RECIPE, arguments, outcome
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

from repro.errors import MissingInput, UsageError
from repro.ticket import Event, Result, find_ticket

COUNT = 40
PLAIN = dataclasses.replace(RECIPE, augment=False, epochs=2, milestones=(1,))
SHORT = dataclasses.replace(PLAIN, epochs=1, milestones=())


def perceptron() -> nn.Module:
    """With dropout, which draws from the same generators as the sets do."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    )


class Items(Dataset[Any]):
    """Three separable classes; ``change`` makes something else of item ``at``."""

    def __init__(self, change: Callable[[Tensor, int], Any] | None = None, at: int = 7, says: Any = COUNT) -> None:
        self.change, self.at, self.says = change, at, says

    def __len__(self) -> Any:
        return self.says

    def __getitem__(self, index: int) -> Any:
        if index >= COUNT:
            raise IndexError("list index out of range")
        inputs, label = torch.eye(6)[index % 3] * (1 + index / COUNT), index % 3
        return self.change(inputs, label) if self.change and index == self.at else (inputs, label)


class Jittered(Items):
    """A random transform from each of the global generators."""

    def __getitem__(self, index: int) -> Any:
        inputs, label = super().__getitem__(index)
        noise = float(np.random.normal(0, 0.1)) + random.random()
        return inputs + 0.1 * noise + 0.1 * torch.randn(6), label


def search(folder: Path, train_set: Any, test_set: Any = None, **changes: Any) -> Result:
    options: dict[str, Any] = {"recipe": PLAIN, "device": "cpu", "patience": 1, "tolerance": 0.0, **changes}
    return find_ticket(
        perceptron(), train_set, Items() if test_set is None else test_set, folder=folder, **arguments(**options)
    )


def fail(inputs: Tensor, label: int) -> Any:
    raise OSError("cannot identify image file 'cat.jpg'")


def leave(inputs: Tensor, label: int) -> Any:
    if os.environ.get("TEST_PARENT") != str(os.getpid()):
        os._exit(3)
    return inputs, label


picture = Image.new("RGB", (4, 4))
BAD: dict[str, tuple[Items, str]] = {
    "a picture": (Items(lambda x, y: (picture, y)), "item 7 of 40 begins with PIL's Image; a floating-point"),
    "bytes": (Items(lambda x, y: (x.byte(), y)), "item 7 of 40 begins with torch.uint8; a floating-point tensor"),
    "nothing": (Items(lambda x, y: None), "item 7 of 40 is None; a pair of a tensor and a label was expected"),
    "no image": (Items(lambda x, y: (None, y)), "item 7 of 40 begins with None"),
    "three": (Items(lambda x, y: (x, y, "cat.jpg")), "item 7 of 40 is 3 values; a pair"),
    "another size": (Items(lambda x, y: (x[:5], y)), "item 7 of 40 is [5], others are [6]; tensors of one shape"),
    "an error": (Items(fail), "item 7 of 40 cannot be read: OSError: cannot identify image file 'cat.jpg'"),
    "one-hot": (Items(lambda x, y: (x, torch.eye(3)[y])), "has the label torch's Tensor of shape [3]; a whole"),
    "a word": (Items(lambda x, y: (x, "cat")), "item 7 of 40 has the label 'cat'; a whole number from 0"),
    "a label": (Items(lambda x, y: (x, 3)), "a label of 3, but the network tells 3 classes apart"),
    "infinite": (Items(lambda x, y: (x / 0, y)), "item 7 holds a value that is infinite or no number"),
    "too long": (Items(says=60), " of 60 cannot be read: IndexError: list index out of range"),
    "empty": (Items(says=0), "is empty"),
    "no length": (Items(says="many"), "a Dataset that knows its length was expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("side", ["train_set", "test_set"])
def test_a_bad_item_is_named_before_anything_is_trained(
    tmp_path: Path, name: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.ticket.datasets.LOOKED_AT", 16)  # of 40 items
    data, words = BAD[name]
    heard: list[Event] = []
    sets = {"train_set": Items(), "test_set": Items(), side: data}
    with pytest.raises(UsageError) as error:
        search(tmp_path, **sets, on_event=heard.append)
    assert str(error.value).startswith(side) and words in str(error.value) and "\n" not in str(error.value)
    assert {event.kind for event in heard} <= {"note"}


def test_a_worker_says_it_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="train_set: item 7 of 40 cannot be read: OSError: cannot identify image"):
        search(tmp_path, Items(fail), workers=1)
    monkeypatch.setenv("TEST_PARENT", str(os.getpid()))
    with pytest.raises(
        MissingInput, match=r"train_set: reading it in another process failed .* workers=0 does it"
    ):
        search(tmp_path, Items(leave), workers=1)


class Killed(Exception):
    pass


def test_a_random_set_interrupted_at_every_epoch_ends_in_the_same_bits(tmp_path: Path) -> None:
    """Whatever state its generators are in by then, and with other processes that read it."""
    whole = search(tmp_path / "whole", Jittered(), Jittered(), workers=1)
    heard: set[str] = set()

    def die(event: Event) -> None:
        if event.kind == "epoch" and str(event) not in heard:
            heard.add(str(event))
            raise Killed

    kills = 0
    while kills < 30:
        random.seed(kills), np.random.seed(kills), torch.manual_seed(kills)  # type: ignore[func-returns-value]
        try:
            pieces = search(tmp_path / "pieces", Jittered(), Jittered(), on_event=die)
            break
        except Killed:
            kills += 1
    assert kills == len(heard) == whole.epochs_trained - len(whole.checks)
    assert outcome(pieces) == outcome(whole) and not whole.notes


def test_items_are_drawn_anew_every_epoch(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    class Watched(Jittered):
        def __getitem__(self, index: int) -> Any:
            found = super().__getitem__(index)
            if index == 7:
                seen.append(found[0])
            return found

    search(tmp_path, Watched())
    looks, epochs = seen[:2], seen[2:]
    assert torch.equal(*looks)
    assert len({tuple(item.tolist()) for item in epochs}) == len(epochs) > 2


@pytest.mark.parametrize("own", [random.SystemRandom(), random.Random()])
def test_a_set_that_no_seed_repeats_is_said_and_can_be_reopened(tmp_path: Path, own: random.Random) -> None:
    class Sensor(Items):
        def __getitem__(self, index: int) -> Any:
            inputs, label = super().__getitem__(index)
            return inputs + own.random(), label

    notes: list[str] = []
    for _ in range(2):
        found = search(tmp_path, Sensor(), on_event=lambda event: notes.append(str(event)))
    assert "train_set: an item read twice is not the same" in "".join(notes[:3])
    assert "will not end in the bits" in found.sentences()[-1]


@pytest.mark.parametrize("kind", ["a Dataset", "tensors"])
def test_one_changed_label_is_another_set(tmp_path: Path, kind: str) -> None:
    def of(data: Items) -> Any:
        pairs = [data[index] for index in range(COUNT)]
        return (
            data
            if kind == "a Dataset"
            else (torch.stack([x for x, _ in pairs]), torch.tensor([y for _, y in pairs]))
        )

    search(tmp_path, of(Items()))
    for change in (lambda x, y: (x, (y + 1) % 3), lambda x, y: (x + 0.01, y)):
        with pytest.raises(UsageError, match=r"differs in data.fingerprint \("):
            search(tmp_path, of(Items(change, at=17)))
        with pytest.raises(UsageError, match=r"it differs in data.fingerprint"):
            search(tmp_path, of(Items()), of(Items(change, at=39)))


def test_numpy_items_and_labels_are_fine(tmp_path: Path) -> None:
    class Arrays(Items):
        def __getitem__(self, index: int) -> Any:
            inputs, label = super().__getitem__(index)
            return inputs.double().numpy(), np.int64(label) if index % 2 else torch.tensor(label)

    assert (
        outcome(search(tmp_path / "a", Arrays(), recipe=SHORT))[:2]
        == outcome(search(tmp_path / "b", Items(), recipe=SHORT))[:2]
    )


def test_it_trains_where_the_caller_takes_no_gradients(tmp_path: Path) -> None:
    whole = outcome(search(tmp_path / "plain", Items(), recipe=SHORT))
    for name, setting in (("no_grad", torch.no_grad()), ("inference", torch.inference_mode())):
        with setting:
            assert outcome(search(tmp_path / name, Items(), recipe=SHORT))[:2] == whole[:2]
            assert torch.is_grad_enabled() is False
    with torch.inference_mode():  # what is made in it is of another kind
        data = torch.stack([Items()[index][0] for index in range(COUNT)]), torch.arange(COUNT) % 3
        assert outcome(search(tmp_path / "tensors", data, recipe=SHORT))[:1] == whole[:1]


def test_a_list_of_pairs_trains_as_the_message_says(tmp_path: Path) -> None:
    pairs = [Items()[index] for index in range(COUNT)]
    listed = search(tmp_path / "a", Subset(pairs, range(len(pairs))), recipe=SHORT)  # type: ignore[arg-type]
    assert outcome(listed)[:2] == outcome(search(tmp_path / "b", Items(), recipe=SHORT))[:2]


def test_test_images_of_another_size_are_noted_before_training(tmp_path: Path) -> None:
    heard: list[Event] = []
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    sizes = [(torch.randn(12, 3, size, size), torch.arange(12) % 3) for size in (8, 10)]
    found = find_ticket(model, *sizes, recipe=SHORT, folder=tmp_path, on_event=heard.append)
    words = "train_set has inputs [3, 8, 8], test_set has [3, 10, 10]: the network takes both"
    assert heard[0].kind == "note" and words in str(heard[0]) and words in found.notes[0]
