"""Workers on this machine, each in a slot with its own GPUs, if there are any, and its own cores."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from repro.errors import MissingInput, UsageError
from repro.launch import task as tasks
from repro.launch.task import Launcher, Task
from repro.words import counted


@dataclass(frozen=True)
class Slot:
    """Where one worker runs: the CUDA devices that it sees (None: as this process) and its cores."""

    devices: str | None
    cores: frozenset[int]


class LocalPool(Launcher):
    """``workers`` processes at a time, each with ``gpus`` CUDA devices where ``device`` is not the CPU."""

    def __init__(self, workers: int, gpus: int, device: str) -> None:
        """Raises `UsageError` for more GPUs than there are, `MissingInput` for ``cuda`` without any."""
        devices = [] if device == "cpu" else cuda_devices()
        if device == "cuda" and not devices:
            raise MissingInput("--device cuda: PyTorch sees no CUDA device here; `repro doctor` says more")
        if gpus > 1 and not devices and device != "cpu":
            raise UsageError(
                f"--gpus {gpus}: there is no CUDA device here (--device cpu: that many processes train together)"
            )
        self._free = list(slots(workers, gpus, devices, frozenset(os.sched_getaffinity(0))))
        self._running: dict[str, tuple[subprocess.Popen[bytes], Slot]] = {}
        each = f", {counted(gpus, 'GPU')} each" if devices else f", {gpus} processes each" if gpus > 1 else ""
        self.name = f"{counted(workers, 'worker')} here{each}"

    def submit(self, task: Task) -> None:
        """Start ``task`` in a free slot, of which there has to be one."""
        slot = self._free.pop(0)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, slot.cores)  # inherited by the process that is started
        try:
            self._running[task.key] = (tasks.start(task, slot.devices), slot)
        finally:
            os.sched_setaffinity(0, before)

    def wait(self, seconds: float) -> list[tuple[str, int | None]]:
        """See `Launcher`."""
        deadline = time.monotonic() + seconds
        while True:
            ended: list[tuple[str, int | None]] = []
            for key, (process, slot) in list(self._running.items()):
                if process.poll() is not None:
                    tasks.kill_session(process)  # processes that a killed worker left may hold its GPU
                    del self._running[key]
                    self._free.append(slot)
                    ended.append((key, process.returncode))
            if ended or time.monotonic() >= deadline:
                return ended
            time.sleep(tasks.TICK)

    def cancel(self) -> None:
        """See `Launcher`."""
        tasks.end(process for process, _ in self._running.values())
        self._free += [slot for _, slot in self._running.values()]
        self._running.clear()


def slots(workers: int, gpus: int, devices: Sequence[str], cores: frozenset[int]) -> list[Slot]:
    """Slots for ``workers``: each with ``gpus`` of the CUDA ``devices``, if there are any, and an equal number of
    ``cores``; with more workers than cores, several have the same one.

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
    """Names of the CUDA devices that this process may use, as in CUDA_VISIBLE_DEVICES."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(index) for index in range(count)]
