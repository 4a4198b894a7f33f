"""The options that commands share, as a value. Imports little, since the command line imports it at start."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from repro.config.recipe import PRECISIONS
from repro.errors import UsageError

STRATEGIES = ("auto", "eager", "compiled", "streams", "streams, compiled", "fused")
LAUNCHERS = ("local", "ray", "slurm")
DEVICES = ("auto", "cpu", "cuda")
RUN_STATES = ("done", "diverged", "begun", "missing")
PATHS = ("data_dir", "runs_dir", "out", "params_file")
DRIVERS = ("workers", "launcher", "slurm", "without", "started")
"""Options that are not passed to workers. (They inherit $REPRO_WITHOUT.)"""
MOST_SEEDS = 64  # of --seeds, and that a claim may be said to need


@dataclass(frozen=True)
class Options:
    """The options of a command; None means the default."""

    profile: str | None = None
    arch: str | None = None
    seeds: int | None = None
    data_dir: Path | None = None
    runs_dir: Path | None = None
    out: Path | None = None
    device: str = "auto"
    precision: str | None = None
    time_budget: str | None = None
    overrides: Sequence[str] = ()
    ignore_shipped: bool = False
    with_iterative: bool = False
    keep_final: bool = False
    """Also keep the final weights of networks, not only the checkpoints that other Runs start from."""
    without: Sequence[str] = field(
        default_factory=lambda: os.environ.get("REPRO_WITHOUT", "").replace(",", " ").split()
    )
    """Data sets that are not available, whose Runs are not trained (``$REPRO_WITHOUT``, with commas or spaces)."""
    params_file: Path | None = None
    strategy: str = "auto"
    wave: int = 0
    """Runs at a time on one device; 0 for the fastest number."""
    gpus: int = 1
    workers: int = 1
    launcher: str = "local"
    slurm: Sequence[str] = ()
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Raises `UsageError` for an unknown name, and for a number or duration that is not valid."""
        for name, least in (("wave", 0), ("gpus", 1), ("workers", 1)):
            if (value := getattr(self, name)) < least:
                raise UsageError(f"--{name} {value}: choose {least} or more")
        if self.seeds is not None and not 1 <= self.seeds <= MOST_SEEDS:
            raise UsageError(f"--seeds {self.seeds}: choose 1 to {MOST_SEEDS}")
        if self.time_budget:
            parse_duration(self.time_budget)
        known = {
            "device": DEVICES, "strategy": STRATEGIES, "launcher": LAUNCHERS, "precision": (None, *PRECISIONS),
        }  # fmt: skip
        for name, names in known.items():
            if getattr(self, name) not in names:
                *others, last = [f'"{known}"' if "," in known else known for known in names if known]
                raise UsageError(f"--{name} {getattr(self, name)}: choose {', '.join(others)} or {last}")
        if self.slurm and self.launcher != "slurm":
            raise UsageError(f"--slurm {self.slurm[0]} goes with --launcher slurm")

    def for_worker(self) -> str:
        """Return the options for a worker of this command as JSON, with absolute paths: it may run in another
        folder."""
        given = {name: value for name, value in vars(self).items() if name not in DRIVERS}
        return json.dumps(given, default=lambda path: str(path.resolve()))

    @classmethod
    def of_worker(cls, text: str) -> Options:
        """Parse the options that `for_worker` returned."""
        given: dict[str, Any] = json.loads(text)
        return cls(**given | {name: Path(given[name]) for name in PATHS if given.get(name)})

    @property
    def pooled(self) -> bool:
        """Whether Runs train in separate processes instead of this one."""
        return self.workers > 1 or self.gpus > 1 or self.launcher != "local"

    @property
    def is_main(self) -> bool:
        """Whether this process writes results and messages: rank 0 under torchrun, every process without it."""
        return placed().rank == 0

    @property
    def deadline(self) -> float:
        """The end of the time budget, on `time.monotonic`'s clock; infinite without one."""
        return self.started + parse_duration(self.time_budget) if self.time_budget else math.inf


class Placed(NamedTuple):
    """The position of this process among those that train together: ``rank`` of ``ranks``, and ``local_rank`` of
    ``local_ranks`` on this machine."""

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    local_ranks: int = 1


def placed() -> Placed:
    """Return the position that torchrun gave this process. It is used only if both RANK and WORLD_SIZE are set,
    since clusters may set one of them. Raises `UsageError` if their values are not valid."""
    given = [os.environ.get(name, "").strip() for name in _TORCHRUN]
    if not (given[0] and given[1]):
        return Placed()
    try:
        rank, ranks, local_rank, local_ranks = (int(text or 0) for text in given)
    except ValueError:
        rank = ranks = local_rank = local_ranks = -1
    local_ranks = local_ranks if given[3] else local_rank + 1
    if 0 <= rank < ranks and 0 <= local_rank < local_ranks <= ranks:
        return Placed(rank, ranks, local_rank, local_ranks)
    values = ", ".join(f"{name}='{text}'" for name, text in zip(_TORCHRUN, given, strict=True))
    raise UsageError(f"the environment has {values}: unset them, or let torchrun set them (docs/cluster.md)")


_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def parse_duration(text: str) -> float:
    """Parse ``90s``, ``9m``, ``1.5h`` or plain seconds. Raises `UsageError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match:
        raise UsageError(f"--time-budget {text}: write 90s, 9m or 1.5h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
