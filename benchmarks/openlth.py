"""OpenLTH's own training (github.com/facebookresearch/open_lth), from a checkout of it that nobody edits.

Its `train()`, its ResNet, DataLoader and transforms, its recipe and defaults: float32, of which PyTorch lets
convolutions use TF32. Two things are put right in memory, without which it does not start under PyTorch 2.11 and
numpy 2, and its CIFAR-10 is given in memory, so that nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from common import pytorch_defaults

from repro.data.images import Images
from repro.engine.device import Device

MODULES = ("platforms.platform", "platforms.local", "datasets.registry", "datasets.cifar10", "models.registry",
           "pruning.pruned_model", "pruning.sparse_global", "training.train")  # fmt: skip
PREFETCH = 2  # batches a worker keeps ready, PyTorch's default


class _TimeIsUp(Exception):
    """ForwardModel `train()`, which knows steps and no clock."""


def open_checkout(path: Path) -> dict[str, Any]:
    """Its modules by name. Raises `ImportError` where ``path`` holds none."""
    sys.path.insert(0, str(path))
    if not hasattr(np, "product"):
        np.product = np.prod  # type: ignore[attr-defined]
    # Its Model is an ABC before a Module, PyTorch's DistributedDataParallel after; one device needs neither.
    twin = patch("torch.nn.parallel.DistributedDataParallel", torch.nn.Module)
    with twin, patch.object(sys, "dont_write_bytecode", True):
        return {name: import_module(name) for name in MODULES}


def images_per_second(
    openlth: dict[str, Any], arch: str, batch: int, images: Images, device: Device, workers: int, pruned: bool,
    seconds: float,
) -> float:  # fmt: skip
    """Of ``seconds`` of its ``train()``, its loader's work included."""
    split = images.train
    source = SimpleNamespace(data=split.images, targets=split.labels.astype(np.int64))
    default = openlth["models.registry"].get_default_hparams(f"cifar_resnet_{arch.removeprefix('resnet')}")
    default.dataset_hparams.batch_size = batch
    clock = _Clock(PREFETCH * workers + 3, seconds, device)
    with (
        patch.object(
            openlth["platforms.platform"], "_PLATFORM", openlth["platforms.local"].Platform(num_workers=workers)
        ),
        patch.object(openlth["datasets.cifar10"], "CIFAR10", lambda **_: source),
        tempfile.TemporaryDirectory() as folder,
        pytorch_defaults(),
    ):
        loader = openlth["datasets.registry"].get(default.dataset_hparams, train=True)
        model = openlth["models.registry"].get(default.model_hparams)
        if pruned:
            how = openlth["pruning.sparse_global"]
            mask = how.Strategy.prune(how.PruningHparams("sparse_global", pruning_fraction=0.8), model)
            model = openlth["pruning.pruned_model"].PrunedModel(model, mask)
        with contextlib.suppress(_TimeIsUp):
            openlth["training.train"].train(default.training_hparams, model, loader, f"{folder}/out", [clock])
    return clock.steps * batch / clock.seconds


class _Clock:
    """A callback of `train()`, called before every step: its first few do not count."""

    def __init__(self, warm_up: int, seconds: float, device: Device) -> None:
        self._left, self._most, self._device = warm_up, seconds, device
        self._start = self.seconds = 0.0
        self.steps = 0

    def __call__(self, *_: object) -> None:
        self._left -= 1
        if self._left > 0:
            return
        if self._left == 0:
            self._device.synchronize()
            self._start = time.perf_counter()
            return
        self.steps += 1
        if time.perf_counter() - self._start > self._most:
            self._device.synchronize()
            self.seconds = time.perf_counter() - self._start
            raise _TimeIsUp
