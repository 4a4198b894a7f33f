"""What the scripts here have in common: settings, and how their tables begin."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from repro.config import params
from repro.config.params import Settings
from repro.engine import device as devices
from repro.engine.device import Device
from repro.engine.strategies import STRATEGIES
from repro.machine import cores

ROOT = Path(__file__).resolve().parent.parent


def settings_of(batch: int | None) -> Settings:
    """The paper profile, its batch size another one where ``batch`` is given."""
    return params.settings(ROOT / "params.yaml", "paper", {"recipe.batch_size": batch} if batch else {})


def strategy_of(text: str) -> tuple[str, list[int]]:
    """``fused:3,16`` is a strategy and its numbers of lanes; without a colon, none."""
    name, _, counts = text.partition(":")
    if name not in STRATEGIES:
        raise argparse.ArgumentTypeError(f"'{name}'; there are {', '.join(STRATEGIES)}")
    if not all(count.isdecimal() and int(count) > 0 for count in counts.split(",") if count):
        raise argparse.ArgumentTypeError(f"'{counts}' are no numbers of Runs")
    return name, [int(count) for count in counts.split(",") if count]


@contextlib.contextmanager
def pytorch_defaults(benchmark: bool = False) -> Iterator[None]:
    """PyTorch's settings for as long as it lasts, not the engine's deterministic ones."""
    cudnn = torch.backends.cudnn
    ours = (cudnn.deterministic, cudnn.allow_tf32, cudnn.benchmark)
    cudnn.deterministic, cudnn.allow_tf32, cudnn.benchmark = False, True, benchmark
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32, cudnn.benchmark = ours


def measured_on(device: Device, precision: str) -> dict[str, Any]:
    """When, and on what."""
    where = devices.provenance(device, precision) | {"cores": cores()}
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "where": where}


def headline(result: dict[str, Any], data: str) -> list[str]:
    """`measured_on` for people, two lines."""
    where = result["where"]
    packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    return [
        f"{result['date']}  {where['device']}, {where['cores']} cores, {data}",
        f"python {where['python']}, {packages}" + (f", CUDA {where['cuda']}" if "cuda" in where else ""),
    ]
