"""Batches come in order and whole; what is broken is named and skipped; no thread stays behind."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from photographs import Memory, encode, picture, real_photographs

from repro.data.imagenet.augment import crop_box, draw_crops
from repro.data.imagenet.decode import decode, evaluation, training
from repro.data.imagenet.layout import ImageFiles
from repro.data.imagenet.loader import IGNORED, Loader, Request
from repro.errors import MissingInput

CROP, RESIZE = 32, 40
CPU = torch.device("cpu")


def contents() -> list[bytes]:
    """JPEGs of all sizes, one in grey, one in CMYK, and a PNG."""
    found = [encode(picture(40 + 7 * i, 90 - 2 * i, seed=i)) for i in range(21)]
    found[3] = encode(picture(60, 50, mode="L"))
    found[5] = encode(picture(60, 50, mode="CMYK"))
    found[8] = encode(picture(60, 50), "PNG")
    return found


IMAGES = contents()


def requests(sizes: tuple[int, ...] = (16, 7, 1, 16), train: bool = True) -> list[Request]:
    """Batches of images in a random order."""
    random = np.random.default_rng(0)
    found = []
    for batch, size in enumerate(sizes):
        index = random.integers(0, len(IMAGES), size)
        found.append(Request(index, draw_crops("x", 0, batch, size) if train else None))
    return found


def one_by_one(split: ImageFiles, request: Request) -> torch.Tensor:
    """Slowly, in this thread, without any short cut."""
    found = []
    for i, index in enumerate(request.index.tolist()):
        image = decode(split.read(index))
        if request.crops is None:
            found.append(evaluation(image, RESIZE, CROP))
        else:
            box = crop_box(request.crops[i], image.shape[2], image.shape[1])
            found.append(training(image, box, CROP))
    return torch.stack(found)


def make(split: ImageFiles, **options: object) -> Loader:
    return Loader(split, CROP, RESIZE, CPU, **options)  # type: ignore[arg-type]


def left_behind() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("photos")]


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    assert left_behind() == []


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_are_what_one_image_after_another_gives(train: bool, threads: int) -> None:
    split = Memory(IMAGES, on_read=lambda i: time.sleep(0.002 * (i % 3)))  # so that threads overtake each other
    asked = requests(train=train)
    found = list(make(split, threads=threads).batches(iter(asked), ahead=2))
    assert len(found) == len(asked)
    for batch, request in zip(found, asked, strict=True):
        assert torch.equal(batch.images, one_by_one(split, request))
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.labels.tolist() == split.labels[request.index].tolist()
        assert batch.labels.dtype == torch.int64
        assert batch.waited >= 0


def test_a_batch_in_parts_is_the_batch() -> None:
    """As several GPUs, or micro-batches, divide it."""
    loader = make(Memory(IMAGES), threads=2)
    (whole,) = requests((16,))
    assert whole.crops is not None
    parts = [Request(whole.index[at : at + 4], whole.crops[at : at + 4]) for at in range(0, 16, 4)]
    (batch,) = loader.batches([whole])
    assert torch.equal(batch.images, torch.cat([part.images for part in loader.batches(parts)]))


@pytest.mark.parametrize("ahead", [1, 3])
def test_requests_are_taken_as_batches_are_and_a_few_ahead(ahead: int) -> None:
    taken = 0

    def asked() -> Iterator[Request]:
        nonlocal taken
        for request in requests((2,) * 10):
            taken += 1
            yield request

    for number, _ in enumerate(make(Memory(IMAGES), threads=2).batches(asked(), ahead=ahead), 1):
        assert taken == min(number + ahead, 10)


def test_waited_is_the_time_that_the_consumer_was_held_up() -> None:
    slow = make(Memory(IMAGES, on_read=lambda _: time.sleep(0.05)), threads=1)
    batches = slow.batches(requests((2, 2)), ahead=1)
    first = next(batches)
    assert first.waited >= 0.09
    time.sleep(0.4)  # the second is ready by then
    assert next(batches).waited < 0.05


# What is broken


def broken() -> list[bytes | None]:
    """Two images in a bad state among `IMAGES`: one is cut off, one cannot be read."""
    found: list[bytes | None] = list(IMAGES)
    found[4], found[6] = IMAGES[4][: len(IMAGES[4]) // 2], None
    return found


def test_a_bad_image_is_named_once_and_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    split = Memory(broken())
    loader = make(split, threads=2)
    request = Request(np.arange(10), draw_crops("x", 0, 0, 10))
    for _ in range(3):  # epochs
        (batch,) = loader.batches([request])
        good = [i for i in range(10) if i not in (4, 6)]
        assert batch.labels[[4, 6]].tolist() == [IGNORED, IGNORED]
        assert not batch.images[[4, 6]].any()
        assert batch.labels[good].tolist() == split.labels[good].tolist()
        assert batch.images[good].flatten(1).any(1).all()
    assert loader.bad == {
        "train/n00000004.JPEG": "its end is missing",
        "train/n00000006.JPEG": "cannot be read (Input/output error)",
    }
    assert capsys.readouterr().err.splitlines() == [
        f"left out, cannot be read: {name} ({why})" for name, why in loader.bad.items()
    ]
    assert (split.labels != IGNORED).all()


@pytest.fixture
def three_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three unreadable images are allowed."""
    monkeypatch.setattr("repro.data.imagenet.loader.MOST_BAD", 3)


