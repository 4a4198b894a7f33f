"""Files that are whole or absent: written beside their place, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from pathlib import Path

from repro.errors import MissingInput

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically. Raises `MissingInput` when the disk is full or read-only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise unusable(path, error) from None


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for text, UTF-8."""
    write_bytes(path, content.encode())


def sha256(content: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(content).hexdigest()


def unusable(path: Path, error: OSError) -> MissingInput:
    """An OSError on ``path`` as one clear line."""
    if error.errno in NO_ROOM:
        return MissingInput(f"no room left on the disk for {path}: free some and run the same command again")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return MissingInput(f"{path.parent} cannot be written ({os.strerror(error.errno)}): choose another folder")
    return MissingInput(f"{path}: {error.strerror or error}")


def check_writable(folder: Path) -> None:
    """Raise `MissingInput` now rather than after hours if ``folder`` cannot be written."""
    probe = folder / f".writable.{os.getpid()}"
    write_bytes(probe, b"")
    probe.unlink(missing_ok=True)


def existing(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder
