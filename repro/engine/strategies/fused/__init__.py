"""Strategy ``fused``: a whole step of all lanes in Triton kernels that take the lane as a dimension of their
grid.

Activations are bf16 [K, N, H, W, C]: K lanes, N images at most of a batch. A kernel reads what it needs once,
takes sums in float32 and in a fixed order, and leaves as little as it can; what it leaves is rounded to bf16 once,
where autocast's operations round after each of convolution, BatchNorm and addition. In passes over a layer's
output:

- forward: a convolution reads its input's raw output, applies BatchNorm, shortcut and ReLU as it loads, writes its
  own raw output and its sums: 2 passes; 4 where a block begins (the shortcut read, the activation written);
- backward: from the gradient behind a BatchNorm (gz) and the raw output to gz of the layer before, masked by the
  ReLU between them, with its sums: 4 passes in a block, 6 where one begins; the weights' gradient in the same
  kernel in the first stage, else in its own (3 passes);
- images are bytes that are cropped, mirrored and normalised as they are loaded (`ends`), stride 2 and option A
  shortcuts read where they are (`strided`, `norm`), the head is one kernel both ways, Eq. 1 and the masks are one
  kernel for all weights (`update`).

A lane's images are a count on the device, so that an epoch's smaller last batch, a lane that waits and one that is
empty go through the same CUDA graph and cost what they do. No sum depends on the number of lanes, their order or
what is in the others: a Run's bits are its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch

from repro import nets
from repro.engine.lanes import Lane, Lanes
from repro.engine.strategies.graphs import CapturedStep


class Fused:
    """All lanes in the same launches, on CUDA as a graph a step. Networks of CIFAR-10, bfloat16, Ampere or
    newer."""

    name = "fused"

    def __init__(self, lanes: Lanes) -> None:
        """Raises `RuntimeError` where it does not fit."""
        if lanes.arch not in nets.BLOCKS or lanes.precision != torch.bfloat16:
            raise RuntimeError("takes networks of CIFAR-10 in bfloat16")
        cuda = lanes.device.type == "cuda"
        if not cuda and os.environ.get("TRITON_INTERPRET") != "1":
            raise RuntimeError("takes a GPU, or Triton's interpreter")
        if cuda and torch.cuda.get_device_capability(lanes.device)[0] < 8:
            raise RuntimeError("takes a GPU of the Ampere generation or newer")
        from repro.engine.strategies.fused.network import FusedNetwork  # triton is not everywhere

        if cuda:
            from repro.engine.strategies.fused.ahead import compile_ahead

            compile_ahead(lanes)
        self._network = FusedNetwork(lanes)
        self._full, self._counts = lanes.recipe.batch_size, [0] * len(lanes)
        self._step: Callable[[], None] = self._network.step
        self._look: Callable[[], None] = self._network.evaluate
        if cuda:
            touched = [tensor for lane in lanes.all for tensor in lane.touched()]
            self._step, self._look = (_replayed(work, touched, lanes) for work in (self._step, self._look))

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        self._take(group, size)
        for _ in range(steps):
            self._step()

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        while size:
            count = min(size, self._full)
            self._take(group, count)
            self._look()
            size -= count

    def _take(self, group: Sequence[Lane], size: int) -> None:
        """From now on ``size`` images of each lane of ``group``, none of the others'."""
        counts = [0] * len(self._counts)
        for lane in group:
            counts[lane.number] = size
        if counts != self._counts:
            self._counts = counts
            self._network.count.copy_(torch.tensor(counts, dtype=torch.int32))


def _replayed(work: Callable[[], None], touched: Sequence[torch.Tensor], lanes: Lanes) -> Callable[[], None]:
    """``work`` as a CUDA graph on the current stream."""
    # Before what a step starts beside its way back: that fills what is free.
    recorded = CapturedStep(lambda size: work(), touched, torch.cuda.Stream(lanes.device, priority=-1))
    return lambda: recorded.replay(0)
