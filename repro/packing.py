"""How many Runs to train at a time, so that a time budget ends with as many finished ones as it can. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

SLACK = 1.06  # a wave takes up to so many times what its steps and evaluations take: states, starts


def finished(images: Sequence[int], lanes: int, speed: float, seconds: float) -> int:
    """How many Runs with ``images`` left each, taken in this order by ``lanes`` lanes, end within ``seconds``
    where all lanes together train ``speed`` images a second."""
    free = [0.0] * lanes
    count = 0
    for left in images:
        end = heapq.heappop(free) + SLACK * left * lanes / speed
        heapq.heappush(free, end)
        count += end <= seconds
    return count


def lanes_for(
    images: Sequence[int], most: int, speed: Callable[[int], float] | None, seconds: float | None
) -> int:
    """How many lanes, ``most`` at most, let most of these Runs end within ``seconds``; among equals the fastest.

    ``speed`` gives the images a second of so many lanes together; without it, without a budget, or where no Run
    would end in time, as many as there are: a Run that is left half-way goes on from there another time.
    """
    most = max(1, min(most, len(images)))
    if speed is None or seconds is None:
        return most
    ends = {lanes: finished(images, lanes, speed(lanes), seconds) for lanes in range(1, most + 1)}
    if not any(ends.values()):
        return most
    return max(ends, key=lambda lanes: (ends[lanes], speed(lanes), -lanes))


def seconds_for(images: Sequence[int], most: int, speed: Callable[[int], float]) -> float:
    """How long these Runs take in up to ``most`` lanes, by the speed of the steps alone."""
    lanes = max(1, min(most, len(images)))
    whole, rest = divmod(len(images), lanes)
    ordered = sorted(images, reverse=True)
    tail = ordered[whole * lanes :]
    body = sum(ordered[: whole * lanes]) / speed(lanes)
    return body + (sum(tail) / speed(rest) if tail else 0.0)
