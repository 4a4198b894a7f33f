"""`repro <artifact>`: train the missing Runs, then render and compare."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console

from repro import files
from repro.data import cifar10, imagenet
from repro.errors import CheckpointGone, MissingInput, RunFailed, UsageError
from repro.options import Options, placed
from repro.plan import Plan, cost, forgotten
from repro.report import terminal
from repro.report.document import as_json as document_json
from repro.run import Photos
from repro.words import are, counted
from repro.workspace import Workspace, reading


def produce(options: Options, names: Sequence[str], *, dry_run: bool, as_json: bool, no_train: bool) -> None:
    """Train the missing Runs of the artifacts, then render and compare them. Only render with ``no_train``, and if
    there are finished Runs but no images to train on (a clone that shows what it ships)."""
    work = reading(options, names) if no_train else Workspace(options, names)
    log = terminal.console(stderr=True)
    if dry_run:
        _print_plan(work, work.plan(), as_json)
        return
    plan, write = None if no_train else to_train(work, log), True
    try:
        files.check_lockable(work.out)
    except MissingInput as error:
        if plan:
            raise
        write = False
        log.print(f"nothing was written: {error}", markup=False)
    failed = execute(work, plan, log) if plan else None
    for artifact in work.artifacts if options.is_main else ():
        document = work.render(artifact, write)
        if as_json:
            print(document_json(document), end="")
            continue
        terminal.show(document, terminal.console())
        if write:
            print(f"written: {work.out / artifact.name}.json, .csv, .md and .png")
    if failed:  # what finished is shown, with diverged cells marked
        raise failed


def to_train(work: Workspace, log: Console) -> Plan | None:
    """Plan the missing Runs of ``work``'s artifacts, and log which stay missing and why. Return None if nothing is
    left to train, or if images are missing, but there are results to show.

    Raises `MissingInput` if images are missing and nothing is finished, or if they are not in ``--data-dir``."""
    plan = work.plan(work.asked())
    try:
        check_images(work, plan)
    except MissingInput as missing:
        left = [run for run in plan.missing if run.key not in plan.replays]
        if work.options.data_dir or not 0 < len(left) < len(plan.runs):
            raise
        log.print(f"{are(len(left), 'Run')} not finished, their cells stay 'not run': {missing}", markup=False)
        return None
    if runs := work.left_out():
        names = ", ".join(sorted({run.data.name for run in runs}))
        log.print(f"{are(len(runs), 'Run')} left out ($REPRO_WITHOUT), on {names}: their cells stay 'not run'")
    if work.options.keep_final:
        unfinished = {run.key for run in plan.missing}
        # No command trains these by itself.
        if gone := forgotten([run for run in plan.runs if run.key not in unfinished], work.store):
            one = f"`repro runs train {gone[0].key} --keep-final` trains one again ({gone[0].label})"
            log.print(f"--keep-final comes too late for {counted(len(gone), 'finished Run')}: {one}", markup=False)
    return _unless_done(plan)


def _unless_done(plan: Plan) -> Plan | None:
    return plan if plan.missing or plan.blocked else None


def _print_plan(work: Workspace, plan: Plan, as_json: bool) -> None:
    left, out = cost(plan.missing, work.store), terminal.console()
    if as_json:
        totals = {"profile": work.settings.name, "runs": len(plan.runs), "waves": len(plan.waves)}
        totals |= {"epochs": left.epochs, "images": left.images}
        missing = [{"key": run.key, "label": run.label} for run in plan.missing]
        print(json.dumps(totals | {"to_train": missing}))
        return
    out.print(
        f"profile {work.settings.name}: {counted(len(plan.runs), 'Run')}, {len(plan.missing)} to train "
        f"in {counted(len(plan.waves), 'wave')}, {counted(left.epochs, 'epoch')}, {left.images:,} images"
    )
    for run in plan.missing:
        out.print(f"  {run.key}  {run.label}", markup=False)


def execute(
    work: Workspace, plan: Plan, log: Console, then: Callable[[], None] = lambda: None
) -> RunFailed | None:
    """Train ``plan``, then what is left if a checkpoint turns out to be damaged, or if the new results require
    further Runs. ``then`` is called after each Run. Return the error of Runs without a result, so that the others
    are shown before it is raised. Raises what else `Session.execute` raises."""
    check_room(work, plan)
    if work.options.is_main:  # what workers left after their driver died
        work.store.add([record for run in plan.runs if (record := work.store.record(run))])
    left: Plan | None = plan
    with _trainer(work, log, then) as train:
        while True:
            try:
                if not train(left):
                    return None
            except RunFailed as error:
                return error
            except CheckpointGone as error:  # it is set aside now, so the next plan trains its Run again
                if placed().ranks > 1:
                    raise
                log.print(f"{error}: trained again", markup=False)
            left = _unless_done(work.plan(work.asked()))


def _trainer(
    work: Workspace, log: Console, then: Callable[[], None]
) -> contextlib.AbstractContextManager[Callable[[Plan | None], bool]]:
    """Return a function that trains a plan (False for None): in this process and its ranks, or in workers."""
    options = work.options
    if options.pooled:
        if placed().ranks > 1:
            raise UsageError("--gpus, --workers and --launcher start their own processes: do not use torchrun")
        from repro import launch

        return launch.trainer(work, log, then)
    from repro.engine import session
    from repro.report.progress import TrainingProgress

    observer = partial(TrainingProgress, log, work.store, then=then)
    return session.trainer(work.store, work.folders, options, observer)


def check_images(work: Workspace, plan: Plan) -> None:
    """Raise `MissingInput` if the images of a missing Run are not here."""
    for data in {run.data for run in plan.missing}:
        if data.name == "cifar10":
            cifar10.require(work.folders)
        if isinstance(data, Photos) and data.name == "imagenet":
            imagenet.prepared(work.folders, data.stored)


def check_room(work: Workspace, plan: Plan) -> None:
    """Raise `MissingInput` before anything is trained if the disk has no room for the checkpoints to come."""
    needed, free = plan.disk_bytes, files.free(work.store.runs_dir)
    if needed > free:
        raise MissingInput(
            f"{work.store.runs_dir} needs {terminal.size(needed)} for checkpoints and has {terminal.size(free)} "
            "free: free some, or pass another --runs-dir"
        )
