"""What a statistic is made of. Its interval follows from its form (intervals.py).

A statistic is built from the names of cells alone; values are put in afterwards, seed by seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from repro.claims.noise import Unit
from repro.claims.tables import Cell

Values = Mapping[Cell, float]


def itself(values: Sequence[float]) -> float:
    """The value of a single cell."""
    return values[0]


@dataclass(frozen=True)
class Quantity:
    """A number of one seed, computed from some of its cells without noise of its own."""

    cells: tuple[Cell, ...]
    compute: Callable[[Sequence[float]], float] = itself

    def of(self, values: Values) -> float:
        """The number."""
        return self.compute([values[cell] for cell in self.cells])


@dataclass(frozen=True, eq=False)
class Linear:
    """A weighted sum of quantities, and of the units that carry their noise (none: it is known exactly)."""

    terms: Mapping[Quantity, float] = field(default_factory=dict)
    units: Mapping[Unit, float] = field(default_factory=dict)

    def of(self, values: Values) -> float:
        """The sum for one seed."""
        return sum(weight * quantity.of(values) for quantity, weight in self.terms.items())

    def __add__(self, other: Linear) -> Linear:
        return total([(1.0, self), (1.0, other)])

    def __sub__(self, other: Linear) -> Linear:
        return total([(1.0, self), (-1.0, other)])

    def __mul__(self, factor: float) -> Linear:
        return total([(factor, self)])

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Linear:
        return total([(1 / divisor, self)])

    def __neg__(self) -> Linear:
        return total([(-1.0, self)])


def total(weighted: Iterable[tuple[float, Linear]]) -> Linear:
    """The sum of ``weighted`` linears; what cancels is dropped."""
    terms: dict[Quantity, float] = {}
    units: dict[Unit, float] = {}
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
    """The mean of ``linears``."""
    found = list(linears)
    return total((1 / len(found), linear) for linear in found)


@dataclass(frozen=True, eq=False)
class Largest:
    """The largest of several forms, known to be at least ``floor``."""

    parts: tuple[Form, ...]
    floor: float = -math.inf


@dataclass(frozen=True, eq=False)
class Smallest:
    """The smallest of several forms."""

    parts: tuple[Form, ...]


@dataclass(frozen=True, eq=False)
class Sum:
    """Weighted forms that are not all linear."""

    terms: tuple[tuple[float, Form], ...]


@dataclass(frozen=True, eq=False)
class First:
    """The first of ``epochs`` from which, to the last, every linear of the epoch stays at or below ``margin``."""

    epochs: tuple[int, ...]
    curve: tuple[tuple[Linear, ...], ...]
    margin: float


@dataclass(frozen=True, eq=False)
class OverLayers:
    """A summary over layers, each with one or more numbers. Below three seeds the layers are the sample.

    ``method``: ``mean`` and ``median`` (of the layers' own medians), or ``jackknife`` for a smooth function,
    ``ratio`` for one that is positive, on the scale of its logarithm.
    """

    layers: tuple[tuple[Quantity, ...], ...]
    summary: Callable[[Sequence[Sequence[float]]], float]
    method: str


@dataclass(frozen=True)
class Unmeasured:
    """A part of a `Largest` or `Smallest` of which nothing is known, and why."""

    why: str


Form = Linear | Largest | Smallest | Sum | First | OverLayers | Unmeasured


def difference(first: Form, second: Form) -> Sum:
    """``first`` minus ``second``."""
    return Sum(((1.0, first), (-1.0, second)))


def span(linears: Sequence[Linear]) -> Largest:
    """The range: the largest difference between any two."""
    return Largest(tuple(a - b for a in linears for b in linears if a is not b), 0.0)


def magnitude(form: Form) -> Largest:
    """The absolute value."""
    return Largest((form, Sum(((-1.0, form),))), 0.0)


def cells_of(form: Form) -> frozenset[Cell]:
    """Every cell that the form needs."""
    return frozenset(cell for quantity in quantities_of(form) for cell in quantity.cells)


def quantities_of(form: Form) -> Iterable[Quantity]:
    """Every quantity in the form."""
    match form:
        case OverLayers():
            for layer in form.layers:
                yield from layer
        case _:
            for linear in linears_of(form):
                yield from linear.terms


def linears_of(form: Form) -> Iterable[Linear]:
    """Every linear in the form."""
    match form:
        case Linear():
            yield form
        case Largest() | Smallest():
            for part in form.parts:
                yield from linears_of(part)
        case Sum():
            for _, part in form.terms:
                yield from linears_of(part)
        case First():
            for epoch in form.curve:
                yield from epoch
        case OverLayers() | Unmeasured():
            return


def noisy(form: Form) -> bool:
    """Whether anything in the form has noise."""
    return isinstance(form, OverLayers) or any(linear.units for linear in linears_of(form))
