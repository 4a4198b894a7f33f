"""Keep results and checkpoints of Runs on disk: written atomically, checked by hash, locked.

    <runs_dir>/<experiment>/<key>/
        run.json                              the Run's spec
        state-e0012-<hash>.safetensors        resume states, the latest two: after whole epochs,
        state-e0012.000345-<hash>.safetensors or after 345 batches of the next epoch
        epoch-0100-<hash>.safetensors         checkpoints that child Runs start from
        result.json                           the Record, once the Run is finished
    <results>/<profile>/runs.jsonl            the ledger: one Record per line, in git
    <results>/<profile>/checkpoints.dvc       shipped checkpoints (shipped.py)

The hash in a file's name is the start of its content's SHA-256. A file that turns out to be damaged when it is
read is renamed to ``*.damaged``, and its content is trained again.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from repro import files
from repro.errors import BudgetSpent, MissingInput, UsageError
from repro.files import Lock
from repro.record import Record
from repro.run import Run
from repro.store import ledger
from repro.store.shipped import FOLDER, listed

if TYPE_CHECKING:
    from torch import Tensor

HASH = 16
CHECKPOINT = re.compile(rf"epoch-(\d+)-([0-9a-f]{{{HASH}}})\.safetensors")
STATES = 2


@dataclass(frozen=True)
class State:
    """The resume state of a Run after ``epoch`` whole epochs and ``batches`` batches of the next one."""

    epoch: int
    tensors: dict[str, Tensor]
    history: dict[str, Any]
    batches: int = 0


class Kept(NamedTuple):
    """A kept checkpoint. ``name`` contains epoch and hash; a shipped file has another name, in ``path``."""

    name: str
    path: Path


class Store:
    """Finished Runs, read from ledgers and ``runs_dir``; unfinished ones are in ``runs_dir`` only."""

    def __init__(self, runs_dir: Path, ledger: Path, shipped: Sequence[Path] = ()) -> None:
        """Open the store. ``ledger`` is read and written, ``shipped`` ledgers are only read; none need exist."""
        self.runs_dir = runs_dir
        self.ledger = ledger
        self.shipped = [path for path in shipped if path.resolve() != ledger.resolve()]
        self._locked: set[str] = set()  # keys of Runs whose lock this process holds
        self._verified: set[str] = set()  # keys of Records whose spec was compared with the Run's
        self._results = [path.parent for path in [ledger, *self.shipped]]
        self._shipped_files = {name: path for folder in self._results for name, path in listed(folder).items()}
        self._records = self._read_ledgers()

    # Finished Runs

    def folder(self, run: Run) -> Path:
        """Return the folder of this Run's files."""
        return self.runs_dir / run.experiment / run.key

    def record(self, run: Run) -> Record | None:
        """Return the Record of a finished Run, else None. Raises `UsageError` if it has another Run's spec."""
        if run.key not in self._records:
            path = self.folder(run) / "result.json"
            try:
                parsed = Record.parse(path.read_text())
                if not parsed.matches(run):
                    raise ValueError("the Record of another Run")
                self._records[run.key] = parsed
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError as error:
                raise MissingInput(f"{path} cannot be read: {error.strerror or error}") from None
            except (ValueError, TypeError):
                set_aside(path)
        record = self._records.get(run.key)
        if record and run.key not in self._verified:
            if not record.matches(run):
                source = next((path for path in self.shipped if run.key in ledger.read(path)), self.ledger)
                raise UsageError(
                    f"{source}: the Record of {run.key} has another spec than that Run; restore the file from git"
                )
            self._verified.add(run.key)
        return record

    def records(self) -> list[Record]:
        """Return all finished Runs in the ledgers."""
        return list(self._records.values())

    def finish(self, run: Run, record: Record) -> None:
        """Call `finish_all` for one Run."""
        self.finish_all([(run, record)])

    def finish_all(self, ended: Sequence[tuple[Run, Record]]) -> None:
        """Write Records to the ledger, then to each Run's folder, and delete resume states.

        An existing Record is never replaced: a Run that was trained again for its checkpoints keeps its first one.
        """
        # The ledger first: every finished Run must be in it. Another process may already have added this one.
        self.add([self._records.get(run.key, record) for run, record in ended])
        for run, record in ended:
            kept = self._records.setdefault(run.key, record)  # a worker's store adds nothing
            files.write_text(self.folder(run) / "result.json", kept.line() + "\n")
            for path in self.folder(run).glob("state-*.safetensors"):
                path.unlink(missing_ok=True)

    def add(self, records: Sequence[Record]) -> int:
        """Add the ``records`` whose keys are not in the ledger yet; return how many there were."""
        new = ledger.add(self.ledger, records)
        known = ledger.read(self.ledger)
        for record in records:
            self._records.setdefault(record.key, known[record.key])
        return len(new)

    def gather(self, runs: Sequence[Run]) -> int:
        """Add to the ledger what workers left for ``runs`` after their driver died; return how many Records."""
        known = self._read_ledgers()
        return self.add([record for run in runs if run.key not in known and (record := self.record(run))])

    def _read_ledgers(self) -> dict[str, Record]:
        """Read all ledgers. If several contain a key, the first one wins."""
        records: dict[str, Record] = {}
        for path in [*self.shipped, self.ledger]:
            records |= {key: record for key, record in ledger.read(path).items() if key not in records}
        return records

    # Checkpoints

    def checkpoint(self, run: Run, epoch: int) -> Kept | None:
        """Find a kept checkpoint, in the Run's folder or among shipped files."""
        stem = f"epoch-{epoch:04d}-"
        for folder in [self.folder(run), *(results / FOLDER / run.key for results in self._results)]:
            for path in folder.glob(f"{stem}*.safetensors"):
                return Kept(path.name, path)
        for name, path in self._shipped_files.items():
            if name.startswith(f"{run.key}/{stem}") and path.exists():
                return Kept(name.removeprefix(f"{run.key}/"), path)
        return None

    def has_checkpoint(self, run: Run, epoch: int) -> bool:
        """Return whether `load_checkpoint` would find a file."""
        return self.checkpoint(run, epoch) is not None

    def can_continue(self, run: Run) -> bool:
        """Return whether ``run`` can start now: it has a resume state, or all its parents' checkpoints exist."""
        return bool(self.newest_state(run)) or all(self.has_checkpoint(p.run, p.epoch) for p in run.parents)

    def save_checkpoint(self, run: Run, epoch: int, tensors: dict[str, Tensor]) -> str:
        """Save the network after ``epoch`` epochs; return the file's hash."""
        return self._save(run, f"epoch-{epoch:04d}", tensors, None)

    def load_checkpoint(self, run: Run, epoch: int) -> tuple[dict[str, Tensor], str] | None:
        """Return tensors and hash; None if there is no checkpoint, or if it was damaged and is now set aside."""
        kept = self.checkpoint(run, epoch)
        loaded = _load(kept.path, kept.name) if kept else None
        return (loaded[0], _hash_in(kept.name)) if loaded and kept else None

    # Running Runs

    def begin(self, run: Run) -> None:
        """Write the Run's spec to its folder."""
        path = self.folder(run) / "run.json"
        if not path.exists():
            files.write_text(path, json.dumps({"label": run.label, **run.spec()}, indent=1) + "\n")

    def save_state(self, run: Run, state: State) -> None:
        """Save a resume state, and delete all but the latest two."""
        batches = f".{state.batches:06d}" if state.batches else ""
        self._save(run, f"state-e{state.epoch:04d}{batches}", state.tensors, state.history)
        for path in sorted(self.folder(run).glob("state-e*.safetensors"))[:-STATES]:
            path.unlink(missing_ok=True)

    def load_state(self, run: Run) -> State | None:
        """Return the latest undamaged resume state, if there is one."""
        for path in sorted(self.folder(run).glob("state-e*.safetensors"), reverse=True):
            loaded = _load(path, path.name)
            if loaded:
                epoch, batches = _progress_of(path)
                return State(epoch, loaded[0], loaded[1], batches)
        return None

    def progress(self, run: Run) -> int:
        """Return how many of its own epochs an unfinished Run has completed, judging by file names."""
        newest = self.newest_state(run)
        return _progress_of(newest)[0] - run.first_epoch if newest else 0

    def newest_state(self, run: Run) -> Path | None:
        """Return the latest state's file, damaged or not; None if the Run has not begun or is finished."""
        return max(self.folder(run).glob("state-e*.safetensors"), default=None)

    def import_state(self, experiment: str, key: str, file: str, content: bytes) -> bool:
        """Save a state from another machine under its name ``file``; return False if ours is at least as far."""
        target = self.runs_dir / experiment / key / file
        newest = max(target.parent.glob("state-e*.safetensors"), default=None)
        if newest and _progress_of(newest) >= _progress_of(target):
            return False
        files.write_bytes(target, content)
        return True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the store for training. Raises `UsageError` if another process holds the lock."""

        def refuse(who: str) -> float:
            raise UsageError(f"{self.runs_dir} is in use by {who}: wait for it to end, or pass another --runs-dir")

        with _lock(self.runs_dir, refuse):
            yield

    @contextlib.contextmanager
    def run_lock(self, run: Run, deadline: float | None = None) -> Iterator[None]:
        """Lock one Run. If another process holds the lock (a worker whose driver died), print a message and wait.

        Afterwards, check whether that process has written the Record. The lock may be nested within one process.
        Raises `BudgetSpent` at ``deadline`` (on `time.monotonic`'s clock).
        """
        if run.key in self._locked:
            yield
            return

        def wait(who: str) -> float:
            print(f"{run.label} is being trained by {who}: waiting for it", file=sys.stderr, flush=True)
            return math.inf if deadline is None else max(0.0, deadline - time.monotonic())

        with _lock(self.folder(run), wait):
            self._locked.add(run.key)
            try:
                yield
            finally:
                self._locked.discard(run.key)

    def _save(self, run: Run, stem: str, tensors: dict[str, Tensor], history: dict[str, Any] | None) -> str:
        from safetensors.torch import save

        metadata = {"history": json.dumps(history)} if history is not None else {}
        content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
        digest = files.sha256(content)[:HASH]
        path = self.folder(run) / f"{stem}-{digest}.safetensors"
        files.write_bytes(path, content)
        for other in path.parent.glob(f"{stem}-*.safetensors"):
            if other != path:
                other.unlink(missing_ok=True)
        return digest


@contextlib.contextmanager
def _lock(folder: Path, on_busy: Callable[[str], float]) -> Iterator[None]:
    """Lock ``folder`` by its ``.lock``, which the kernel releases when this process dies, also over NFS.

    If another process holds the lock, ``on_busy`` is called with its description and returns how many seconds to
    wait, or raises. Raises `BudgetSpent` after that time.
    """
    owner = folder / ".owner"
    with Lock(folder / ".lock") as lock:
        if not lock.take():
            try:
                who = owner.read_text().strip()
            except OSError:
                who = "another process"
            if not lock.take(on_busy(who)):
                raise BudgetSpent(f"time budget spent waiting for {who}; run the same command again to resume")
        files.write_text(owner, f"process {os.getpid()} on {socket.gethostname()}\n")
        try:
            yield
        finally:
            owner.unlink(missing_ok=True)


def checkpoints_of(key: str, runs_dir: Path, results: Sequence[Path]) -> dict[str, dict[int, Kept]]:
    """Find kept checkpoints by epoch, for every Run whose key starts with ``key``.

    ``results`` are profiles' folders with shipped checkpoints; a file in ``runs_dir`` takes precedence.
    """
    folders = [*runs_dir.glob(f"*/{key}*"), *(run for each in results for run in (each / FOLDER).glob(f"{key}*"))]
    paths = [(folder.name, path.name, path) for folder in folders for path in sorted(folder.glob("epoch-*"))]
    for each in results:
        paths += [(*name.partition("/")[::2], path) for name, path in listed(each).items() if name.startswith(key)]
    by_key: dict[str, dict[int, Kept]] = {}
    for run_key, name, path in paths:
        if (match := CHECKPOINT.fullmatch(name)) and path.exists():
            by_key.setdefault(run_key, {}).setdefault(int(match[1]), Kept(name, path))
    return by_key


def set_aside(path: Path) -> None:
    """Report a damaged file and rename it; if it cannot be renamed, it stays."""
    print(f"damaged, set aside: {path}", file=sys.stderr)
    with contextlib.suppress(OSError):
        os.replace(path, path.with_name(path.name + ".damaged"))


def _progress_of(path: Path) -> tuple[int, int]:
    """Parse whole epochs and further batches from a state's file name."""
    epoch, _, batches = path.name.split("-")[1].removeprefix("e").partition(".")
    return int(epoch), int(batches or 0)


def _hash_in(name: str) -> str:
    return name.removesuffix(".safetensors").rsplit("-", 1)[1]


def _load(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return tensors and history; if the content does not match the hash in ``name``, set the file aside."""
    from safetensors.torch import load

    content = path.read_bytes()
    if files.sha256(content)[:HASH] != _hash_in(name):
        set_aside(path)
        return None
    return load(content), history_of(content)


def history_of(content: bytes) -> dict[str, Any]:
    """Return the history in a state's file, empty if it has none. Raises ValueError for any other content."""
    header = files.parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
    history = files.parse_json(header.get("__metadata__", {}).get("history", "{}"))
    return history if isinstance(history, dict) else {}
