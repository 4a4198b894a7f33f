"""The store: results and checkpoints of Runs on disk, atomic, hash-checked, locked.

    <runs_dir>/<experiment>/<key>/
        run.json                              what the Run is
        state-e0012-<hash>.safetensors        where it stands: the last two whole epochs,
        state-e0012.000345-<hash>.safetensors or so many batches into the next one
        epoch-0100-<hash>.safetensors         kept checkpoints, for the Runs that grow from it
        result.json                           the Record, once finished
    <results>/<profile>/runs.jsonl            the ledger: one Record a line, in git
    <results>/<profile>/checkpoints.dvc       shipped checkpoints (shipped.py)

The hash in a file's name is the start of its content's SHA-256: a damaged file is found when it is read,
set aside as ``*.damaged``, and what it held is trained again.
"""

from __future__ import annotations

import contextlib
import json
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
from repro.files import FOREVER, Lock
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
    """A Run after ``epoch`` whole epochs and ``batches`` of the next: tensors to go on from, history so far."""

    epoch: int
    tensors: dict[str, Tensor]
    history: dict[str, Any]
    batches: int = 0


class Kept(NamedTuple):
    """A kept checkpoint: ``name`` has its epoch and hash; DVC keeps a shipped one under another, at ``path``."""

    name: str
    path: Path


