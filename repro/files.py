"""Files that are whole or absent: written beside their place, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from repro.errors import MissingInput

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_OURS = (errno.EROFS, errno.EACCES, errno.EPERM)
OF_THE_SITE = (
    *NO_ROOM, *NOT_OURS, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EMFILE, errno.ENAMETOOLONG, errno.ENFILE,
    errno.ENOTDIR, errno.ESTALE,
)  # fmt: skip
"""What files and disks are to blame for, whatever a command does."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically. A symbolic link stays one, and a file keeps its mode; what is no
    file (a device, a pipe) is written to as it stands.

    Raises `MissingInput` when the disk is full or read-only.
    """
    temporary = None
    try:
        before = _mode(path)
        if before is not None and not stat.S_ISREG(before):
            with open(path, "wb") as file:
                file.write(content)
            return
        place = Path(os.path.realpath(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = unique(place.parent)
        with open(temporary, "wb") as file:
            if before is not None:
                with contextlib.suppress(OSError):  # a file system that knows no modes
                    os.fchmod(file.fileno(), stat.S_IMODE(before))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise unusable(path, error) from None


def _mode(path: Path) -> int | None:
    """That of what is at ``path``, None where nothing is. A link in a circle is an OSError."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for text, UTF-8; of a name that is no text (an old share's) its bytes as backslash escapes."""
    write_bytes(path, content.encode(errors="backslashreplace"))


def unique(folder: Path) -> Path:
    """A name in ``folder`` that no other process takes: two containers on one volume may share process ids."""
    return folder / f".{secrets.token_hex(8)}.tmp"


def make_folder(path: Path) -> None:
    """Make ``path`` and the folders above it where they are not there. Raises `MissingInput`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from None


def parse_json(text: str | bytes, constant: Callable[[str], Any] | None = None) -> Any:
    """What ``text`` is in JSON; ``constant`` takes NaN and infinities. Raises ValueError for anything else."""
    try:
        return json.loads(text, parse_constant=constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def sha256(content: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(content).hexdigest()


def unusable(path: Path, error: OSError, folder: Path | None = None) -> MissingInput:
    """An OSError on ``path``, which is in ``folder``, as one clear line."""
    if error.errno in NO_ROOM:
        return MissingInput(f"no room left on the disk for {path}: free some and run the same command again")
    if error.errno in NOT_OURS:
        reason = os.strerror(error.errno or 0)
        return MissingInput(f"{folder or path.parent} cannot be written ({reason}): choose another folder")
    return MissingInput(f"{path}: {error.strerror or error}")


def of_the_site(error: OSError) -> MissingInput:
    """``error`` as one clear line where a file or a disk is to blame for it; raised again where it is not."""
    if error.filename is None or error.errno not in OF_THE_SITE:
        raise error
    return MissingInput(f"{error.filename}: {error.strerror}")


def check_writable(folder: Path) -> None:
    """Raise `MissingInput` now rather than after hours if ``folder`` cannot be written, or not be made; leaves
    nothing behind."""
    try:
        probe = unique(existing(folder))
        with open(probe, "xb"):
            probe.unlink()
    except OSError as error:
        raise unusable(folder, error, folder) from None


def existing(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that is there."""
    while not os.path.exists(folder):
        folder = folder.parent
    return folder
