"""Workers on Slurm: every Task is a job, submitted by submitit."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.errors import MissingInput, UsageError
from repro.launch import task as tasks
from repro.launch.task import Launcher, Task

ASK_EVERY = 5.0  # seconds between questions to Slurm about our jobs
LOOK_EVERY = 0.5  # seconds between looks for a job's result on the disk
ARRIVES_IN = 10.0  # seconds after which a file written on another machine is visible here
MOST_WORDS = 400  # characters of a refusal that are shown
STOP_AHEAD = "TERM@60"  # SIGTERM so many seconds before a job's time limit


def package() -> Any:
    """The package submitit. Raises `MissingInput` where it is not installed, or Slurm is not here."""
    try:
        import submitit
    except ImportError:
        raise MissingInput(
            '--launcher slurm needs the package submitit: `make cluster`, or pip install ".[slurm]"'
        ) from None
    for program in ("sbatch", "srun", "squeue", "scancel"):
        if not shutil.which(program):
            raise MissingInput(f"--launcher slurm: no {program} here; run it where jobs are submitted")
    return submitit


class SlurmPool(Launcher):
    """Each Task is a job with ``gpus`` GPUs (none if ``device`` is cpu) and the sbatch options ``words``, each
    ``key=value``. submitit's files are in ``folder``, which all nodes must share, like the store."""

    name = "Slurm"

    def __init__(self, folder: Path, gpus: int, device: str, words: Sequence[str]) -> None:
        """Raises `MissingInput` without submitit or Slurm, `UsageError` for a word that is not ``key=value``."""
        submitit = package()
        self._failed: tuple[type[Exception], ...] = (submitit.core.utils.FailedJobError, OSError)
        self._executor: Any = submitit.SlurmExecutor(folder.resolve())
        self._options = sbatch_options(words, gpus, device)
        self._running: dict[str, tuple[str, Any]] = {}  # by job number
        self._gone: dict[str, float] = {}  # when Slurm first reported a job no more
        self._asked = 0.0
        self._note = ""

    def submit(self, task: Task) -> None:
        """Pass ``task`` to sbatch. Raises `UsageError` with sbatch's message if it refuses."""
        path = shlex.quote(task.environment["PYTHONPATH"])
        self._executor.update_parameters(
            job_name=f"repro {task.label}",
            time=None,  # the partition's, where the user gives none
            setup=[f"export PYTHONPATH={path}"],
            additional_parameters=self._options,
        )
        try:
            job = self._executor.submit(tasks.call, task)
        except self._failed as error:
            raise UsageError(f"sbatch refuses a job: {refusal(error)}") from None
        self._running[job.job_id] = (task.key, job)

    def wait(self, seconds: float) -> list[tuple[str, int | None]]:
        """See `Launcher`."""
        deadline = time.monotonic() + seconds
        while not (ended := self._ended()) and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY))
        return ended

    def note(self) -> str:
        """Slurm's reason why jobs wait, or that Slurm does not answer."""
        return self._note

    def cancel(self) -> None:
        """See `Launcher`."""
        if not self._running:
            return
        subprocess.run(["scancel", *self._running], capture_output=True, check=False)  # SIGTERM, then KillWait
        deadline = time.monotonic() + tasks.GRACE
        while self._running and time.monotonic() < deadline:
            for number in set(self._running) - set(self._states() or self._running):
                del self._running[number]
            time.sleep(LOOK_EVERY)

    def _ended(self) -> list[tuple[str, int | None]]:
        if time.monotonic() - self._asked >= ASK_EVERY:
            self._asked = time.monotonic()
            if (states := self._states()) is None:
                self._note = "Slurm does not answer"
            else:
                for number in self._running.keys() - states:
                    self._gone.setdefault(number, time.monotonic())
                waiting = [f"job {number}: {state}" for number, state in states.items() if state]
                self._note = f"{len(waiting)} wait in Slurm's queue ({waiting[0]})" if waiting else ""
        ended: list[tuple[str, int | None]] = []
        for number, (key, job) in list(self._running.items()):
            status = None
            if os.path.exists(job.paths.result_pickle):
                status = 1 if job.exception() else int(job.result())
            lost = time.monotonic() - self._gone.get(number, time.monotonic()) > ARRIVES_IN
            if status is not None or lost:
                del self._running[number]
                self._gone.pop(number, None)
                ended.append((key, status))
        return ended

    def _states(self) -> dict[str, str] | None:
        """The reason why each job that Slurm knows waits, empty if it runs; None without an answer.

        By squeue, not by sacct as in submitit: many small clusters do without accounting.
        """
        command = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%T|%r"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if answer.returncode == 0:
                lines = [line.split("|") for line in answer.stdout.splitlines()]
                ours = [line for line in lines if line[0] in self._running]
                return {number: why if state == "PENDING" and why != "None" else "" for number, state, why in ours}
        return None


def sbatch_options(words: Sequence[str], gpus: int, device: str) -> dict[str, str | bool]:
    """The sbatch options of every job. Raises `UsageError` for a word that is not ``key=value``."""
    options: dict[str, str | bool] = {"signal": STOP_AHEAD, "no-requeue": True, "export": "ALL"}
    if device != "cpu":
        options["gpus-per-node"] = str(gpus)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--slurm {word}: write key=value, partition=gpu for instance")
        options[key.strip().lstrip("-").replace("_", "-")] = value.strip()
    return options


def refusal(error: Exception) -> str:
    """The message with which sbatch or its site refuses: from the first line with an error on, else all of it."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if re.search("error|denied|invalid", line, re.I)), 0)
    return " ".join(lines[first:])[:MOST_WORDS] or f"{type(error).__name__}, without a word"
