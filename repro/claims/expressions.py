"""What a statistic is made of: expressions of cells, each with its value and its interval.

An expression is built from the names of cells alone; a `Sample` has their values, seed by seed. Each end of an
interval is wrong with a stated probability, ``low`` or ``high``: 2.5 %, unless an expression splits it.
"""

from __future__ import annotations

import math
import operator
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from repro import quantiles
from repro.claims.noise import NoiseSource, standard_deviation
from repro.claims.tables import Cell

ENDS = 0.025  # the probability with which each end of a 95 % interval is wrong
T_FROM = 3  # seeds from which their own spread is the noise

Values = Mapping[Cell, float]
Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Sample:
    """The seeds for which an expression's cells are complete, with the declared ``noise`` of one Run by kind."""

    seeds: Sequence[Values]
    noise: Mapping[str, float]
    assumed: int = 0
    """A number of seeds to assume with the means and standard deviations of these; 0: as many as there are."""
    means: dict[Linear, float] = field(default_factory=dict)
    deviations: dict[Linear, float] = field(default_factory=dict)
    """What `Linear` has computed of these seeds."""

    @property
    def n(self) -> int:
        """The number of seeds."""
        return self.assumed or len(self.seeds)

    @property
    def measured(self) -> bool:
        """Whether the seeds themselves measure the noise."""
        return len(self.seeds) >= T_FROM


class Expression(ABC):
    """A number computed from cells, with an interval."""

    @abstractmethod
    def value(self, sample: Sample) -> float:
        """Return the estimate."""

    @abstractmethod
    def interval(self, sample: Sample, low: float = ENDS, high: float = ENDS) -> Interval:
        """Return an interval. The truth is below it with probability ``low`` at most, above it with ``high`` at
        most. Raises `UnknownNoise`."""

    @abstractmethod
    def linears(self) -> Iterable[Linear]:
        """Return every weighted sum in it."""

    def cells(self) -> frozenset[Cell]:
        """Return every cell that it needs."""
        return frozenset(cell for linear in self.linears() for quantity in linear.terms for cell in quantity.cells)

    def noisy(self) -> bool:
        """Return whether anything in it has noise."""
        return any(linear.units for linear in self.linears())


@dataclass(frozen=True)
class Quantity:
    """A number of one seed, computed from some of its cells without noise of its own."""

    cells: tuple[Cell, ...]
    compute: Callable[[Sequence[float]], float] = operator.itemgetter(0)

    def of(self, values: Values) -> float:
        """Return the number."""
        return self.compute([values[cell] for cell in self.cells])


@dataclass(frozen=True, eq=False)
class Linear(Expression):
    """A weighted sum of quantities, and of the units that carry their noise (none: it is known exactly).

    Its noise is normal and as declared for one or two seeds, and Student's t over the seeds' values from three on.
    """

    terms: Mapping[Quantity, float] = field(default_factory=dict)
    units: Mapping[NoiseSource, float] = field(default_factory=dict)

    def __sub__(self, other: Linear) -> Linear:
        return total([(1.0, self), (-1.0, other)])

    def __neg__(self) -> Linear:
        return total([(-1.0, self)])

    def of(self, values: Values) -> float:
        """Return the sum for one seed."""
        return sum(weight * quantity.of(values) for quantity, weight in self.terms.items())

    def value(self, sample: Sample) -> float:
        """Return the mean over seeds."""
        if self not in sample.means:
            sample.means[self] = statistics.fmean(map(self.of, sample.seeds))
        return sample.means[self]

    def half(self, sample: Sample, tail: float) -> float:
        """Return the distance of each end of the interval from the value. Raises `UnknownNoise`."""
        if not self.units:
            return 0.0
        if self not in sample.deviations:
            sample.deviations[self] = (
                deviation(list(map(self.of, sample.seeds))) if sample.measured
                else standard_deviation(self.units, sample.noise, sample.seeds)
            )  # fmt: skip
        quantile = quantiles.normal(tail) if sample.n < T_FROM else quantiles.student(sample.n - 1, tail)
        return quantile * sample.deviations[self] / math.sqrt(sample.n)

    def interval(self, sample: Sample, low: float = ENDS, high: float = ENDS) -> Interval:
        return self.value(sample) - self.half(sample, low), self.value(sample) + self.half(sample, high)

    def linears(self) -> Iterable[Linear]:
        return [self]


def total(weighted: Iterable[tuple[float, Linear]]) -> Linear:
    """Return the sum of ``weighted`` linears; what cancels is dropped."""
    terms: dict[Quantity, float] = {}
    units: dict[NoiseSource, float] = {}
    for weight, linear in weighted:
        for quantity, coefficient in linear.terms.items():
            terms[quantity] = terms.get(quantity, 0.0) + weight * coefficient
        for unit, coefficient in linear.units.items():
            units[unit] = units.get(unit, 0.0) + weight * coefficient
    return Linear(
        {quantity: weight for quantity, weight in terms.items() if weight},
        {unit: weight for unit, weight in units.items() if weight},
    )


def mean(linears: Iterable[Linear]) -> Linear:
    """Return the mean of ``linears``, of which there is at least one."""
    found = list(linears)
    share = 1 / len(found)
    return total((share, linear) for linear in found)


