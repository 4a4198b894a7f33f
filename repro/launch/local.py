"""Workers on this machine, each in a slot with its own GPUs, if there are any, and its own cores."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from subprocess import Popen
from typing import NamedTuple

from repro.errors import MissingInput, UsageError
from repro.launch import task as tasks
from repro.launch.task import Launcher, Task
from repro.options import Options
from repro.words import counted


@dataclass(frozen=True)
class Slot:
    """Where one worker runs: the CUDA devices that it sees (None: as this process) and its cores."""

    devices: str | None
    cores: frozenset[int]


class Job(NamedTuple):
    """A worker's process, in its slot."""

    process: Popen[bytes]
    slot: Slot


class LocalPool(Launcher):
    """``--workers`` processes at a time, each with ``--gpus`` CUDA devices where ``--device`` is not the CPU."""

    def __init__(self, options: Options) -> None:
        """Raises `UsageError` for more GPUs than there are, `MissingInput` for ``cuda`` without any."""
        workers, gpus = options.workers, options.gpus
        devices = [] if options.device == "cpu" else cuda_devices()
        if options.device == "cuda" and not devices:
            raise MissingInput("--device cuda: PyTorch sees no CUDA device here; `repro doctor` says more")
        if gpus > 1 and not devices and options.device != "cpu":
            raise UsageError(
                f"--gpus {gpus}: there is no CUDA device here (--device cpu: that many processes train together)"
            )
        self._free = slots(workers, gpus, devices, frozenset(os.sched_getaffinity(0)))
        each = f", {counted(gpus, 'GPU')} each" if devices else f", {gpus} processes each" if gpus > 1 else ""
        self.name = f"{counted(workers, 'worker')} here{each}"

    def start(self, task: Task) -> Job:
        """Start ``task`` in a free slot, of which there has to be one."""
        slot = self._free.pop(0)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, slot.cores)  # inherited by the process that is started
        try:
            return Job(tasks.start(task, slot.devices), slot)
        finally:
            os.sched_setaffinity(0, before)

    def poll(self, job: Job) -> int | None:
        status = job.process.poll()
        if status is not None:
            tasks.kill_session(job.process)  # processes that a killed worker left may hold its GPU
            self._free.append(job.slot)
        return status

    def cancel(self, jobs: Collection[Job]) -> None:
        tasks.end([job.process for job in jobs])
        self._free += [job.slot for job in jobs]


def slots(workers: int, gpus: int, devices: Sequence[str], cores: frozenset[int]) -> list[Slot]:
    """Divide GPUs and cores into slots for ``workers``: each with ``gpus`` of the CUDA ``devices``, if there are
    any, and an equal number of ``cores``; with more workers than cores, several have the same one.

    Raises `UsageError` for more GPUs than there are.
    """
    if devices and workers * gpus > len(devices):
        raise UsageError(
            f"--workers {workers} --gpus {gpus} needs {workers * gpus} GPUs, and there are {len(devices)} here: "
            f"choose at most {counted(len(devices) // gpus, 'worker')}"
            + (", or fewer GPUs each" if gpus > 1 else "")
        )
    order = sorted(cores)
    each = max(1, len(order) // workers)
    made = []
    for index in range(workers):
        first = index * each % len(order)
        visible = ",".join(devices[index * gpus : (index + 1) * gpus]) if devices else None
        made.append(Slot(visible, frozenset(order[first : first + each])))
    return made


def cuda_devices() -> list[str]:
    """Return the names of the CUDA devices that this process may use, as in CUDA_VISIBLE_DEVICES."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(index) for index in range(count)]
