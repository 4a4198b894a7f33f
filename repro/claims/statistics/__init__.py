"""The statistic of every claim, by the name that paper_tables/claims.yaml gives it: the modules of this folder.

A statistic turns the index of cells into an expression (repro.claims.expressions). It sees no value. Where a group
of cells that it needs does not exist, it raises `MissingCells`.
"""

from __future__ import annotations

import importlib
import pkgutil

from repro.claims.statistics.registry import STATISTICS, expression_of

for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")

__all__ = ["STATISTICS", "expression_of"]
