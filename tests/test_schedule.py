"""Learning rate, Eq. 6 and Eq. 5 against closed forms and a simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.config.recipe import Recipe
from repro.experiments import Study
from repro.schedule import (
    gradual_sparsity,
    gradual_steps,
    learning_rate,
    predicted_shrinkage,
    updates_per_epoch,
)


@pytest.fixture(scope="module")
def paper(study: Callable[..., Study]) -> Recipe:
    return study("paper").settings.profile.recipe


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 0.1), (119, 0.1), (120, 0.01), (159, 0.01), (160, 0.001), (199, 0.001)]
)
def test_the_rate_falls_tenfold_after_120_and_160_epochs(paper: Recipe, epoch: int, rate: float) -> None:
    assert learning_rate(paper, epoch) == pytest.approx(rate, rel=1e-12)


# Eq. 6 with s_i = 0, s_f = 80 %, by hand: 0.8 * (1 - (1 - x)^3).
@pytest.mark.parametrize(
    ("epoch", "sparsity"), [(100, 0.0), (110, 0.3904), (120, 0.6272), (125, 0.7), (140, 0.7936), (150, 0.8)]
)
def test_eq_6_at_points_worked_out_by_hand(epoch: int, sparsity: float) -> None:
    assert gradual_sparsity(epoch, 100, 50, 0.8) == pytest.approx(sparsity, abs=1e-12)


def test_eq_6_from_an_initial_sparsity() -> None:
    assert gradual_sparsity(25, 0, 50, 0.8, initial=0.4) == pytest.approx(0.8 - 0.4 / 8)


@given(first=st.integers(0, 200), span=st.integers(1, 200), final=st.floats(0.01, 0.99), share=st.floats(0, 0.99))
def test_eq_6_rises_from_its_start_to_its_end_and_stays_there(
    first: int, span: int, final: float, share: float
) -> None:
    initial = share * final
    values = [gradual_sparsity(t, first, span, final, initial) for t in range(first - 2, first + span + 3)]
    assert all(a <= b + 1e-12 for a, b in pairwise(values))
    assert values[:3] == pytest.approx([initial] * 3, abs=1e-12)
    assert values[-3:] == [final] * 3  # exact


@pytest.mark.parametrize(("first", "last"), [(100, 150), (25, 75), (1, 2), (10, 15)])
def test_a_window_prunes_once_after_each_of_its_epochs(first: int, last: int) -> None:
    steps = gradual_steps(first, last, 0.8)
    assert [epoch for epoch, _ in steps] == list(range(first + 1, last + 1))
    assert steps[-1] == (last, 0.8)  # exact, so that the mask is as large as a ticket's
    assert all(a < b for (_, a), (_, b) in pairwise(steps))
    for epoch, sparsity in steps:
        assert sparsity == pytest.approx(0.8 * (1 - (1 - (epoch - first) / (last - first)) ** 3))


@pytest.mark.parametrize(
    ("images", "size", "updates"), [(50_000, 128, 391), (256, 64, 4), (257, 64, 5), (10, 64, 1)]
)
def test_updates_count_the_smaller_last_batch(images: int, size: int, updates: int) -> None:
    assert updates_per_epoch(images, size) == updates


def test_the_papers_782_updates_are_one_epoch_of_the_paper_profile(paper: Recipe) -> None:
    """And two at 128."""
    assert updates_per_epoch(50_000, paper.batch_size) == 782
    assert 2 * updates_per_epoch(50_000, 128) == 782


@pytest.mark.parametrize("epoch", [120, 160])
@pytest.mark.parametrize("updates", [1, 391, 782])
def test_eq_5_is_what_eq_1_does_to_a_weight_without_gradients(paper: Recipe, epoch: int, updates: int) -> None:
    """With g = 0 and momentum settled, n updates shrink a weight by 1 - n x, where x = eta lambda / (1 - m).

    Exactly it shrinks by r^n, r the larger root of Eq. 1's recursion. The linear form leaves out (n x)^2 / 2
    and, as 1 - r = x (1 + x m / (1 - m) + ...), n x^2 m / (1 - m): at most 1e-5 here, below 1 % of n x.
    """
    eta, decay, m = learning_rate(paper, epoch), paper.weight_decay, paper.momentum
    w, v = 1.0, 0.0
    for _ in range(2000):  # momentum settles: the other root is near 0.9
        v = m * v + decay * w
        w -= eta * v
    before = w
    for _ in range(updates):
        v = m * v + decay * w
        w -= eta * v
    x = eta * decay / (1 - m)
    tolerance = (updates * x) ** 2 / 2 + 2 * updates * x * x * m / (1 - m) + 1e-13
    assert math.isclose(w / before, predicted_shrinkage(paper, epoch, updates), rel_tol=0, abs_tol=tolerance)
    assert tolerance < 0.01 * updates * x
