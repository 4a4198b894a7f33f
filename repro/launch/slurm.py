"""Workers on Slurm: every Task is a job."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from subprocess import DEVNULL, PIPE, Popen
from typing import NamedTuple

from repro.errors import MissingInput, UsageError
from repro.launch import task as tasks
from repro.launch.task import Launcher, Task
from repro.options import Options

MOST_WORDS = 400  # characters of a refusal that are shown
# SIGTERM for the worker a minute before the job's time limit; the driver resumes a Run, not Slurm.
ALWAYS = ("--signal=B:TERM@60", "--no-requeue", "--export=ALL", "--open-mode=append")


def check_installed() -> None:
    """Raise `MissingInput` if Slurm is not here."""
    for program in ("sbatch", "scancel"):
        if not shutil.which(program):
            raise MissingInput(f"--launcher slurm: no {program} here; run it where jobs are submitted")


class Job(NamedTuple):
    """A job: an ``sbatch --wait``, which ends with the exit status of the job, and the job's number."""

    process: Popen[str]
    number: str


class SlurmPool(Launcher):
    """Each Task is a job with ``--gpus`` GPUs (none if ``--device`` is cpu) and the sbatch options ``--slurm``."""

    name = "Slurm"

    def __init__(self, options: Options) -> None:
        """Raises `MissingInput` without Slurm, `UsageError` for an option that is not ``key=value``."""
        check_installed()
        self._options = [*ALWAYS, *sbatch_options(options.slurm, options.gpus, options.device)]

    def start(self, task: Task) -> Job:
        """Pass ``task`` to sbatch. Raises `UsageError` with sbatch's message if it refuses."""
        task.log.parent.mkdir(parents=True, exist_ok=True)
        about = [f"--job-name=repro {task.label}", f"--output={str(task.log).replace('%', '%%')}"]
        script = ["--wrap", f"exec {shlex.join(task.argv)}"]
        with tempfile.TemporaryFile("w+") as errors:
            process = Popen(
                ["sbatch", "--wait", "--parsable", *about, *self._options, *script],
                env={**os.environ, **task.environment},
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            assert process.stdout
            with process.stdout:
                number = process.stdout.readline().partition(";")[0].strip()
            if not number:
                process.wait()
                errors.seek(0)
                raise UsageError(f"sbatch refuses a job: {refusal(errors.read())}")
        return Job(process, number)

    def poll(self, job: Job) -> int | None:
        """Of a job that was killed Slurm tells only a status of 1."""
        return job.process.poll()

    def cancel(self, jobs: Collection[Job]) -> None:
        """Slurm kills what is left of a job after its ``KillWait``."""
        if jobs:
            subprocess.run(["scancel", *(job.number for job in jobs)], capture_output=True, check=False)
        tasks.await_end([job.process for job in jobs])


def sbatch_options(words: Sequence[str], gpus: int, device: str) -> list[str]:
    """Return the sbatch options of every job. Raises `UsageError` for a word that is not ``key=value``."""
    options = [] if device == "cpu" else [f"--gpus-per-node={gpus}"]
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--slurm {word}: write key=value, partition=gpu for instance")
        options.append(f"--{key.strip().lstrip('-').replace('_', '-')}={value.strip()}")
    return options


def refusal(message: str) -> str:
    """Return the part of sbatch's or its site's message that says why: from the first error on, else all."""
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if re.search("error|denied|invalid", line, re.I)), 0)
    return " ".join(lines[first:])[:MOST_WORDS] or "without a word"
