"""How many Runs to train at a time, so that a time budget ends with as many finished ones as it can. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

SLACK = 1.06  # a wave takes up to so many times what its steps and evaluations take: states, starts


Speed = Callable[[int, int], float]
"""Images a second of all lanes together, where so many (first) of so many (second) are at work."""


def ends(images: Sequence[int], lanes: int, speed: Speed) -> list[float]:
    """When each of these Runs ends, in seconds: ``images`` are left of each, and who is first in line takes the
    lane that falls free. Lanes at work are equally fast; fewer of them are faster each, as ``speed`` says."""
    ended = [0.0] * len(images)
    at_work: list[tuple[float, int]] = []  # how many images each lane will have behind it when its Run ends
    now = behind = 0.0
    for number in range(len(images) + lanes):
        if number < len(images) and len(at_work) < lanes:
            heapq.heappush(at_work, (behind + images[number], number))
            continue
        if not at_work:
            break
        busy = len(at_work)
        target, first = heapq.heappop(at_work)
        now += SLACK * (target - behind) * busy / speed(busy, lanes)
        ended[first], behind = now, target
        if number < len(images):
            heapq.heappush(at_work, (behind + images[number], number))
    return ended


def finished(images: Sequence[int], lanes: int, speed: Speed, seconds: float) -> int:
    """How many of these Runs, in ``lanes`` lanes, `ends` within ``seconds``."""
    return sum(end <= seconds for end in ends(images, lanes, speed))


def begun(images: Sequence[int], most: int, speed: Speed, seconds: float) -> tuple[int, int]:
    """How many of these Runs, the first ones, all end within ``seconds``, and in how many lanes, ``most`` at most:
    as many as can be; among equals the lanes that are done first. (0, ``most``) where not even the first would."""
    best = (0, 0.0, most)
    for lanes in range(1, most + 1):
        low, high = 0, len(images)
        while low < high:
            middle = (low + high + 1) // 2
            if max(ends(images[:middle], lanes, speed)) <= seconds:
                low = middle
            else:
                high = middle - 1
        if low:
            best = max(best, (low, -max(ends(images[:low], lanes, speed)), lanes))
    return best[0], best[2]


def lanes_for(images: Sequence[int], most: int, speed: Speed | None, seconds: float | None) -> int:
    """How many lanes, ``most`` at most, let most of these Runs end within ``seconds``; among equals the fastest.

    Without a ``speed``, without a budget, or where no Run would end in time, as many as there are: a Run that is
    left half-way goes on from there another time.
    """
    most = max(1, min(most, len(images)))
    if speed is None or seconds is None:
        return most
    counts = {lanes: finished(images, lanes, speed, seconds) for lanes in range(1, most + 1)}
    if not any(counts.values()):
        return most
    return max(counts, key=lambda lanes: (counts[lanes], speed(lanes, lanes), -lanes))


def seconds_for(images: Sequence[int], most: int, speed: Callable[[int], float]) -> float:
    """How long these Runs take in up to ``most`` lanes, by the speed of the steps alone."""
    lanes = max(1, min(most, len(images)))
    whole, rest = divmod(len(images), lanes)
    ordered = sorted(images, reverse=True)
    tail = ordered[whole * lanes :]
    body = sum(ordered[: whole * lanes]) / speed(lanes)
    return body + (sum(tail) / speed(rest) if tail else 0.0)
