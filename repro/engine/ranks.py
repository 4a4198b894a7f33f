"""The processes that train one Run together, one a GPU (torchrun). Alone, every operation here does nothing."""

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
"""How long a rank waits for the others before it gives up: longer than any save, shorter than a night."""


@dataclass(frozen=True)
class Ranks:
    """``count`` processes, of which this is number ``rank``. Rank 0 alone writes."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is true on any rank: the same answer on all of them."""
        if self.count == 1:
            return flag
        asked = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(asked, dist.ReduceOp.MAX)
        return bool(asked.item())

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
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, value)
        return found


def single_process(device: torch.device) -> Ranks:
    """One process."""
    return Ranks(0, 1, device)


@contextlib.contextmanager
def process_group(device: Device) -> Iterator[Ranks]:
    """The group that torchrun started this process in; alone without torchrun.

    Raises `RankLost` where another rank died or did not answer within `TIMEOUT`.
    """
    rank, count, *_ = placed()
    if count == 1:
        yield single_process(device.torch)
        return
    try:
        dist.init_process_group("nccl" if device.cuda else "gloo", timeout=TIMEOUT)
        yield Ranks(rank, count, device.torch)
    except dist.DistError as error:
        raise RankLost(rank, error) from error
    except RuntimeError as error:
        if not _of_the_network(error):
            raise
        raise RankLost(rank, error) from error
    finally:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def _of_the_network(error: RuntimeError) -> bool:
    """Gloo tells of a lost connection by its message alone."""
    text = str(error).lower()
    return any(word in text for word in ("gloo", "connection", "timed out", "nccl", "socket"))
