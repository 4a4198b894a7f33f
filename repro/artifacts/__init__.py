"""The paper's artifacts: each says which Runs it needs and what it makes of their results.

A new artifact is one module with an ``ARTIFACT`` and a line in `IMPLEMENTED` (docs/architecture.md).
"""

from __future__ import annotations

from repro import published
from repro.artifacts import fig1, fig2, fig3, fig4, fig5, fig6, table1, table2, table4
from repro.artifacts.base import Artifact, Results
from repro.errors import UsageError

_MODULES = (fig1, fig2, fig3, fig4, fig5, fig6, table1, table2, table4)
IMPLEMENTED: dict[str, Artifact] = {module.ARTIFACT.name: module.ARTIFACT for module in _MODULES}

# Every artifact of the paper; the ones without a module are not regenerated yet.
PAPER = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "table1", "table2", "table3", "table4")

__all__ = ["IMPLEMENTED", "PAPER", "Artifact", "Results", "get", "place"]


def place(name: str) -> str:
    """Where the paper has it: "Fig. 1, Section 3.1"."""
    return published.about(name).place


def get(name: str) -> Artifact:
    """The artifact called ``name``. Raises `UsageError` naming those that there are."""
    if name not in IMPLEMENTED:
        why = "is not regenerated yet" if name in PAPER else "is no artifact of the paper"
        raise UsageError(f"{name} {why}; there are {', '.join(IMPLEMENTED)}")
    return IMPLEMENTED[name]
