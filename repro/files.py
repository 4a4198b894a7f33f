"""Write files atomically (temporary file, fsync, rename) and lock them with flock: one process at a time, released
by the kernel when it ends, also over NFS."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from repro.errors import MissingInput, UsageError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically. Symbolic links and file modes are kept; devices and pipes are
    written directly.

    Raises `MissingInput` if the disk is full or read-only.
    """
    temporary = None
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(path).st_mode):  # OSError for a link to itself
                path.write_bytes(content)
                return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = unique(target.parent)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # a new file, or a file system without modes
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise unusable(path, error) from None


def write_text(path: Path, content: str) -> None:
    """Write text as `write_bytes` in UTF-8; in file names that are not, bytes become backslash escapes."""
    write_bytes(path, content.encode(errors="backslashreplace"))


def unique(folder: Path) -> Path:
    """Return a new random name in ``folder``; process ids are not unique if containers share a volume."""
    return folder / f".{secrets.token_hex(8)}.tmp"


def parse_json(text: str | bytes, constant: Callable[[str], Any] | None = None) -> Any:
    """Parse JSON; ``constant`` handles NaN and infinities. Raises ValueError for anything else."""
    try:
        return json.loads(text, parse_constant=constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def sha256(content: bytes) -> str:
    """Return the hex digest."""
    return hashlib.sha256(content).hexdigest()


def unusable(path: Path, error: OSError, folder: Path | None = None) -> MissingInput:
    """Convert an OSError on ``path``, which is in ``folder``, to a one-line error."""
    if error.errno in NO_ROOM:
        return MissingInput(f"no room left on the disk for {path}: free some and run the same command again")
    if error.errno in NOT_WRITABLE:
        reason = os.strerror(error.errno or 0)
        return MissingInput(f"{folder or path.parent} cannot be written ({reason}): choose another folder")
    return MissingInput(f"{path}: {error.strerror or error}")


def check_writable(folder: Path) -> None:
    """Raise `MissingInput` now rather than after hours if ``folder`` cannot be created or written to."""
    try:
        probe = unique(existing(folder))
        with open(probe, "xb"):
            probe.unlink()
    except OSError as error:
        raise unusable(folder, error, folder) from None


def existing(folder: Path) -> Path:
    """Return ``folder``, or its nearest parent that exists."""
    while not os.path.exists(folder):
        folder = folder.parent
    return folder


def free(folder: Path) -> int:
    """Return the bytes that are free where ``folder`` is, or will be."""
    return shutil.disk_usage(existing(folder)).free


POLL = 0.05  # seconds between attempts to lock
ANOTHER = "another process"
BUSY = (errno.EAGAIN, errno.EACCES)
UNKNOWN = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
WITHOUT = "REPRO_NO_LOCKS"


@contextlib.contextmanager
def locked(path: Path, busy: str | Callable[[str, float], None], seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock on the file ``path``, which is created and stays; its existence does not mean that it is locked.
    Meanwhile it contains the process id and host of its holder, if that may write to it.

    If another process holds the lock for longer than ``seconds``, raise `UsageError` with the message ``busy``, in
    which "another process" is replaced by the holder. A function ``busy`` is called instead before each further
    attempt, with the holder and the seconds waited so far, and raises to give up. Raises `MissingInput` if the
    folder cannot be written to or its file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open(path)
    except OSError as error:
        raise unusable(path, error) from None
    try:
        waited = 0.0
        while not _flock(descriptor, path):
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or ANOTHER
            if callable(busy):
                busy(holder, waited)
            elif waited >= seconds:
                raise UsageError(busy.replace(ANOTHER, holder))
            time.sleep(POLL)
            waited += POLL
        with contextlib.suppress(OSError):  # a full disk, or another user's file, which is open for reading only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            os.fsync(descriptor)  # for other machines
        try:
            yield
        finally:  # the next holder may be one that cannot write its name
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not os.path.exists(path):
            raise
        return os.open(path, os.O_RDONLY)  # another user's file: sufficient for a lock, except over NFS


def _flock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            return False
        if error.errno not in UNKNOWN:
            raise unusable(path, error) from None
        if not os.environ.get(WITHOUT):
            raise MissingInput(
                f"{path.parent} is on a file system where files cannot be locked ({error.strerror}), and two "
                "commands at a time would lose each other's results: choose a folder on another one, mount it "
                f"with flock, or set {WITHOUT}=1 and run one command at a time"
            ) from None
    return True


def check_lockable(folder: Path) -> None:
    """Raise `MissingInput` now rather than after hours if ``folder`` cannot be written to or has no locks."""
    check_writable(folder)
    probe = unique(existing(folder))
    try:
        with locked(probe, "another process locks this folder's files"):
            pass
    finally:
        probe.unlink(missing_ok=True)
