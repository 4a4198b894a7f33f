"""`repro runs list` and `repro runs show`: which Runs there are, what each came to, and where its files lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from repro.errors import UsageError
from repro.options import RUN_STATES, Options
from repro.plan import forgotten
from repro.record import Record
from repro.report import terminal
from repro.run import Run, ancestors
from repro.store import CHECKPOINT, Store, checkpoints_of
from repro.words import counted
from repro.workspace import Workspace

DONE, _, BEGUN, MISSING = RUN_STATES
MOST = 5  # keys that a message names


@dataclass(frozen=True)
class Entry:
    """A Run that the profile asks for (``run``), that is finished (``record``), or both."""

    run: Run | None
    record: Record | None
    epochs: int
    """Of its own that are behind it, where it is neither finished nor missing."""

    @property
    def key(self) -> str:
        """The Run's."""
        return self._known.key

    @property
    def label(self) -> str:
        """The Run's."""
        return self._known.label

    @property
    def state(self) -> str:
        """One of `RUN_STATES`."""
        if self.record:
            return self.record.status
        return BEGUN if self.epochs else MISSING

    @property
    def spec(self) -> dict[str, Any]:
        """What the Run is, as in its key."""
        known = self._known
        return known.spec() if isinstance(known, Run) else known.spec

    @property
    def _known(self) -> Run | Record:
        known = self.run or self.record
        assert known
        return known


Keyed = TypeVar("Keyed", Run, Entry)


def list_runs(options: Options, names: Sequence[str], state: str | None, as_json: bool) -> None:
    """Print the Runs of the artifacts ``names`` (all Runs of the profile, finished ones that nothing asks for
    included), those in ``state`` alone where it is given."""
    if state not in (None, *RUN_STATES):
        raise UsageError(f"--state {state}: there are {', '.join(RUN_STATES)}")
    work = Workspace(options, names)
    runs = ancestors(work.asked() if names else work.every_run())
    entries = [*_entries(work, runs), *([] if names else _unasked(work, runs))]
    found = [entry for entry in entries if state in (None, entry.state)]
    if as_json:
        told = [_summary(entry) for entry in found]
        print(json.dumps({"profile": work.settings.name, "runs": told}))
        return
    out = terminal.console()
    rows = [[e.key, e.label, _standing(e), _percent(e.record.top1 if e.record else None)] for e in found]
    out.print(terminal.table(["key", "Run", "state", "top-1"], rows, f"profile {work.settings.name}", left=3))
    out.print(counted(len(found), "Run"))


def show_run(options: Options, key: str, as_json: bool) -> None:
    """Print what the Run is whose key begins with ``key``, what it came to, and where its files lie.

    Raises `UsageError` for a key that no Run has, or several."""
    work = Workspace(options)
    by_artifact = {artifact.name: ancestors(work.runs(artifact, work.all_seeds)) for artifact in work.artifacts}
    runs = list({run.key: run for runs in (*by_artifact.values(), work.every_run()) for run in runs}.values())
    entry = by_key([*_entries(work, runs), *_unasked(work, runs)], key, work.settings.name)
    told = _summary(entry) | {
        "spec": entry.spec,
        "asked_by": [name for name, its in by_artifact.items() if entry.key in {run.key for run in its}],
        "provenance": entry.record.provenance if entry.record else {},
        "folder": str(_folder(work.store, entry)),
        "checkpoints": {str(epoch): str(path) for epoch, path in _checkpoints(work.store, entry).items()},
    }
    if as_json:
        print(json.dumps(told))
        return
    for line in _lines(work.store, entry, told):
        print(line)


def _entries(work: Workspace, runs: Sequence[Run]) -> list[Entry]:
    store = work.store
    return [Entry(run, record := store.record(run), 0 if record else store.progress(run)) for run in runs]


def _unasked(work: Workspace, runs: Sequence[Run]) -> list[Entry]:
    """The finished Runs that are not among ``runs``: of further seeds, or of settings that were changed since."""
    asked = {run.key for run in runs}
    return [Entry(None, record, 0) for record in work.store.records() if record.key not in asked]


