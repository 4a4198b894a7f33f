"""Finished Runs in files that travel: `repro runs export` and `repro runs import`.

A file is a zip of Records, checkpoints, states of Runs under way, and a manifest with the SHA-256 of each, whose
own hash closes it. What does not fit one file goes into numbered ones; each can be imported by itself, in any
order.
"""

from __future__ import annotations

import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from repro import files
from repro.errors import MissingInput, UsageError
from repro.record import Record, check_history
from repro.run import Run
from repro.store import Store, metadata_of

MANIFEST = "manifest.json"
Member = tuple[str, bytes]
Members = dict[str, bytes]
OVERHEAD = 400  # bytes that zip and manifest spend on a member
MEMBER = re.compile(
    r"records/(?P<record>\w+)\.json"
    r"|(checkpoints/\w[^/]*/\w+/epoch-\d+|states/\w[^/]*/\w+/state-e\d+(\.\d+)?)-(?P<hash>\w{16})\.safetensors"
)
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Imported:
    """What an import did: Runs ``new`` and ``known``, files taken over, and labels of ``conflicts``."""

    new: int
    known: int
    checkpoints: int
    states: int
    conflicts: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """The files written, and the names of what ``max_total`` left no room for."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...]


def records(store: Store, runs: Sequence[Run]) -> Iterator[Member]:
    """The finished ones of ``runs``."""
    for run in runs:
        if record := store.record(run):
            yield f"records/{run.key}.json", record.line().encode()


def checkpoints(store: Store, runs: Sequence[Run], keep: Mapping[str, set[int]]) -> Iterator[Member]:
    """Kept checkpoints of ``runs``, also of unfinished ones, at the epochs that ``keep`` has for their keys."""
    for run in runs:
        for epoch in sorted(keep.get(run.key, ())):
            if kept := store.checkpoint(run, epoch):
                yield f"checkpoints/{run.experiment}/{run.key}/{kept.name}", kept.path.read_bytes()


def states(store: Store, runs: Sequence[Run]) -> Iterator[Member]:
    """Where the unfinished ones of ``runs`` stand."""
    for run in runs:
        if store.record(run) is None and (newest := store.newest_state(run)):
            yield f"states/{run.experiment}/{run.key}/{newest.name}", newest.read_bytes()


def export(
    members: Iterable[Member], path: Path, max_size: int, results: str, max_total: int | None = None
) -> Exported:
    """Write ``members``, the dearest first, to ``path``, or to numbered files beside it where one of ``max_size``
    bytes does not hold them; what would bring all files beyond ``max_total`` is left out. ``results`` names the
    results folder that they belong to. Raises `MissingInput` where there is nothing, `UsageError` where a member
    alone is too large."""
    check_target(path)
    parts: list[list[Member]] = [[]]
    left_out: list[str] = []
    room, total = max_size, 0
    for name, content in members:
        size = len(content) + OVERHEAD
        if size > max_size - OVERHEAD:
            raise UsageError(f"--max-size {max_size}: {name} alone has {len(content):,} bytes")
        if max_total is not None and total + size > max_total - OVERHEAD * (len(parts) + 1):
            left_out.append(name)
            continue
        if size > room - OVERHEAD:
            parts.append([])
            room = max_size
        parts[-1].append((name, content))
        room, total = room - size, total + size
    if not parts[0]:
        raise MissingInput("nothing to export: none of these Runs has begun")
    if len(parts) > 1 and path.exists() and not path.is_file():
        raise UsageError(f"{path} is no file, and {len(parts)} files are needed for all of it: raise --max-size")
    written = []
    for number, part in enumerate(parts, 1):
        target = path if len(parts) == 1 else path.with_name(f"{path.stem}-{number:02d}{path.suffix}")
        files.write_bytes(target, _pack(part, results))
        written.append(target)
    return Exported(tuple(written), tuple(left_out))


def check_target(path: Path) -> None:
    """Raise `UsageError` where ``path`` is no name of a file to write."""
    if not path.name or path.is_dir():
        raise UsageError(f"'{path}' names no file to write: runs.zip, for instance")


def read(paths: Sequence[Path]) -> dict[str, Members]:
    """What ``paths`` hold, by the name of the results folder that it belongs to.

    Raises `MissingInput` for a file that is damaged or altered.
    """
    found: dict[str, Members] = {}
    for path in paths:
        results, members = _unpack(path)
        found.setdefault(results, {}).update(members)
    return found


def take(store: Store, members: Members, checkpoints_to: Path | None = None) -> Imported:
    """Take over ``members``, which `read` has checked.

    A Run that is finished here stays as it is; where the file's differs, it is named in ``conflicts``. So is a
    Run that grew from another parent than the checkpoint kept here. Checkpoints go to the store, or to
    ``checkpoints_to``/<key>/ (what git keeps); states go to the store, where none is there that is as far.
    """
    arrived = [Record.parse(content.decode()) for name, content in members.items() if name.startswith("records/")]
    ours = {record.key: record for record in store.records()}
    conflicts = [r.label for r in arrived if r.key in ours and ours[r.key] != r]
    fresh = [r for r in arrived if r.key not in ours]
    foreign = [r for r in fresh if _other_parent(r, ours)]
    taken = [r for r in fresh if r not in foreign]
    conflicts += [f"{r.label} (grown from another parent)" for r in foreign]
    refused = {r.key for r in arrived if r.key in ours and ours[r.key] != r} | {r.key for r in foreign}
    copied = 0
    for name, content in members.items():
        _, *rest = name.split("/")
        if not name.startswith("checkpoints/") or rest[1] in refused:
            continue
        experiment, key, file = rest
        target = (checkpoints_to / key if checkpoints_to else store.runs_dir / experiment / key) / file
        if not target.exists():
            files.write_bytes(target, content)
            copied += 1
    begun, foreign_states = _take_states(store, members, ours | {r.key: r for r in taken})
    store.add(taken)
    known = len(arrived) - len(taken) - len(conflicts)
    return Imported(len(taken), known, copied, begun, (*conflicts, *foreign_states))


def _take_states(store: Store, members: Members, ours: dict[str, Record]) -> tuple[int, list[str]]:
    """Take over the states of Runs that are not among ``ours``; returns how many, and which grew from another
    parent."""
    count, foreign = 0, []
    for name, content in members.items():
        kind, *place = name.split("/")
        if kind != "states" or place[1] in ours:
            continue
        if _another(parents_of_state(content), ours):
            foreign.append(f"{place[0]} {place[1]} (under way, grown from another parent)")
        else:
            experiment, key, file = place
            count += store.take_state(experiment, key, file, content)
    return count, foreign


def parents_of_state(content: bytes) -> dict[str, str]:
    """What the Run behind a state grew from: "key@epoch" -> hash."""
    found: dict[str, str] = _history(content)["provenance"].get("parents", {})
    return found


def _history(content: bytes) -> dict[str, Any]:
    history = files.parse_json(metadata_of(content).get("history", "{}"))
    return history if isinstance(history, dict) else {}


def parse_size(text: str, option: str = "--max-size") -> int:
    """``15MiB``, ``900kB``, ``1000000``, in bytes. Raises `UsageError` for anything else."""
    units = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    digits = text.rstrip("kKMGiB ")
    unit = text[len(digits) :].strip()
    try:
        size = int(float(digits) * units[unit])
    except (KeyError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise UsageError(f"{option} {text}: write 15MiB or 900kB")
    return size


def _other_parent(record: Record, ours: dict[str, Record]) -> bool:
    """Whether ``record`` grew from a checkpoint whose hash differs from what our parent's Record says."""
    return _another(record.provenance.get("parents", {}), ours)