@pytest.mark.usefixtures("three_bad")
def test_more_bad_images_than_allowed_end_it_with_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    loader = make(Memory([None] * 9), threads=2)
    batches = loader.batches([Request(np.array([i, i + 1]), None) for i in range(8)])
    next(batches)
    next(batches)
    with pytest.raises(MissingInput) as ended:
        next(batches)
    for i in range(4):
        assert f"train/n{i:08d}.JPEG: cannot be read" in str(ended.value)
    assert "more than the 3 that are skipped" in str(ended.value)
    assert "repro data prepare imagenet" in str(ended.value)
    assert len(capsys.readouterr().err.splitlines()) == 3


@pytest.mark.usefixtures("three_bad")
def test_as_many_bad_images_as_allowed_do_not() -> None:
    loader = make(Memory([None] * 3), threads=2)
    (batch,) = loader.batches([Request(np.array([0, 1, 2, 2]), None)])
    assert (batch.labels == IGNORED).all()


# Threads


def test_ending_early_ends_the_threads() -> None:
    loader = make(Memory(IMAGES, on_read=lambda _: time.sleep(0.002)), threads=3)
    for _ in loader.batches(requests((16,) * 50)):
        assert len(left_behind()) == 3
        break
    assert left_behind() == []
    with pytest.raises(ZeroDivisionError):
        for _ in loader.batches(requests((16,) * 50)):
            raise ZeroDivisionError
    assert left_behind() == []


def test_an_error_of_the_requests_or_of_a_thread_reaches_the_consumer() -> None:
    def asked() -> Iterator[Request]:
        yield from requests((4, 4))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(make(Memory(IMAGES), threads=2).batches(asked()))
    with pytest.raises(IndexError):
        list(make(Memory(IMAGES[:5]), threads=2).batches([Request(np.array([1, 7]), None)]))


def test_threads_use_one_core_each_and_nobody_else_is_changed() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        seen: list[int] = []
        slow = Memory(IMAGES, on_read=lambda _: (time.sleep(0.001), seen.append(torch.get_num_threads()))[0])
        batches = make(slow, threads=4).batches(requests((16, 16)))
        next(batches)
        assert torch.get_num_threads() == 3
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [3]
        assert len(list(batches)) == 1
        assert set(seen) == {1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_loader_says_what_it_is() -> None:
    assert make(Memory(IMAGES), threads=1).name == "torchvision.io, 1 thread"
    assert make(Memory(IMAGES), threads=2).name == "torchvision.io, 2 threads"


def test_processes_on_one_node_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.data.imagenet.loader.cores", lambda: 64)
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "8"), ("LOCAL_WORLD_SIZE", "8")):  # torchrun's
        monkeypatch.setenv(name, value)
    assert Loader(Memory(IMAGES), CROP, RESIZE, torch.device("cuda")).threads == 8
    assert Loader(Memory(IMAGES), CROP, RESIZE, CPU).threads == 1  # a CPU that trains needs its cores


def files(paths: list[Path]) -> Memory:
    return Memory([path.read_bytes() for path in paths])


def test_real_photographs_go_through() -> None:
    split = files(real_photographs()[:48])
    loader = Loader(split, 224, 256, CPU, threads=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked = [Request(np.arange(at, at + 16), draw_crops("x", 0, at, 16)) for at in (0, 16, 32)]
        found = list(loader.batches(asked))
    assert [batch.images.shape for batch in found] == [(16, 3, 224, 224)] * 3
    assert not loader.bad
