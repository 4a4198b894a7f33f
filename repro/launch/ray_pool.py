"""Workers on Ray: on the cluster at $RAY_ADDRESS, or on a local Ray that is started for them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Collection
from typing import Any

from repro.errors import MissingInput, UsageError
from repro.launch import task as tasks
from repro.launch.task import LOST, Launcher, Task
from repro.options import Options


def package() -> Any:
    """Import the package ray. Raises `MissingInput` where it is not installed."""
    try:
        import ray
    except ImportError:
        raise MissingInput(
            '--launcher ray needs the package ray: `make cluster`, or pip install ".[ray]"'
        ) from None
    return ray


class RayPool(Launcher):
    """Each Task is a Ray task with one CPU and `gpus_each` GPUs. Ray itself retries nothing: the driver does."""

    def __init__(self, options: Options) -> None:
        """Raises `MissingInput` without the package or the cluster, `UsageError` for GPUs that no node has."""
        ray = self._ray = package()
        address = os.environ.get("RAY_ADDRESS")
        _connect(ray, address, options.workers)
        try:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            wanted = gpus_each(nodes, options.gpus, options.device)
        except UsageError:
            ray.shutdown()
            raise
        self._call = ray.remote(num_cpus=1, num_gpus=wanted, max_retries=0)(call)
        each = f", {wanted} GPU{'s' if wanted > 1 else ''} each" if wanted else ""
        self.name = f"Ray {f'at {address}' if address else 'here'}, {options.workers} Runs at a time{each}"

    def start(self, task: Task) -> Any:
        return self._call.options(name=task.label).remote(task)

    def poll(self, job: Any) -> int | None:
        over, _ = self._ray.wait([job], timeout=0)
        try:
            return int(self._ray.get(job)) if over else None
        except self._ray.exceptions.RayError:  # the process that held the task, or its node, is gone
            return LOST

    def cancel(self, jobs: Collection[Any]) -> None:
        for job in jobs:
            self._ray.cancel(job, force=False)  # interrupts `call`, which asks its process to end
        if jobs:
            self._ray.wait(list(jobs), num_returns=len(jobs), timeout=tasks.GRACE + 5)

    def close(self) -> None:
        """Leave the cluster, or stop the local Ray."""
        self._ray.shutdown()


def call(task: Task) -> int:
    """Run ``task`` in a process of Ray's; returns its exit status."""
    process = tasks.start(task)
    try:
        while process.poll() is None:  # not `wait`, which Ray cannot interrupt
            time.sleep(4 * tasks.TICK)
        return process.returncode
    finally:  # also when Ray cancels the task
        tasks.end([process])


def gpus_each(nodes: list[dict[str, float]], gpus: int, device: str) -> int:
    """Return the number of GPUs to request: none if ``device`` is cpu, or auto and the ``nodes`` have none. Raises
    `UsageError` for more than any has."""
    most = int(max((node.get("GPU", 0) for node in nodes), default=0))
    if device == "cpu" or (device == "auto" and most == 0 and gpus == 1):
        return 0
    if gpus > most:
        raise UsageError(f"--gpus {gpus}: the largest node of this Ray cluster has {most}")
    return gpus


def _connect(ray: Any, address: str | None, workers: int) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    before = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            host, colon, port = address.removeprefix("ray://").rpartition(":")
            if colon and port.isdigit():  # if nothing listens there, Ray would end this process
                socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).partition("\n")[0]
        where = f"at {address} ($RAY_ADDRESS)" if address else "could be started here"
        raise MissingInput(f"--launcher ray: no Ray {where}: {first}") from None
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray's handler would exit without a message
