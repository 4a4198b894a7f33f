"""Table 2: one-shot and gradual pruning at 80 %, then retraining, on CIFAR-10 (section 4.1)."""

from __future__ import annotations

from repro.artifacts import pruning_table
from repro.artifacts.base import CIFAR10

ARTIFACT = pruning_table.artifact(
    "table2", "One-shot and gradual pruning for ResNet20 and ResNet56 on CIFAR-10", (*CIFAR10, "result")
)
