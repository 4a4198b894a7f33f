"""Fig. 4: PPR accuracy from every epoch of the dense ResNet20 at a large and a small rate (section 3.3)."""

from __future__ import annotations

from repro.artifacts import ppr
from repro.artifacts.base import CIFAR10

ARTIFACT = ppr.artifact(
    "fig4", "Accuracy of pseudo-pruned-then-retrained (PPR) models from every epoch, ResNet20", CIFAR10
)
