"""Reproduce "The Sooner the Better: Investigating Structure of Early Winning Lottery Tickets".

From Python: `runs` and `checkpoint` read results, `find_ticket` searches for a ticket of any network, and
`magnitude_masks`, `layer_rates`, `sparsity_of`, `hamming_distance` and `gradual_sparsity` are the paper's
definitions (docs/api.md). Each is imported at its first use, so that `import repro` does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from repro.machine import name_user, quiet_matplotlib

if TYPE_CHECKING:
    from repro.api import checkpoint, load_checkpoint, runs
    from repro.config.recipe import Recipe
    from repro.pruning import hamming_distance, layer_rates, magnitude_masks, sparsity_of
    from repro.schedule import gradual_sparsity
    from repro.ticket import SearchOptions, find_ticket

__version__ = "0.1.0"

__all__ = [
    "Recipe", "SearchOptions", "checkpoint", "find_ticket", "gradual_sparsity", "hamming_distance", "layer_rates",
    "load_checkpoint", "magnitude_masks", "runs", "sparsity_of",
]  # fmt: skip
_MODULES = {
    "repro.api": ("checkpoint", "load_checkpoint", "runs"),
    "repro.config.recipe": ("Recipe",),
    "repro.pruning": ("hamming_distance", "layer_rates", "magnitude_masks", "sparsity_of"),
    "repro.schedule": ("gradual_sparsity",),
    "repro.ticket": ("SearchOptions", "find_ticket"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

name_user()  # before torch is imported, which needs it
quiet_matplotlib()

if not TYPE_CHECKING:  # mypy would accept any name

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_MODULE_OF[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULE_OF})
