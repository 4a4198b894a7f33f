"""Forward and backward of one part of a batch: compiled on CUDA, under DistributedDataParallel on many ranks."""

from __future__ import annotations

import contextlib
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from repro.data.imagenet.split import IGNORED
from repro.engine.lanes import forward
from repro.engine.network import Network
from repro.engine.ranks import Ranks
from repro.engine.strategies import TOLERANCE
from repro.errors import one_line

COMPILE_FROM = 1_000_000  # images that a Run trains in all


class _Forward(nn.Module):
    """The network, and its compiled form once that is trusted, behind one call that DDP can wrap."""

    def __init__(self, model: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.model, self.precision = model, precision
        self.compiled: nn.Module | None = None

    def forward(self, images: Tensor, size: int) -> Tensor:
        """Logits float32. Only parts of ``size`` go the compiled way: others would be compiled a second time."""
        model = self.compiled if self.compiled is not None and len(images) == size else self.model
        return forward(model, images, self.precision)


class PhotoModel:
    """Gradients of ``network``, part by part; on many ranks they are summed as the last part's come."""

    def __init__(self, network: Network, precision: torch.dtype, ranks: Ranks, images: int) -> None:
        """``images`` that will be trained in all decide whether compiling pays."""
        self._forward, self._ranks, self._size = _Forward(network.model, precision), ranks, 0
        self._wants_compiling = ranks.device.type == "cuda" and images >= COMPILE_FROM
        self._ddp: DistributedDataParallel | None = None
        if ranks.count > 1:
            # Averaged when they are needed (PhotoTrainer.average_batchnorm_stats), not broadcast at every step.
            self._ddp = DistributedDataParallel(self._forward, broadcast_buffers=False)

    @property
    def strategy(self) -> str:
        """How it trains, for the Record."""
        return "compiled" if self._wants_compiling else "eager"

    def backward(self, images: Tensor, labels: Tensor, batch: int, last: bool) -> tuple[Tensor, Tensor]:
        """Add the gradients of a part's share in the mean loss over a global batch of ``batch`` images.

        Images that could not be read (label `IGNORED`) take part in no loss. Returns logits and the part's summed
        loss, float64. On many ranks gradients are those of the whole batch after the ``last`` part.
        """
        if self._wants_compiling and self._forward.compiled is None:
            self._compile(images)
        net = self._ddp or self._forward
        quiet = self._ddp.no_sync() if self._ddp is not None and not last else contextlib.nullcontext()
        with quiet:
            logits = net(images, self._size)
            loss = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
            # DDP takes the mean over ranks of what are shares of one sum.
            (loss * (self._ranks.count / batch)).backward()
        return logits.detach(), loss.detach().double()

    def evaluate(self, images: Tensor) -> Tensor:
        """Logits with the network in evaluation mode."""
        return forward(self._forward.model, images, self._forward.precision)

    def _compile(self, images: Tensor) -> None:
        """Compile for parts of this size; refuse aloud, on all ranks, where that fails or disagrees on any."""
        compiled: nn.Module = torch.compile(self._forward.model, dynamic=False)  # type: ignore[assignment]
        statistics = [buffer.clone() for buffer in self._forward.model.buffers()]
        why = ""
        try:
            with torch.no_grad():
                plain = forward(self._forward.model, images, self._forward.precision)
                fast = forward(compiled, images, self._forward.precision)
            apart = float((plain - fast).norm() / plain.norm().clamp_min(1e-12))
            if not apart < TOLERANCE[self._forward.precision]:
                why = f"its logits differ from eager ones by {apart:.1e}"
        except Exception as error:  # from torch.compile anything: a cache that cannot be written is an assertion
            why = one_line(error)
        with torch.no_grad():
            for buffer, value in zip(self._forward.model.buffers(), statistics, strict=True):
                buffer.copy_(value)
        if self._ranks.any(bool(why)):
            why = why or "on another rank"
            warnings.warn(f"strategy 'compiled' failed, training eagerly instead: {why}", stacklevel=2)
            self._wants_compiling = False
        else:
            self._forward.compiled, self._size = compiled, len(images)
