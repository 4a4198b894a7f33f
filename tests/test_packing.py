"""How many Runs at a time, for a time budget: against a slow simulation, and in cases that one can count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.packing import SLACK, finished, lanes_for, seconds_for


def saturating(lanes: int) -> float:
    """Images a second: 100 for one lane, at most 400 together."""
    return min(400.0, 100.0 * lanes)


@given(
    images=st.lists(st.integers(1, 50), max_size=12),
    lanes=st.integers(1, 6),
    seconds=st.floats(0, 20),
)
def test_finished_is_a_simulation_second_by_second(images: list[int], lanes: int, seconds: float) -> None:
    """Each lane trains its share of the speed; whoever is free first takes the next in line."""
    speed = 10.0 * SLACK * lanes
    ends, lane_free = [], [0.0] * lanes
    for left in images:
        lane = min(range(lanes), key=lambda number: lane_free[number])
        lane_free[lane] += left / 10
        ends.append(lane_free[lane])
    sure = sum(end <= seconds - 1e-9 for end in ends)
    at_most = sum(end <= seconds + 1e-9 for end in ends)
    assert sure <= finished(images, lanes, speed, seconds) <= at_most


def test_a_budget_ends_with_finished_runs_not_with_half_finished_ones() -> None:
    images = [1000] * 100
    one = 1000 * SLACK / 100
    # Eight lanes would need 20 s for eight Runs; in 12 s four lanes finish four, two finish two.
    assert lanes_for(images, 8, saturating, 12.0) == 4
    # In 21 s eight lanes finish eight at once, and so do four in two rounds, which are no slower.
    budget = 8 * 1000 * SLACK / 400 + 0.1
    lanes = lanes_for(images, 8, saturating, budget)
    assert finished(images, lanes, saturating(lanes), budget) == 8
    assert one < budget


def test_without_a_budget_or_a_measured_speed_all_lanes_are_taken() -> None:
    assert lanes_for([1000] * 100, 8, saturating, None) == 8
    assert lanes_for([1000] * 100, 8, None, 5.0) == 8
    assert lanes_for([1000] * 3, 8, saturating, None) == 3
    assert lanes_for([], 8, saturating, None) == 1


def test_where_no_run_would_end_in_time_all_lanes_are_taken() -> None:
    """The Runs are left half-way and go on another time: then the fastest is best."""
    assert lanes_for([10_000] * 20, 8, saturating, 30.0) == 8


@given(
    images=st.lists(st.integers(1, 2000), min_size=1, max_size=20),
    most=st.integers(1, 10),
    seconds=st.floats(1, 100),
)
def test_no_other_number_of_lanes_finishes_more(images: list[int], most: int, seconds: float) -> None:
    lanes = lanes_for(images, most, saturating, seconds)
    assert 1 <= lanes <= max(1, min(most, len(images)))
    best = max(
        finished(images, other, saturating(other), seconds) for other in range(1, min(most, len(images)) + 1)
    )
    assert finished(images, lanes, saturating(lanes), seconds) == best


def test_time_for_a_wave_and_for_what_is_left_over() -> None:
    assert seconds_for([1000] * 8, 4, saturating) == pytest.approx(20)
    assert seconds_for([1000] * 9, 4, saturating) == pytest.approx(20 + 10)  # the ninth alone
    assert seconds_for([1000], 4, saturating) == pytest.approx(10)
    assert seconds_for([], 4, saturating) == 0
