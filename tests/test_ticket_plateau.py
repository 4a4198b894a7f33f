"""The rule that says from which epoch pruning is safe, on curves whose answer is known."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ticket import RECIPE

from repro.ticket import Plateau, SearchOptions, find_plateau


def default(name: str, epochs: int, check_every: int = 1, tested: int = 10_000) -> Any:
    """An option that is not given, in a search with this schedule."""
    recipe = dataclasses.replace(RECIPE, epochs=epochs)
    return SearchOptions(check_every=check_every).resolved(recipe, tested)[name]


def curve(*values: float) -> list[tuple[int, float]]:
    return list(enumerate(values, 1))


def test_it_settles_at_the_beginning_of_the_plateau() -> None:
    rising = curve(50, 60, 70, 80, 80.2, 79.9, 80.4, 95)
    assert find_plateau(rising, patience=3, tolerance=0.5) == Plateau(epoch=4, known_at=7)


def test_a_curve_that_rises_never_settles() -> None:
    assert find_plateau(curve(*range(20, 60)), patience=2, tolerance=0.5) == Plateau(epoch=40, known_at=None)


def test_a_slow_rise_is_a_rise() -> None:
    """Every step is smaller than the tolerance, but ``patience`` of them are not."""
    values = [50 + 0.3 * step for step in range(40)]
    assert find_plateau(curve(*values), patience=3, tolerance=0.5).known_at is None
    assert find_plateau(curve(*values), patience=1, tolerance=0.5).known_at == 2


def test_a_dip_or_a_lucky_check_postpones_nothing_for_long() -> None:
    assert find_plateau(curve(50, 70, 40, 70.2, 69), patience=3, tolerance=0.5) == Plateau(2, 5)
    assert find_plateau(curve(50, 70, 72, 70, 70, 71), patience=3, tolerance=0.5) == Plateau(3, 6)


def test_guessing_is_no_plateau() -> None:
    assert find_plateau(curve(10, 10.2, 9.8, 10.1), patience=2, tolerance=1, chance=10) == Plateau(0, None)
    assert find_plateau(curve(10, 10.2, 9.8, 30, 30, 30), patience=2, tolerance=1, chance=10) == Plateau(4, 6)


def test_epochs_are_those_of_the_checks() -> None:
    assert find_plateau([(5, 60.0), (10, 80.0), (15, 80.0), (20, 80.0)], 2, 0.5) == Plateau(10, 20)
    assert find_plateau([], 2, 0.5) == Plateau(0, None)


def test_a_noisy_curve_like_that_of_the_paper_settles_where_it_saturates() -> None:
    """Fig. 4: a rise until about epoch 100 of 200, then flat, with noise of 0.25 points."""
    for every, least, most in ((1, 75, 125), (5, 75, 145)):
        found = []
        for seed in range(60):
            noise = random.Random(seed)
            epochs = range(every, 201, every)
            values = [(e, 86 + 4 * (min(e, 100) / 100) ** 0.7 + noise.gauss(0, 0.25)) for e in epochs]
            settling = find_plateau(values, default("patience", 200, every), default("tolerance", 200))
            assert settling.known_at is not None
            found.append(settling.epoch)
        found.sort()
        assert least <= found[3] and found[57] <= most and 85 <= found[30] <= 110


def test_defaults_follow_from_schedule_and_test_set() -> None:
    assert [default("patience", *schedule) for schedule in ((200, 1), (90, 5), (4, 1))] == [30, 3, 2]
    assert default("tolerance", 200, tested=10_000) == 0.25
    assert default("tolerance", 200, tested=256) == pytest.approx(1.5625)


@given(st.lists(st.floats(0, 100), max_size=40), st.integers(1, 6), st.floats(0, 5))
def test_it_is_causal(values: list[float], patience: int, tolerance: float) -> None:
    """What it says of a curve it says as soon as the settling check is in, whatever comes after."""
    whole = find_plateau(curve(*values), patience, tolerance)
    if whole.known_at is None:
        return
    assert find_plateau(curve(*values[: whole.known_at]), patience, tolerance) == whole
    assert find_plateau(curve(*values[: whole.known_at - 1]), patience, tolerance).known_at is None
    assert whole.known_at == whole.epoch + patience
    assert max(values[: whole.known_at]) <= values[whole.epoch - 1] + tolerance
