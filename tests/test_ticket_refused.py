"""What find_ticket cannot do it says in one clear line, before anything is trained where it can know."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from test_ticket import RECIPE, TEST, TRAIN, search, small
from torch import nn

from repro.errors import RunFailed, UsageError
from repro.ticket import find_ticket

TOO_MANY, FLAT = (TRAIN[0], TRAIN[1] + 9), (torch.ones(8, 6), TRAIN[1][:8])
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "sparsity": ({"sparsity": 1.0}, "between 0 and 1"),
    "sparsity below": ({"sparsity": 0.0}, "between 0 and 1"),
    "labels": ({"train_set": TOO_MANY}, "a label of 12, but the network tells 4 classes"),
    "label kind": ({"test_set": (TEST[0], TEST[1].float())}, "test_set: its labels are torch.float32"),
    "bytes": ({"train_set": (TRAIN[0].byte(), TRAIN[1])}, "its inputs are torch.uint8"),
    "lengths": ({"train_set": (TRAIN[0], TRAIN[1][:5])}, "inputs"),
    "no data": ({"train_set": 3}, "a Dataset of"),
    "nothing to prune": ({"model": nn.Sequential(nn.Flatten(), nn.Linear(192, 4))}, "nothing to prune"),
    "unknown weight": ({"prunable": ["conv.weight"]}, "no trainable weight 'conv.weight'"),
    "other inputs": ({"model": nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 4))}, "does not turn inputs"),
    "no logits": ({"model": nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))}, "logits"),
    "beside": ({"beside": ("iterativ",)}, "one-shot, iterative"),
    "beside text": ({"beside": "one-shot"}, "one-shot, iterative"),
    "check_every": ({"check_every": 0}, "choose 1 to 4"),
    "device": ({"device": "tpu"}, "auto, cpu or cuda"),
    "precision": ({"precision": "int8"}, "float32"),
    "window": ({"window": 0}, "share of the schedule"),
    "patience": ({"patience": 0}, "at least one check"),
    "rewind": ({"rewind": 5}, "0 to 4"),
    "crops": ({"model": nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4)), "train_set": FLAT, "test_set": FLAT},
              "augment=False"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_one_clear_line(tmp_path: Path, name: str) -> None:
    changes, words = BAD[name]
    arguments: dict[str, Any] = {"model": small(), "train_set": TRAIN, "test_set": TEST, "recipe": RECIPE,
                                 "device": "cpu", "folder": tmp_path / "none", **changes}  # fmt: skip
    with pytest.raises(UsageError) as error:
        find_ticket(**arguments)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_loss_that_is_not_finite_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="dense: the loss is not finite in epoch 1 at a learning rate of 1e"):
        search(tmp_path, recipe=dataclasses.replace(RECIPE, lr=1e30))
