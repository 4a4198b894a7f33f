"""Train a copy of any network, pruned or not, with Eq. 1 of the paper as its optimizer.

torch's SGD with momentum and weight decay is Eq. 1. The engine's flat Network (repro/engine/network.py) is faster,
but supports this project's networks only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from repro.data.batches import draw_epoch
from repro.engine.events import EpochTotals
from repro.engine.lanes import forward, loss_and_logits
from repro.engine.network import MOMENTUM, masks_of
from repro.pruning import MASK, Masks, prune_further
from repro.run import Run
from repro.schedule import learning_rate
from repro.ticket.datasets import seed_all
from repro.ticket.network import Setup, copied, fill, on_cpu, tensors_of


class Trainer:
    """One training of a copy of the network, of which ``prunable`` weights may be pruned. The given network stays
    unchanged."""

    def __init__(self, setup: Setup, prunable: Sequence[str]) -> None:
        self.setup, self.prunable, recipe = setup, prunable, setup.recipe
        self.model = copied(setup.model).to(setup.device.torch)
        self.trainable = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.SGD(
            self.trainable.values(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.masks: Masks = {}
        self._pruned: list[tuple[Tensor, Tensor]] = []  # each weight, and where it is pruned, on the device

    def epoch(self, run: Run, epoch: int) -> EpochTotals:
        """Train the 0-based ``epoch`` of ``run``.

        The order of the data, augmentation and the global generators follow from the Run and the epoch alone.
        """
        recipe, samples = run.recipe, self.setup.train
        names = f"ticket {run.stream} {epoch}"
        seed_all(self.setup.device.cuda, names)
        self.optimizer.param_groups[0]["lr"] = learning_rate(recipe, epoch)
        self.model.train()
        order = draw_epoch(run.stream, epoch, len(samples), recipe.augment)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.setup.device.torch)
        correct = torch.zeros((), dtype=torch.int64, device=self.setup.device.torch)
        batches = 0
        for inputs, labels in samples.batches(order, recipe.augment, recipe.batch_size, names):
            self.optimizer.zero_grad()
            loss, logits = loss_and_logits(self.model, inputs, labels, self.setup.precision)
            loss.backward()
            self.optimizer.step()
            self._zero_pruned()
            loss_sum += loss.detach() * len(labels)
            correct += (logits.detach().argmax(1) == labels).sum()
            batches += 1
        return EpochTotals(batches, len(samples), float(loss_sum), int(correct))

    def evaluate(self) -> float:
        """Return the top-1 accuracy on the test set in per cent, with the network in eval mode."""
        name = "ticket evaluation"
        seed_all(self.setup.device.cuda, name)
        self.model.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.setup.device.torch)
        with torch.inference_mode():
            for inputs, labels in self.setup.test.batches(None, False, self.setup.recipe.batch_size, name):
                logits = forward(self.model, inputs, self.setup.precision)
                correct += (logits.argmax(1) == labels).sum()
        return 100 * int(correct) / len(self.setup.test)

    @property
    def is_finite(self) -> bool:
        """Whether every trainable weight is a finite number."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.trainable.values())

    def prunable_weights(self) -> dict[str, Tensor]:
        """Return the weights that pruning ranks, by name."""
        return {name: self.model.get_parameter(name).detach() for name in self.prunable}

    def layer_weights(self) -> dict[str, Tensor]:
        """Return all weights of two dimensions or more, by name."""
        return {name: weight.detach() for name, weight in self.model.named_parameters() if weight.dim() > 1}

    def prune(self, sparsity: float) -> None:
        """Prune to exactly ``sparsity`` by global magnitude; pruned weights stay pruned."""
        self.apply_masks(prune_further(self.prunable_weights(), self.masks, sparsity))

    def apply_masks(self, masks: Masks) -> None:
        """Keep weights at zero from now on where their mask is False."""
        self.masks = {name: masks[name] for name in self.prunable}  # a file has another order
        weights = {name: self.model.get_parameter(name) for name in self.prunable}
        self._pruned = [(weight, ~masks[name].to(weight.device)) for name, weight in weights.items()]
        self._zero_pruned()

    def checkpoint(self) -> dict[str, Tensor]:
        """Return parameters, buffers and masks, on the CPU, contiguous."""
        return on_cpu(tensors_of(self.model) | {MASK + name: mask for name, mask in self.masks.items()})

    def snapshot(self) -> Callable[[], dict[str, Tensor]]:
        """Return a function that makes the state of `checkpoint` and momentum, before this network trains on."""
        buffers = {name: self.optimizer.state[p].get("momentum_buffer") for name, p in self.trainable.items()}
        momentum = {MOMENTUM + name: buffer for name, buffer in buffers.items() if buffer is not None}
        return lambda: self.checkpoint() | on_cpu(momentum)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore a `checkpoint` or a `snapshot`'s state. Without momentum in it, momentum starts at zero."""
        fill(self.model, tensors)
        self.optimizer.state.clear()
        for name, parameter in self.trainable.items():
            if MOMENTUM + name in tensors:
                momentum = torch.empty_like(parameter).copy_(tensors[MOMENTUM + name])
                self.optimizer.state[parameter]["momentum_buffer"] = momentum
        if masks := masks_of(tensors):
            self.apply_masks(masks)

    def _zero_pruned(self) -> None:
        """Set pruned weights and their momentum to zero, so that neither momentum nor weight decay moves them."""
        with torch.no_grad():
            for weight, pruned in self._pruned:
                weight.masked_fill_(pruned, 0)
                momentum = self.optimizer.state[weight].get("momentum_buffer")
                if momentum is not None:
                    momentum.masked_fill_(pruned, 0)
