"""The statistic of every claim, by the name that paper_tables/claims.yaml gives it and defines in words.

A statistic turns the index of cells, and what it is taken ``of`` if the claim says so, into an expression
(repro.claims.expressions). It sees no value. Where a group of cells that it needs does not exist, it raises
`MissingCells`.
"""

from __future__ import annotations

from repro.claims.expressions import Expression
from repro.claims.index import CellIndex
from repro.claims.statistics import fig1, ppr, tables, weights
from repro.published import Claim

STATISTICS = {**fig1.STATISTICS, **weights.STATISTICS, **ppr.STATISTICS, **tables.STATISTICS}


def expression_of(claim: Claim, index: CellIndex) -> Expression:
    """Build the statistic of a claim. Raises `MissingCells`."""
    return STATISTICS[claim.statistic](*((index, claim.of) if claim.of else (index,)))