class Store:
    """Finished Runs from ledgers and ``runs_dir``; running ones in ``runs_dir`` alone."""

    def __init__(self, runs_dir: Path, ledger: Path, shipped: Sequence[Path] = ()) -> None:
        """``ledger`` is read and written; ``shipped`` ledgers are read only. None of them need exist."""
        self.runs_dir = runs_dir
        self.ledger = ledger
        self.shipped = [path for path in shipped if path.resolve() != ledger.resolve()]
        self._held: set[str] = set()  # keys of Runs whose lock this process has
        self._alike: set[str] = set()  # keys of Records whose spec was seen to be their Run's
        self._beside = [path.parent for path in [ledger, *self.shipped]]
        self._listed = {name: path for folder in self._beside for name, path in listed(folder).items()}
        self._records = self._told()

    # Finished Runs

    def folder(self, run: Run) -> Path:
        """Where this Run's files lie."""
        return self.runs_dir / run.experiment / run.key

    def record(self, run: Run) -> Record | None:
        """The Record of a finished Run, or None. Raises `UsageError` for one that tells of another Run."""
        if run.key not in self._records:
            path = self.folder(run) / "result.json"
            try:
                own = Record.parse(path.read_text())
                if not own.tells_of(run):
                    raise ValueError("the Record of another Run")
                self._records[run.key] = own
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError as error:
                raise MissingInput(f"{path} cannot be read: {error.strerror or error}") from None
            except (ValueError, TypeError):
                set_aside(path)
        found = self._records.get(run.key)
        if found and run.key not in self._alike:
            if not found.tells_of(run):
                paths = [path for path in self.shipped if run.key in ledger.read(path)]
                place, what = [*paths, self.ledger][0], f"the Record of {run.key}"
                raise UsageError(f"{place}: {what} has another spec than that Run; restore the file from git")
            self._alike.add(run.key)
        return found

    def records(self) -> list[Record]:
        """All finished Runs known from ledgers."""
        return list(self._records.values())

    def finish(self, run: Run, record: Record) -> None:
        """`finish_all` for one Run."""
        self.finish_all([(run, record)])

    def finish_all(self, ended: Sequence[tuple[Run, Record]]) -> None:
        """Keep what Runs came to: in the ledger, then in each Run's folder. A finished Run is never replaced.

        A Run trained again for its checkpoints (its Record came without them) gets its files, while the
        ledger keeps the first Record.
        """
        # First: a Run that counts as finished is in the ledger, where another process may have been before us.
        self.add([self._records.get(run.key, record) for run, record in ended])
        for run, record in ended:
            kept = self._records.setdefault(run.key, record)  # a worker's store adds nothing
            files.write_text(self.folder(run) / "result.json", kept.line() + "\n")
            for path in self.folder(run).glob("state-*.safetensors"):
                path.unlink(missing_ok=True)

    def add(self, records: Sequence[Record]) -> int:
        """Add ``records`` to the ledger where their key is new there; returns how many were."""
        new = ledger.add(self.ledger, records)
        told = ledger.read(self.ledger)
        for record in records:
            self._records.setdefault(record.key, told[record.key])
        return len(new)

    def gather(self, runs: Sequence[Run]) -> int:
        """Add to the ledger what workers finished of ``runs`` and no driver lived to write there; returns how many
        there were."""
        known = self._told()
        return self.add([record for run in runs if run.key not in known and (record := self.record(run))])

    def _told(self) -> dict[str, Record]:
        """What the ledgers have now; of a key that several have, the first."""
        found: dict[str, Record] = {}
        for path in [*self.shipped, self.ledger]:
            found |= {key: record for key, record in ledger.read(path).items() if key not in found}
        return found

    # Checkpoints

    def checkpoint(self, run: Run, epoch: int) -> Kept | None:
        """A kept checkpoint: the store's own, else a shipped one."""
        stem = f"epoch-{epoch:04d}-"
        for place in [self.folder(run), *(folder / FOLDER / run.key for folder in self._beside)]:
            for path in place.glob(f"{stem}*.safetensors"):
                return Kept(path.name, path)
        for name, path in self._listed.items():
            if name.startswith(f"{run.key}/{stem}") and path.exists():
                return Kept(name.removeprefix(f"{run.key}/"), path)
        return None

    def has_checkpoint(self, run: Run, epoch: int) -> bool:
        """Whether `load_checkpoint` will find a file."""
        return self.checkpoint(run, epoch) is not None

    def can_continue(self, run: Run) -> bool:
        """Whether what ``run`` starts from is at hand: a state of its own, or its parents' checkpoints."""
        return bool(self.newest_state(run)) or all(self.has_checkpoint(p.run, p.epoch) for p in run.parents)

    def save_checkpoint(self, run: Run, epoch: int, tensors: dict[str, Tensor]) -> str:
        """Keep the network after ``epoch`` epochs; returns its hash."""
        return self._save(run, f"epoch-{epoch:04d}", tensors, None)

    def load_checkpoint(self, run: Run, epoch: int) -> tuple[dict[str, Tensor], str] | None:
        """The tensors and their hash, or None where the checkpoint is absent or was damaged (now set aside)."""
        kept = self.checkpoint(run, epoch)
        loaded = _load(kept.path, kept.name) if kept else None
        return (loaded[0], _hash_in(kept.name)) if loaded and kept else None

    # Running Runs

    def begin(self, run: Run) -> None:
        """Say in the Run's folder what it is."""
        path = self.folder(run) / "run.json"
        if not path.exists():
            files.write_text(path, json.dumps({"label": run.label, **run.spec()}, indent=1) + "\n")

    def save_state(self, run: Run, state: State) -> None:
        """Keep where the Run stands; older states than the last two go."""
        within = f".{state.batches:06d}" if state.batches else ""
        self._save(run, f"state-e{state.epoch:04d}{within}", state.tensors, state.history)
        for path in sorted(self.folder(run).glob("state-e*.safetensors"))[:-STATES]:
            path.unlink(missing_ok=True)

    def load_state(self, run: Run) -> State | None:
        """The latest undamaged state, or None."""
        for path in sorted(self.folder(run).glob("state-e*.safetensors"), reverse=True):
            loaded = _load(path, path.name)
            if loaded:
                tensors, metadata = loaded
                epoch, batches = _stand_in(path)
                return State(epoch, tensors, files.parse_json(metadata["history"]), batches)
        return None

    def progress(self, run: Run) -> int:
        """Epochs of its own that an unfinished Run has behind it, judged by file names."""
        newest = self.newest_state(run)
        return _stand_in(newest)[0] - run.first_epoch if newest else 0

    def newest_state(self, run: Run) -> Path | None:
        """The file of the latest state, undamaged or not; None for a Run that has not begun, or is finished."""
        return max(self.folder(run).glob("state-e*.safetensors"), default=None)

    def take_state(self, experiment: str, key: str, file: str, content: bytes) -> bool:
        """Keep a state that was saved elsewhere, under its own ``file`` name; False where one here is as far."""
        target = self.runs_dir / experiment / key / file
        kept = max(target.parent.glob("state-e*.safetensors"), default=None)
        if kept and _stand_in(kept) >= _stand_in(target):
            return False
        files.write_bytes(target, content)
        return True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for training. Raises `UsageError` where another process holds it."""

        def refuse(who: str) -> float:
            raise UsageError(f"{self.runs_dir} is in use by {who}: wait for it to end, or pass another --runs-dir")

        with _lock(self.runs_dir, refuse):
            yield

    @contextlib.contextmanager
    def run_lock(self, run: Run, deadline: float | None = None) -> Iterator[None]:
        """Hold one Run, so that no other process trains it; waits, and says so, for one that does: a worker that
        outlived its driver. What that one finished is found by looking for the Record afterwards.

        Holding it twice in one process is as good as once. Raises `BudgetSpent` at ``deadline``, which is on
        `time.monotonic`'s clock.
        """
        if run.key in self._held:
            yield
            return

        def wait(who: str) -> float:
            print(f"{run.label} is being trained by {who}: waiting for it", file=sys.stderr, flush=True)
            return FOREVER if deadline is None else max(0.0, deadline - time.monotonic())

        with _lock(self.folder(run), wait):
            self._held.add(run.key)
            try:
                yield
            finally:
                self._held.discard(run.key)

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
    """Hold ``folder`` through its ``.lock``, which the kernel releases when the process dies, also over NFS.

    ``on_busy`` hears who holds it, where that is another process, and returns the seconds to wait (or raises);
    `BudgetSpent` when they are over.
    """
    owner = folder / ".owner"
    with Lock(folder / ".lock") as lock:
        if not lock.take():
            try:
                who = owner.read_text().strip()
            except OSError:
                who = "another process"
            if not lock.take(on_busy(who)):
                raise BudgetSpent(f"time budget spent waiting for {who}; the same command goes on")
        files.write_text(owner, f"process {os.getpid()} on {socket.gethostname()}\n")
        try:
            yield
        finally:
            owner.unlink(missing_ok=True)


def checkpoints_of(key: str, runs_dir: Path, results: Sequence[Path]) -> dict[str, dict[int, Kept]]:
    """Kept checkpoints of the Runs whose keys begin with ``key``, by key and epoch: those in ``runs_dir``, else
    those that ``results``, folders of profiles, ship."""
    folders = [*runs_dir.glob(f"*/{key}*"), *(own for each in results for own in (each / FOLDER).glob(f"{key}*"))]
    there = [(folder.name, path.name, path) for folder in folders for path in sorted(folder.glob("epoch-*"))]
    for each in results:
        there += [(*name.partition("/")[::2], path) for name, path in listed(each).items() if name.startswith(key)]
    found: dict[str, dict[int, Kept]] = {}
    for own, name, path in there:
        if (named := CHECKPOINT.fullmatch(name)) and path.exists():
            found.setdefault(own, {}).setdefault(int(named[1]), Kept(name, path))
    return found


def set_aside(path: Path) -> None:
    """Move a damaged file out of the way, and say so; where it cannot be moved it is passed over."""
    print(f"damaged, set aside: {path}", file=sys.stderr)
    with contextlib.suppress(OSError):
        os.replace(path, path.with_name(path.name + ".damaged"))


def _stand_in(path: Path) -> tuple[int, int]:
    """Whole epochs, and batches of the next, in a state's name."""
    epoch, _, batches = path.name.split("-")[1].removeprefix("e").partition(".")
    return int(epoch), int(batches or 0)


def _hash_in(name: str) -> str:
    return name.removesuffix(".safetensors").rsplit("-", 1)[1]


def _load(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Tensors and metadata of a file whose content has the hash in ``name``; else set aside and None."""
    from safetensors.torch import load

    content = path.read_bytes()
    if files.sha256(content)[:HASH] != _hash_in(name):
        set_aside(path)
        return None
    return load(content), metadata_of(content)


def metadata_of(content: bytes) -> dict[str, str]:
    """What a safetensors file says besides its tensors. Raises ValueError for bytes that are none."""
    header = files.parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
    found: dict[str, str] = header.get("__metadata__", {})
    return found
