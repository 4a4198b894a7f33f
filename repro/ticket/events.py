"""What an observer of a search hears. The search itself prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["note", "epoch", "check", "safe", "unsettled", "done"]


@dataclass(frozen=True)
class Event:
    """One step of a search; ``print`` makes a line of it.

    ``note``: what is left out or read, before anything is trained; ``phase`` is the sentence. ``epoch``: one epoch
    of ``phase`` is trained and kept on disk. ``check``: the PPR accuracy of dense epoch ``epoch``. ``safe``: the
    curve has settled and pruning is safe from ``epoch``. ``unsettled``: it never did. ``done``: ``phase`` has
    ended with ``top1``. Accuracies are per cent of the test set.

    ``spent`` counts the epochs behind the search, PPR checks and earlier calls included; ``left`` the epochs
    still to come, at most: a curve that settles early leaves fewer.
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
            return f"safe to prune from epoch {self.epoch}: PPR has settled"
        if self.kind == "unsettled":
            return f"PPR did not settle within {self.last} epochs: pruned at the end of the dense schedule"
        accuracy = "" if self.top1 is None else f": top-1 {self.top1:.2f} %"
        if self.kind == "done":
            return f"{self.phase} done{accuracy}"
        if self.kind == "check":
            return f"PPR check of epoch {self.epoch}{accuracy}"
        return f"{self.phase}: epoch {self.epoch}/{self.last}{accuracy.replace(':', ',', 1)}"
