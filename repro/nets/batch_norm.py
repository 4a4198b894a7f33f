"""BatchNorm as all networks here have it."""

from __future__ import annotations

from typing import Any

from torch import nn


class BatchNorm2d(nn.BatchNorm2d):
    """Without the counter of its batches, which only a cumulative average would need: no tensor in a checkpoint.

    A file without counters loads strictly, and so does one with them (torchvision's): they are left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)
        # PyTorch puts a counter into what an old version wrote, and takes a file that tells no version for one.
        super()._load_from_state_dict(state_dict, prefix, {**local_metadata, "version": self._version}, *rest)
