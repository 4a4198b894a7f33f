"""This process: its cores, user and stdout, and the cache of torch.compile. Imports no torch."""

from __future__ import annotations

import atexit
import contextlib
import getpass
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from repro import files
from repro.errors import MissingInput
from repro.options import placed

COMPILER_CACHE = "TORCHINDUCTOR_CACHE_DIR"  # the variable


def name_user() -> None:
    """Set $USER if neither /etc/passwd nor a variable names the user (a container with another ``--user``):
    torch.compile fails without a name."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        os.environ["USER"] = str(os.getuid())


def compiler_cache() -> Path:
    """Return the folder that torch.compile writes to. Raises OSError if no temporary folder can be written to."""
    folder = os.environ.get(COMPILER_CACHE)
    return Path(folder) if folder else Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}")


def settle_compiler_cache() -> str:
    """If `compiler_cache` cannot be written to, use a temporary folder; return a message about it, else "".

    torch creates the folder with the first optimizer, even if nothing is compiled, and fails if it cannot. Raises
    `MissingInput` if no temporary folder can be written to either."""
    if os.environ.get(COMPILER_CACHE) == "":
        del os.environ[COMPILER_CACHE]  # torch would use it as a folder's name
    try:
        files.check_writable(compiler_cache())
        return ""
    except MissingInput as error:
        why = str(error)
    except OSError as error:
        raise MissingInput(f"no temporary folder for torch: {error}; set {COMPILER_CACHE} or TMPDIR") from None
    os.environ[COMPILER_CACHE] = tempfile.mkdtemp(prefix="torchinductor-")
    atexit.register(shutil.rmtree, os.environ[COMPILER_CACHE], ignore_errors=True)
    return f"{why}: torch's cache is in a temporary folder; set {COMPILER_CACHE} to choose another"


def quiet_matplotlib() -> None:
    """Suppress matplotlib's message about a temporary cache folder, unless ``$MPLCONFIGDIR`` is set."""
    if not os.environ.get("MPLCONFIGDIR"):
        hidden = "_get_config_or_cache_dir"
        logging.getLogger("matplotlib").addFilter(lambda record: record.funcName != hidden)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def share(of: int) -> int:
    """Divide ``of`` cores among the processes that torchrun started on this machine; at least 1 each."""
    return max(1, of // placed().local_ranks)


def threads() -> int:
    """Return this process's number of threads: one per core, or fewer if OMP_NUM_THREADS says so."""
    most, asked = share(cores()), os.environ.get("OMP_NUM_THREADS", "")
    if placed().ranks > 1 or not asked.isdecimal():  # torchrun always sets 1
        return most
    return max(1, min(most, int(asked)))


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect what a user's code and its child processes print to stderr: stdout is for the command's own
    output."""

    def flush() -> None:
        for stream in (sys.stdout, sys.__stdout__):
            if stream is not None and not stream.closed:
                stream.flush()

    flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of the two is closed
        kept = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        flush()
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)
