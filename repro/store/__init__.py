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
import functools
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from repro import files
from repro.errors import BudgetSpent, MissingInput, UsageError
from repro.record import Record
from repro.run import Run
from repro.store import ledger as ledgers
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
    """A kept checkpoint or state. ``name`` ends in its hash; a shipped file has another name, in ``path``."""

    name: str
    path: Path

    @property
    def hash(self) -> str:
        """The start of the SHA-256 that its content should have."""
        return self.name.removesuffix(".safetensors").rsplit("-", 1)[1]


class Store:
    """Finished Runs, read from ledgers and ``runs_dir``; unfinished ones are in ``runs_dir`` only."""

    def __init__(self, runs_dir: Path, ledger: Path, shipped: Sequence[Path] = ()) -> None:
        """Open the store. ``ledger`` is read and written, ``shipped`` ledgers are only read; none need exist."""
        self.runs_dir = runs_dir
        self.ledger = ledger
        self.shipped = [path for path in shipped if path.resolve() != ledger.resolve()]
        self._verified: set[str] = set()  # keys of Records whose spec was compared with the Run's
        self._results = [path.parent for path in [ledger, *self.shipped]]
        self._shipped_files = {name: path for folder in self._results for name, path in listed(folder).items()}

    # Finished Runs

    def folder(self, run: Run) -> Path:
        """Return the folder of this Run's files."""
        return self.runs_dir / run.experiment / run.key

    def record(self, run: Run) -> Record | None:
        """Return the Record of a finished Run, else None. Raises `UsageError` if it has another Run's spec."""
        record = self._records.get(run.key)
        if record is None and (record := self._left_by_a_worker(run)):
            self._records[run.key] = record
        if record and run.key not in self._verified:
            if not record.matches(run):
                source = next((path for path in self.shipped if run.key in ledgers.read(path)), self.ledger)
                raise UsageError(
                    f"{source}: the Record of {run.key} has another spec than that Run; restore the file from git"
                )
            self._verified.add(run.key)
        return record

    def _left_by_a_worker(self, run: Run) -> Record | None:
        path = self.folder(run) / "result.json"
        try:
            record = Record.parse(path.read_text())
            if not record.matches(run):
                raise ValueError("the Record of another Run")
            return record
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise MissingInput(f"{path} cannot be read: {error.strerror or error}") from None
        except ValueError:
            set_aside(path)
            return None

    @functools.cached_property
    def _records(self) -> dict[str, Record]:
        """All Records of the ledgers. If several contain a key, the first one wins."""
        records: dict[str, Record] = {}
        for path in [*self.shipped, self.ledger]:
            records |= {key: record for key, record in ledgers.read(path).items() if key not in records}
        return records

    def records(self) -> list[Record]:
        """Return all finished Runs in the ledgers."""
        return list(self._records.values())

    def finish(self, ended: Sequence[tuple[Run, Record]]) -> None:
        """Write Records to the ledger, then to each Run's folder, and delete resume states.

        An existing Record is never replaced: a Run that was trained again for its checkpoints keeps its first one.
        """
        # The ledger first: every finished Run must be in it. Another process may already have added this one.
        self.add([self._records.get(run.key, record) for run, record in ended])
        for run, record in ended:
            kept = self._records.get(run.key, record)  # a worker's store adds nothing
            files.write_text(self.folder(run) / "result.json", kept.line() + "\n")
            for path in states_in(self.folder(run)):
                path.unlink(missing_ok=True)

    def add(self, records: Sequence[Record]) -> None:
        """Add the ``records`` whose keys are not in the ledger yet."""
        known = ledgers.add(self.ledger, records)
        for record in records:
            self._records.setdefault(record.key, known[record.key])

    # Checkpoints

    def checkpoints(self, experiment: str, key: str) -> dict[str, dict[int, Kept]]:
        """Find kept checkpoints by key and epoch, in Runs' folders and among shipped files. Both arguments are
        patterns of file names: ``*`` matches any experiment or key."""
        found = [path for folder in self._results for path in sorted(folder.glob(f"{FOLDER}/{key}/epoch-*"))]
        found = [*sorted(self.runs_dir.glob(f"{experiment}/{key}/epoch-*")), *found]
        paths = [(path.parent.name, path.name, path) for path in found]
        paths += [(*name.partition("/")[::2], path) for name, path in self._shipped_files.items()]
        by_key: dict[str, dict[int, Kept]] = {}
        for run, name, path in paths:
            if fnmatchcase(run, key) and (match := CHECKPOINT.fullmatch(name)) and path.exists():
                by_key.setdefault(run, {}).setdefault(int(match[1]), Kept(name, path))
        return by_key

    def checkpoint(self, run: Run, epoch: int) -> Kept | None:
        """Find a kept checkpoint; it may turn out to be damaged."""
        return self.checkpoints(run.experiment, run.key).get(run.key, {}).get(epoch)

    def can_continue(self, run: Run) -> bool:
        """Return whether ``run`` can start now: it has a resume state, or all its parents' checkpoints exist."""
        return bool(self.newest_state(run)) or all(self.checkpoint(p.run, p.epoch) for p in run.parents)

    def save_checkpoint(self, run: Run, epoch: int, tensors: dict[str, Tensor]) -> str:
        """Save the network after ``epoch`` epochs; return the file's hash."""
        return self._save(run, f"epoch-{epoch:04d}", tensors, None)

    def load_checkpoint(self, run: Run, epoch: int) -> tuple[dict[str, Tensor], str] | None:
        """Return tensors and hash; None if there is no checkpoint, or if it was damaged and is now set aside."""
        kept = self.checkpoint(run, epoch)
        loaded = kept and _load(kept)
        return (loaded[0], kept.hash) if kept and loaded else None

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
        for path in states_in(self.folder(run))[:-STATES]:
            path.unlink(missing_ok=True)

    def load_state(self, run: Run) -> State | None:
        """Return the latest undamaged resume state, if there is one."""
        for path in reversed(states_in(self.folder(run))):
            if loaded := _load(Kept(path.name, path)):
                epoch, batches = progress_of(path)
                return State(epoch, *loaded, batches)
        return None

    def newest_state(self, run: Run) -> Path | None:
        """Return the latest state's file, damaged or not; None if the Run has not begun or is finished."""
        return max(states_in(self.folder(run)), default=None)

    def progress(self, run: Run) -> int:
        """Return how many of its own epochs an unfinished Run has completed, judging by file names."""
        newest = self.newest_state(run)
        return progress_of(newest)[0] - run.first_epoch if newest else 0

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Lock the store for training. Raises `UsageError` if another process holds the lock."""
        files.check_writable(self.runs_dir)
        busy = f"{self.runs_dir} is in use by another process: wait for it to end, or pass another --runs-dir"
        return files.locked(self.runs_dir / ".lock", busy)

    @contextlib.contextmanager
    def run_lock(self, run: Run, deadline: float = math.inf) -> Iterator[Record | None]:
        """Lock one Run. If another process holds the lock (a worker whose driver died), print a message and wait.

        Yields the Record if that process has written it meanwhile. Raises `BudgetSpent` at ``deadline`` (on
        `time.monotonic`'s clock).
        """
        folder, before = self.folder(run), self.record(run)  # with a Record it is trained for its checkpoints

        def wait(holder: str, waited: float) -> None:
            if not waited:
                print(f"{run.label} is being trained by {holder}: waiting for it", file=sys.stderr, flush=True)
            if time.monotonic() >= deadline:
                raise BudgetSpent(f"time budget spent waiting for {holder}; run the same command again to resume")

        files.check_writable(folder)
        with files.locked(folder / ".lock", wait):
            yield None if before else self.record(run)

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


def set_aside(path: Path) -> None:
    """Report a damaged file and rename it; if it cannot be renamed, it stays."""
    print(f"damaged, set aside: {path}", file=sys.stderr)
    with contextlib.suppress(OSError):
        os.replace(path, path.with_name(path.name + ".damaged"))


def states_in(folder: Path) -> list[Path]:
    """Return the resume states in a Run's folder, the latest one last."""
    return sorted(folder.glob("state-e*.safetensors"))


def progress_of(state: Path) -> tuple[int, int]:
    """Parse whole epochs and further batches from a state's file name."""
    epoch, _, batches = state.name.split("-")[1].removeprefix("e").partition(".")
    return int(epoch), int(batches or 0)


def _load(kept: Kept) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return tensors and history; if the content does not match the hash in its name, set the file aside."""
    from safetensors.torch import load

    content = kept.path.read_bytes()
    if files.sha256(content)[:HASH] != kept.hash:
        set_aside(kept.path)
        return None
    return load(content), history_of(content)


def history_of(content: bytes) -> dict[str, Any]:
    """Return the history in a state's file, empty if it has none. Raises ValueError for any other content."""
    header = files.parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
    history = files.parse_json(header.get("__metadata__", {}).get("history", "{}"))
    return history if isinstance(history, dict) else {}
