"""What a lent GPU will be asked for in its few minutes: tried here, with speeds made up."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from repro.engine.device import Device


@pytest.fixture
def imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """benchmarks/imagenet.py on a card that trains 2,000 images/s and multiplies 600 TFLOP/s."""
    spec = importlib.util.spec_from_file_location("benchmark_of_imagenet", root / "benchmarks" / "imagenet.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(
        module.devices, "choose", lambda name: Device(torch.device("cpu"), "NVIDIA H100 80GB HBM3")
    )
    monkeypatch.setattr(module.devices, "resolve_precision", lambda name, device: "bfloat16")
    monkeypatch.setattr(module, "_peak", lambda device: 990e12)
    monkeypatch.setattr(module, "matmul_flops", lambda device, dtype: 600e12)
    monkeypatch.setattr(module.Ours, "__post_init__", lambda own: None)
    monkeypatch.setattr(module.Ours, "random", lambda *_: 2000.0)
    monkeypatch.setattr(module.Ours, "fed", lambda *_: (1500.0, 0.25))
    monkeypatch.setattr(module, "Loader", lambda *_: None)
    monkeypatch.setattr(module, "textbook", lambda *_: 500.0)
    yield module


def asked(images: Path, budget: float) -> argparse.Namespace:
    return argparse.Namespace(
        device="auto", arch=None, batch=None, crop=224, seconds=0.0, images=images, budget=budget
    )


def test_the_benchmark_says_speed_share_of_the_peak_and_hours_of_table_3(
    imagenet: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "a.JPEG").touch()
    result = imagenet.measure(asked(tmp_path, 1e9))
    first = result["rows"][0]
    assert (first["arch"], first["images_per_second"], first["ratio"]) == ("resnet18", 2000.0, 4.0)
    flops = imagenet.flops_per_image("resnet18", 224)
    assert first["share_of_peak"] == pytest.approx(2000 * flops / 990e12, abs=1e-4)
    assert first["share_of_ceiling"] == pytest.approx(2000 * flops / 600e12, abs=1e-4)
    hours = [row["table3_hours"] for row in result["rows"] if row["loop"] == imagenet.RANDOM]
    assert hours == [281.2, 167.6]  # 2,024 and 1,207 million images
    said = imagenet.table(result)
    assert (
        "600.0 in matrix products here, 990.0 by the data sheet" in said
        and "25%" in said
        and "left out" not in said
    )


def test_what_the_budget_has_no_time_for_is_named(imagenet: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.JPEG").touch()
    result = imagenet.measure(asked(tmp_path, -1.0))
    assert result["rows"] == []
    assert "left out, no time: resnet50, textbook, random images" in imagenet.table(result)
