"""Networks, by the names used in params.yaml."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from repro.errors import UsageError
from repro.nets import resnet_imagenet
from repro.nets.resnet_cifar import ResNet
from repro.pruning import MASK

BLOCKS = {"resnet20": 3, "resnet56": 9}
BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "resnet20": lambda: ResNet(BLOCKS["resnet20"]),
    "resnet56": lambda: ResNet(BLOCKS["resnet56"]),
    "resnet18": resnet_imagenet.resnet18,
    "resnet50": resnet_imagenet.resnet50,
}


def build(arch: str, seed: int) -> nn.Module:
    """A newly initialised network on the CPU, float32. The same (arch, seed) gives the same bits anywhere.

    Its ``load_state_dict(strict=True)`` ignores the masks of a checkpoint. Raises `UsageError` for an unknown
    arch.
    """
    if arch not in BUILDERS:
        raise UsageError(f"unknown arch '{arch}'; there are {', '.join(BUILDERS)}")
    digest = hashlib.sha256(f"init {arch} seed={seed}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        model = BUILDERS[arch]()
    model.register_load_state_dict_pre_hook(_leave_masks)
    return model


def arch_of(tensors: Mapping[str, Tensor]) -> str | None:
    """The network whose checkpoint ``tensors`` is, recognised by names and shapes; None for any other."""
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items() if not name.startswith(MASK)}

    def fits(arch: str) -> bool:
        return given == {name: tuple(tensor.shape) for name, tensor in shapes(arch).state_dict().items()}

    return next(filter(fits, BUILDERS), None)


def _leave_masks(module: nn.Module, state_dict: dict[str, Any], *_: Any) -> None:
    """Remove masks from the tensors to be loaded, PyTorch's copy of them."""
    for name in [name for name in state_dict if name.startswith(MASK)]:
        del state_dict[name]


@functools.cache
def shapes(arch: str) -> nn.Module:
    """The network's names and shapes without numbers, on the meta device, cached.

    Raises `UsageError` for an unknown arch."""
    # Built on the CPU: drawing numbers on the meta device imports torch._dynamo, which takes seconds.
    return build(arch, 0).to("meta")


def side_by_side(arch: str, copies: int) -> ResNet:
    """``copies`` networks of ``arch`` (for CIFAR-10) as one module, channels_last.

    Its parameters and buffers are those of one network in the same order, each ``copies`` times as long in its
    first dimension; their values have no meaning.
    """
    return ResNet(BLOCKS[arch], copies=copies).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
