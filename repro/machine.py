"""The cores that this process may use, its user, and where torch.compile writes. Light: no torch."""

from __future__ import annotations

import atexit
import getpass
import logging
import os
import shutil
import tempfile
from pathlib import Path

from repro import files
from repro.errors import MissingInput
from repro.options import placed, ranked

COMPILER_CACHE = "TORCHINDUCTOR_CACHE_DIR"  # the variable


def name_user() -> None:
    """Give the user a name where /etc/passwd does not know the uid and no variable has one (a container with a
    ``--user`` of its own): torch.compile and submitit ask for it, and end where there is none."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        os.environ["USER"] = str(os.getuid())


def compiler_cache() -> Path:
    """The folder that torch.compile writes to. Raises OSError where no temporary folder can be written."""
    folder = os.environ.get(COMPILER_CACHE)
    return Path(folder) if folder else Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}")


def settle_compiler_cache() -> str:
    """Where `compiler_cache` cannot be written, have this process use a temporary folder; a sentence about it, or
    nothing. torch makes the folder with the first optimizer, whether anything is compiled or not, and ends where
    it cannot. Raises `MissingInput` where no temporary folder can be written either."""
    if os.environ.get(COMPILER_CACHE) == "":
        del os.environ[COMPILER_CACHE]  # torch would take it for a folder's name
    try:
        files.check_writable(compiler_cache())
        return ""
    except MissingInput as error:
        why = str(error)
    except OSError as error:
        raise MissingInput(f"no temporary folder for torch: {error}; set {COMPILER_CACHE} or TMPDIR") from None
    os.environ[COMPILER_CACHE] = tempfile.mkdtemp(prefix="torchinductor-")
    atexit.register(shutil.rmtree, os.environ[COMPILER_CACHE], ignore_errors=True)
    return f"{why}: torch's cache goes to a temporary folder; {COMPILER_CACHE} names another"


def user() -> str:
    """The name of this process's user, the uid where there is none."""
    name_user()
    return getpass.getuser()


def quiet_matplotlib() -> None:
    """Matplotlib makes a temporary folder for its cache where the home is unknown or not writable; what it says of
    that is left out, unless ``$MPLCONFIGDIR`` asks for a folder."""
    if not os.environ.get("MPLCONFIGDIR"):
        logging.getLogger("matplotlib").addFilter(_not_of_its_cache)


def _not_of_its_cache(record: logging.LogRecord) -> bool:
    return record.funcName != "_get_config_or_cache_dir"


def core_numbers() -> frozenset[int]:
    """Their numbers."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def cores() -> int:
    """How many they are."""
    return len(core_numbers())


def share(of: int) -> int:
    """``of`` cores among the processes that torchrun started on this machine: each one's, at least 1."""
    return max(1, of // placed().local_ranks)


def threads() -> int:
    """Threads for this process to compute with: one for each of its cores, fewer where OMP_NUM_THREADS says so."""
    most, asked = share(cores()), os.environ.get("OMP_NUM_THREADS", "")
    if ranked() or not asked.isdecimal():  # torchrun says 1, whatever there is
        return most
    return max(1, min(most, int(asked)))
