"""Strategy ``fused``: a whole step of all lanes in Triton kernels whose grid has a dimension for lanes.

Activations are bf16 [K, N, H, W, C]: K lanes, up to N images of a batch. A kernel reads its inputs once, adds up
sums in float32 and in a fixed order, and writes as little as possible. What it writes is rounded to bf16 once;
autocast rounds after each convolution, BatchNorm and addition. In passes over a layer's output:

- forward: a convolution reads the previous layer's raw output, applies BatchNorm, shortcut and ReLU while
  loading, and writes its raw output and its sums: 2 passes; 4 at the start of a block (it reads the shortcut and
  writes the activation, for the next block and the backward pass). Sums are of values before they are rounded;
- backward: a kernel reads the gradient behind a BatchNorm (gz) and the raw output, and writes gz of the previous
  layer, masked by the ReLU between them, and its sums: 4 passes within a block, 6 at its start. The gradient of
  the weights comes from the same kernel in the first stage, else from another one (3 passes);
- images are bytes that are cropped, mirrored and normalised while loading (`ends`); stride 2 and option A
  shortcuts are read in place (`strided`, `convolution`); the head is one kernel for both directions, Eq. 1 and the
  masks are one kernel for all weights (`update`).

The number of a lane's images is on the device, so that a smaller last batch and idle or empty lanes use the same
CUDA graph, and cost only what they compute. No sum depends on the number, order or content of other lanes, so a
Run's bits do not depend on its wave.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch

from repro import nets
from repro.engine.lanes import Lane, Lanes
from repro.engine.strategies.lane_by_lane import CapturedStep


class Fused:
    """Steps all lanes in the same launches, on CUDA as one graph. For networks of CIFAR-10 in bfloat16, on Ampere
    or newer."""

    name = "fused"

    def __init__(self, lanes: Lanes, pdl: bool = False) -> None:
        """``pdl``: programmatic dependent launch, on Hopper and newer. Raises `RuntimeError` for other networks,
        precisions and devices."""
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

            compile_ahead(lanes, pdl)
        self._network = network = FusedNetwork(lanes, pdl=pdl)
        self._full, self._counts = lanes.recipe.batch_size, [0] * len(lanes)
        self._step, self._prepare, self._evaluate = network.step, network.prepare_evaluation, network.evaluate
        if cuda:
            touched = [tensor for lane in lanes.all for tensor in lane.touched()]
            self._step, self._prepare, self._evaluate = (
                _replayed(work, touched, lanes) for work in (self._step, self._prepare, self._evaluate)
            )

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        self._set_counts(group, size)
        for _ in range(steps):
            self._step()

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        self._set_counts(group, min(size, self._full))
        self._prepare()
        while size:
            count = min(size, self._full)
            self._set_counts(group, count)
            self._evaluate()
            size -= count

    def _set_counts(self, group: Sequence[Lane], size: int) -> None:
        """Set the number of images: ``size`` for each lane of ``group``, none for the others."""
        counts = [0] * len(self._counts)
        for lane in group:
            counts[lane.number] = size
        if counts != self._counts:
            self._counts = counts
            self._network.count.copy_(torch.tensor(counts, dtype=torch.int32))


def _replayed(work: Callable[[], None], touched: Sequence[torch.Tensor], lanes: Lanes) -> Callable[[], None]:
    """Return ``work`` as a CUDA graph on the current stream."""
    # Higher priority than the step's side stream, which uses what is left of the device.
    recorded = CapturedStep(lambda size: work(), touched, torch.cuda.Stream(lanes.device, priority=-1))
    return lambda: recorded.graph(0).replay()
