"""Every claim's statistic, by the name that paper_tables/claims.yaml gives it.

A statistic turns the grid of cells into a form (repro.claims.forms); it sees no value. Where the grid lacks a
group of cells that it needs it raises `Absent`.
"""

from __future__ import annotations

from repro.claims.statistics import fig1, memorization, ppr, pruning_tables, weights
from repro.claims.statistics.registry import Statistic

STATISTICS: dict[str, Statistic] = {
    statistic.__name__: statistic
    for module in (fig1, weights, ppr, memorization, pruning_tables)
    for statistic in module.ALL
}

__all__ = ["STATISTICS", "Statistic"]
