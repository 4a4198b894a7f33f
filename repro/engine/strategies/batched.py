"""All lanes as one network, whose convolutions have a group for each lane: one operation instead of K.

Weights are cast and gathered from the lanes' rows before every step, and gradients are copied back, so that Eq. 1,
masks and states work on the lanes' own tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro import nets
from repro.data.batches import PAD
from repro.engine.lanes import Lane, Lanes, forward
from repro.engine.network import named
from repro.engine.strategies.eager import Eager, compiled
from repro.engine.strategies.graphs import CapturedStep


class Batched:
    """Steps all busy lanes together; a step of only some of them is taken eagerly, one lane after another.

    ``recorded``: a step is a CUDA graph (default: on CUDA)."""

    def __init__(self, lanes: Lanes, fused: bool = False, recorded: bool | None = None) -> None:
        self.name = "batched, compiled" if fused else "batched"
        self._lanes, self._fused, self._full = lanes, fused, lanes.recipe.batch_size
        self._one_by_one = Eager(lanes)
        self._model = nets.side_by_side(lanes.arch, len(lanes)).to(lanes.device).train()
        for module in self._model.modules():
            if not isinstance(module, nn.BatchNorm2d):
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.to(lanes.precision)
        self._leaves = list(self._model.parameters())
        one, rows = lanes.all[0].network.model, lanes.rows
        self._weights = [view for _, view in named(one.named_parameters(), rows.weights)]  # [K, *shape] each
        self._gradients = [view for _, view in named(one.named_parameters(), rows.gradients)]
        self._statistics = [view for _, view in named(one.named_buffers(), rows.statistics)]
        self._update: Callable[[int], None] = self._step
        self._evaluations: Callable[[int], None] = self._evaluate
        if recorded or (recorded is None and lanes.device.type == "cuda"):
            touched = [*chain.from_iterable(lane.touched() for lane in lanes.all), *self._model.buffers()]
            self._update, self._evaluations = (
                CapturedStep(work, touched, torch.cuda.Stream(lanes.device)).replay
                for work in (self._step, self._evaluate)
            )

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        if not self._all_busy(group):
            self._one_by_one.train(group, steps, size)
            return
        self._statistics_in()
        for _ in range(steps):
            self._update(size)
        with torch.no_grad():
            torch._foreach_copy_(self._statistics, self._split(self._model.buffers()))

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        if not self._all_busy(group):
            self._one_by_one.evaluate_batch(group, size)
            return
        self._statistics_in()
        self._model.eval()
        self._evaluations(size)
        self._model.train()

    def _all_busy(self, group: Sequence[Lane]) -> bool:
        inside = {lane.number for lane in group}
        return all(lane.number in inside or not lane.busy for lane in self._lanes.all)

    def _statistics_in(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self._split(self._model.buffers()), self._statistics)

    def _step(self, size: int) -> None:
        lanes = self._lanes
        index, top, left, flip = lanes.order.gather(2, self._positions(lanes.position, size).expand(4, -1, -1))
        labels = lanes.labels.gather(1, index)
        self._refresh()
        loss_of = compiled(losses_and_logits) if self._fused and size == self._full else losses_and_logits
        losses, logits = loss_of(self._model, self._gather(index, top, left, flip), labels, lanes.precision)
        gradients = torch.autograd.grad(losses.sum(), self._leaves)
        with torch.no_grad():
            torch._foreach_copy_(self._gradients, self._split(gradients))
            lanes.rows.update(lanes.recipe, lanes.rate)
            lanes.loss_sum += losses.detach() * size
            lanes.correct += (logits.detach().argmax(2) == labels).sum(1)
            lanes.position += size

    def _evaluate(self, size: int) -> None:
        lanes = self._lanes
        index = lanes.eval_indices.gather(1, self._positions(lanes.eval_position, size))
        middle = torch.full_like(index, PAD)
        with torch.no_grad():
            self._refresh()
            images = self._gather(index, middle, middle, torch.zeros_like(index))
            logits = _by_lane(forward(self._model, images, lanes.precision), len(lanes))
            lanes.eval_correct += (logits.argmax(2) == lanes.labels.gather(1, index)).sum(1)
            lanes.eval_position += size

    def _positions(self, position: Tensor, size: int) -> Tensor:
        """Positions in each lane's order, int64 [K, size]; clamped, since those of idle lanes are never reset."""
        return (position[:, None] + self._lanes.offsets[:size]).clamp_(max=self._lanes.eval_indices.shape[1] - 1)

    def _gather(self, index: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
        """Images [K, size] as channels of one batch: float32 [size, K * 3, 32, 32], channels_last."""
        drawn = self._lanes.images.gather(*(values.flatten() for values in (index, top, left, flip)))
        pixels: Tensor = drawn.permute(0, 2, 3, 1).unflatten(0, index.shape)
        return pixels.permute(1, 2, 3, 0, 4).flatten(3, 4).permute(0, 3, 1, 2)

    def _refresh(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self._split(self._leaves), self._weights)

    def _split(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Views [K, ...]."""
        return [tensor.detach().unflatten(0, (len(self._lanes), -1)) for tensor in tensors]


def losses_and_logits(
    model: nn.Module, images: Tensor, labels: Tensor, precision: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Each lane's mean cross entropy [K] and logits float32 [K, N, classes], for ``labels`` [K, N]."""
    logits = _by_lane(forward(model, images, precision), len(labels))
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape).mean(1), logits


def _by_lane(logits: Tensor, count: int) -> Tensor:
    """[N, K * classes] -> [K, N, classes]."""
    lanes: Tensor = logits.unflatten(1, (count, -1)).transpose(0, 1)
    return lanes
