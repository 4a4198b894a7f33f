"""The ledger: one Record per line. The first Record of a key stays; several processes may add to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from repro import files
from repro.errors import MissingInput, UsageError
from repro.record import Record

PATIENCE = 600.0
"""Seconds to wait for another process, which holds the ledger for a fraction of a second."""

_Stamp = tuple[int, int, int, int]
_known: dict[Path, tuple[_Stamp, dict[str, Record]]] = {}  # each ledger as it was last read


def read(path: Path) -> Mapping[str, Record]:
    """Return the Records of a ledger by key, none if there is no file. It is parsed again only if it has changed.

    Raises `UsageError` naming a line that is not a Record.
    """
    path = Path(os.path.realpath(path))
    try:
        with open(path, "rb") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            if path not in _known or _known[path][0] != stamp:
                _known[path] = stamp, _parsed(path, file.read())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MissingInput(f"{path} cannot be read: {error.strerror or error}") from None
    return _known[path][1]


def add(path: Path, records: Sequence[Record]) -> Mapping[str, Record]:
    """Add the ``records`` whose keys are not in the ledger yet; return all its Records by key.

    Raises `MissingInput` if it cannot be written, `UsageError` if another process does not release it.
    """
    path = Path(os.path.realpath(path))
    known = read(path)
    if all(record.key in known for record in records):
        return known
    busy = f"{path} is locked by another process, for {PATIENCE / 60:g} minutes now: end that one"
    with files.locked(path.with_name(f".{path.name}.lock"), busy, PATIENCE):
        content = path.read_bytes() if (known := read(path)) else b""
        if not content.endswith(b"\n") and content:
            content += b"\n"
        new: dict[str, Record] = {}
        for record in records:
            if record.key not in known:
                new.setdefault(record.key, record)
        together = {**known, **new}
        if new:
            files.write_bytes(
                path, b"".join([content, *(record.line().encode() + b"\n" for record in new.values())])
            )
            _known[path] = _stamp(os.stat(path)), together
    return together


def _parsed(path: Path, content: bytes) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for number, line in enumerate(content.splitlines(), 1):
        try:
            record = Record.parse(line.decode())
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: not a Record ({error}); restore the file from git") from None
        records.setdefault(record.key, record)
    return records


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
