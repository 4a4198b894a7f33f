"""Whether two data sets are the same."""

from __future__ import annotations

import numpy as np

from repro.data.images import Images


def same(first: Images, second: Images) -> bool:
    """Fingerprint, images and labels of both splits."""
    return first.fingerprint == second.fingerprint and all(
        np.array_equal(a, b)
        for one, other in ((first.train, second.train), (first.test, second.test))
        for a, b in ((one.images, other.images), (one.labels, other.labels))
    )
