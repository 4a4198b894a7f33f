"""What a training step must do at least: operations, bytes through memory, and the images a second that follow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repro import nets
from repro.data.batches import SIDE
from repro.params import Recipe

# Passes over every convolution's output: forward writes it and reads it once (statistics in the convolution's own
# pass, normalisation and ReLU in the next one's); backward reads it again, and writes and reads its gradient.
PASSES = 5
# Bytes an update moves for a weight: weight and momentum read and written, gradient written and read, mask read,
# all float32; with the low-precision copy written and read.
UPDATE_BYTES = {2: 7 * 4 + 2 * 2, 4: 7 * 4}


@dataclass(frozen=True)
class Floor:
    """Of one image: floating-point operations and bytes."""

    operations: float
    bytes: float

    def images_per_second(self, flops: float, bandwidth: float) -> float:
        """On a device of ``flops`` operations and ``bandwidth`` bytes (read and written) a second."""
        return 1 / max(self.operations / flops, self.bytes / bandwidth)

    def bound_by(self, flops: float, bandwidth: float) -> str:
        """``arithmetic`` or ``memory``."""
        return "arithmetic" if self.operations / flops > self.bytes / bandwidth else "memory"


def floor_of(arch: str, recipe: Recipe, item_size: int, side: int = SIDE) -> Floor:
    """Of training ``arch`` with activations of ``item_size`` bytes each, as any number of networks at a time."""
    outputs, weights = conv_outputs(arch, side)
    update = UPDATE_BYTES[item_size] * weights / recipe.batch_size
    return Floor(flops_per_image(arch, side), PASSES * outputs * item_size + update)


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
