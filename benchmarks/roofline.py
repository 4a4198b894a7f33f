"""The roofline: the fewest operations and bytes of a training step, and how fast a device does either: its best
matrix product, its own copy."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repro import nets
from repro.config.recipe import Recipe
from repro.data.batches import SIDE
from repro.engine.calibration import PATIENCE, times
from repro.engine.device import Device

# Passes over every convolution's output: forward writes it and reads it once (statistics in the convolution's own
# pass, normalisation and ReLU in the next one's); backward reads it again, and writes and reads its gradient.
PASSES = 5
# Bytes an update moves for a weight: weight and momentum read and written, gradient written and read, mask read,
# all float32; with the low-precision copy written and read.
UPDATE_BYTES = {2: 7 * 4 + 2 * 2, 4: 7 * 4}


@dataclass(frozen=True)
class Roofline:
    """Of one image: floating-point operations and bytes."""

    operations: float
    bytes: float

    def images_per_second(self, flops: float, bandwidth: float) -> float:
        """On a device of ``flops`` operations and ``bandwidth`` bytes (read and written) a second."""
        return 1 / max(self.operations / flops, self.bytes / bandwidth)

    def bound_by(self, flops: float, bandwidth: float) -> str:
        """``arithmetic`` or ``memory``."""
        return "arithmetic" if self.operations / flops > self.bytes / bandwidth else "memory"


def floor_of(arch: str, recipe: Recipe, item_size: int, side: int = SIDE) -> Roofline:
    """Of training ``arch`` with activations of ``item_size`` bytes each, as any number of networks at a time."""
    outputs, weights = conv_outputs(arch, side)
    update = UPDATE_BYTES[item_size] * weights / recipe.batch_size
    return Roofline(flops_per_image(arch, side), PASSES * outputs * item_size + update)


def conv_outputs(arch: str, side: int = SIDE) -> tuple[int, int]:
    """Numbers that the convolutions of ``arch`` put out for one image, and its parameters."""
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        total += output.numel()

    model = _shown(arch, side, count, nn.Conv2d)
    return total, sum(parameter.numel() for parameter in model.parameters())


def flops_per_image(arch: str, side: int = SIDE) -> float:
    """Floating-point operations to train ``arch`` on one image of ``side`` x ``side``.

    Convolutions and linear layers, a multiply-add counted as two; the backward pass as two forward ones.
    """
    multiply_adds = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal multiply_adds
        multiply_adds += output.numel() * layer.get_parameter("weight")[0].numel()

    _shown(arch, side, count, nn.Conv2d, nn.Linear)
    return 3 * 2 * float(multiply_adds)


def _shown(arch: str, side: int, hook: object, *kinds: type[nn.Module]) -> nn.Module:
    """``arch`` after it saw one image, with ``hook`` called after every layer of ``kinds``."""
    model = nets.build(arch, seed=0).eval()
    for module in model.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(hook)  # type: ignore[arg-type]
    with torch.no_grad():
        model(torch.zeros(1, 3, side, side))
    return model


def matmul_flops(device: Device, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """The device's own ceiling: FLOP/s of its best square matrix product in ``dtype``.

    Float32 on CUDA may use TF32 here exactly where convolutions may (PyTorch's default).
    """
    sizes = (2048, 4096, 8192) if device.cuda else (512, 1024, 2048)
    best, patience = 0.0, time.perf_counter() + PATIENCE
    with _tf32_as_in_convolutions(device):
        for size in sizes:
            if time.perf_counter() > patience:  # emulated: larger products take minutes and are no faster
                break
            a, b = torch.randn(2, size, size, device=device.torch).to(dtype)
            out = torch.empty_like(a)
            product = functools.partial(torch.mm, a, b, out=out)
            best = max(best, 2 * size**3 / min(times(product, device, seconds / len(sizes))))
    return best


def copy_bandwidth(device: Device, seconds: float = 1.0) -> float:
    """Bytes a second, read plus written, of the device's own copy of a tensor that no cache holds."""
    source = torch.randint(0, 255, (1 << (31 if device.cuda else 28),), dtype=torch.uint8, device=device.torch)
    target = torch.empty_like(source)
    return 2 * len(source) / min(times(functools.partial(target.copy_, source), device, seconds))


@contextlib.contextmanager
def _tf32_as_in_convolutions(device: Device) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    if device.cuda and torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