def by_key(among: Sequence[Keyed], key: str, profile: str, hint: str = "`repro runs list`") -> Keyed:
    """The one whose key begins with ``key``. Raises `UsageError` where none does, with a ``hint`` where keys are
    told, or several do."""
    found = [one for one in among if one.key.startswith(key)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no Run of profile {profile} has a key that begins with '{key}': {hint}")
    some = ", ".join(f"{one.key} ({one.label})" for one in found[:MOST])
    raise UsageError(f"'{key}' begins the keys of {len(found)} Runs: {some}{', ...' if found[MOST:] else ''}")


def _summary(entry: Entry) -> dict[str, Any]:
    record = entry.record
    return {
        "key": entry.key,
        "label": entry.label,
        "state": entry.state,
        "epochs": [entry.spec["first_epoch"], entry.spec["last_epoch"]],
        "epochs_done": entry.spec["last_epoch"] - entry.spec["first_epoch"] if record else entry.epochs,
        "top1": record.top1 if record else None,
        "best_top1": record.best_top1 if record else None,
        "train_top1": record.train_top1 if record else None,
    }


def _folder(store: Store, entry: Entry) -> Path:
    return store.runs_dir / str(entry.spec["experiment"]) / entry.key


def _checkpoints(store: Store, entry: Entry) -> dict[int, Path]:
    """The files of its kept checkpoints, its own and shipped ones, by epoch."""
    results = [path.parent for path in (store.ledger, *store.shipped)]
    kept = checkpoints_of(entry.key, store.runs_dir, results).get(entry.key, {})
    return {epoch: kept[epoch].path for epoch in sorted(kept)}


def _lines(store: Store, entry: Entry, told: dict[str, Any]) -> list[str]:
    spec, record = entry.spec, entry.record
    data, recipe = spec["data"], spec["recipe"]
    lines = [f"{entry.key}  {entry.label}", f"state        {_standing(entry)}"]
    if record and record.top1 is not None:
        lines.append(f"top-1        {_percent(record.top1)} %, on training images {_percent(record.train_top1)} %")
    if record and record.best_epoch is not None:
        lines.append(f"best         {_percent(record.best_top1)} % after epoch {record.best_epoch}")
    lines += [
        f"trains       epochs {spec['first_epoch']} to {spec['last_epoch']} of {recipe['epochs']}, "
        f"{spec['arch']}, batch {recipe['batch_size']}, {spec['precision']}, seed {spec['seed']}",
        f"data         {data['name']}, {data['train']:,} training and {data['test']:,} test images",
        f"weights      {_from(spec['weights']) or 'fresh'}",
        f"mask         {_masked(spec['mask'])}",
        f"asked by     {', '.join(told['asked_by']) or 'no artifact of this profile'}",
        f"files        {told['folder']}",
    ]
    if record:
        by, ended = record.provenance.get("device", "?"), record.provenance.get("ended", "?")
        lines.append(f"trained      on {by}, until {ended}")
    lines += [f"checkpoint   epoch {epoch}: {path}" for epoch, path in told["checkpoints"].items()]
    if told["checkpoints"]:
        epoch, file = list(told["checkpoints"].items())[-1]
        # The name that DVC gives a shipped file tells nothing; its key is found from any folder of the project.
        place = repr(file) if CHECKPOINT.fullmatch(Path(file).name) else f"{entry.key!r}, epoch={epoch}"
        lines.append(f"load         model, masks = repro.load_checkpoint({place})")
    if entry.run and entry.state == DONE and forgotten([entry.run], store):
        lines.append(f"final weights not kept: `repro runs train {entry.key} --keep-final` trains it again")
    return lines


def _standing(entry: Entry) -> str:
    if entry.state == BEGUN and entry.run:
        return f"begun, {entry.epochs} of {entry.run.epochs} epochs"
    return entry.state


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _from(parent: dict[str, Any] | None) -> str:
    return f"of Run {parent['run']} after epoch {parent['epoch']}" if parent else ""


def _masked(mask: dict[str, Any] | None) -> str:
    if mask is None:
        return "none"
    how = "as it was" if mask["sparsity"] is None else f"global magnitude pruning at {mask['sparsity']:.0%}"
    return f"{_from(mask)}, {how}"
