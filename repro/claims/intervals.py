"""Compute the value and the interval of an expression from one table a seed.

Each end of an interval is wrong with a stated probability, ``low`` or ``high``: 2.5 %, unless an expression splits
it.

* *linear*: normal with the declared noise for one or two seeds, Student's t over the seeds' values from three on;
* *max*: below its upper end if each part is below its own, so the upper ends need no correction; the lower
  end takes the largest of the parts' lower ends at ``low`` / number of parts (Bonferroni). *min* is mirrored;
* *sum*: interval arithmetic, the error split among the terms that have noise;
* *first epoch*: epochs are tested in a fixed order and the first that is not decided ends the chain, so that no
  test needs a correction (see `_first_interval`);
* *over layers*: t over layers, jackknife or the median's order statistics below three seeds; t over seeds after.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from repro import quantiles
from repro.claims.expressions import (
    Expression,
    FirstEpochWithin,
    Linear,
    Max,
    Min,
    OverLayers,
    Sum,
    Values,
    noisy,
)
from repro.claims.noise import standard_deviation

ENDS = 0.025  # the probability with which each end of a 95 % interval is wrong
T_FROM = 3  # seeds from which their own spread is the noise

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Sample:
    """The seeds for which an expression's cells are complete, with the declared ``noise`` of one Run by kind."""

    seeds: Sequence[Values]
    noise: Mapping[str, float]
    assumed: int = 0
    """A number of seeds to assume with the means and standard deviations of these; 0: as many as there are."""
    _known: dict[Linear, tuple[float, float | None]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """The number of seeds."""
        return self.assumed or len(self.seeds)

    @property
    def measured(self) -> bool:
        """Whether the seeds themselves measure the noise."""
        return len(self.seeds) >= T_FROM

    def at(self, n: int) -> Sample:
        """Return this sample as if it had ``n`` seeds."""
        return replace(self, assumed=n)

    def centre(self, linear: Linear) -> float:
        """Return the mean over seeds."""
        return self._look(linear)[0]

    def half(self, linear: Linear, tail: float) -> float:
        """Return the distance of each end of the interval from the centre. Raises `UnknownNoise`."""
        if not linear.units:
            return 0.0
        centre, sd = self._look(linear)
        if sd is None:
            relative = {unit.relative for unit in linear.units if unit.relative}
            sizes = {cell: statistics.fmean(values[cell] for values in self.seeds) for cell in relative}
            sd = standard_deviation(linear.units, self.noise, sizes)
            self._known[linear] = centre, sd
        return self.quantile(tail) * sd / math.sqrt(self.n)

    def quantile(self, tail: float) -> float:
        """Return the quantile of the distribution that suits this number of seeds."""
        return quantiles.normal(tail) if self.n < T_FROM else quantiles.student(self.n - 1, tail)

    def _look(self, linear: Linear) -> tuple[float, float | None]:
        if linear not in self._known:
            found = [linear.of(values) for values in self.seeds]
            sd = _stdev(found) if self.measured else None
            self._known[linear] = statistics.fmean(found), sd
        return self._known[linear]


def value(expression: Expression, sample: Sample) -> float:
    """Return the estimate: of the means over seeds, but for `OverLayers` from three seeds on the mean of its
    values."""
    match expression:
        case Linear():
            return sample.centre(expression)
        case Max():
            return max(value(part, sample) for part in expression.parts)
        case Min():
            return min(value(part, sample) for part in expression.parts)
        case Sum():
            return sum(weight * value(part, sample) for weight, part in expression.terms)
        case FirstEpochWithin():
            inside = [all(sample.centre(d) <= expression.margin for d in epoch) for epoch in expression.curve]
            return _from_where(expression.epochs, inside)
        case OverLayers():
            if sample.measured:
                return statistics.fmean(_of_each_seed(expression, sample))
            return expression.summary(_layers(expression, sample.seeds))


def interval(expression: Expression, sample: Sample, low: float = ENDS, high: float = ENDS) -> Interval:
    """Return the interval. The truth is below it with probability ``low`` at most, above it with ``high`` at most.

    Raises `UnknownNoise`.
    """
    match expression:
        case Linear():
            centre = sample.centre(expression)
            return centre - sample.half(expression, low), centre + sample.half(expression, high)
        case Max():
            ends = [interval(part, sample, low / len(expression.parts), high) for part in expression.parts]
            return max(expression.floor, *(end for end, _ in ends)), max(end for _, end in ends)
        case Min():
            ends = [interval(part, sample, low, high / len(expression.parts)) for part in expression.parts]
            return min(end for end, _ in ends), min(end for _, end in ends)
        case Sum():
            return _sum_interval(expression, sample, low, high)
        case FirstEpochWithin():
            return _first_interval(expression, sample, low, high)
        case OverLayers():
            if not sample.measured:
                return _over_layers(expression, _layers(expression, sample.seeds), low, high)
            found = _of_each_seed(expression, sample)
            error = _stdev(found) / math.sqrt(sample.n)
            return _around(statistics.fmean(found), error, sample.n - 1, low, high)


def _sum_interval(expression: Sum, sample: Sample, low: float, high: float) -> Interval:
    split = max(1, sum(noisy(part) for _, part in expression.terms))
    bottom = top = 0.0
    for weight, part in expression.terms:
        tails = (low, high) if weight > 0 else (high, low)
        ends = [weight * end for end in interval(part, sample, tails[0] / split, tails[1] / split)]
        bottom, top = bottom + min(ends), top + max(ends)
    return bottom, top


def _first_interval(expression: FirstEpochWithin, sample: Sample, low: float, high: float) -> Interval:
    """Upper end: back from the last epoch as long as each is shown to be inside the margin. It is too early only
    if the last epoch that is truly outside is shown to be inside, one test at level ``high``. Lower end: on from
    the first epoch as long as each is shown to be outside; too late only if the first epoch that is truly inside
    is shown to be outside, one test at level ``low``, shared by the directions in which it can be outside."""

    def surely_inside(epoch: Sequence[Linear]) -> bool:
        return all(sample.centre(d) + sample.half(d, high) <= expression.margin for d in epoch)

    def surely_outside(epoch: Sequence[Linear]) -> bool:
        return any(sample.centre(d) - sample.half(d, low / len(epoch)) > expression.margin for d in epoch)

    top = _from_where(expression.epochs, [surely_inside(epoch) for epoch in expression.curve])
    for number, epoch in zip(expression.epochs, expression.curve, strict=True):
        if not surely_outside(epoch):
            return number, top
    return math.inf, top


def _from_where(epochs: Sequence[int], inside: Sequence[bool]) -> float:
    """Return the first epoch from which all are inside; infinite where the last one is not."""
    found = math.inf
    for epoch, good in zip(reversed(epochs), reversed(inside), strict=True):
        if not good:
            break
        found = epoch
    return found


# ---- over layers -------------------------------------------------------------------------------------------


def _layers(expression: OverLayers, seeds: Sequence[Values]) -> list[list[float]]:
    """Return each layer's numbers, averaged over seeds."""
    return [[statistics.fmean(q.of(values) for values in seeds) for q in layer] for layer in expression.layers]


def _of_each_seed(expression: OverLayers, sample: Sample) -> list[float]:
    return [expression.summary(_layers(expression, [seed])) for seed in sample.seeds]


def _over_layers(expression: OverLayers, layers: list[list[float]], low: float, high: float) -> Interval:
    """Return the interval with the layers as the sample; unbounded where they are too few."""
    n, estimate = len(layers), expression.summary(layers)
    match expression.method:
        case "mean" if n > 1:
            found = [statistics.fmean(layer) for layer in layers]
            return _around(statistics.fmean(found), statistics.stdev(found) / math.sqrt(n), n - 1, low, high)
        case "median":
            # The order statistics of the layers' medians, since epochs of one layer are no independent sample,
            # widened to hold the estimate, the median over everything.
            found = sorted(statistics.median(layer) for layer in layers)
            below, above = quantiles.median_rank(n, low), quantiles.median_rank(n, high)
            bottom = min(estimate, found[below - 1]) if below else -math.inf
            return bottom, max(estimate, found[n - above]) if above else math.inf
        case "jackknife" | "ratio" if n > 2:
            without = [expression.summary([*layers[:i], *layers[i + 1 :]]) for i in range(n)]
            if expression.method == "jackknife":
                return _jackknife(estimate, without, low, high)
            # On the scale of the logarithm, which is nearer to symmetry where the statistic is a positive ratio.
            if all(0 < one < math.inf for one in without):
                bottom, top = _jackknife(math.log(estimate), [math.log(one) for one in without], low, high)
                return math.exp(bottom), math.exp(top)
    return -math.inf, math.inf


def _jackknife(estimate: float, without: Sequence[float], low: float, high: float) -> Interval:
    """Apply Student's t with the jackknife's standard error; ``without`` are the estimates without each layer."""
    n = len(without)
    error = math.sqrt((n - 1) * statistics.pvariance(without))
    centre = n * estimate - (n - 1) * statistics.fmean(without)  # the jackknife's correction of the bias
    bottom, top = _around(centre, error, n - 1, low, high)
    return min(estimate, bottom), max(estimate, top)


def _around(centre: float, error: float, freedom: int, low: float, high: float) -> Interval:
    """Return Student's t interval for a standard ``error``."""
    return centre - quantiles.student(freedom, low) * error, centre + quantiles.student(freedom, high) * error


def _stdev(found: Sequence[float]) -> float:
    """Return the standard deviation over seeds; NaN where one has no finite value (statistics.stdev raises)."""
    return statistics.stdev(found) if all(map(math.isfinite, found)) else math.nan
