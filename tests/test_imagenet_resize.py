"""How an image is made smaller for the cache."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from photographs import photograph, pixels
from PIL import Image

from repro.data.imagenet import cache, resize


def test_shrinking_averages_what_is_too_fine_to_show() -> None:
    checkers = (np.indices((1024, 1024)).sum(0) % 2 * 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(checkers).save(content, "PNG")
    made = pixels(resize.shrink(content.getvalue(), 256))
    assert made.shape == (256, 256, 3) and np.abs(made - 127.5).max() < 3


def test_metadata_stays_behind() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a caption"
    content = io.BytesIO()
    photograph(np.random.default_rng(1), 400, 300).save(content, "JPEG", exif=exif, comment=b"a comment")
    made = resize.shrink(content.getvalue(), 256)
    assert b"caption" not in made and b"comment" not in made
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (341, 256)  # not turned: nobody does who trains on ImageNet


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(cache.SIDES))
def test_sizes_are_rounded_as_torchvision_does(width: int, height: int, side: int) -> None:
    from torchvision.transforms.functional import _compute_resized_output_size

    rows, columns = _compute_resized_output_size((height, width), [side])
    assert resize.smaller(width, height, side) == (columns, rows)
