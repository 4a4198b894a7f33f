"""BatchNorm of all networks here."""

from __future__ import annotations

from typing import Any

from torch import nn


class BatchNorm2d(nn.BatchNorm2d):
    """BatchNorm without a counter of batches, which only a cumulative average needs, and so without a tensor of it
    in checkpoints. Files with counters (torchvision's) and without load strictly.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)
        # PyTorch adds a counter to files of an old version, and to files without a version.
        super()._load_from_state_dict(state_dict, prefix, {**local_metadata, "version": self._version}, *rest)
