"""Workers on Ray: on the cluster at $RAY_ADDRESS, or on a local Ray that is started for them."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

from repro.errors import MissingInput, UsageError
from repro.launch import task as tasks
from repro.launch.task import Launcher, Task


def package() -> Any:
    """The package ray. Raises `MissingInput` where it is not installed."""
    try:
        import ray
    except ImportError:
        raise MissingInput(
            '--launcher ray needs the package ray: `make cluster`, or pip install ".[ray]"'
        ) from None
    return ray


class RayPool(Launcher):
    """Each Task is a Ray task with one CPU and ``gpus`` GPUs, or none if ``device`` is cpu, or auto on a cluster
    without. Ray itself retries nothing: the driver does."""

    def __init__(self, workers: int, gpus: int, device: str) -> None:
        """Raises `MissingInput` without the package or the cluster, `UsageError` for GPUs that no node has."""
        ray = self._ray = package()
        address = os.environ.get("RAY_ADDRESS")
        _connect(ray, address, workers)
        try:
            wanted = gpus_each([node["Resources"] for node in ray.nodes() if node["Alive"]], gpus, device)
        except UsageError:
            ray.shutdown()
            raise
        self._call = ray.remote(num_cpus=1, num_gpus=wanted, max_retries=0)(tasks.call)
        self._running: dict[Any, str] = {}
        each = f", {wanted} GPU{'s' if wanted > 1 else ''} each" if wanted else ""
        self.name = f"Ray {f'at {address}' if address else 'here'}, {workers} Runs at a time{each}"

    def submit(self, task: Task) -> None:
        """See `Launcher`."""
        self._running[self._call.options(name=task.label).remote(task)] = task.key

    def wait(self, seconds: float) -> list[tuple[str, int | None]]:
        """See `Launcher`."""
        over, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [(self._running.pop(reference), self._status(reference)) for reference in over]

    def cancel(self) -> None:
        """See `Launcher`."""
        for reference in self._running:
            self._ray.cancel(reference, force=False)  # interrupts `call`, which asks its process to end
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=tasks.GRACE + 5)
            self._running.clear()

    def close(self) -> None:
        """Leave the cluster, or stop the local Ray."""
        self._ray.shutdown()

    def _status(self, reference: Any) -> int | None:
        try:
            return int(self._ray.get(reference))
        except self._ray.exceptions.RayError:  # the process that held the task, or its node, is gone
            return None


def gpus_each(nodes: list[dict[str, float]], gpus: int, device: str) -> int:
    """GPUs to request, given the resources of the ``nodes``. Raises `UsageError` for more than any has."""
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
            _check_reachable(address)
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).partition("\n")[0]
        where = f"at {address} ($RAY_ADDRESS)" if address else "could be started here"
        raise MissingInput(f"--launcher ray: no Ray {where}: {first}") from None
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray's handler would exit without a message


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing listens at ``host:port``, for which Ray would end this process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
