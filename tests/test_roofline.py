"""The least that a step must do, counted by hand from the layers' shapes; a device's ceilings are timed."""

from __future__ import annotations

import pytest
import roofline
import torch

from repro.config.recipe import Recipe
from repro.engine.device import Device

DEVICE = Device(torch.device("cpu"), "some processor")
RECIPE = Recipe(1, 4, 0.1, (), 0.1, 0.9, 1e-4, augment=True, evaluate_every=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matrix_products_are_timed(dtype: torch.dtype) -> None:
    assert roofline.matmul_flops(DEVICE, dtype, seconds=0.0) > 1e6


@pytest.mark.parametrize(("arch", "n"), [("resnet20", 3), ("resnet56", 9)])
def test_flops_follow_from_the_shapes_of_the_layers(arch: str, n: int) -> None:
    """He et al., section 4.2: 2n convolutions at each of 16x32x32, 32x16x16 and 64x8x8."""
    forward = 3 * 16 * 9 * 32**2 + 64 * 10  # multiply-adds of the first convolution and the linear layer
    for channels, side in ((16, 32), (32, 16), (64, 8)):
        inputs = [channels] * (2 * n)
        inputs[0] = 16 if channels == 16 else channels // 2
        forward += sum(inputs) * channels * 9 * side**2
    assert roofline.flops_per_image(arch) == 3 * 2 * forward
    if arch == "resnet20":
        assert round(forward / 1e6) == 41


@pytest.mark.parametrize(("arch", "n"), [("resnet20", 3), ("resnet56", 9)])
@pytest.mark.parametrize("item_size", [2, 4])
def test_bytes_follow_from_the_shapes_of_the_layers(arch: str, n: int, item_size: int) -> None:
    """The first convolution and 2n at each of 16x32x32, 32x16x16 and 64x8x8, five passes; the update on top."""
    outputs = 16 * 32**2 + 2 * n * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)
    weights = {"resnet20": 269_722, "resnet56": 853_018}[arch]
    found = roofline.floor_of(arch, RECIPE, item_size)
    update = weights * (28 + (4 if item_size == 2 else 0)) / RECIPE.batch_size
    assert found.bytes == pytest.approx(5 * outputs * item_size + update)
    assert found.operations == roofline.flops_per_image(arch)


def test_the_floor_is_the_slower_of_arithmetic_and_memory() -> None:
    least = roofline.Roofline(operations=10.0, bytes=4.0)
    assert least.images_per_second(flops=100.0, bandwidth=400.0) == pytest.approx(10)
    assert least.images_per_second(flops=1000.0, bandwidth=40.0) == pytest.approx(10)


def test_copies_are_timed() -> None:
    assert roofline.copy_bandwidth(DEVICE, seconds=0.0) > 1e6
