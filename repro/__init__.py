"""repro: regenerates "The Sooner the Better: Investigating Structure of Early Winning Lottery Tickets"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repro.machine import name_user, quiet_matplotlib

if TYPE_CHECKING:
    from torch import Tensor, nn

__version__ = "0.1.0"

name_user()  # before torch is imported, which asks for it
quiet_matplotlib()


def load_checkpoint(place: str | Path, epoch: int | None = None) -> tuple[nn.Module, dict[str, Tensor] | None]:
    """A trained network and its masks (None for a dense one), from a checkpoint's file or a Run's key.

    See `repro.checkpoints.load`; torch is imported here, not with the package.
    """
    from repro import checkpoints

    return checkpoints.load(place, epoch)
