"""Random crops: equal for equal names, distributed as torchvision's; and the input that a network gets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import RandomResizedCrop

from repro.data.imagenet.augment import MEAN, STD, TRIES, crop_box, draw_crops, flips, normalize

SCALE, RATIO = [0.08, 1.0], [3 / 4, 4 / 3]  # RandomResizedCrop's defaults


def test_draws_follow_from_their_names_alone() -> None:
    drawn = draw_crops("dense seed=0", 3, 17, 64)
    torch.manual_seed(1)
    assert np.array_equal(drawn, draw_crops("dense seed=0", 3, 17, 64))
    others = [("dense seed=1", 3, 17), ("dense seed=0", 4, 17), ("dense seed=0", 3, 18), ("dense seed=0", 31, 7)]
    for names in others:
        assert not np.isclose(draw_crops(*names, 64)[:, :TRIES], drawn[:, :TRIES]).any()


def test_these_very_numbers_whatever_the_versions() -> None:
    """A change here is another training: it needs another `SEMANTICS` (repro/run.py)."""
    drawn = draw_crops("dense resnet18 seed=0 epochs=0-90", 2, 5, 9)
    boxes = [(26, 92, 311, 377), (9, 71, 236, 288), (29, 183, 207, 168)]
    assert [crop_box(drawn[i], 500, 375) for i in range(3)] == boxes
    assert np.flatnonzero(flips(drawn)).tolist() == [4, 7, 8]


def test_an_image_s_draws_do_not_depend_on_who_comes_after_it() -> None:
    drawn = draw_crops("x", 0, 0, 64)
    assert np.array_equal(drawn[:20], draw_crops("x", 0, 0, 20))


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**32))
def test_a_crop_lies_inside_its_image(width: int, height: int, batch: int) -> None:
    drawn = draw_crops("x", 0, batch, 8)
    for i in range(8):
        top, left, h, w = crop_box(drawn[i], width, height)
        assert 0 <= top < top + h <= height
        assert 0 <= left < left + w <= width


def largest_gap(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Kolmogorov's and Smirnov's: between the two empirical distributions."""
    at = np.concatenate((one, other))
    shares = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.mark.parametrize(("width", "height"), [(500, 375), (375, 500), (300, 120), (100, 230), (24, 24)])
def test_crops_are_distributed_as_torchvision_s(width: int, height: int) -> None:
    """Sides, places, area and ratio. The bound is the one that equal distributions exceed once in a million."""
    count = 6000
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array([RandomResizedCrop.get_params(image, SCALE, RATIO) for _ in range(count)], dtype=float)
    drawn = draw_crops("distribution", 0, 0, count)
    ours = np.array([crop_box(drawn[i], width, height) for i in range(count)], dtype=float)
    bound = np.sqrt(-np.log(1e-6 / 2) / count)
    for measure in (
        lambda box: box[:, 0],
        lambda box: box[:, 1],
        lambda box: box[:, 2],
        lambda box: box[:, 3],
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 0] / np.maximum(height - box[:, 2], 1),
        lambda box: box[:, 0] + box[:, 1],
    ):
        assert largest_gap(measure(ours), measure(theirs)) < bound
    assert 0.47 < flips(drawn).mean() < 0.53
    assert abs(np.corrcoef(flips(drawn), ours[:, 1])[0, 1]) < 0.06


@pytest.mark.parametrize(("width", "height"), [(1000, 50), (50, 1000), (1000, 3), (1, 40)])
def test_where_no_try_fits_the_crop_is_torchvision_s_central_one(width: int, height: int) -> None:
    right = RandomResizedCrop.get_params(torch.empty(3, height, width), [0.5, 1.0], RATIO)
    drawn = draw_crops("x", 0, 0, 4)
    for i in range(4):
        drawn[i, :TRIES] = 0.9
        assert crop_box(drawn[i], width, height) == tuple(right)


@pytest.mark.parametrize("count", [0, 1, 6])
@pytest.mark.parametrize("channels_last", [True, False])
def test_input_is_normalised_and_mirrored_where_asked(count: int, channels_last: bool) -> None:
    images = torch.randint(0, 256, (count, 3, 20, 20), dtype=torch.uint8)
    flip = torch.arange(count) % 3 != 0
    given_ = images.contiguous(memory_format=torch.channels_last) if channels_last else images
    found, plain = normalize(given_, flip), normalize(given_, None)
    right = np.empty((count, 3, 20, 20))
    for i, image in enumerate(images.numpy().astype(float)):
        for channel in range(3):
            right[i, channel] = (image[channel] - MEAN[channel]) / STD[channel]
    np.testing.assert_allclose(plain.numpy(), right, atol=1e-6)
    right[flip.numpy()] = right[flip.numpy()][..., ::-1]
    np.testing.assert_allclose(found.numpy(), right, atol=1e-6)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(given_, images)  # what is given stays as it is


def test_statistics_are_imagenet_s_usual_ones() -> None:
    assert [round(value / 255, 3) for value in MEAN] == [0.485, 0.456, 0.406]
    assert [round(value / 255, 3) for value in STD] == [0.229, 0.224, 0.225]
