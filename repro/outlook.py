"""What a plan comes to: Runs, epochs, time on this device, disk, and what a further seed would cost and decide."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from repro import claims, conclude, files
from repro.artifacts import Artifact
from repro.options import Options
from repro.plan import Plan, cost, disk_bytes
from repro.report import terminal
from repro.run import ancestors
from repro.workspace import Workspace

FURTHER_SEEDS = 10  # as far as the plan looks ahead
_PLAN_FIELDS = ("runs", "tickets", "shared", "done", "left", "epochs_left", "images_left")
_PLAN_HEADER = ("Runs", "tickets", "shared", "done", "left", "epochs left", "images left")


def show_plan(options: Options, names: Sequence[str], calibrate: bool, as_json: bool) -> None:
    """Runs needed, shared, done and left; epochs, images, time on this device, disk."""
    work = Workspace(options, names)
    per_artifact = {artifact.name: _plan_entry(work, artifact) for artifact in work.artifacts}
    plan = work.plan()
    whole, left = cost(plan.runs), cost(plan.missing, work.store)
    speeds = _speeds(work, plan, options) if calibrate and plan.missing else {}
    seconds = sum(work_ / speeds[arch] for arch, work_ in left.images_by_arch.items()) if speeds else None
    shared = sum(e["runs"] for e in per_artifact.values()) - len(plan.runs)
    disk = disk_bytes(plan.missing, plan.keep)
    further = _further_seed(work, speeds)
    summary = {
        "profile": work.settings.name,
        "artifacts": per_artifact,
        "runs": len(plan.runs),
        "shared": shared,
        "left": len(plan.missing),
        "waves": len(plan.waves),
        "epochs": whole.epochs,
        "epochs_left": left.epochs,
        "images_left": left.images,
        "images_per_second": speeds,
        "seconds_left": seconds,
        "disk_bytes": disk,
        "further_seed": further,
    }
    if as_json:
        print(json.dumps(summary))
        return
    out = terminal.console()
    rows = [[name, *(f"{e[field]:,}" for field in _PLAN_FIELDS)] for name, e in per_artifact.items()]
    rows.append(["together", *(f"{n:,}" for n in (
        len(plan.runs), sum(run.experiment.startswith("tickets") for run in plan.runs), shared,
        len(plan.runs) - len(plan.missing), left.runs, left.epochs, left.images))])  # fmt: skip
    out.print(terminal.table(["artifact", *_PLAN_HEADER], rows, f"profile {work.settings.name}"))
    for name, e in per_artifact.items():
        for other, (number, tickets) in e["shared_with"].items():
            if name < other and tickets:
                out.print(f"{name} and {other} share {number} Runs, {tickets} of them tickets: trained once")
    for arch, speed in speeds.items():
        out.print(f"{arch}: {speed:,.0f} images/s here (calibrated)")
    if seconds is not None:
        out.print(f"time left on this device: {terminal.duration(seconds)}")
    _say_further_seed(further, out)
    free = shutil.disk_usage(files.existing(work.store.runs_dir)).free
    out.print(f"disk: {terminal.size(disk)} of checkpoints to come, {terminal.size(free)} free")


def _plan_entry(work: Workspace, artifact: Artifact) -> dict[str, Any]:
    plan = work.plan_for(work.runs(artifact))
    left = cost(plan.missing, work.store)
    keys = {run.key for run in plan.runs}
    others = {a.name: {r.key for r in ancestors(work.runs(a))} for a in work.artifacts if a is not artifact}
    tickets = {run.key for run in plan.runs if run.experiment.startswith("tickets")}
    shared_with = {n: [len(keys & other), len(tickets & other)] for n, other in others.items() if keys & other}
    return {
        "runs": len(plan.runs),
        "tickets": len(tickets),
        "shared": len(keys & set().union(*others.values())),
        "shared_with": shared_with,
        "done": len(plan.runs) - len(plan.missing),
        "left": left.runs,
        "epochs_left": left.epochs,
        "images_left": left.images,
    }


def _further_seed(work: Workspace, speeds: dict[str, float]) -> dict[str, Any]:
    """What one more seed of this command's artifacts costs, and which claims each further seed would decide."""
    judged = conclude.judgements(work)
    names = {artifact.name for artifact in work.artifacts}
    ours = [j for j in judged if names & set(j.claim.artifact)]
    now = max([len(work.seeds), *(j.n for j in ours)])
    more, present = (
        ancestors([run for artifact in work.artifacts for run in work.runs(artifact, seeds)])
        for seeds in ([now], range(now))
    )
    keys = {run.key for run in present}
    price = cost([run for run in more if run.key not in keys])  # Table 1 is calibrated once, on seed 0
    known = price.images_by_arch.keys() <= speeds.keys()
    return {
        "runs": price.runs,
        "epochs": price.epochs,
        "images": price.images,
        "seconds": sum(n / speeds[arch] for arch, n in price.images_by_arch.items()) if known else None,
        "decides": {str(n): ids for n, ids in claims.further_seeds(ours, FURTHER_SEEDS).items() if ids},
    }


def _say_further_seed(further: dict[str, Any], out: Console) -> None:
    time = "" if further["seconds"] is None else f", {terminal.duration(further['seconds'])} on this device"
    out.print(f"each further seed: {further['runs']:,} Runs, {further['epochs']:,} epochs{time}")
    for seeds, ids in further["decides"].items():
        out.print(f"  with {seeds} seeds, at the present estimates, decided: {', '.join(ids)}", markup=False)


def _speeds(work: Workspace, plan: Plan, options: Options) -> dict[str, float]:
    from repro.engine import calibrate, device

    chosen = device.choose(options.device)
    cache = work.store.runs_dir / ".calibration.json"
    first = {run.arch: run for run in plan.missing}
    return {
        arch: calibrate.images_per_second(arch, run.recipe, run.precision, chosen, cache)
        for arch, run in first.items()
    }
