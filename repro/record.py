"""Record: what is kept of a finished Run, one line of the ledger. Pure: no torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from repro.run import Run

DONE = "done"
DIVERGED = "diverged"
DIGITS = 7  # significant digits kept of a measured number


def measured(value: float) -> float:
    """``value`` with the digits that are kept."""
    return float(f"{value:.{DIGITS}g}")


def empty_curve() -> dict[str, list[float]]:
    """A Record's ``curve`` before the first epoch."""
    return {"epoch": [], "train_loss": [], "train_top1": [], "test_epoch": [], "test_top1": []}


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

    @classmethod
    def ended(cls, run: Run, status: str, curve: dict[str, list[float]], **kept: Any) -> Record:
        """The Record of ``run`` as its ``curve`` tells it; of equal best epochs the first. ``kept`` are the other
        fields. A Run that diverged has no result."""
        tested = list(zip(curve["test_top1"], curve["test_epoch"], strict=True))
        best = max(tested, key=lambda pair: (pair[0], -pair[1]), default=(None, None))
        done = status == DONE
        return cls(
            key=run.key,
            label=run.label,
            status=status,
            spec=run.spec(),
            top1=tested[-1][0] if done and tested else None,
            best_top1=best[0],
            best_epoch=None if best[1] is None else int(best[1]),
            train_top1=curve["train_top1"][-1] if done and curve["train_top1"] else None,
            curve=curve,
            **kept,
        )

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
