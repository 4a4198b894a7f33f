"""Quantiles for intervals, by one-sided error: Student's t, the normal distribution, and ranks for the median.

Student's t inverts closed forms (Abramowitz & Stegun 26.7.3 and 26.7.4) by bisection: the standard library does
not have it, and importing scipy takes seconds.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics


def normal(tail: float) -> float:
    """Return the value that a standard normal variable exceeds with probability ``tail``."""
    return -statistics.NormalDist().inv_cdf(tail)


@functools.cache
def student(freedom: int, tail: float) -> float:
    """Return what Student's t with ``freedom`` >= 1 degrees of freedom exceeds with probability ``tail``.

    >>> round(student(2, 0.025), 3), round(student(17, 0.025), 3)
    (4.303, 2.11)
    """
    if freedom < 1 or not 0 < tail < 0.5:
        raise ValueError(f"no t quantile for {freedom} degrees of freedom and a tail of {tail}")
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _tail(freedom, middle) > tail else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _tail(freedom: int, angle: float) -> float:
    """P(T > t) where t = sqrt(freedom) tan(angle)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 - inside) / 2


def median_rank(n: int, tail: float) -> int:
    """Return the largest k for which the k-th smallest of ``n`` values exceeds the population's median with
    probability at most ``tail``; 0 if there is none. Exact for any continuous distribution: the rank is binomial.

    >>> median_rank(18, 0.025), median_rank(5, 0.025)
    (5, 0)
    """
    below = itertools.accumulate(math.comb(n, k) / 2**n for k in range(n))
    return sum(share <= tail for share in below)