@dataclass(frozen=True, eq=False)
class Extreme(Expression):
    """The largest (``pick`` is ``max``, known to be at least ``floor``) or smallest (``min``) of expressions.

    A maximum is below its upper end if each part is below its own, so the upper ends need no correction; the
    lower end is the largest of the parts' at ``low`` / number of parts (Bonferroni). A minimum is mirrored.
    """

    pick: Callable[[Iterable[float]], float]
    parts: Sequence[Expression]
    floor: float = -math.inf
    unknown: Sequence[str] = ()
    """Why other parts are absent."""

    def value(self, sample: Sample) -> float:
        return self.pick(part.value(sample) for part in self.parts)

    def interval(self, sample: Sample, low: float = ENDS, high: float = ENDS) -> Interval:
        n = len(self.parts)
        tails = (low / n, high) if self.pick is max else (low, high / n)
        ends = [part.interval(sample, *tails) for part in self.parts]
        return max(self.floor, self.pick(end for end, _ in ends)), self.pick(end for _, end in ends)

    def linears(self) -> Iterable[Linear]:
        return [linear for part in self.parts for linear in part.linears()]


@dataclass(frozen=True, eq=False)
class Sum(Expression):
    """Expressions that are not all linear, with their weights: interval arithmetic, the error split among the
    terms that have noise."""

    terms: Mapping[Expression, float]

    def value(self, sample: Sample) -> float:
        return sum(weight * term.value(sample) for term, weight in self.terms.items())

    def interval(self, sample: Sample, low: float = ENDS, high: float = ENDS) -> Interval:
        split = max(1, sum(term.noisy() for term in self.terms))
        bottom = top = 0.0
        for term, weight in self.terms.items():
            tails = (low, high) if weight > 0 else (high, low)
            ends = [weight * end for end in term.interval(sample, tails[0] / split, tails[1] / split)]
            bottom, top = bottom + min(ends), top + max(ends)
        return bottom, top

    def linears(self) -> Iterable[Linear]:
        return [linear for term in self.terms for linear in term.linears()]


@dataclass(frozen=True, eq=False)
class FirstEpochWithin(Expression):
    """The first epoch of ``curve`` from which, to the last, each of the epoch's linears is at most ``margin``.

    Upper end: back from the last epoch as long as each is shown to be inside the margin. It is too early only if
    the last epoch that is truly outside is shown to be inside: one test at level ``high``, so no correction. Lower
    end: on from the first epoch as long as each is shown to be outside; too late only if the first that is truly
    inside is shown to be outside: one test at level ``low``, shared by the directions in which it can be outside.
    """

    curve: Mapping[int, Sequence[Linear]]
    margin: float

    def value(self, sample: Sample) -> float:
        return self._from_where(lambda linear: linear.value(sample))

    def interval(self, sample: Sample, low: float = ENDS, high: float = ENDS) -> Interval:
        top = self._from_where(lambda linear: linear.value(sample) + linear.half(sample, high))
        for epoch, linears in self.curve.items():
            tail = low / len(linears)
            if not any(linear.value(sample) - linear.half(sample, tail) > self.margin for linear in linears):
                return epoch, top
        return math.inf, top

    def _from_where(self, height: Callable[[Linear], float]) -> float:
        """Return the first epoch from which all are inside; infinite where the last one is not."""
        found = math.inf
        for epoch, linears in reversed(list(self.curve.items())):
            if not all(height(linear) <= self.margin for linear in linears):
                break
            found = epoch
        return found

    def linears(self) -> Iterable[Linear]:
        return [linear for linears in self.curve.values() for linear in linears]


@dataclass(frozen=True, eq=False)
class OverLayers(Expression):
    """A summary of the numbers of all layers, one or more each. Below three seeds the layers are the sample; from
    three on t over the seeds' own summaries, of which the value is the mean.

    ``method``: ``mean`` and ``median`` (of the layers' own medians), or ``jackknife`` for a smooth function,
    ``ratio`` for one that is positive, on the scale of its logarithm.
    """

    layers: Sequence[Sequence[Quantity]]
    summary: Callable[[Sequence[float]], float]
    method: str

    def value(self, sample: Sample) -> float:
        if sample.measured:
            return statistics.fmean(self._of_each_seed(sample))
        return self._of(self._numbers(sample.seeds))

    def interval(self, sample: Sample, low: float = ENDS, high: float = ENDS) -> Interval:
        if sample.measured:
            found = self._of_each_seed(sample)
            error = deviation(found) / math.sqrt(sample.n)
            return _around(statistics.fmean(found), error, sample.n - 1, low, high)
        layers = self._numbers(sample.seeds)
        n, estimate = len(layers), self._of(layers)
        match self.method:
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
                without = [self._of([*layers[:i], *layers[i + 1 :]]) for i in range(n)]
                if self.method == "jackknife":
                    return _jackknife(estimate, without, low, high)
                # A positive ratio is nearer to symmetry on the scale of the logarithm.
                if all(0 < one < math.inf for one in without):
                    bottom, top = _jackknife(math.log(estimate), [math.log(one) for one in without], low, high)
                    return math.exp(bottom), math.exp(top)
        return -math.inf, math.inf  # the layers are too few

    def linears(self) -> Iterable[Linear]:
        return ()

    def cells(self) -> frozenset[Cell]:
        return frozenset(cell for layer in self.layers for quantity in layer for cell in quantity.cells)

    def noisy(self) -> bool:
        return True

    def _numbers(self, seeds: Sequence[Values]) -> list[list[float]]:
        """Return each layer's numbers, averaged over seeds."""
        return [[statistics.fmean(q.of(values) for values in seeds) for q in layer] for layer in self.layers]

    def _of_each_seed(self, sample: Sample) -> list[float]:
        return [self._of(self._numbers([seed])) for seed in sample.seeds]

    def _of(self, layers: Iterable[Iterable[float]]) -> float:
        return self.summary([number for layer in layers for number in layer])


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


def deviation(found: Sequence[float]) -> float:
    """Return the standard deviation over seeds; NaN where one has no finite value (statistics.stdev raises)."""
    return statistics.stdev(found) if all(map(math.isfinite, found)) else math.nan
