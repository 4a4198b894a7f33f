"""Networks, by the names used in params.yaml."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from repro.config.recipe import ARCHS, IMAGENET_ARCHS
from repro.errors import UsageError
from repro.nets.resnet_cifar import BatchNorm2d, ResNet
from repro.pruning import MASK

BLOCKS = {"resnet20": 3, "resnet56": 9}
"""The networks of CIFAR-10, and how many blocks a stage has; all others are torchvision's."""
PHOTO_CLASSES = 1000  # always; a data set of fewer classes leaves the last outputs unused


def build(arch: str, seed: int) -> nn.Module:
    """Build a newly initialised network on the CPU, float32. The same (arch, seed) gives the same bits anywhere.

    Its ``load_state_dict(strict=True)`` ignores the masks of a checkpoint. Raises `UsageError` for an unknown
    arch.
    """
    if arch not in (known := (*BLOCKS, *IMAGENET_ARCHS)):
        raise UsageError(f"unknown arch '{arch}'; there are {', '.join(known)}")
    digest = hashlib.sha256(f"init {arch} seed={seed}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        model = ResNet(BLOCKS[arch]) if arch in BLOCKS else _photo_resnet(arch)
    model.register_load_state_dict_pre_hook(_leave_masks)
    return model


def arch_of(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the network whose checkpoint ``tensors`` is, recognised by names and shapes; None for any other."""
    given = {name: tensor.shape for name, tensor in tensors.items() if not name.startswith(MASK)}
    for arch in ARCHS:
        if given == {name: tensor.shape for name, tensor in shapes(arch).state_dict().items()}:
            return arch
    return None


def _photo_resnet(name: str) -> nn.Module:
    """Build torchvision's, freshly initialised (appendix A.2), with our BatchNorm: [N, 3, H, W], normalised ->
    logits [N, 1000]. ResNet18 has 11,157,504 prunable weights, ResNet50 23,445,504."""
    from torchvision import models  # takes seconds, which a Run on CIFAR-10 does without

    model: nn.Module = models.get_model(name, weights=None, num_classes=PHOTO_CLASSES, norm_layer=BatchNorm2d)
    return model


def _leave_masks(module: nn.Module, state_dict: dict[str, Any], *_: Any) -> None:
    """Remove masks from the tensors to be loaded, PyTorch's copy of them."""
    for name in [name for name in state_dict if name.startswith(MASK)]:
        del state_dict[name]


@functools.cache
def shapes(arch: str) -> nn.Module:
    """Return the network's names and shapes without numbers, on the meta device, cached.

    Raises `UsageError` for an unknown arch."""
    # Built on the CPU: drawing numbers on the meta device imports torch._dynamo, which takes seconds.
    return build(arch, 0).to("meta")
