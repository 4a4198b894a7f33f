"""`repro plan`: summarise the remaining work (Runs, epochs, time, disk), the cost of one more seed,
and cheaper alternatives for ImageNet."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from repro import estimate, files
from repro.artifacts.pruning_table import windows_of
from repro.config.recipe import IMAGENET_ARCHS
from repro.errors import UsageError
from repro.estimate import Pace
from repro.experiments import paper_epochs
from repro.options import Options
from repro.plan import Plan, cost
from repro.report import terminal
from repro.report.tables import Table
from repro.run import Run, ancestors
from repro.store import Store
from repro.words import counted
from repro.workspace import Workspace

CHOSEN = (40, 70)  # the window of the paper's Table 4
COLUMNS = ("runs", "tickets", "shared", "done", "left", "epochs_left", "images_left")


def show_plan(
    options: Options, names: Sequence[str] = (), calibrate: bool | None = None, as_json: bool = False
) -> None:
    """Print the plan of the artifacts ``names``. ``calibrate``: time the device again (True), not at all (False),
    or only what is unknown (None)."""
    work = Workspace(options, names)
    plan, paces = work.plan(), dict[str, Pace]()
    if calibrate is not False:
        log = terminal.console(stderr=True)
        paces = estimate.paces(plan.missing, options.device, work.store, log, again=bool(calibrate))
    plans = {artifact.name: work.plan(work.without_left_out(work.runs(artifact))) for artifact in work.artifacts}
    seconds = estimate.seconds(plan.missing, paces, work.store) if paces else None
    cuda = any(pace.cuda for pace in paces.values())
    summary = _counts(plan, work.store) | {
        "shared": sum(len(of.runs) for of in plans.values()) - len(plan.runs),
        "profile": work.settings.name,
        "artifacts": {name: _counts(of, work.store) | _shared(name, plans) for name, of in plans.items()},
        "waves": len(plan.waves),
        "epochs": cost(plan.runs).epochs,
        "images_per_second": {arch: pace.best for arch, pace in paces.items()},
        "strategies": {arch: pace.way for arch, pace in paces.items() if pace.way},
        "calibrated": {arch: pace.choice.measured for arch, pace in paces.items()},
        "seconds_left": seconds,
        "gpu_hours_left": seconds / 3600 if cuda and seconds is not None else None,
        "disk_bytes": plan.disk_bytes,
        "further_seed": _further_seed(work, plan, paces),
        "alternatives": alternatives(work, plan, paces),
    }
    if as_json:
        print(json.dumps(summary))
    else:
        _show(summary, paces, work.store)


def _show(summary: Mapping[str, Any], paces: Mapping[str, Pace], store: Store) -> None:
    """Print the plan's ``summary``, as tables and sentences."""
    out, further = terminal.console(), summary["further_seed"]
    every = [*summary["artifacts"].items(), ("together", summary)]
    rows = [[name, *(f"{of[column]:,}" for column in COLUMNS)] for name, of in every]
    header = ["artifact", *(column.replace("_", " ").replace("runs", "Runs") for column in COLUMNS)]
    out.print(Table(header, rows, f"profile {summary['profile']}"))
    for name, of in summary["artifacts"].items():
        for other, (number, of_tickets) in of["shared_with"].items():
            if name < other and of_tickets:
                both = f"{name} and {other} share {counted(number, 'Run')}"
                out.print(f"{both}, {of_tickets} of them tickets: trained once")
    for arch, pace in paces.items():
        out.print(f"{arch}: {pace.describe()}")
    if (seconds := summary["seconds_left"]) is not None:
        hours = summary["gpu_hours_left"]
        gpu_hours = "" if hours is None else f" ({hours:,.1f} GPU-hours)"
        out.print(
            f"time left on this device: {terminal.duration(seconds)}{gpu_hours}; --calibrate measures it again"
        )
    time = "" if further["seconds"] is None else f", {terminal.duration(further['seconds'])} on this device"
    out.print(f"each further seed: {counted(further['runs'], 'Run')}, {counted(further['epochs'], 'epoch')}{time}")
    needed, free = terminal.size(summary["disk_bytes"]), terminal.size(files.free(store.runs_dir))
    out.print(f"disk: {needed} of checkpoints to come, {free} free")
    if others := summary["alternatives"]:
        _show_alternatives(others, out)


