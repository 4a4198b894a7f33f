"""`repro runs list`, `show`, `export` and `import`: all Runs, their results and files, moved between machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from repro import files, workspace
from repro.config import params
from repro.errors import UsageError
from repro.options import MOST_SEEDS, RUN_STATES, Options
from repro.places import find_root, params_file
from repro.plan import final_epochs, forgotten
from repro.record import Record
from repro.report import terminal
from repro.report.tables import Table
from repro.run import Run, ancestors, start_epochs
from repro.store import CHECKPOINT, Store, archive, history_of, shipped
from repro.store.archive import Members
from repro.words import counted
from repro.workspace import Workspace

DONE, _, BEGUN, MISSING = RUN_STATES
MOST = 5  # keys in a message
Keyed = TypeVar("Keyed", bound=Run | Record)


def list_runs(
    options: Options, names: Sequence[str] = (), state: str | None = None, as_json: bool = False
) -> None:
    """Print the Runs of the artifacts ``names``, or all Runs of the profile and further finished ones; with
    ``state``, only those in that state."""
    if state not in (None, *RUN_STATES):
        raise UsageError(f"--state {state}: there are {', '.join(RUN_STATES)}")
    work = Workspace(options, names)
    runs = {run.key: run for run in ancestors(work.asked() if names else work.every_run())}
    every = [*runs.values(), *(_others(work.store, runs) if not names else ())]
    found = [_summary(work.store, one) for one in every]
    found = [shown for shown in found if state in (None, shown["state"])]
    if as_json:
        print(json.dumps({"profile": work.settings.name, "runs": found}))
        return
    out = terminal.console()
    rows = [[each["key"], each["label"], _standing(each), _percent(each["top1"])] for each in found]
    out.print(Table(["key", "Run", "state", "top-1"], rows, f"profile {work.settings.name}", left=3))
    out.print(counted(len(found), "Run"))


def show_run(options: Options, key: str, as_json: bool = False) -> None:
    """Print spec, result and files of the Run whose key starts with ``key``.

    Raises `UsageError` if no Run, or more than one, has such a key."""
    work = Workspace(options)
    store = work.store
    seeds = work.all_seeds
    by_artifact = {artifact.name: ancestors(work.runs(artifact, seeds)) for artifact in work.artifacts}
    runs = {run.key: run for runs in (*by_artifact.values(), work.every_run()) for run in runs}
    every: list[Run | Record] = [*runs.values(), *_others(store, runs)]
    found = by_key(every, key, work.settings.name)
    if isinstance(found, Run):
        run, record, spec = found, store.record(found), found.spec()
    else:
        run, record, spec = None, found, found.spec
    kept = store.checkpoints(spec["experiment"], found.key).get(found.key, {})
    shown = _summary(store, found) | {
        "spec": spec,
        "asked_by": [name for name, runs in by_artifact.items() if any(run.key == found.key for run in runs)],
        "provenance": record.provenance if record else {},
        "folder": str(store.runs_dir / spec["experiment"] / found.key),
        "checkpoints": {str(epoch): str(kept[epoch].path) for epoch in sorted(kept)},
    }
    if as_json:
        print(json.dumps(shown))
        return
    for line in _lines(shown, record):
        print(line)
    if run and forgotten([run], store):
        print(f"final weights not kept: `repro runs train {found.key} --keep-final` trains it again")


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


def _others(store: Store, runs: Mapping[str, Run]) -> list[Record]:
    """Return the finished Runs of other seeds or settings than those of ``runs``."""
    return [record for record in store.records() if record.key not in runs]


def _summary(store: Store, one: Run | Record) -> dict[str, Any]:
    if isinstance(one, Run):
        record, first, last = store.record(one), one.first_epoch, one.last_epoch
        begun = not record and store.newest_state(one) is not None  # a finished Run has no state: no need to look
        done = one.epochs if record else store.progress(one)
    else:
        record, first, last = one, one.spec["first_epoch"], one.spec["last_epoch"]
        done, begun = last - first, False
    return {
        "key": one.key,
        "label": one.label,
        "state": record.status if record else BEGUN if begun else MISSING,
        "epochs": [first, last],
        "epochs_done": done,
        "top1": record.top1 if record else None,
        "best_top1": record.best_top1 if record else None,
        "train_top1": record.train_top1 if record else None,
    }


def _standing(shown: Mapping[str, Any]) -> str:
    """Return the state, with the number of epochs if the Run is begun."""
    first, last = shown["epochs"]
    of = f", {shown['epochs_done']} of {last - first} epochs" if shown["state"] == BEGUN else ""
    return f"{shown['state']}{of}"


def _lines(shown: Mapping[str, Any], record: Record | None) -> list[str]:
    spec, data, recipe = shown["spec"], shown["spec"]["data"], shown["spec"]["recipe"]
    lines = [f"{shown['key']}  {shown['label']}", f"state        {_standing(shown)}"]
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
    for epoch, path in shown["checkpoints"].items():
        lines.append(f"checkpoint   epoch {epoch}: {path}")
    if shown["checkpoints"]:  # the last one
        # A shipped file's name in DVC is only a hash; its key works from any folder of the project.
        place = repr(path) if CHECKPOINT.fullmatch(Path(path).name) else f"{shown['key']!r}, epoch={epoch}"
        lines.append(f"load         model, masks = repro.load_checkpoint({place})")
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


def export_runs(
    options: Options,
    file: Path,
    max_size: str,
    names: Sequence[str] = (),
    left_only: bool = False,
    with_states: bool = False,
    with_final: bool = False,
) -> None:
    """Write finished Runs and the checkpoints that other Runs need to ``file``.

    With ``left_only``, only the checkpoints that missing Runs of any artifact need; with ``with_states``, also
    states of unfinished Runs; with ``with_final``, also final weights.
    """
    size = archive.parse_size(max_size)
    archive.check_target(file)
    work = Workspace(options, names)
    store, runs = work.store, ancestors(work.asked())
    keep = start_epochs(run for run in ancestors(work.every_run()) if not (left_only and store.record(run)))
    for key, epochs in final_epochs(runs).items() if with_final else ():
        keep[key] = keep.get(key, set()) | epochs
    members = [*archive.records(store, runs), *archive.checkpoints(store, runs, keep)]
    members += archive.states(store, runs) if with_states else ()
    report_exported(*archive.export(members, file, size, work.out.name))


def report_exported(written: Sequence[Path], left_out: Sequence[str]) -> None:
    """Print the files written, and what was left out."""
    for path in written:
        if path.is_file():
            print(f"written: {path} ({terminal.size(path.stat().st_size)})")
    if left_out:
        kinds = [name.partition("/")[0] for name in left_out]
        counts = " and ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        print(f"left out because of --max-total: {counts}")


def import_runs(options: Options, paths: Sequence[Path], ship: bool) -> None:
    """Import Runs from ``paths``, each into the results folder of the profile that contains its key."""
    root = find_root()
    results = options.out or root / "results"
    for name, members in by_profile(archive.read(paths), options).items():
        out = results / name
        files.check_writable(out)
        ledger = workspace.shipped_results(root) / name / "runs.jsonl"
        store = Store(options.runs_dir or root / "runs", out / "runs.jsonl", [ledger])
        with store.lock():
            if ship:
                shipped.unpack(out)
            result = archive.import_runs(store, members, out / shipped.FOLDER if ship else None)
        states = f", {counted(result.states, 'state')} of unfinished Runs" if result.states else ""
        print(
            f"{out}: {counted(result.new, 'Run')} new, {result.known} known already, "
            f"{counted(result.checkpoints, 'checkpoint')}{states}"
        )
        if ship and result.checkpoints:
            print(shipped.hand_to_dvc(out))
        for label in result.conflicts:
            print(f"kept ours: {label} differs from the one in the file", file=sys.stderr)


def by_profile(arrived: Mapping[str, Members], options: Options) -> dict[str, Members]:
    """Sort imported members by results folder: the profile in params.yaml that contains a Run's key, or one of its
    ancestors; if there is none, the folder that it came from."""
    parents: dict[str, set[str]] = {}
    seeds = 1
    together = [(source, name, content) for source in arrived for name, content in arrived[source].items()]
    for _, name, content in together:
        about: Mapping[str, Any] = {}
        if name.startswith("records/"):
            record = Record.parse(content.decode())
            about = record.provenance
            if record.seed < MOST_SEEDS:  # a user's artifact may have any other
                seeds = max(seeds, 1 + record.seed)
        elif name.startswith("states/"):
            about = history_of(content)["provenance"]
        parents.setdefault(_key_of(name), set()).update(p.partition("@")[0] for p in about.get("parents", {}))
    keys = {name: _keys_of(name, seeds, options) for name in params.load(params_file()).profiles}

    def home(key: str, source: str, path: tuple[str, ...] = ()) -> str | None:
        if profiles := [name for name in keys if key in keys[name]]:
            return source if source in profiles else profiles[0]
        of_parents = (home(p, source, (*path, key)) for p in sorted(parents.get(key, ())) if p not in path)
        return next(filter(None, of_parents), None)

    by_folder: dict[str, Members] = {}
    for source, name, content in together:
        by_folder.setdefault(home(_key_of(name), source) or source, {})[name] = content
    return by_folder


def _key_of(member: str) -> str:
    """Parse the key in a member's name: ``records/<key>.json``, ``states/<experiment>/<key>/<file>``."""
    path = PurePosixPath(member)
    return path.stem if path.parts[0] == "records" else path.parent.name


def _keys_of(profile: str, seeds: int, options: Options) -> frozenset[str]:
    """Return the keys of all Runs of a profile."""
    work = Workspace(replace(options, profile=profile, seeds=seeds))
    return frozenset(run.key for run in ancestors(work.every_run()))
