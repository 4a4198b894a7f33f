"""A global batch in parts: whoever trains them, every image is trained on once, in the same part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.config.recipe import MicroBatchRecipe
from repro.engine import photo_trainer
from repro.errors import UsageError


def recipe(batch_size: int, micro_batches: int) -> MicroBatchRecipe:
    return MicroBatchRecipe(90, batch_size, 0.1, (30, 60), 0.1, 0.9, 1e-4, True, 1, micro_batches)


@given(
    images=st.integers(2, 500),
    micro_batches=st.sampled_from([1, 2, 4, 8]),
    each=st.integers(2, 9),
    halvings=st.integers(0, 3),
)
def test_ranks_share_the_same_parts(images: int, micro_batches: int, each: int, halvings: int) -> None:
    asked = recipe(micro_batches * each, micro_batches)
    count = max(1, micro_batches >> halvings)
    for batch in photo_trainer.batches(images, asked):
        alone = photo_trainer.microbatches(batch, asked, 0, 1)
        shared = [photo_trainer.microbatches(batch, asked, rank, count) for rank in range(count)]
        assert [part for own in shared for part in own] == alone
        assert {len(own) for own in shared} == {micro_batches // count}
        assert [i for part in alone for i in part] == list(batch)
        sizes = [len(part) for part in alone]
        assert len(sizes) == micro_batches and max(sizes) - min(sizes) <= 1 and min(sizes) >= photo_trainer.LEAST


@pytest.mark.parametrize(("images", "sizes"), [(100, [16] * 6), (105, [16] * 6 + [9]), (7, []), (8, [8])])
def test_a_last_batch_with_under_two_images_a_part_is_left_out(images: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in photo_trainer.batches(images, recipe(16, 4))] == sizes


def test_parts_have_to_divide_among_ranks() -> None:
    for count in (1, 2, 4, 8):
        photo_trainer.check_ranks(count, recipe(256, 8))
    with pytest.raises(UsageError, match="3 GPUs for one Run: a batch of 8 parts divides among 1 or 2 or 4 or 8"):
        photo_trainer.check_ranks(3, recipe(256, 8))
