"""Pack finished and unfinished Runs into files for another machine (`repro runs export` and `repro runs import`).

A file is a zip of Records, checkpoints, resume states, and a manifest with the SHA-256 of each. If one file is not
enough, several numbered ones are written, which can be imported separately and in any order.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from repro import files
from repro.errors import MissingInput, UsageError
from repro.record import Record, check_history
from repro.run import Run
from repro.store import Store, history_of, progress_of, states_in

MANIFEST = "manifest.json"
Member = tuple[str, bytes]
Members = dict[str, bytes]
OVERHEAD = 400  # bytes per member in zip and manifest
MEMBER = re.compile(
    r"records/(?P<record>\w+)\.json"
    r"|(checkpoints/\w[^/]*/\w+/epoch-\d+|states/\w[^/]*/\w+/state-e\d+(\.\d+)?)-(?P<hash>\w{16})\.safetensors"
)


@dataclass
class Imported:
    """Counts of an import: Runs ``new`` and ``known`` before, files copied, and the labels of ``conflicts``."""

    new: int = 0
    known: int = 0
    checkpoints: int = 0
    states: int = 0
    conflicts: list[str] = field(default_factory=list)


def records(store: Store, runs: Sequence[Run]) -> Iterator[Member]:
    """Yield the Records of finished ``runs``."""
    for run in runs:
        if record := store.record(run):
            yield f"records/{run.key}.json", record.line().encode()


def checkpoints(store: Store, runs: Sequence[Run], keep: Mapping[str, set[int]]) -> Iterator[Member]:
    """Yield kept checkpoints of finished and unfinished ``runs``, at the epochs in ``keep[run.key]``."""
    for run in runs:
        for epoch in sorted(keep.get(run.key, ())):
            if kept := store.checkpoint(run, epoch):
                yield f"checkpoints/{run.experiment}/{run.key}/{kept.name}", kept.path.read_bytes()


def states(store: Store, runs: Sequence[Run]) -> Iterator[Member]:
    """Yield the latest resume states of unfinished ``runs``."""
    for run in runs:
        if store.record(run) is None and (newest := store.newest_state(run)):
            yield f"states/{run.experiment}/{run.key}/{newest.name}", newest.read_bytes()


def export(
    members: Iterable[Member], path: Path, max_size: int, results: str, max_total: float = math.inf
) -> tuple[list[Path], list[str]]:
    """Write ``members``, the most valuable first, to ``path``.

    Args:
        members: (name, content) pairs.
        path: the file; if one is not enough, numbered files next to it are written instead.
        max_size: bytes per file.
        results: the name of the results folder to which the members belong.
        max_total: bytes of all files together; members that do not fit are left out.

    Returns:
        The files, and the names of members that were left out.

    Raises:
        MissingInput: there are no members.
        UsageError: a single member is larger than ``max_size``.
    """
    parts: list[Members] = [{}]
    sizes = [OVERHEAD]  # bounds: the bytes of members, uncompressed, and of the manifest
    left_out: list[str] = []
    for name, content in members:
        more = len(content) + OVERHEAD
        if more + OVERHEAD > max_size:
            raise UsageError(f"--max-size {max_size}: {name} alone has {len(content):,} bytes")
        if sum(sizes) + more + OVERHEAD > max_total:
            left_out.append(name)
            continue
        if sizes[-1] + more > max_size:
            parts.append({})
            sizes.append(OVERHEAD)
        parts[-1][name] = content
        sizes[-1] += more
    if not parts[0]:
        raise MissingInput("nothing to export: none of these Runs has begun")
    written = [path.with_name(f"{path.stem}-{number:02d}{path.suffix}") for number in range(1, len(parts) + 1)]
    if len(parts) == 1:
        written = [path]
    for target, part in zip(written, parts, strict=True):
        files.write_bytes(target, _pack(part, results))
    return written, left_out


def _pack(part: Members, results: str) -> bytes:
    sums = {name: files.sha256(content) for name, content in part.items()}
    manifest = json.dumps({"results": results, "sha256": sums}, indent=0).encode()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in [*part.items(), (MANIFEST, manifest)]:
            # A fixed date: the same Runs give the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def check_target(path: Path) -> None:
    """Raise `UsageError` if ``path`` cannot be the name of a file."""
    if not path.name or path.is_dir():
        raise UsageError(f"'{path}' names no file to write: runs.zip, for instance")


def read(paths: Sequence[Path]) -> dict[str, Members]:
    """Read and check exported files; return their members by the name of their results folder.

    Raises `MissingInput` for a file that is damaged or altered.
    """
    by_results: dict[str, Members] = {}
    for path in paths:
        try:
            with zipfile.ZipFile(path) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            manifest = files.parse_json(members.pop(MANIFEST))
            sums, results = dict(manifest["sha256"]), str(manifest["results"])
        except FileNotFoundError:
            raise MissingInput(f"no file {path}") from None
        except Exception as error:  # zipfile and its decoders raise many kinds
            raise MissingInput(f"{path}: not a whole export of repro ({error}); nothing was imported") from None
        for name in sorted(sums.keys() | members.keys()):
            if name not in members or sums.get(name) != files.sha256(members[name]):
                raise MissingInput(f"{path}: {name} was altered or is missing; nothing was imported")
            try:
                _check(name, members[name])
            except (ValueError, TypeError) as error:
                raise MissingInput(f"{path}: {name}: {error}; nothing was imported") from None
        if not results or results[0] == "." or Path(results).name != results or not results.isprintable():
            raise MissingInput(f"{path}: {results!r} names no results folder; nothing was imported")
        by_results.setdefault(results, {}).update(members)
    return by_results


def _check(name: str, content: bytes) -> None:
    """Raise ValueError or TypeError if a member's name is unknown, or its content does not match the name."""
    match = MEMBER.fullmatch(name)
    if not match:
        raise ValueError("this version of repro exports no such file")
    if match["record"] and Record.parse(content.decode()).key != match["record"]:
        raise ValueError("the Record of another Run")
    if match["hash"] and not files.sha256(content).startswith(match["hash"]):
        raise ValueError("its content does not match the hash in its name")
    if name.startswith("states/"):
        check_history(history_of(content))


