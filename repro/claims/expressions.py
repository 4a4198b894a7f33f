"""What a statistic is made of. Its interval follows from its expression (intervals.py).

A statistic is built from the names of cells alone; values are put in afterwards, seed by seed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from repro.claims.noise import NoiseSource
from repro.claims.tables import Cell

Values = Mapping[Cell, float]
Summary = Callable[[Sequence[Sequence[float]]], float]
"""A number computed from the numbers of each layer."""


@dataclass(frozen=True)
class Quantity:
    """A number of one seed, computed from some of its cells without noise of its own."""

    cells: tuple[Cell, ...]
    compute: Callable[[Sequence[float]], float] = operator.itemgetter(0)

    def of(self, values: Values) -> float:
        """Return the number."""
        return self.compute([values[cell] for cell in self.cells])


@dataclass(frozen=True, eq=False)
class Linear:
    """A weighted sum of quantities, and of the units that carry their noise (none: it is known exactly)."""

    terms: Mapping[Quantity, float] = field(default_factory=dict)
    units: Mapping[NoiseSource, float] = field(default_factory=dict)

    def of(self, values: Values) -> float:
        """Return the sum for one seed."""
        return sum(weight * quantity.of(values) for quantity, weight in self.terms.items())

    def __sub__(self, other: Linear) -> Linear:
        return total([(1.0, self), (-1.0, other)])

    def __neg__(self) -> Linear:
        return total([(-1.0, self)])


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
class Max:
    """The largest of expressions, known to be at least ``floor``. ``unknown`` says why others are absent."""

    parts: Sequence[Expression]
    floor: float = -math.inf
    unknown: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Min:
    """The smallest of several expressions."""

    parts: Sequence[Expression]


@dataclass(frozen=True, eq=False)
class Sum:
    """Weighted expressions that are not all linear."""

    terms: Sequence[tuple[float, Expression]]


@dataclass(frozen=True, eq=False)
class FirstEpochWithin:
    """The first of ``epochs`` from which, to the last, every linear of the epoch stays at or below ``margin``."""

    epochs: Sequence[int]
    curve: Sequence[Sequence[Linear]]
    margin: float


@dataclass(frozen=True, eq=False)
class OverLayers:
    """A summary over layers, each with one or more numbers. Below three seeds the layers are the sample.

    ``method``: ``mean`` and ``median`` (of the layers' own medians), or ``jackknife`` for a smooth function,
    ``ratio`` for one that is positive, on the scale of its logarithm.
    """

    layers: Sequence[Sequence[Quantity]]
    summary: Summary
    method: str


Expression = Linear | Max | Min | Sum | FirstEpochWithin | OverLayers


def difference(first: Expression, second: Expression) -> Sum:
    """Return ``first`` minus ``second``."""
    return Sum(((1.0, first), (-1.0, second)))


def span(linears: Sequence[Linear]) -> Max:
    """Return the range: the largest difference between any two."""
    return Max([a - b for a in linears for b in linears if a is not b], floor=0.0)


def magnitude(expression: Expression) -> Max:
    """Return the absolute value."""
    return Max((expression, Sum(((-1.0, expression),))), floor=0.0)


def cells_of(expression: Expression) -> frozenset[Cell]:
    """Return every cell that the expression needs."""
    if isinstance(expression, OverLayers):
        quantities = [quantity for layer in expression.layers for quantity in layer]
    else:
        quantities = [quantity for linear in linears_of(expression) for quantity in linear.terms]
    return frozenset(cell for quantity in quantities for cell in quantity.cells)


def linears_of(expression: Expression) -> list[Linear]:
    """Return every linear in the expression."""
    match expression:
        case Linear():
            return [expression]
        case Max() | Min():
            return [linear for part in expression.parts for linear in linears_of(part)]
        case Sum():
            return [linear for _, part in expression.terms for linear in linears_of(part)]
        case FirstEpochWithin():
            return [linear for epoch in expression.curve for linear in epoch]
        case OverLayers():
            return []


def noisy(expression: Expression) -> bool:
    """Return whether anything in the expression has noise."""
    return isinstance(expression, OverLayers) or any(linear.units for linear in linears_of(expression))
