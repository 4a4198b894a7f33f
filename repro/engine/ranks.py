"""The processes that train one Run together, one per GPU (torchrun); with one process all of this does nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from repro.engine.device import Device
from repro.errors import RankLost
from repro.options import placed

TIMEOUT = timedelta(minutes=5)
"""How long a rank waits for the others before it fails: longer than any save."""


@dataclass(frozen=True)
class Ranks:
    """``count`` processes, of which this one has number ``rank``. Only rank 0 writes files."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is true on any rank; all ranks get the same answer."""
        if self.count == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags.item())

    def all_reduce(self, *tensors: Tensor) -> None:
        """Replace each tensor by its sum over ranks."""
        if self.count > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def broadcast(self, *tensors: Tensor) -> None:
        """Replace each tensor by rank 0's."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def broadcast_object(self, value: Any) -> Any:
        """Rank 0's ``value``, plain data, on every rank."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0)
        return box[0]

    def all_gather(self, value: Any) -> list[Any]:
        """Every rank's ``value``, plain data, on every rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values


def single_process(device: torch.device) -> Ranks:
    """This process alone."""
    return Ranks(0, 1, device)


@contextlib.contextmanager
def process_group(device: Device) -> Iterator[Ranks]:
    """The ranks that torchrun started, or this process alone.

    Raises `RankLost` if another rank died or did not answer within `TIMEOUT`.
    """
    rank, count, *_ = placed()
    if count == 1:
        yield single_process(device.torch)
        return
    try:
        dist.init_process_group("nccl" if device.cuda else "gloo", timeout=TIMEOUT)
        yield Ranks(rank, count, device.torch)
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _is_network_error(error):
            raise
        raise RankLost(rank, error) from error
    finally:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def _is_network_error(error: RuntimeError) -> bool:
    """Gloo reports a lost connection only by its message."""
    text = str(error).lower()
    return any(word in text for word in ("gloo", "connection", "timed out", "nccl", "socket"))
