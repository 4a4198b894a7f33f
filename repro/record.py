"""Record: what is kept of a finished Run, one line of the ledger. Pure: no torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

DONE = "done"
DIVERGED = "diverged"


@dataclass(frozen=True)
class Record:
    """The result of one Run and where it comes from. Accuracies are per cent, losses nats per image.

    ``top1`` is the last epoch's test accuracy (the result), ``best_top1`` the best evaluated epoch's.
    ``curve`` has ``epoch``, ``train_loss``, ``train_top1`` for each epoch trained and ``test_epoch``,
    ``test_top1`` for those evaluated. ``start`` describes the structure it began with, ``probe`` the
    weights after each epoch where the Run asks for it. ``status`` is ``done`` or ``diverged``.
    """

    key: str
    label: str
    status: str
    spec: dict[str, Any]
    top1: float | None
    best_top1: float | None
    best_epoch: int | None
    train_top1: float | None
    curve: dict[str, list[float]]
    start: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    checkpoints: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """One line of JSON, without the newline."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def parse(cls, line: str) -> Record:
        """Read back `line`. Raises ValueError or TypeError for anything else."""
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return cls(**values)  # a field that this version does not know is a TypeError

    def top1_at(self, epoch: int) -> float | None:
        """Test accuracy once ``epoch`` epochs were done, where it was evaluated."""
        found = dict(zip(self.curve["test_epoch"], self.curve["test_top1"], strict=True))
        return found.get(epoch)
