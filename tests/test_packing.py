"""How many Runs at a time, for a time budget: against a slow simulation, and in cases that one can count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.plan import SLACK, end_times, lanes_for, most_in_time


def saturating(lanes: int) -> float:
    """Images a second: 100 for one lane, at most 400 together."""
    return min(400.0, 100.0 * lanes)


def busy_alone(busy: int, lanes: int) -> float:
    """Lanes that wait cost nothing."""
    return saturating(busy)


@given(images=st.lists(st.integers(1, 30), max_size=12), lanes=st.integers(1, 6))
def test_ends_is_a_simulation_step_by_step(images: list[int], lanes: int) -> None:
    """Whoever is free takes the next in line; those at work share the speed of as many."""
    step, now, waiting = 0.0025, 0.0, list(enumerate(images))
    left: dict[int, float] = {}
    ended = dict.fromkeys(range(len(images)), 0.0)
    while waiting or left:
        while waiting and len(left) < lanes:
            number, work = waiting.pop(0)
            left[number] = float(work)
        now += step
        each = step * saturating(len(left)) / len(left) / SLACK
        for number in list(left):
            left[number] -= each
            if left[number] <= 0:
                ended[number] = now
                del left[number]
    exact = end_times(images, lanes, busy_alone)
    assert exact == pytest.approx(list(ended.values()), abs=(len(images) + 1) * step)


@given(
    images=st.lists(st.integers(1, 2000), max_size=14),
    most=st.integers(1, 6),
    seconds=st.floats(0.1, 60),
)
def test_what_is_begun_ends_in_time_and_one_more_would_not(images: list[int], most: int, seconds: float) -> None:
    """The first in line, in whatever number of lanes."""
    count, lanes = most_in_time(images, most, busy_alone, seconds)
    assert max(end_times(images[:count], lanes, busy_alone), default=0.0) <= seconds
    for other in range(1, most + 1):
        assert count == len(images) or max(end_times(images[: count + 1], other, busy_alone)) > seconds


def test_a_budget_ends_with_finished_runs_not_with_half_finished_ones() -> None:
    images = [1000] * 100
    # Eight lanes would need 20 s for eight Runs; in 12 s four lanes finish four, two finish two.
    assert lanes_for(images, 8, busy_alone, 12.0) == 4
    # In 21 s eight lanes finish eight at once, and so do four in two rounds, which are no slower.
    budget = 8 * 1000 * SLACK / 400 + 0.1
    assert ended(images, lanes_for(images, 8, busy_alone, budget), budget) == 8


def test_where_no_run_would_end_in_time_the_fastest_number_of_lanes_is_taken() -> None:
    """The Runs are left half-way and go on another time."""
    assert lanes_for([10_000] * 20, 8, busy_alone, 30.0) == 4


@given(
    images=st.lists(st.integers(1, 2000), min_size=1, max_size=20),
    most=st.integers(1, 10),
    seconds=st.floats(1, 100),
)
def test_no_other_number_of_lanes_finishes_more(images: list[int], most: int, seconds: float) -> None:
    lanes = lanes_for(images, most, busy_alone, seconds)
    assert 1 <= lanes <= most
    best = max(ended(images, other, seconds) for other in range(1, most + 1))
    assert ended(images, lanes, seconds) == best


def ended(images: list[int], lanes: int, seconds: float) -> int:
    return sum(end <= seconds for end in end_times(images, lanes, busy_alone))
