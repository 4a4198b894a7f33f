"""Trains many Runs of a plan at a time, each in a process of its own, here or on other machines.

`driver.py` goes through the plan; `local.py`, `ray_pool.py` and `slurm.py` start its workers; `worker.py` is what
a worker does. They share only the store: a worker writes its Run's folder, the driver writes the ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console

from repro.launch.driver import Driver
from repro.launch.local import LocalPool
from repro.launch.ray_pool import RayPool
from repro.launch.slurm import SlurmPool
from repro.launch.task import Launcher, task_for
from repro.options import Options
from repro.plan import Plan
from repro.report.progress import TrainingProgress
from repro.workspace import Workspace

LAUNCHERS: dict[str, Callable[[Options], Launcher]] = {"local": LocalPool, "ray": RayPool, "slurm": SlurmPool}


@contextlib.contextmanager
def trainer(work: Workspace, log: Console, then: Callable[[], None]) -> Iterator[Callable[[Plan | None], bool]]:
    """Yield a function that trains a plan with the workers that the options ask for, and returns False without
    one. ``then`` is called after each Run. It raises what `Driver.train` raises.

    Raises `UsageError` or `MissingInput` where the launcher is not installed or cannot give what is asked.
    """
    options = work.options
    launcher = LAUNCHERS[options.launcher](options)

    def train(plan: Plan | None) -> bool:
        if plan:
            progress, tasks = TrainingProgress(log, work.store, then=then), task_for(work)
            Driver(plan, work.store, launcher, progress, tasks, options.workers, options.deadline).train()
        return plan is not None

    with contextlib.closing(launcher):
        yield train
