"""`repro runs export` and `repro runs import`: finished Runs, and those under way, from one machine to another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
    names: Sequence[str],
    file: Path,
    max_size: str,
    left_only: bool,
    with_states: bool,
    with_final: bool = False,
) -> None:
    """Write finished Runs and the checkpoints that others need to ``file``; with ``left_only`` those that Runs
    still to be trained need, for whichever artifact; with ``with_states`` where unfinished ones stand, with
    ``with_final`` the final weights that were kept, too."""
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
    say_exported(archive.export(members, file, size, work.out.name))


def say_exported(exported: archive.Exported) -> None:
    """The files written, and what they have no room for."""
    for path in exported.files:
        if path.is_file():
            print(f"written: {path} ({terminal.size(path.stat().st_size)})")
    if exported.left_out:
        kinds = [name.partition("/")[0] for name in exported.left_out]
        told = " and ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        print(f"left out for want of room (--max-total): {told}")


def import_runs(options: Options, paths: Sequence[Path], ship: bool) -> None:
    """Take over Runs from ``paths``, each into the results folder of the profile that its key belongs to."""
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
        states = f", {counted(result.states, 'state')} of Runs under way" if result.states else ""
        print(
            f"{out}: {counted(result.new, 'Run')} new, {result.known} known already, "
            f"{counted(result.checkpoints, 'checkpoint')}{states}"
        )
        if ship and result.checkpoints:
            print(shipped.hand_to_dvc(out))
        for label in result.conflicts:
            print(f"kept ours: {label} differs from the one in the file", file=sys.stderr)


def by_profile(arrived: dict[str, Members], options: Options) -> dict[str, Members]:
    """``arrived``, by results folder: each Run under the profile in params.yaml that asks for its key, or for one
    that it grew from, whatever the folder was called that it left; under that name where no profile does."""
    parents: dict[str, set[str]] = {}
    seeds = 1
    for members in arrived.values():
        for name, content in members.items():
            kind, key = _kind_and_key(name)
            if kind == "records":
                record = Record.parse(content.decode())
                seeds = max(seeds, 1 + record.seed)
                grown_from = record.provenance.get("parents", {})
            else:
                grown_from = archive.parents_of_state(content) if kind == "states" else {}
            parents.setdefault(key, set()).update(place.partition("@")[0] for place in grown_from)
    keys = {name: _keys_of(name, seeds, options) for name in _profiles()}

    def home(key: str, told: str, way: tuple[str, ...] = ()) -> str | None:
        found = [name for name in keys if key in keys[name]]
        if found:
            return told if told in found else found[0]
        grown = (home(parent, told, (*way, key)) for parent in sorted(parents.get(key, ())) if parent not in way)
        return next(filter(None, grown), None)

    sorted_out: dict[str, Members] = {}
    for told, members in arrived.items():
        for name, content in members.items():
            folder = home(_kind_and_key(name)[1], told) or told
            sorted_out.setdefault(folder, {})[name] = content
    return sorted_out


def _kind_and_key(member: str) -> tuple[str, str]:
    kind, *place = member.split("/")
    return kind, place[0].removesuffix(".json") if kind == "records" else place[1]


def _profiles() -> list[str]:
    return list(params.load(params_file()).profiles)


def _keys_of(profile: str, seeds: int, options: Options) -> frozenset[str]:
    """The keys of all Runs that a profile asks for."""
    work = Workspace(replace(options, profile=profile, seeds=seeds))
    return frozenset(run.key for run in ancestors(work.every_run()))
