"""What find_ticket cannot do it says in one clear line, before anything is trained where it can know."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from test_ticket import RECIPE, TEST, TRAIN, arguments, search, small
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from repro.errors import RunFailed, UsageError
from repro.ticket import find_ticket

TOO_MANY, FLAT = (TRAIN[0], TRAIN[1] + 9), (torch.ones(8, 6), TRAIN[1][:8])
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "sparsity": ({"sparsity": 1.0}, "between 0 and 1"),
    "sparsity below": ({"sparsity": 0.0}, "between 0 and 1"),
    "labels": ({"train_set": TOO_MANY}, "a label of 9, but the network tells 4 classes"),
    "label kind": ({"test_set": (TEST[0], TEST[1].float())}, "test_set: its labels are torch.float32"),
    "bytes": ({"train_set": (TRAIN[0].byte(), TRAIN[1])}, "its inputs are torch.uint8"),
    "lengths": ({"train_set": (TRAIN[0], TRAIN[1][:5])}, "inputs"),
    "no data": ({"train_set": 3}, "train_set: a Dataset of (tensor, label), read by index, or a pair of tensors"),
    "a loader": ({"train_set": DataLoader(TensorDataset(*TRAIN))}, "not torch's DataLoader"),
    "one-hot": ({"test_set": (TEST[0], torch.eye(4)[TEST[1]])}, "one-hot labels become numbers by argmax(1)"),
    "no number": ({"train_set": (TRAIN[0].clone().index_fill_(0, torch.tensor(7), math.nan), TRAIN[1])},
                  "train_set: item 7 holds a value that is infinite or no number"),
    "other test images": ({"test_set": (TEST[0][:, :2], TEST[1])}, "[2, 2, 8, 8] of test_set into logits"),
    "test labels": ({"test_set": (TEST[0], TEST[1] - 1)}, "test_set: a label of -1, but"),
    "no model": ({"model": None}, "model: a torch.nn.Module was expected, not None"),
    "a state_dict": ({"model": small().state_dict()}, "into it with load_state_dict"),
    "a class": ({"model": nn.Sequential}, "not the class Sequential: build the network"),
    "no recipe": ({"recipe": None}, "recipe: a Recipe was expected, not None"),
    "part of a recipe": ({"recipe": {"epochs": 3}}, "key 'recipe.batch_size' is missing"),
    "half epochs": ({"recipe": dataclasses.replace(RECIPE, epochs=2.5)}, "recipe.epochs: int expected, not 2.5"),
    "no epochs": ({"recipe": dataclasses.asdict(RECIPE) | {"epochs": 0}}, "recipe.epochs: 0 is below 1"),
    "sparsity as text": ({"sparsity": "0.8"}, "sparsity: float expected, not '0.8'"),
    "no sparsity": ({"sparsity": None}, "sparsity: float expected, not None"),
    "half a check": ({"check_every": 1.5}, "options.check_every: int expected, not 1.5"),
    "tolerance": ({"tolerance": "little"}, "options.tolerance: float expected, not 'little'"),
    "workers": ({"workers": -1}, "options.workers: -1 is below 0"),
    "one name": ({"prunable": "3.weight"}, "options.prunable: a list was expected, not '3.weight'"),
    "nothing to prune": ({"model": nn.Sequential(nn.Flatten(), nn.Linear(192, 4))}, "nothing to prune"),
    "unknown weight": ({"prunable": ["conv.weight"]}, "no trainable weight 'conv.weight'"),
    "other inputs": ({"model": nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 4))}, "does not turn inputs"),
    "no logits": ({"model": nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))}, "logits"),
    "baselines": ({"baselines": ("iterativ",)}, "one-shot, iterative"),
    "baselines text": ({"baselines": "one shot"}, "baselines ['one shot']: choose from one-shot, iterative"),
    "baselines None": ({"baselines": None}, "baselines [None]: choose from one-shot, iterative"),
    "no folder": ({"folder": None}, "folder: a path was expected, not None"),
    "arrays": ({"train_set": tuple(part.numpy() for part in TRAIN)},
               "not a tuple of 2 (numpy's ndarray and numpy's ndarray); torch.from_numpy makes a tensor"),
    "list of labels": ({"test_set": (TEST[0], TEST[1].tolist())}, "a tuple of 2 (torch's Tensor and list); torch"),
    "list of pairs": ({"test_set": [*zip(*TEST, strict=True)]},
                      "torch.utils.data.Subset(pairs, range(len(pairs))) a Dataset of a list of pairs"),
    "three tensors": ({"train_set": TensorDataset(*TRAIN, TRAIN[1])}, "not a tuple of 3"),
    "nothing in it": ({"train_set": []}, "not a list of 0"),
    "check_every": ({"check_every": 0}, "choose 1 to 4"),
    "device": ({"device": "tpu"}, "options.device: 'tpu' is unknown; there are auto, cpu, cuda"),
    "precision": ({"precision": "int8"}, "float32"),
    "window": ({"window": 0}, "share of the schedule"),
    "patience": ({"patience": 0}, "options.patience: 0 is below 1"),
    "rewind": ({"rewind": 5}, "0 to 4"),
    "crops": ({"model": nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4)), "train_set": FLAT, "test_set": FLAT},
              "augment=False"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_one_clear_line(tmp_path: Path, name: str) -> None:
    changes, words = BAD[name]
    given: dict[str, Any] = {"model": small(), "train_set": TRAIN, "test_set": TEST, "recipe": RECIPE,
                             "device": "cpu", "folder": tmp_path / "none", **changes}  # fmt: skip
    with pytest.raises(UsageError) as error:
        find_ticket(**arguments(**given))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_loss_that_is_not_finite_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="dense: the loss is not finite in epoch 1 at a learning rate of 1e"):
        search(tmp_path, recipe=dataclasses.replace(RECIPE, lr=1e30))
