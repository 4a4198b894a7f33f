"""Parts of a data set, its statistics, and the synthetic set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from alike import same
from hypothesis import given
from hypothesis import strategies as st

from repro import data
from repro.data import synthetic
from repro.data.images import Images, Split, assemble, first_of_each
from repro.errors import UsageError


@pytest.fixture(scope="module")
def made() -> Images:
    return synthetic.generate()


def test_a_part_has_as_many_of_each_class_as_its_size_allows() -> None:
    random = np.random.default_rng(1)
    labels = random.permutation(np.repeat(np.arange(10, dtype=np.uint8), 50))
    split = Split(random.integers(0, 256, (500, 32, 32, 3), dtype=np.uint8), labels)
    for count in (10, 100, 123, 500):
        part = split.first(count)
        per_class = np.bincount(part.labels, minlength=10)
        assert per_class.sum() == len(part.images) == count
        assert per_class.max() - per_class.min() <= 1
        again = split.first(count)
        assert np.array_equal(part.images, again.images)
        assert np.array_equal(part.labels, again.labels)


def test_a_part_is_the_first_of_each_class_in_order(made: Images) -> None:
    part = made.train.first(100)
    chosen = [i for label in range(10) for i in np.flatnonzero(made.train.labels == label)[:10]]
    assert np.array_equal(part.images, made.train.images[sorted(chosen)])
    assert np.array_equal(part.labels, made.train.labels[sorted(chosen)])


def test_a_larger_part_contains_a_smaller_one(made: Images) -> None:
    small, large = made.train.first(64), made.train.first(512)
    assert {image.tobytes() for image in small.images} <= {image.tobytes() for image in large.images}


def test_more_images_than_there_are_is_refused(made: Images) -> None:
    with pytest.raises(UsageError, match=r"5000.*4096"):
        made.train.first(5000)


def test_statistics_are_numpys(made: Images) -> None:
    mean, std = made.statistics
    pixels = made.train.images.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-10)


# Synthetic


def test_synthetic_images_follow_from_their_seed(made: Images) -> None:
    assert same(made, synthetic.generate.__wrapped__())
    assert not np.array_equal(made.train.images, synthetic.generate(seed=2).train.images)


def test_synthetic_images_are_those_that_the_fingerprint_names(made: Images) -> None:
    """Other images need another name in `synthetic.FINGERPRINT`, or old results are taken for new."""
    assert made.fingerprint == data.fingerprint("synthetic", []) == "synthetic-v1"
    assert assemble(made.train, made.test, "").fingerprint == "09abb9cb8c4c9d27"


def test_synthetic_classes_are_balanced_and_splits_apart(made: Images) -> None:
    for split, count in ((made.train, 4096), (made.test, 1024)):
        per_class = np.bincount(split.labels)
        assert per_class.sum() == len(split.images) == count
        assert per_class.max() - per_class.min() <= 1
    train = {image.tobytes() for image in made.train.images}
    assert not any(image.tobytes() in train for image in made.test.images)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.data())
def test_first_of_each_takes_turns_among_the_classes(labels: list[int], data: Any) -> None:
    count = data.draw(st.integers(0, len(labels)))
    turns = [(labels[:i].count(label), label, i) for i, label in enumerate(labels)]
    expected = sorted(i for _, _, i in sorted(turns)[:count])
    assert first_of_each(np.array(labels), count).tolist() == expected
    split = Split(np.arange(len(labels), dtype=np.uint8)[:, None, None, None], np.array(labels, dtype=np.uint8))
    assert split.first(count).images.ravel().tolist() == expected
