"""Fig. 6a: the PPR accuracy check for ResNet56 (section 4.1). 6b, ResNet18 on ImageNet, is not regenerated yet."""

from __future__ import annotations

from repro.artifacts import ppr

ARTIFACT = ppr.artifact("fig6", "PPR accuracy check: ResNet56 on CIFAR-10")
