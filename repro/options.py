"""The options that commands share, as a value. Light: the command line imports it at start."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repro.errors import UsageError


@dataclass(frozen=True)
class Options:
    """What every command takes; None means the default."""

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
    params_file: Path | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float | None:
        """When the time budget ends, on `time.monotonic`'s clock."""
        return self.started + parse_duration(self.time_budget) if self.time_budget else None


def parse_duration(text: str) -> float:
    """``90s``, ``9m``, ``1.5h`` or plain seconds. Raises `UsageError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match:
        raise UsageError(f"--time-budget {text}: write 90s, 9m or 1.5h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