def import_runs(store: Store, members: Members, checkpoints_to: Path | None = None) -> Imported:
    """Add ``members``, as returned by `read`, to the store.

    A Run that is finished here is not replaced. It is a conflict if the imported Record differs from ours, or if a
    Run was trained from a parent checkpoint with another hash than ours. Checkpoints are written to the store, or
    to ``checkpoints_to``/<key>/ (for DVC). A state is skipped if the Run is finished, or at least as far, here.
    """
    done = Imported()
    ours = {record.key: record for record in store.records()}
    new, refused = dict[str, Record](), set[str]()
    for name, content in members.items():
        if not name.startswith("records/"):
            continue
        record = Record.parse(content.decode())
        if ours.get(record.key) == record:
            done.known += 1
        elif record.key in ours:
            done.conflicts.append(record.label)
            refused.add(record.key)
        elif _other_parent(record.provenance, ours):
            done.conflicts.append(f"{record.label} (trained from another parent)")
            refused.add(record.key)
        else:
            new[record.key] = record
    done.new = len(new)
    ours |= new
    for name, content in members.items():
        kind, *location = name.split("/")
        if kind == "records":
            continue
        experiment, key, file = location
        folder = store.runs_dir / experiment / key
        if kind == "checkpoints" and key not in refused:
            target = (checkpoints_to / key if checkpoints_to else folder) / file
            if not target.exists():
                files.write_bytes(target, content)
                done.checkpoints += 1
        elif kind == "states" and key not in ours:
            newest = max(map(progress_of, states_in(folder)), default=(-1, 0))
            if _other_parent(history_of(content)["provenance"], ours):
                done.conflicts.append(f"{experiment} {key} (unfinished, trained from another parent)")
            elif progress_of(folder / file) > newest:
                files.write_bytes(folder / file, content)
                done.states += 1
    store.add(list(new.values()))
    return done


def _other_parent(provenance: Mapping[str, Any], ours: Mapping[str, Record]) -> bool:
    """Return whether one of its ``parents`` ("key@epoch" -> hash) has another hash in our Records."""
    for parent, digest in provenance.get("parents", {}).items():
        key, _, epoch = parent.partition("@")
        if key in ours and ours[key].checkpoints.get(epoch, digest) != digest:
            return True
    return False


def parse_size(text: str, option: str = "--max-size") -> int:
    """Parse ``15MiB``, ``900kB`` or ``1000000`` into bytes. Raises `UsageError` for anything else."""
    units = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    digits = text.rstrip("kKMGiB ")
    try:
        size = int(float(digits) * units[text[len(digits) :].strip()])
    except (KeyError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise UsageError(f"{option} {text}: write 15MiB or 900kB")
    return size
