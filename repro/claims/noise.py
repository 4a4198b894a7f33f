"""How uncertain a weighted sum of cells is where too few seeds measure it: declared noise, allocated at worst.

The declared standard deviation of a kind is that of one Run from seed to seed. How much of it belongs to the Run
itself, to its structure, to its start weights or to the dense network that they come from is not known, and it
matters: what belongs to a structure does not average out over the tickets that share it. The variance of a
weighted sum is linear in these shares, so the largest over the extreme allocations covers every mixture.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from repro.claims.tables import Cell

ALLOCATIONS = ("own", "structure", "decile", "weights", "parent")


class UnknownNoise(Exception):
    """No replicate noise is declared for this kind (the message)."""


@dataclass(frozen=True)
class NoiseSource:
    """What carries the noise of one number: itself (``own``), and what it shares with others, if anything.

    ``decile`` groups the structures of one tenth of the schedule, which are much alike (Fig. 3: 0.8 % of the
    weights differ between epochs 160 and 180). ``parent`` is the dense network behind it: noise that all its
    children share cancels in contrasts between them. ``relative``: the declared noise is that of a logarithm, so
    it is multiplied by the value of this cell.
    """

    kind: str
    own: Hashable
    parent: Hashable
    structure: Hashable = None
    decile: Hashable = None
    weights: Hashable = None
    relative: Cell | None = None

    def owner(self, allocation: str) -> Hashable:
        """Return what the noise belongs to under one of the `ALLOCATIONS`."""
        return getattr(self, allocation) or self.own


def standard_deviation(
    units: Mapping[NoiseSource, float], declared: Mapping[str, float], seeds: Sequence[Mapping[Cell, float]]
) -> float:
    """Return the standard deviation, for one seed, of the sum of ``units`` times their coefficients.

    Kinds are independent of each other, and so are a dense network's own accuracy and its children's noise. Raises
    `UnknownNoise`.
    """
    families: dict[tuple[str, Hashable], dict[NoiseSource, float]] = defaultdict(dict)
    for unit, coefficient in units.items():
        if unit.kind not in declared:
            raise UnknownNoise(unit.kind)
        if unit.relative:
            coefficient *= abs(statistics.fmean(values[unit.relative] for values in seeds))
        families[unit.kind, unit.parent][unit] = coefficient
    return math.sqrt(
        sum(
            declared[kind] ** 2 * max(_variance(family, allocation) for allocation in ALLOCATIONS)
            for (kind, _), family in families.items()
        )
    )


def _variance(units: Mapping[NoiseSource, float], allocation: str) -> float:
    """Return the variance if all noise belongs to one kind of owner, in units of the declared variance."""
    shared: dict[Hashable, float] = defaultdict(float)
    for unit, coefficient in units.items():
        shared[unit.owner(allocation)] += coefficient
    return sum(total**2 for total in shared.values())
