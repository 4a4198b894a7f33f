"""Epochs over small images that lie on the device (CIFAR-10)."""

from __future__ import annotations

from typing import Any

import torch

from repro.data.batches import DeviceImages, EpochOrder
from repro.engine.network import Network
from repro.engine.step import Batches, forward, make_stepper
from repro.engine.trainer import OutOfTime, Stop, Sums
from repro.run import Run

EVALUATION_BATCH = 1000


class Resident:
    """Trains ``run`` from 0-based epoch ``first`` on, step by step through `step.make_stepper`."""

    resumes_within = False  # an epoch takes seconds

    def __init__(
        self,
        run: Run,
        first: int,
        network: Network,
        train: DeviceImages,
        test: DeviceImages,
        precision: torch.dtype,
    ) -> None:
        self._run, self._network, self._train, self._test = run, network, train, test
        self._precision = precision
        network.model.train()
        self._batches = Batches(network, train, run.recipe, precision)
        self._batches.start_epoch(self._order(first), 0.0)
        self._stepper = make_stepper(self._batches, run.epochs * len(train))
        self.strategy = self._stepper.name

    def epoch(self, epoch: int, rate: float, begun: Sums, stop: Stop) -> Sums:
        """A whole epoch, or `OutOfTime`: the last state is kept, what there was of this epoch is given up."""
        self._batches.start_epoch(self._order(epoch), rate)
        self._network.model.train()
        total, size = len(self._train), self._run.recipe.batch_size
        for position in range(0, total, size):
            if stop():
                raise OutOfTime
            self._stepper.step(min(size, total - position))
        batches = -(-total // size)
        return Sums(batches, total, float(self._batches.loss_sum), int(self._batches.correct))

    def top1(self) -> float:
        """See `evaluate`."""
        return evaluate(self._network, self._test, self._precision)

    def settle(self) -> None:
        """Nothing is left to do: there are no other ranks."""

    def facts(self) -> dict[str, Any]:
        """Nothing to tell."""
        return {}

    def _order(self, epoch: int) -> EpochOrder:
        return EpochOrder.draw(self._run.stream, epoch, len(self._train), self._run.recipe.augment)


def evaluate(network: Network, images: DeviceImages, precision: torch.dtype) -> float:
    """Top-1 accuracy in per cent over all images, whatever the size of the last batch."""
    network.model.eval()
    correct = torch.zeros((), dtype=torch.long, device=images.labels.device)
    with torch.inference_mode():
        for start in range(0, len(images), EVALUATION_BATCH):
            stop = min(start + EVALUATION_BATCH, len(images))
            logits = forward(network.model, images.plain(start, stop), precision)
            correct += (logits.argmax(1) == images.labels[start:stop]).sum()
    return 100 * int(correct) / len(images)
