"""Fig. 6: the PPR accuracy check for ResNet56 on CIFAR-10 and ResNet18 on ImageNet (sections 4.1 and 4.2)."""

from __future__ import annotations

from repro.artifacts import ppr
from repro.artifacts.base import CIFAR10, IMAGENET, joined

ARTIFACT = ppr.artifact(
    "fig6",
    "PPR accuracy check: ResNet56 on CIFAR-10 and ResNet18 on ImageNet",
    joined(CIFAR10, IMAGENET),
)
