"""The training loop of a tutorial, which ours are held against.

torchvision's RandomCrop, RandomHorizontalFlip, ToTensor and Normalize on PIL images, a DataLoader of two workers,
eager float32 in NCHW, torch.optim.SGD, PyTorch's default settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from common import pytorch_defaults
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from repro import nets
from repro.config.recipe import Recipe
from repro.data.images import Images, Split
from repro.engine.device import Device

WORKERS, PREFETCH = 2, 2
WARM_UP = WORKERS * PREFETCH + 2  # steps off the clock, more than the loader keeps ready


class PilImages(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR10 gives them: a PIL image through the transforms at every access."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]) -> None:
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        return len(self.split.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.split.images[index])), int(self.split.labels[index])


def images_per_second(arch: str, recipe: Recipe, images: Images, device: Device, steps: int) -> float:
    """Of ``steps`` steps, the loader's work included. On a CPU its workers compete with the training for the same
    cores: that is how this loop behaves there."""
    mean, std = (np.array(values) / 255 for values in images.statistics)
    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean.tolist(), std.tolist()),
        ]
    )
    dataset = PilImages(images.train, transform)
    loader = DataLoader(
        dataset,
        batch_size=recipe.batch_size,
        # One long epoch, shuffled: nobody waits for workers to start within it.
        sampler=RandomSampler(dataset, num_samples=(steps + 2 * WARM_UP) * recipe.batch_size),
        num_workers=WORKERS,
        prefetch_factor=PREFETCH,
        persistent_workers=True,
        pin_memory=device.cuda,
    )
    batches = iter(loader)
    model = nets.build(arch, seed=0).to(device.torch).train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    with pytorch_defaults():
        for step in range(WARM_UP + steps):
            if step == WARM_UP:
                device.synchronize()
                start = time.perf_counter()
            pixels, labels = (tensor.to(device.torch, non_blocking=True) for tensor in next(batches))
            optimizer.zero_grad()
            F.cross_entropy(model(pixels), labels).backward()
            optimizer.step()
        device.synchronize()
        return steps * recipe.batch_size / (time.perf_counter() - start)
