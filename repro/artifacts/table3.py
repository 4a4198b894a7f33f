"""Table 3: one-shot and gradual pruning at 80 %, then retraining, on ImageNet (section 4.2)."""

from __future__ import annotations

from repro.artifacts import pruning_table
from repro.artifacts.base import IMAGENET

ARTIFACT = pruning_table.artifact(
    "table3", "One-shot and gradual pruning for ResNet18 and ResNet50 on ImageNet", (*IMAGENET, "result")
)
