"""A Task is one Run as a command line; a Launcher starts Tasks somewhere and reports when they end."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from repro.run import Run
from repro.workspace import Workspace

LOST = 256  # the exit status of a worker whose machine failed: no process has it
GRACE = 30.0  # seconds between SIGTERM to a worker and SIGKILL
TICK = 0.05
STARTED_BY = "REPRO_STARTED_BY"
PR_SET_PDEATHSIG = 1  # from sys/prctl.h
PACKAGE = Path(__file__).resolve().parent.parent.parent
PATHS = ("REPRO_DATA", "REPRO_ARTIFACTS", "REPRO_PAPER_TABLES")  # variables that name files


@dataclass(frozen=True)
class Task:
    """The command ``argv``, with ``environment`` added to its worker's; its output is appended to ``log``.
    ``label`` is for people."""

    label: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path


class Launcher(Protocol):
    """Starts Tasks, on whatever machines it has. `start` returns a job, which stands for the Task from then on."""

    name: str
    """For people: ``2 workers here``."""

    def start(self, task: Task) -> Any:
        """Start ``task``, or queue it."""

    def poll(self, job: Any) -> int | None:
        """Return the exit status of a job, negative for a signal, or `LOST`; None if it has not ended. Not called
        again for one that has."""

    def cancel(self, jobs: Collection[Any]) -> None:
        """Ask all ``jobs``, which have not ended, to end, then kill them; leaves no process behind."""

    def close(self) -> None:
        """Release the launcher's own resources, if it has any; nothing is started afterwards."""
        return


def task_for(work: Workspace) -> Callable[[Run, float], Task]:
    """Return a function that makes the Task of a Run, given the seconds that are left (infinite without a time
    budget): `repro runs train` with the options of this command, so that the worker has the same settings and
    keeps the same checkpoints."""
    options = dataclasses.replace(work.options, params_file=work.params_file, runs_dir=work.store.runs_dir)
    artifacts = [word for name in work.names for word in ("--artifact", name)]
    environment = _environment() | {"REPRO_HOME": str(work.root.resolve())}

    def make(run: Run, seconds: float) -> Task:
        budget = f"{seconds:.1f}s" if seconds < math.inf else None
        given = dataclasses.replace(options, time_budget=budget).for_worker()
        argv = (sys.executable, "-m", "repro", "runs", "train", run.key, *artifacts, "--options", given)
        return Task(run.label, argv, environment, work.store.folder(run).resolve() / "worker.log")

    return make


def start(task: Task, devices: str | None = None) -> subprocess.Popen[bytes]:
    """Start the Task's process in a session of its own, so that Ctrl-C reaches the driver alone, which asks its
    workers to end. If this process dies, the worker gets a SIGTERM (`exit_with_parent`).

    ``devices`` are the CUDA devices that it may see; None: those of this process.
    """
    environment = {**os.environ, **task.environment, STARTED_BY: str(os.getpid())}
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = devices
    task.log.parent.mkdir(parents=True, exist_ok=True)
    with open(task.log, "ab") as log:
        return subprocess.Popen(
            task.argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def exit_with_parent() -> None:
    """Have Linux send this process a SIGTERM once the one that started it as a Task is gone."""
    if parent := int(os.environ.pop(STARTED_BY, 0)):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it is gone already
            signal.raise_signal(signal.SIGTERM)


def end(processes: Collection[subprocess.Popen[bytes]]) -> None:
    """Send SIGTERM to the processes, then `await_end`."""
    for process in processes:
        process.terminate()
    await_end(processes)


def await_end(processes: Collection[subprocess.Popen[Any]]) -> None:
    """Wait up to `GRACE` seconds, then kill what is left of the processes and their children."""
    deadline = time.monotonic() + GRACE
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(TICK)
    for process in processes:
        kill_session(process)
        process.wait()


def kill_session(process: subprocess.Popen[Any]) -> None:
    """Kill all processes of a worker's session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Return this project's variables, with absolute paths, and PYTHONPATH, for workers elsewhere."""
    path = [str(PACKAGE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    variables = {name: value for name, value in os.environ.items() if name.startswith("REPRO_")}
    variables["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path))
    for name in PATHS:
        if os.environ.get(name):
            variables[name] = os.pathsep.join(os.path.abspath(part) for part in os.environ[name].split(os.pathsep))
    return variables
