"""Locks on files, held by the kernel: one process at a time, released however it ends; also over NFS."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import re
import time
from pathlib import Path
from types import TracebackType

from repro import files
from repro.errors import MissingInput

FOREVER = math.inf
POLL = 0.1  # seconds between looks at a lock that another process holds, at most
BUSY = (errno.EAGAIN, errno.EACCES)
UNKNOWN = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
WITHOUT = "REPRO_NO_LOCKS"


class Lock:
    """``with Lock(path) as lock: if lock.take(): ...`` The file ``path`` is made by the umask, and stays: it is no
    sign of a holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self, seconds: float = 0.0) -> bool:
        """Take it within so many ``seconds``; False where another process holds it for longer.

        Raises `MissingInput` where its folder cannot be written, or is on a file system without locks.
        """
        end, pause = time.monotonic() + seconds, 0.01
        files.make_folder(self.path.parent)
        while not self._take():
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, POLL)
        return True

    def release(self) -> None:
        """Give it back, if it was taken."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    def _take(self) -> bool:
        try:
            self._file = self._open()
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            opened = self._file is not None
            if opened and error.errno in UNKNOWN and os.environ.get(WITHOUT):
                return True
            self.release()
            if opened and error.errno in BUSY:
                return False
            if opened and error.errno in UNKNOWN:
                raise self._no_locks(error) from None
            raise files.unusable(self.path, error) from None
        return True

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            if not os.path.exists(self.path):
                raise
            return os.open(self.path, os.O_RDONLY)  # another user's file: enough to lock it, but for NFS

    def _no_locks(self, error: OSError) -> MissingInput:
        return MissingInput(
            f"{self.path.parent} is on {mount(self.path.parent)}, where files cannot be locked "
            f"({error.strerror}), and two commands at a time would lose each other's results: choose a folder on "
            f"another file system, mount it with flock, or set {WITHOUT}=1 and run one command at a time"
        )


def check(folder: Path) -> None:
    """Raise `MissingInput` now rather than after hours if ``folder`` cannot be written or no file be locked there;
    leaves nothing behind."""
    files.check_writable(folder)
    with Lock(files.unique(files.existing(folder))) as probe:
        try:
            probe.take()
        finally:
            probe.path.unlink(missing_ok=True)


def mount(path: Path, table: Path = Path("/proc/self/mounts")) -> str:
    """The mount that ``path`` is on, and its type: ``/mnt/scratch (lustre)``."""
    place, best, kind = os.path.realpath(path), "", ""
    try:
        lines = table.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        point, its = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), word) for word in line.split(" ")[1:3]]
        if len(point) >= len(best) and f"{place}/".startswith(f"{point.rstrip('/')}/"):
            best, kind = point, its
    return f"{best} ({kind})" if best else str(path)
