"""`repro runs export` and `repro runs import`: move finished and unfinished Runs between machines."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from repro import files, workspace
from repro.config import params
from repro.options import Options
from repro.places import find_root, params_file
from repro.plan import final_epochs
from repro.record import Record
from repro.report import terminal
from repro.run import ancestors, start_epochs
from repro.store import Store, archive, shipped
from repro.store.archive import Members
from repro.words import counted
from repro.workspace import Workspace


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
    if left_only:
        keep = start_epochs(run for run in ancestors(work.every_run()) if store.record(run) is None)
    else:
        keep = work.plan().keep
    if with_final:
        final = final_epochs(runs)
        keep = {key: keep.get(key, set()) | final.get(key, set()) for key in (*keep, *final)}
    members = [*archive.records(store, runs), *archive.checkpoints(store, runs, keep)]
    members += archive.states(store, runs) if with_states else ()
    report_exported(archive.export(members, file, size, work.out.name))


def report_exported(exported: archive.Exported) -> None:
    """Print the files written, and what was left out."""
    for path in exported.files:
        if path.is_file():
            print(f"written: {path} ({terminal.size(path.stat().st_size)})")
    if exported.left_out:
        kinds = [name.partition("/")[0] for name in exported.left_out]
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


def by_profile(arrived: dict[str, Members], options: Options) -> dict[str, Members]:
    """Sort imported members by results folder: the profile in params.yaml that contains a Run's key, or one of its
    ancestors; if there is none, the folder that it came from."""
    parents: dict[str, set[str]] = {}
    seeds = 1
    for name, content in ((name, content) for members in arrived.values() for name, content in members.items()):
        kind, key = _kind_and_key(name)
        of_run: Mapping[str, str] = archive.parents_of_state(content) if kind == "states" else {}
        if kind == "records":
            record = Record.parse(content.decode())
            seeds, of_run = max(seeds, 1 + record.seed), record.provenance.get("parents", {})
        parents.setdefault(key, set()).update(parent.partition("@")[0] for parent in of_run)
    keys = {name: _keys_of(name, seeds, options) for name in params.load(params_file()).profiles}

    def home(key: str, source: str, path: tuple[str, ...] = ()) -> str | None:
        if profiles := [name for name in keys if key in keys[name]]:
            return source if source in profiles else profiles[0]
        of_parents = (home(p, source, (*path, key)) for p in sorted(parents.get(key, ())) if p not in path)
        return next(filter(None, of_parents), None)

    by_folder: dict[str, Members] = {}
    for source, members in arrived.items():
        for name, content in members.items():
            folder = home(_kind_and_key(name)[1], source) or source
            by_folder.setdefault(folder, {})[name] = content
    return by_folder


def _kind_and_key(member: str) -> tuple[str, str]:
    kind, *location = member.split("/")
    return kind, location[0].removesuffix(".json") if kind == "records" else location[1]


def _keys_of(profile: str, seeds: int, options: Options) -> frozenset[str]:
    """Return the keys of all Runs of a profile."""
    work = Workspace(replace(options, profile=profile, seeds=seeds))
    return frozenset(run.key for run in ancestors(work.every_run()))
