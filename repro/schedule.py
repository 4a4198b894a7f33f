"""Schedules over epochs: the stepwise learning rate, Eq. 6's gradual pruning, and Eq. 5's predicted slope."""

from __future__ import annotations

import math

from repro.config.recipe import Recipe


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Return the rate of 0-based ``epoch``: ``lr`` times ``gamma`` for every milestone reached (appendix A.1)."""
    return recipe.lr * recipe.gamma ** sum(epoch >= milestone for milestone in recipe.milestones)


def gradual_sparsity(t: float, t0: float, span: float, final: float, initial: float = 0.0) -> float:
    """Return the sparsity at time ``t`` by Eq. 6: s_t = s_f + (s_i - s_f) (1 - (t - t0) / (n dt))^3.

    Args:
        t: the time, in any unit, epochs for instance.
        t0: the beginning of the window, in the same unit.
        span: its length n dt, above 0, in the same unit. Before and after the window the sparsity is constant.
        final: the share of weights pruned at its end, from 0 to 1.
        initial: the share pruned before it.

    >>> gradual_sparsity(100, 100, 50, 0.8), gradual_sparsity(150, 100, 50, 0.8)
    (0.0, 0.8)
    """
    progress = min(max((t - t0) / span, 0.0), 1.0)
    return final + (initial - final) * (1 - progress) ** 3


def gradual_steps(first: int, last: int, final: float) -> tuple[tuple[int, float], ...]:
    """Return pairs (epoch, sparsity): a pruning step after every epoch from ``first`` + 1 to ``last``."""
    span = last - first
    steps = [(t, gradual_sparsity(t, first, span, final)) for t in range(first + 1, last)]
    return (*steps, (last, final))


def iterative_sparsity(share: float, rounds: int) -> float:
    """Return 1 - (1 - share)^rounds: what pruning ``share`` of the remaining weights ``rounds`` times removes.

    >>> round(iterative_sparsity(0.2, 7), 3)
    0.79
    """
    return float(1 - (1 - share) ** rounds)


def updates_per_epoch(images: int, batch_size: int) -> int:
    """Return the optimizer updates in one epoch, with that of the smaller last batch."""
    return math.ceil(images / batch_size)


def predicted_shrinkage(recipe: Recipe, epoch: int, updates: int) -> float:
    """Return W_std(t+n) / W_std(t) = 1 - n eta lambda / (1 - m) (Eq. 5) for ``updates`` = n updates in
    ``epoch``."""
    return 1 - updates * learning_rate(recipe, epoch) * recipe.weight_decay / (1 - recipe.momentum)
