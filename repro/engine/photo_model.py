"""Forward and backward of a micro-batch: compiled on CUDA, under DistributedDataParallel on many ranks."""

from __future__ import annotations

import contextlib
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from repro.engine.lanes import forward
from repro.engine.network import Network
from repro.engine.ranks import Ranks
from repro.engine.strategies import TOLERANCE
from repro.errors import one_line

COMPILE_FROM = 1_000_000  # images in all epochs of a Run from which compiling pays


class _Forward(nn.Module):
    """The network, or its compiled form once that is checked, as one module that DDP can wrap."""

    def __init__(self, model: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.model, self.precision = model, precision
        self.compiled: nn.Module | None = None

    def forward(self, images: Tensor, size: int) -> Tensor:
        """Logits float32. The compiled form takes only ``size`` images: others would need another compilation."""
        model = self.compiled if self.compiled is not None and len(images) == size else self.model
        return forward(model, images, self.precision)


class PhotoModel:
    """Gradients of ``network``, one micro-batch after another; the last one's backward sums them over ranks."""

    def __init__(self, network: Network, precision: torch.dtype, ranks: Ranks, images: int) -> None:
        """``images`` in all epochs decide whether to compile."""
        self._forward, self._network, self._ranks = _Forward(network.model, precision), network, ranks
        self.strategy = "compiled" if ranks.device.type == "cuda" and images >= COMPILE_FROM else "eager"
        """How it trains, for the Record."""
        self._size = 0  # of the micro-batches that are compiled for
        self._ddp: DistributedDataParallel | None = None
        if ranks.count > 1:
            # BatchNorm's are averaged when needed (PhotoTrainer.average_batchnorm_stats), not at every step.
            self._ddp = DistributedDataParallel(self._forward, broadcast_buffers=False)

    def backward(self, images: Tensor, labels: Tensor, batch: int, last: bool) -> tuple[Tensor, Tensor]:
        """Add the gradients of a micro-batch's part of the mean loss over a global batch of ``batch`` images.

        Images that could not be read (label `loader.IGNORED`) do not count. Returns the logits and the summed
        loss, float64. After a rank's ``last`` micro-batch, gradients are those of the global batch.
        """
        if self.strategy == "compiled" and self._forward.compiled is None:
            self._compile(images)
        net = self._ddp or self._forward
        quiet = self._ddp.no_sync() if self._ddp is not None and not last else contextlib.nullcontext()
        with quiet:
            logits = net(images, self._size)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            # DDP averages over ranks; these losses are to be summed.
            (loss * (self._ranks.count / batch)).backward()
        return logits.detach(), loss.detach().double()

    def evaluate(self, images: Tensor) -> Tensor:
        """Logits with the network in evaluation mode."""
        return forward(self._forward.model, images, self._forward.precision)

    def _compile(self, images: Tensor) -> None:
        """Compile for micro-batches of this size. If that fails or differs on any rank, all stay eager."""
        compiled: nn.Module = torch.compile(self._forward.model, dynamic=False)  # type: ignore[assignment]
        statistics = self._network.statistics.clone()
        why = ""
        try:
            with torch.no_grad():
                plain = forward(self._forward.model, images, self._forward.precision)
                fast = forward(compiled, images, self._forward.precision)
            distance = float((plain - fast).norm() / plain.norm().clamp_min(1e-12))
            if not distance < TOLERANCE[self._forward.precision]:
                why = f"its logits differ from eager ones by {distance:.1e}"
        except Exception as error:  # from torch.compile anything: a cache that cannot be written is an assertion
            why = one_line(error)
        self._network.statistics.copy_(statistics)
        if self._ranks.any(bool(why)):
            why = why or "on another rank"
            warnings.warn(f"strategy 'compiled' failed, training eagerly instead: {why}", stacklevel=2)
            self.strategy = "eager"
        else:
            self._forward.compiled, self._size = compiled, len(images)
