"""Starts the ranks of one command on this machine, as `torchrun` does, and reports in one line which failed."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Sequence

from repro.errors import BudgetSpent, Interrupted, MissingInput, ReproError, RunFailed, UsageError

_OF_CODE = {error.exit_code: error for error in (UsageError, MissingInput, RunFailed, BudgetSpent)}
INTERRUPTED = 130


def run(arguments: Sequence[str], gpus: int) -> None:
    """Run ``python -m repro <arguments>`` as ``gpus`` ranks. The first one that fails ends the others.

    Raises the kind of error that a rank reported, or `ReproError` with the number of the rank that was killed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # our line says the same, shorter
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=gpus,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "repro", *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise _failure(rank, failure.exitcode, gpus) from None
    except SignalException:
        raise Interrupted from None


def _failure(rank: int, code: int, gpus: int) -> BaseException:
    if code == INTERRUPTED:
        return Interrupted()
    if code in _OF_CODE:
        return _OF_CODE[code](f"rank {rank} of {gpus} failed; its message is above")
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return ReproError(
        f"rank {rank} of {gpus} {how}, and the others were stopped; run the same command again to resume"
    )
