"""The processes that train one Run together, one per GPU (torchrun); with one process `Ranks` does nothing."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch import Tensor

from repro.engine.device import Device
from repro.errors import INTERRUPTED, BudgetSpent, Interrupted, MissingInput, ReproError, RunFailed, UsageError
from repro.options import placed

TIMEOUT = timedelta(minutes=5)
"""How long a rank waits for the others before it fails: longer than any save."""
_OF_CODE = {error.exit_code: error for error in (UsageError, MissingInput, RunFailed, BudgetSpent)}


@dataclass(frozen=True)
class Ranks:
    """``count`` processes, of which this one has number ``rank``. Only rank 0 writes files."""

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is true on any rank; all ranks get the same answer."""
        return any(self.all_gather(flag))

    def all_reduce(self, *tensors: Tensor) -> None:
        """Replace each tensor by its sum over ranks."""
        if self.count > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def broadcast_object(self, value: Any) -> Any:
        """Return rank 0's ``value``, plain data, on every rank."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0)
        return box[0]

    def all_gather(self, value: Any) -> list[Any]:
        """Return every rank's ``value``, plain data, on every rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values


ALONE = Ranks()


@contextlib.contextmanager
def process_group(device: Device) -> Iterator[Ranks]:
    """Yield the ranks that torchrun started, or this process alone.

    Raises `ReproError` if another rank died or did not answer within `TIMEOUT`.
    """
    rank, count, *_ = placed()
    if count == 1:
        yield ALONE
        return
    try:
        dist.init_process_group("nccl" if device.cuda else "gloo", timeout=TIMEOUT)
        yield Ranks(rank, count)
    except RuntimeError as error:
        # Gloo reports a lost connection only by its message.
        words = ("gloo", "connection", "timed out", "nccl", "socket")
        if not isinstance(error, dist.DistError) and not any(word in str(error).lower() for word in words):
            raise
        first = re.sub(r"^\[[^]]*\]\s*", "", str(error).partition("\n")[0])  # without gloo's source line
        raise ReproError(
            f"rank {rank} lost contact with another ({first}); run the same command again to resume"
        ) from error
    finally:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def launch(arguments: Sequence[str], gpus: int) -> None:
    """Run ``python -m repro <arguments>`` as ``gpus`` ranks on this machine, as `torchrun` does. The first rank
    that fails ends the others.

    Raises the kind of error that a rank reported, or `ReproError` with the number of the rank that was killed.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # our line says the same, shorter
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun sets it too, with a warning
    words = ["--standalone", "--nproc-per-node", str(gpus), "-m", "repro", *arguments]
    try:
        torchrun.run(torchrun.parse_args(words))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code, who = failure.exitcode, f"rank {rank} of {gpus}"
        if code == INTERRUPTED:
            raise Interrupted from None
        if code in _OF_CODE:
            raise _OF_CODE[code](f"{who} failed; its message is above") from None
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise ReproError(
            f"{who} {how}, and the others were stopped; run the same command again to resume"
        ) from None
    except SignalException:
        raise Interrupted from None
