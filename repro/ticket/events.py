"""What a search reports to its observer. The search itself prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["note", "epoch", "check", "safe", "unsettled", "done"]


@dataclass(frozen=True)
class Event:
    """One step of a search, as a line if printed.

    ``note``: a fact that is known before training; ``phase`` is the sentence. ``epoch``: one epoch of ``phase`` is
    trained and kept on disk. ``check``: the PPR accuracy of dense epoch ``epoch``. ``safe``: PPR has reached its
    plateau, and pruning is safe from ``epoch``. ``unsettled``: it reached none. ``done``: ``phase`` ended with
    ``top1``. Accuracies are per cent of the test set.

    ``spent`` counts the epochs so far, PPR checks and earlier calls included; ``left`` is the most epochs that may
    still be needed: an early plateau needs fewer.
    """

    kind: Kind
    phase: str
    epoch: int
    last: int
    top1: float | None
    spent: int
    left: int
    images_per_second: float | None = None

    def __str__(self) -> str:
        if self.kind == "note":
            return self.phase
        if self.kind == "safe":
            return f"safe to prune from epoch {self.epoch}: PPR has reached its plateau"
        if self.kind == "unsettled":
            return f"PPR reached no plateau within {self.last} epochs: pruned at the end of the dense schedule"
        accuracy = "" if self.top1 is None else f": top-1 {self.top1:.2f} %"
        if self.kind == "done":
            return f"{self.phase} done{accuracy}"
        if self.kind == "check":
            return f"PPR check of epoch {self.epoch}{accuracy}"
        return f"{self.phase}: epoch {self.epoch}/{self.last}{accuracy.replace(':', ',', 1)}"
