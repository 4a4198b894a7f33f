"""ResNet18 and ResNet50 for photographs: torchvision's, freshly initialised (appendix A.2)."""

from __future__ import annotations

from torch import nn

from repro.nets.batch_norm import BatchNorm2d

CLASSES = 1000  # always; a data set of fewer classes leaves the last outputs unused


def resnet18() -> nn.Module:
    """18 layers of basic blocks: 11,157,504 prunable weights. [N, 3, H, W], normalised -> logits [N, 1000]."""
    return _fresh("resnet18")


def resnet50() -> nn.Module:
    """50 layers of bottlenecks: 23,445,504 prunable weights. [N, 3, H, W], normalised -> logits [N, 1000]."""
    return _fresh("resnet50")


def _fresh(name: str) -> nn.Module:
    """torchvision's, with our BatchNorm."""
    from torchvision import models  # takes seconds, which a Run on CIFAR-10 does without

    model: nn.Module = models.get_model(name, weights=None, num_classes=CLASSES, norm_layer=BatchNorm2d)
    return model
