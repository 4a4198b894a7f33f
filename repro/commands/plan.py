"""`repro plan`: summarise the remaining work (Runs, epochs, time, disk), the cost of one more seed,
and cheaper alternatives for ImageNet."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from repro import estimate, files
from repro.artifacts import Artifact
from repro.artifacts.pruning_table import windows_of
from repro.config.recipe import IMAGENET_ARCHS
from repro.estimate import Pace
from repro.experiments import PAPER_EPOCHS
from repro.options import Options
from repro.plan import cost, disk_bytes
from repro.report import terminal
from repro.run import ancestors
from repro.words import counted
from repro.workspace import Workspace

CHOSEN = (40, 70)  # the window of the paper's Table 4
_FIELDS = ("runs", "tickets", "shared", "done", "left", "epochs_left", "images_left")
_HEADER = ("Runs", "tickets", "shared", "done", "left", "epochs left", "images left")


def show_plan(
    options: Options, names: Sequence[str] = (), calibrate: bool | None = None, as_json: bool = False
) -> None:
    """Print the plan of the artifacts ``names``. ``calibrate``: time the device again (True), not at all (False),
    or only what is unknown (None)."""
    work = Workspace(options, names)
    per_artifact = {artifact.name: _artifact_entry(work, artifact) for artifact in work.artifacts}
    plan = work.plan()
    whole, left = cost(plan.runs), cost(plan.missing, work.store)
    paces: dict[str, Pace] = {}
    cuda = False
    if calibrate is not False:
        log = terminal.console(stderr=True)
        paces, cuda = estimate.paces(plan.missing, options.device, work.store, log, again=bool(calibrate))
    seconds = estimate.seconds(plan.missing, paces, work.store) if paces else None
    shared = sum(e["runs"] for e in per_artifact.values()) - len(plan.runs)
    disk = disk_bytes(plan.missing, plan.keep)
    further = _further_seed(work, paces)
    others = alternatives(work, paces)
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
        "images_per_second": {arch: pace.best for arch, pace in paces.items()},
        "strategies": {arch: pace.way for arch, pace in paces.items() if pace.way},
        "calibrated": {arch: pace.choice.measured for arch, pace in paces.items()},
        "seconds_left": seconds,
        "gpu_hours_left": seconds / 3600 if cuda and seconds is not None else None,
        "disk_bytes": disk,
        "further_seed": further,
        "alternatives": others,
    }
    if as_json:
        print(json.dumps(summary))
        return
    out = terminal.console()
    rows = [[name, *(f"{e[field]:,}" for field in _FIELDS)] for name, e in per_artifact.items()]
    tickets = sum(run.experiment.startswith("tickets") for run in plan.runs)
    done = len(plan.runs) - len(plan.missing)
    totals = (len(plan.runs), tickets, shared, done, left.runs, left.epochs, left.images)
    rows.append(["together", *(f"{n:,}" for n in totals)])
    out.print(terminal.table(["artifact", *_HEADER], rows, f"profile {work.settings.name}"))
    for name, e in per_artifact.items():
        for other, (number, of_tickets) in e["shared_with"].items():
            if name < other and of_tickets:
                both = f"{name} and {other} share {counted(number, 'Run')}"
                out.print(f"{both}, {of_tickets} of them tickets: trained once")
    for arch, pace in paces.items():
        out.print(f"{arch}: {terminal.speed(pace.best)} here ({'; '.join(filter(None, (pace.way, pace.source)))})")
    if seconds is not None:
        gpu_hours = f" ({seconds / 3600:,.1f} GPU-hours)" if cuda else ""
        time = f"{terminal.duration(seconds)}{gpu_hours}"
        out.print(f"time left on this device: {time}; --calibrate measures it again")
    time = "" if further["seconds"] is None else f", {terminal.duration(further['seconds'])} on this device"
    out.print(f"each further seed: {counted(further['runs'], 'Run')}, {counted(further['epochs'], 'epoch')}{time}")
    free = shutil.disk_usage(files.existing(work.store.runs_dir)).free
    out.print(f"disk: {terminal.size(disk)} of checkpoints to come, {terminal.size(free)} free")
    _print_alternatives(others, out)


def _artifact_entry(work: Workspace, artifact: Artifact) -> dict[str, Any]:
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
    """Return the cost of one more seed of these artifacts; `repro claims` says how many each claim needs."""
    asked = [run for artifact in work.artifacts for run in work.runs(artifact)]
    more = [run for artifact in work.artifacts for run in work.runs(artifact, [len(work.seeds)])]
    present = {run.key for run in ancestors(asked)}
    runs = [run for run in ancestors(more) if run.key not in present]  # Table 1 is calibrated once, on seed 0
    price = cost(runs)
    seconds = estimate.seconds(runs, paces)
    return {"runs": price.runs, "epochs": price.epochs, "images": price.images, "seconds": seconds}


# Alternatives for ImageNet


def alternatives(work: Workspace, paces: Mapping[str, Pace]) -> list[dict[str, Any]]:
    """Return cost and time of the plan as requested and of its alternatives, each with its ``options`` on the
    command line; nothing if no Run on ImageNet is missing."""
    archs = list(dict.fromkeys(run.arch for run in work.plan().missing))
    of_imagenet = [arch for arch in archs if arch in IMAGENET_ARCHS]
    if not of_imagenet:
        return []
    ways: list[tuple[str, list[str], Workspace]] = [("as asked", [], work)]
    if len(archs) > 1:
        ways += [(f"--arch {arch}", ["--arch", arch], work.with_settings(arch=arch)) for arch in archs]
    rows = {arch: windows_of(work.study, arch) for arch in of_imagenet}
    if windows := {arch: _nearest(own, work) for arch, own in rows.items() if own}:
        changes = {f"table3.{arch}": {"one_shot": [], "windows": [own]} for arch, own in windows.items()}
        settings = [f"table3.{arch}={{one_shot: [], windows: [{own}]}}" for arch, own in windows.items()]
        options = [word for setting in settings for word in ("--set", setting)]
        ways.append(("one window only", options, work.with_settings(changes)))
    if any(artifact.optional for artifact in work.artifacts) and not work.options.with_iterative:
        ways.append(("--with-iterative", ["--with-iterative"], work.with_settings(with_iterative=True)))
    found: list[dict[str, Any]] = []
    for what, options, other in ways:
        plan = other.plan()
        price, disk = cost(plan.missing, work.store), disk_bytes(plan.missing, plan.keep)
        counts = {"runs": price.runs, "epochs": price.epochs, "images": price.images}
        if found and counts.items() <= found[0].items():
            continue
        seconds = estimate.seconds(plan.missing, paces, work.store)
        found.append({"what": what, "options": options, **counts, "seconds": seconds, "disk_bytes": disk})
    return found


def _nearest(windows: Sequence[tuple[int, int]], work: Workspace) -> list[int]:
    """Return the window that is nearest to the paper's choice."""
    epochs = work.settings.profile.imagenet.recipe.epochs
    first, last = (epoch * epochs / PAPER_EPOCHS["imagenet"] for epoch in CHOSEN)
    nearest = min(windows, key=lambda window: abs(window[0] - first) + abs(window[1] - last))
    return list(nearest)


def _print_alternatives(others: Sequence[Mapping[str, Any]], out: Console) -> None:
    if not others:
        return
    rows = []
    for other in others:
        time = "not calibrated" if other["seconds"] is None else terminal.duration(other["seconds"])
        counts = [f"{other[name]:,}" for name in ("runs", "epochs", "images")]
        rows.append([other["what"], *counts, time, terminal.size(other["disk_bytes"])])
    header = ["", "Runs", "epochs", "images", "time here", "disk"]
    out.print(terminal.table(header, rows, "\nalternatives, and what is left to train of each"))
    for other in others:
        if "--set" in other["options"]:
            out.print(f"{other['what']}: {shlex.join(other['options'])}", markup=False, soft_wrap=True)