def _another(parents: Mapping[str, str], ours: Mapping[str, Record]) -> bool:
    """Whether one of ``parents`` ("key@epoch" -> hash) is another than ours."""
    for place, digest in parents.items():
        key, _, epoch = place.partition("@")
        known = ours[key].checkpoints.get(epoch) if key in ours else None
        if known is not None and known != digest:
            return True
    return False


def _pack(members: Sequence[tuple[str, bytes]], results: str) -> bytes:
    sums = {name: files.sha256(content) for name, content in members}
    manifest = json.dumps({"results": results, "sha256": sums}, indent=0).encode()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*members, (MANIFEST, manifest)]:
            # A fixed date: the same Runs give the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
        archive.comment = files.sha256(manifest).encode()
    return buffer.getvalue()


def _unpack(path: Path) -> tuple[str, Members]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:
                    raise ValueError(f"{info.filename} is encrypted")
            members = {name: archive.read(name) for name in archive.namelist()}
            comment = archive.comment.decode(errors="replace")
        manifest_bytes = members.pop(MANIFEST)
        manifest = files.parse_json(manifest_bytes)
        sums, results = dict(manifest["sha256"]), str(manifest["results"])
    except FileNotFoundError:
        raise MissingInput(f"no file {path}") from None
    except (*UNREADABLE, TypeError, KeyError) as error:
        raise MissingInput(f"{path}: not a whole export of repro ({error}); nothing was imported") from None
    if files.sha256(manifest_bytes) != comment:
        raise MissingInput(f"{path}: its manifest was altered; nothing was imported")
    for name in sorted(sums.keys() | members.keys()):
        if name not in members or sums.get(name) != files.sha256(members[name]):
            raise MissingInput(f"{path}: {name} was altered or is missing; nothing was imported")
        try:
            _check(name, members[name])
        except (ValueError, TypeError) as error:
            raise MissingInput(f"{path}: {name}: {error}; nothing was imported") from None
    if not results or results[0] == "." or Path(results).name != results or not results.isprintable():
        raise MissingInput(f"{path}: {results!r} names no results folder; nothing was imported")
    return results, members


def _check(name: str, content: bytes) -> None:
    """Raise ValueError or TypeError where a member is not what its name says, or of a kind that there is not."""
    found = MEMBER.fullmatch(name)
    if not found:
        raise ValueError("not something that this version of repro exports")
    if found["record"] and Record.parse(content.decode()).key != found["record"]:
        raise ValueError("the Record of another Run")
    if found["hash"] and not files.sha256(content).startswith(found["hash"]):
        raise ValueError("another content than its name says")
    if name.startswith("states/"):
        check_history(_history(content))
