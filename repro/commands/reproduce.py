"""`repro reproduce`: render what is shipped, then train and render everything that is missing, in one process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from repro import files, workspace
from repro.artifacts import Artifact
from repro.commands import report as conclude
from repro.commands import train
from repro.config import params
from repro.data import cifar10
from repro.data.imagenet import index
from repro.errors import MissingInput, RunFailed
from repro.options import Options
from repro.places import find_root
from repro.report import terminal
from repro.report.document import Document
from repro.words import tally
from repro.workspace import Workspace, data_folders

SHIPPED = ("paper", "pilot")  # the first of these that has results is rendered first


def reproduce(options: Options) -> None:
    """Render what the repository ships, then each artifact of the profile as soon as its Runs are finished.

    Raises `UsageError` for an unknown profile, and what `train.execute` raises; `RunFailed` at the end.
    """
    folders = data_folders(options.data_dir, find_root(options.params_file))
    chosen, why = choose(options.profile, folders)
    work = Workspace(replace(options, profile=chosen))
    without = left_out(work)
    work = work.changed(without=without)
    log = terminal.console(stderr=True)
    if options.is_main:
        _show_shipped(work, log)
    log.print(f"profile {chosen}: {why}", markup=False)
    if without:
        log.print(f"{', '.join(without)}: missing or not prepared; its Runs are left out", markup=False)
    files.check_lockable(work.out)
    failed = _train(work, log)
    if not options.is_main:
        return
    _summarise(conclude.write_report(work))
    print(f"figures and tables: {work.out}")
    print(f"what holds and what does not: {work.out / 'index.html'}")
    print(f"this was profile {chosen}: {why}")
    if chosen == "smoke" and not options.profile and (place := cifar10.find(folders)):
        print(
            f"CIFAR-10 is here ({place}) but no GPU: `repro fig3 --profile pilot --ignore-shipped` trains on a "
            "tenth of its images, for a tenth of the schedule (docs/pilot.md); `repro plan --profile pilot "
            "--ignore-shipped` estimates how long this machine takes"
        )
    if failed:
        raise failed


def choose(profile: str | None, folders: list[Path]) -> tuple[str, str]:
    """Return the profile to run, and why: the requested one, or paper if CUDA and CIFAR-10 are here, or smoke."""
    if profile:
        return profile, "asked for"
    import torch

    place = cifar10.find(folders)
    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    if cuda and place:
        return "paper", f"{cuda} and CIFAR-10 ({place}) are here"
    missing = [*([] if cuda else ["no CUDA device"]), *([] if place else ["no CIFAR-10"])]
    return "smoke", (
        f"{' and '.join(missing)} here, so this is a check on synthetic images that everything runs; "
        "its numbers say nothing about the paper"
    )


def left_out(work: Workspace) -> list[str]:
    """Return the data sets whose Runs are left out: those of ``$REPRO_WITHOUT``, and ImageNet if Runs need it and
    it is missing. Everything else can be reproduced without its 150 GB."""
    needed = any(run.data.name == "imagenet" for run in work.every_run())
    missing = needed and not index.find(work.folders)
    return sorted({*work.options.without, *(["imagenet"] if missing else [])})


def _train(work: Workspace, log: Console) -> RunFailed | None:
    """Train everything, and render each artifact as soon as none of its Runs is missing, in the end the others;
    return the error of single Runs. Only the main process renders."""
    waiting = list(work.artifacts) if work.options.is_main else []

    def render(artifacts: Sequence[Artifact]) -> None:
        for artifact in artifacts:
            made = work.render(artifact)
            waiting.remove(artifact)
            log.print(f"{artifact.name}: {work.out / artifact.name}.png; {_verdicts(made)}", markup=False)

    def render_complete() -> None:
        render([a for a in waiting if all(work.store.record(run) for run in work.runs(a, guess=False))])

    render_complete()
    plan = train.to_train(work, log)
    failed = train.execute(work, plan, log, render_complete) if plan else None
    render(list(waiting))
    return failed


def _show_shipped(work: Workspace, log: Console) -> None:
    """Write and summarise the page and artifacts of the ledger in git, unless the command updates them anyway."""
    known, folder = params.load(work.params_file).profiles, workspace.shipped_results(work.root)
    name = next((n for n in SHIPPED if n in known and (folder / n / "runs.jsonl").exists()), None)
    if name is None or name == work.settings.name or work.options.ignore_shipped:
        return
    out, runs_dir = work.options.out, work.store.runs_dir
    shipped = Workspace(Options(profile=name, params_file=work.params_file, runs_dir=runs_dir, out=out))
    print(f"measured so far, profile {name}, from the repository:")
    try:
        documents = conclude.write_report(shipped)
    except MissingInput as error:  # the folder belongs to another user
        log.print(f"not written: {error}", markup=False)
        documents = [shipped.render(artifact, write=False) for artifact in shipped.artifacts]
    _summarise(documents)
    sys.stdout.flush()


def _summarise(documents: Sequence[Document]) -> None:
    for made in documents:
        print(f"  {made.artifact:<12}{_verdicts(made)}")


def _verdicts(made: Document) -> str:
    return tally(made.verdicts) or "no cells in this profile"
