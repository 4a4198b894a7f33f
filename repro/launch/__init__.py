"""Training a plan many Runs at a time, each in a process of its own, here or on other machines.

`schedule.py` goes through the plan; `local.py`, `ray_pool.py` and `slurm.py` start its workers; `worker.py` is
what a worker does. They share the store and nothing else: a worker writes the folder of its Run, the driver the
ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from rich.console import Console

from repro.errors import CheckpointGone
from repro.launch import schedule
from repro.launch.task import Launcher, task_for
from repro.report.training_progress import PoolProgress
from repro.run import Run
from repro.workspace import Workspace


def train(work: Workspace, asked: Callable[[], list[Run]], log: Console, then: Callable[[], None]) -> None:
    """Train what is missing of ``asked`` with the workers that the options ask for, again what turns out to be
    damaged on the way, and then what the new results ask for; ``then`` is called after each Run. Raises what
    `schedule.execute` raises."""
    options = work.options
    with contextlib.closing(make(work)) as launcher:
        while (plan := work.plan_for(asked())).missing or plan.blocked:
            progress = PoolProgress(log, work.store, then=then)
            try:
                schedule.execute(
                    plan, work.store, launcher, progress, task_for(work), options.workers, options.deadline
                )
            except CheckpointGone as error:  # its Run counts as missing from now on
                log.print(f"{error}: trained again", markup=False)


def make(work: Workspace) -> Launcher:
    """The launcher that the options ask for.

    Raises `UsageError` or `MissingInput` where it is not installed or cannot give what is asked.
    """
    options = work.options
    if options.launcher == "ray":
        from repro.launch.ray_pool import RayPool

        return RayPool(options.workers, options.gpus, options.device)
    if options.launcher == "slurm":
        from repro.launch.slurm import SlurmPool

        return SlurmPool(work.store.runs_dir / ".slurm", options.gpus, options.device, options.slurm)
    from repro.launch.local import LocalPool

    return LocalPool(options.workers, options.gpus, options.device)
