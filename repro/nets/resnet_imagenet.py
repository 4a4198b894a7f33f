"""ResNet18 and ResNet50 for photographs: torchvision's, freshly initialised (appendix A.2)."""

from __future__ import annotations

from torch import nn
from torchvision import models

CLASSES = 1000  # always: where a data set has fewer, the last outputs are never right


def resnet18() -> nn.Module:
    """18 layers of basic blocks: 11,157,504 prunable weights. [N, 3, H, W], normalised -> logits [N, 1000]."""
    return _without_counters(models.resnet18(weights=None, num_classes=CLASSES))


def resnet50() -> nn.Module:
    """50 layers of bottlenecks: 23,445,504 prunable weights. [N, 3, H, W], normalised -> logits [N, 1000]."""
    return _without_counters(models.resnet50(weights=None, num_classes=CLASSES))


def _without_counters(model: nn.Module) -> nn.Module:
    """BatchNorm without its batch counters, which only a cumulative average would need."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None
    return model