def _show_alternatives(others: Sequence[Mapping[str, Any]], out: Console) -> None:
    """Print what `alternatives` returned, and the options of those that change a setting."""
    rows = []
    for other in others:
        time = "not calibrated" if other["seconds"] is None else terminal.duration(other["seconds"])
        counts = [f"{other[name]:,}" for name in ("runs", "epochs", "images")]
        rows.append([other["what"], *counts, time, terminal.size(other["disk_bytes"])])
    header = ["", "Runs", "epochs", "images", "time here", "disk"]
    out.print(Table(header, rows, "\nalternatives, and what is left to train of each"))
    for other in others:
        if "--set" in other["options"]:
            out.print(f"{other['what']}: {shlex.join(other['options'])}", markup=False, soft_wrap=True)


def _price(runs: Sequence[Run], paces: Mapping[str, Pace], store: Store | None = None) -> dict[str, Any]:
    """Return what is left to train of ``runs``, and its time, None if it is not known."""
    return {**vars(cost(runs, store)), "seconds": estimate.seconds(runs, paces, store)}


def _counts(plan: Plan, store: Store) -> dict[str, int]:
    """Return the numbers of a plan's Runs, and what is left of them."""
    left = cost(plan.missing, store)
    return {
        "runs": len(plan.runs),
        "tickets": len(_tickets(plan)),
        "done": plan.done,
        "left": left.runs,
        "epochs_left": left.epochs,
        "images_left": left.images,
    }


def _tickets(plan: Plan) -> set[str]:
    return {run.key for run in plan.runs if run.experiment.startswith("tickets")}


def _shared(name: str, plans: Mapping[str, Plan]) -> dict[str, Any]:
    """Return how many Runs an artifact shares with others, and the Runs and tickets shared with each of them."""
    others = {other: {run.key for run in plan.runs} for other, plan in plans.items()}
    own, tickets = others.pop(name), _tickets(plans[name])
    return {
        "shared": len(own & set().union(*others.values())),
        "shared_with": {other: [len(own & of), len(tickets & of)] for other, of in others.items() if own & of},
    }


def _further_seed(work: Workspace, plan: Plan, paces: Mapping[str, Pace]) -> dict[str, Any]:
    """Return the cost of one more seed of these artifacts; `repro claims` says how many each claim needs."""
    present = {run.key for run in plan.runs}  # Table 1 is calibrated on seed 0
    runs = ancestors([run for artifact in work.artifacts for run in work.runs(artifact, [len(work.seeds)])])
    return _price([run for run in work.without_left_out(runs) if run.key not in present], paces)


def alternatives(work: Workspace, plan: Plan, paces: Mapping[str, Pace]) -> list[dict[str, Any]]:
    """Return cost and time of the ``plan`` as requested and of its alternatives for ImageNet, each with its
    ``options`` on the command line; nothing if no Run on ImageNet is missing."""
    archs = list(dict.fromkeys(run.arch for run in plan.missing))
    of_imagenet = [arch for arch in archs if arch in IMAGENET_ARCHS]
    if not of_imagenet:
        return []
    ways: list[tuple[str, list[str], dict[str, Any]]] = [("as asked", [], {})]
    if len(archs) > 1:
        ways += [(f"--arch {arch}", ["--arch", arch], {"arch": arch}) for arch in archs]
    # Of each network the window that is nearest to the paper's choice.
    epochs = work.settings.profile.imagenet.recipe.epochs
    first, last = (epoch * epochs / paper_epochs(IMAGENET_ARCHS[0]) for epoch in CHOSEN)
    settings: list[str] = []
    for arch in of_imagenet:
        if windows := windows_of(work.study, arch):
            nearest = min(windows, key=lambda window: abs(window[0] - first) + abs(window[1] - last))
            settings.append(f"table3.{arch}={{one_shot: [], windows: [{list(nearest)}]}}")
    if settings:
        words = [word for setting in settings for word in ("--set", setting)]
        ways.append(("one window only", words, {"overrides": [*work.options.overrides, *settings]}))
    if any(artifact.optional for artifact in work.artifacts) and not work.options.with_iterative:
        ways.append(("--with-iterative", ["--with-iterative"], {"with_iterative": True}))
    found: list[dict[str, Any]] = []
    for what, words, changes in ways:
        with contextlib.suppress(UsageError):  # not every artifact has every network
            other = work.changed(**changes).plan() if changes else plan
            price = _price(other.missing, paces, work.store)
            if not found or any(price[name] != found[0][name] for name in ("runs", "epochs", "images")):
                found.append({"what": what, "options": words, **price, "disk_bytes": other.disk_bytes})
    return found
