"""What a plan comes to: Runs, epochs, time on this device, disk; what a further seed would cost and decide, and on
ImageNet what other ways would cost."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from repro import claims, estimate, files
from repro.artifacts import Artifact
from repro.commands import report as conclude
from repro.commands.alternatives import Alternative, alternatives
from repro.estimate import Pace
from repro.options import Options
from repro.plan import Cost, cost, disk_bytes
from repro.report import terminal
from repro.run import ancestors
from repro.words import counted
from repro.workspace import Workspace

FURTHER_SEEDS = 10  # as far as the plan looks ahead
_PLAN_FIELDS = ("runs", "tickets", "shared", "done", "left", "epochs_left", "images_left")
_PLAN_HEADER = ("Runs", "tickets", "shared", "done", "left", "epochs left", "images left")


def show_plan(options: Options, names: Sequence[str], calibrate: bool | None, as_json: bool) -> None:
    """Runs needed, shared, done and left; epochs, images, time on this device, disk. ``calibrate`` measures the
    device again; None only what was not measured yet."""
    work = Workspace(options, names)
    per_artifact = {artifact.name: _plan_entry(work, artifact) for artifact in work.artifacts}
    plan = work.plan()
    whole, left = cost(plan.runs), cost(plan.missing, work.store)
    paces: dict[str, Pace] = {}
    cuda = False
    if calibrate is not False:
        log = terminal.console(stderr=True)
        paces, cuda = estimate.measured(plan.missing, options.device, work.store, log, again=bool(calibrate))
    seconds = estimate.seconds(plan.missing, paces, work.store) if paces else None
    shared = sum(e["runs"] for e in per_artifact.values()) - len(plan.runs)
    disk = disk_bytes(plan.missing, plan.keep)
    further = _further_seed(work, paces)
    others = alternatives(work)
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
        "images_per_second": {arch: own.best for arch, own in paces.items()},
        "strategies": {arch: own.way for arch, own in paces.items() if own.way},
        "calibrated": {arch: own.measured for arch, own in paces.items()},
        "seconds_left": seconds,
        "gpu_hours_left": seconds / 3600 if cuda and seconds is not None else None,
        "disk_bytes": disk,
        "further_seed": further,
        "alternatives": [_alternative_entry(other, paces) for other in others],
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
                out.print(
                    f"{name} and {other} share {counted(number, 'Run')}, {tickets} of them tickets: trained once"
                )
    for arch, own in paces.items():
        out.print(f"{arch}: {terminal.speed(own.best)} here ({'; '.join(filter(None, (own.way, own.source)))})")
    if seconds is not None:
        gpu_hours = f" ({seconds / 3600:,.1f} GPU-hours)" if cuda else ""
        out.print(
            f"time left on this device: {terminal.duration(seconds)}{gpu_hours}; --calibrate measures it again"
        )
    _say_further_seed(further, out)
    free = shutil.disk_usage(files.existing(work.store.runs_dir)).free
    out.print(f"disk: {terminal.size(disk)} of checkpoints to come, {terminal.size(free)} free")
    _say_alternatives(others, paces, out)


def on_cpu(options: Options, log: Console | None = None) -> dict[str, float]:
    """Seconds that each artifact of ``options.profile`` takes on this machine's CPU, trained from nothing and by
    itself, and under ``"together"`` all of them, Runs that they share once.

    Speeds are measured in some seconds where they are not known yet, and told on ``log`` (default: stderr)."""
    work = Workspace(dataclasses.replace(options, device="cpu"))
    needed = {artifact.name: ancestors(work.runs(artifact)) for artifact in work.artifacts}
    together = ancestors([run for runs in needed.values() for run in runs])
    log = log or terminal.console(stderr=True)
    paces, _ = estimate.measured(together, "cpu", work.store, log, briefly=True)
    needed |= {"together": together}
    seconds = {name: estimate.seconds(runs, paces) for name, runs in needed.items() if runs}
    return {name: own for name, own in seconds.items() if own is not None}


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


def _further_seed(work: Workspace, paces: Mapping[str, Pace]) -> dict[str, Any]:
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
    runs = [run for run in more if run.key not in keys]  # Table 1 is calibrated once, on seed 0
    price = cost(runs)
    return {
        "runs": price.runs,
        "epochs": price.epochs,
        "images": price.images,
        "seconds": estimate.seconds(runs, paces),
        "decides": {str(n): ids for n, ids in claims.further_seeds(ours, FURTHER_SEEDS).items() if ids},
    }


def _say_further_seed(further: dict[str, Any], out: Console) -> None:
    time = "" if further["seconds"] is None else f", {terminal.duration(further['seconds'])} on this device"
    out.print(f"each further seed: {counted(further['runs'], 'Run')}, {counted(further['epochs'], 'epoch')}{time}")
    for seeds, ids in further["decides"].items():
        out.print(f"  with {seeds} seeds, at the present estimates, decided: {', '.join(ids)}", markup=False)


def _alternative_entry(other: Alternative, paces: Mapping[str, Pace]) -> dict[str, Any]:
    return {
        "what": other.what,
        "options": list(other.options),
        "runs": other.cost.runs,
        "epochs": other.cost.epochs,
        "images": other.cost.images,
        "seconds": _priced(other.cost, paces),
        "disk_bytes": other.disk,
    }


def _say_alternatives(others: Sequence[Alternative], paces: Mapping[str, Pace], out: Console) -> None:
    if not others:
        return
    rows = []
    for other in others:
        seconds = _priced(other.cost, paces)
        counted = [f"{n:,}" for n in (other.cost.runs, other.cost.epochs, other.cost.images)]
        time = "not calibrated" if seconds is None else terminal.duration(seconds)
        rows.append([other.what, *counted, time, terminal.size(other.disk)])
    header = ["", "Runs", "epochs", "images", "time here", "disk"]
    out.print(terminal.table(header, rows, "\nother ways, and what is left to train of each"))
    for other in others:
        if "--set" in other.options:
            out.print(f"{other.what}: {shlex.join(other.options)}", markup=False, soft_wrap=True)


def _priced(price: Cost, paces: Mapping[str, Pace]) -> float | None:
    """How long it takes here at full pace; None where a network's was not measured."""
    if not price.images_by_arch.keys() <= paces.keys():
        return None
    return sum(images / paces[arch].best for arch, images in price.images_by_arch.items())
