"""Batches on the device against one image at a time; the order of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.data.batches import PAD, SIDE, DeviceImages, draw_epoch
from repro.data.images import Split

COUNT = 17
STATISTICS = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def split() -> Split:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    return Split(images, random.integers(0, 10, COUNT, dtype=np.uint8))


@pytest.fixture(scope="module")
def images(split: Split) -> DeviceImages:
    return DeviceImages(split, STATISTICS, CPU)


def reference(image: np.ndarray, top: int, left: int, flip: int) -> np.ndarray:
    """Pad by 4 black pixels, crop, mirror, normalise, channels first: one pixel at a time."""
    out = np.empty((3, SIDE, SIDE))
    for y in range(SIDE):
        for x in range(SIDE):
            column = SIDE - 1 - x if flip else x
            row, column = y + top - PAD, column + left - PAD
            inside = 0 <= row < SIDE and 0 <= column < SIDE
            for channel in range(3):
                value = float(image[row, column, channel]) if inside else 0.0
                out[channel, y, x] = (value - STATISTICS[0][channel]) / STATISTICS[1][channel]
    return out


@pytest.mark.parametrize("seed", range(2))
def test_gather_is_crop_and_flip_of_each_image(split: Split, images: DeviceImages, seed: int) -> None:
    random = np.random.default_rng(seed)
    index = random.integers(0, COUNT, 9)
    offsets = random.integers(0, 2 * PAD + 1, (2, 9))
    offsets[:, 0], offsets[:, 1] = 0, 2 * PAD  # the corners
    flip = np.arange(9) % 2
    found = images.gather(*(torch.from_numpy(a) for a in (index, offsets[0], offsets[1], flip)))
    assert found.shape == (9, 3, SIDE, SIDE)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    for i in range(9):
        expected = reference(split.images[index[i]], offsets[0][i], offsets[1][i], flip[i])
        np.testing.assert_allclose(found[i].numpy(), expected, atol=1e-5)


def test_without_augmentation_a_batch_is_the_plain_images_in_another_order(images: DeviceImages) -> None:
    order = draw_epoch("a run", 3, COUNT, augment=False)
    gathered, plain = images.gather(*order), images.plain(0, COUNT)
    assert torch.equal(gathered, plain[order[0]])
    assert plain.is_contiguous(memory_format=torch.channels_last)


def test_plain_images_are_normalised_and_whole(split: Split, images: DeviceImages) -> None:
    expected = (split.images[5:9] - np.array(STATISTICS[0])) / np.array(STATISTICS[1])
    np.testing.assert_allclose(images.plain(5, 9).permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_labels_are_the_splits_own(split: Split, images: DeviceImages) -> None:
    assert images.labels.tolist() == split.labels.tolist()
    assert images.labels.dtype == torch.long
    assert len(images) == COUNT


@pytest.mark.parametrize("augment", [True, False])
def test_an_epoch_sees_every_image_once(augment: bool) -> None:
    order = draw_epoch("a run", 0, 500, augment)
    assert sorted(order[0].tolist()) == list(range(500))
    assert order.shape == (4, 500) and order.dtype == torch.long


def same(first: torch.Tensor, second: torch.Tensor) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(first, second, strict=True)]


def test_an_order_follows_from_stream_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = draw_epoch("a run", 5, 500, True)
    state = torch.manual_seed(2).get_state()
    assert all(same(first, draw_epoch("a run", 5, 500, True)))
    assert torch.equal(torch.get_rng_state(), state)  # and leaves the global random state alone


@pytest.mark.parametrize(("stream", "epoch"), [("a run", 6), ("a run", 55), ("a run ", 5), ("another", 5)])
def test_another_stream_or_epoch_has_another_order_crops_and_flips(stream: str, epoch: int) -> None:
    assert not any(same(draw_epoch("a run", 5, 500, True), draw_epoch(stream, epoch, 500, True)))


def test_every_offset_and_both_sides_are_drawn_evenly() -> None:
    order = draw_epoch("a run", 0, 9000, True)
    for offsets in order[1:3]:
        counts = torch.bincount(offsets, minlength=9)
        assert len(counts) == 2 * PAD + 1
        assert ((counts - 1000).abs() < 150).all()  # five standard deviations
    assert abs(int(order[3].sum()) - 4500) < 240
    assert set(order[3].tolist()) == {0, 1}
    joint = order[1:].double()
    assert (torch.corrcoef(joint) - torch.eye(3)).abs().max() < 0.05  # independent of one another


def test_without_augmentation_the_crop_is_the_middle() -> None:
    order = draw_epoch("a run", 0, 50, False)
    assert set(order[1].tolist()) == set(order[2].tolist()) == {PAD}
    assert not order[3].any()
