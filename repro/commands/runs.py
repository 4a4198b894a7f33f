"""`repro runs list` and `repro runs show`: all Runs, their results, and their files."""

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
MOST = 5  # keys in a message


@dataclass(frozen=True)
class Entry:
    """A Run of the profile (``run``), a finished Run (``record``), or both."""

    key: str
    label: str
    spec: dict[str, Any]
    run: Run | None
    record: Record | None
    epochs: int = 0
    """Epochs done, if the Run is begun but not finished."""

    @property
    def state(self) -> str:
        """One of `RUN_STATES`."""
        if self.record:
            return self.record.status
        return BEGUN if self.epochs else MISSING

    @property
    def standing(self) -> str:
        """The state, with the number of epochs if it is begun."""
        return f"begun, {self.epochs} of {self.run.epochs} epochs" if self.run and self.epochs else self.state


Keyed = TypeVar("Keyed", Run, Entry)


def list_runs(
    options: Options, names: Sequence[str] = (), state: str | None = None, as_json: bool = False
) -> None:
    """Print the Runs of the artifacts ``names``, or all Runs of the profile and further finished ones; with
    ``state``, only those in that state."""
    if state not in (None, *RUN_STATES):
        raise UsageError(f"--state {state}: there are {', '.join(RUN_STATES)}")
    work = Workspace(options, names)
    runs = ancestors(work.asked() if names else work.every_run())
    found = [entry for entry in _entries(work, runs, others=not names) if state in (None, entry.state)]
    if as_json:
        print(json.dumps({"profile": work.settings.name, "runs": list(map(_summary, found))}))
        return
    out = terminal.console()
    rows = [[e.key, e.label, e.standing, _percent(e.record.top1 if e.record else None)] for e in found]
    out.print(terminal.table(["key", "Run", "state", "top-1"], rows, f"profile {work.settings.name}", left=3))
    out.print(counted(len(found), "Run"))


def show_run(options: Options, key: str, as_json: bool = False) -> None:
    """Print spec, result and files of the Run whose key starts with ``key``.

    Raises `UsageError` if no Run, or more than one, has such a key."""
    work = Workspace(options)
    by_artifact = {artifact.name: ancestors(work.runs(artifact, work.all_seeds)) for artifact in work.artifacts}
    runs = list({run.key: run for runs in (*by_artifact.values(), work.every_run()) for run in runs}.values())
    entry, store = by_key(_entries(work, runs, others=True), key, work.settings.name), work.store
    results = [path.parent for path in (store.ledger, *store.shipped)]
    kept = checkpoints_of(entry.key, store.runs_dir, results).get(entry.key, {})
    shown = _summary(entry) | {
        "spec": entry.spec,
        "asked_by": [name for name, of in by_artifact.items() if entry.key in {run.key for run in of}],
        "provenance": entry.record.provenance if entry.record else {},
        "folder": str(store.runs_dir / str(entry.spec["experiment"]) / entry.key),
        "checkpoints": {str(epoch): str(kept[epoch].path) for epoch in sorted(kept)},
    }
    if as_json:
        print(json.dumps(shown))
        return
    for line in _lines(store, entry, shown):
        print(line)


def _entries(work: Workspace, runs: Sequence[Run], others: bool) -> list[Entry]:
    """Return an entry for each of ``runs``; with ``others``, also for finished Runs of other seeds or settings."""
    store, found = work.store, list[Entry]()
    for run in runs:
        record = store.record(run)
        found.append(Entry(run.key, run.label, run.spec(), run, record, 0 if record else store.progress(run)))
    asked = {run.key for run in runs}
    more = [record for record in store.records() if record.key not in asked] if others else []
    return found + [Entry(record.key, record.label, record.spec, None, record) for record in more]


def by_key(among: Sequence[Keyed], key: str, profile: str, hint: str = "`repro runs list`") -> Keyed:
    """Return the one whose key starts with ``key``. Raises `UsageError` if there is none (with a ``hint`` where to
    find keys), or more than one."""
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


def _lines(store: Store, entry: Entry, shown: dict[str, Any]) -> list[str]:
    spec, record = entry.spec, entry.record
    data, recipe = spec["data"], spec["recipe"]
    lines = [f"{entry.key}  {entry.label}", f"state        {entry.standing}"]
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
        f"asked by     {', '.join(shown['asked_by']) or 'no artifact of this profile'}",
        f"files        {shown['folder']}",
    ]
    if record:
        by, ended = record.provenance.get("device", "?"), record.provenance.get("ended", "?")
        lines.append(f"trained      on {by}, until {ended}")
    lines += [f"checkpoint   epoch {epoch}: {path}" for epoch, path in shown["checkpoints"].items()]
    if shown["checkpoints"]:
        epoch, file = list(shown["checkpoints"].items())[-1]
        # A shipped file's name in DVC is only a hash; its key works from any folder of the project.
        place = repr(file) if CHECKPOINT.fullmatch(Path(file).name) else f"{entry.key!r}, epoch={epoch}"
        lines.append(f"load         model, masks = repro.load_checkpoint({place})")
    if entry.run and entry.state == DONE and forgotten([entry.run], store):
        lines.append(f"final weights not kept: `repro runs train {entry.key} --keep-final` trains it again")
    return lines


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _from(parent: dict[str, Any] | None) -> str:
    return f"of Run {parent['run']} after epoch {parent['epoch']}" if parent else ""


def _masked(mask: dict[str, Any] | None) -> str:
    if mask is None:
        return "none"
    how = "as it was" if mask["sparsity"] is None else f"global magnitude pruning at {mask['sparsity']:.0%}"
    return f"{_from(mask)}, {how}"
