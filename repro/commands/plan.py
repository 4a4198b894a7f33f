"""`repro plan`: summarise the remaining work (Runs, epochs, time, disk), the cost and benefit of one more seed,
and cheaper alternatives for ImageNet."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from repro import claims, estimate, files
from repro.artifacts import Artifact
from repro.commands import report as conclude
from repro.config.profile import Profile
from repro.config.recipe import IMAGENET_ARCHS
from repro.estimate import Pace
from repro.experiments import PAPER_EPOCHS
from repro.options import Options
from repro.plan import Cost, cost, disk_bytes
from repro.report import terminal
from repro.run import ancestors
from repro.words import counted
from repro.workspace import Workspace

FURTHER_SEEDS = 10  # the largest number of further seeds that the plan considers
CHOSEN = (40, 70)  # the window of the paper's Table 4
_FIELDS = ("runs", "tickets", "shared", "done", "left", "epochs_left", "images_left")
_HEADER = ("Runs", "tickets", "shared", "done", "left", "epochs left", "images left")


@dataclass(frozen=True)
class Alternative:
    """Another way to run the artifacts: its ``options`` on the command line, cost, and bytes of checkpoints."""

    what: str
    options: tuple[str, ...]
    cost: Cost
    disk: int

    def seconds(self, paces: Mapping[str, Pace]) -> float | None:
        """Return how long it takes here at full pace; None if the pace of a network is unknown."""
        images = self.cost.images_by_arch
        if not images.keys() <= paces.keys():
            return None
        return sum(count / paces[arch].best for arch, count in images.items())


def show_plan(options: Options, names: Sequence[str], calibrate: bool | None, as_json: bool) -> None:
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
        "images_per_second": {arch: pace.best for arch, pace in paces.items()},
        "strategies": {arch: pace.way for arch, pace in paces.items() if pace.way},
        "calibrated": {arch: pace.measured for arch, pace in paces.items()},
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
    _print_further_seed(further, out)
    free = shutil.disk_usage(files.existing(work.store.runs_dir)).free
    out.print(f"disk: {terminal.size(disk)} of checkpoints to come, {terminal.size(free)} free")
    _print_alternatives(others, paces, out)


def on_cpu(options: Options, log: Console | None = None) -> dict[str, float]:
    """Return how many seconds each artifact of ``options.profile`` takes on this machine's CPU, from the start and
    alone, and under ``"together"`` all of them, with shared Runs counted once.

    Unknown speeds are measured, which takes seconds and is reported on ``log`` (default: stderr)."""
    work = Workspace(dataclasses.replace(options, device="cpu"))
    needed = {artifact.name: ancestors(work.runs(artifact)) for artifact in work.artifacts}
    together = ancestors([run for runs in needed.values() for run in runs])
    log = log or terminal.console(stderr=True)
    paces, _ = estimate.measured(together, "cpu", work.store, log, briefly=True)
    needed |= {"together": together}
    seconds = {name: estimate.seconds(runs, paces) for name, runs in needed.items() if runs}
    return {name: time for name, time in seconds.items() if time is not None}


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


# One more seed


def _further_seed(work: Workspace, paces: Mapping[str, Pace]) -> dict[str, Any]:
    """Return the cost of one more seed of these artifacts, and the claims that further seeds would decide."""
    names = {artifact.name for artifact in work.artifacts}
    judgements = [j for j in conclude.judgements(work) if names & set(j.claim.artifact)]
    seeds = max([len(work.seeds), *(j.n for j in judgements)])
    more, present = (
        ancestors([run for artifact in work.artifacts for run in work.runs(artifact, some)])
        for some in ([seeds], range(seeds))
    )
    keys = {run.key for run in present}
    runs = [run for run in more if run.key not in keys]  # Table 1 is calibrated once, on seed 0
    price = cost(runs)
    return {
        "runs": price.runs,
        "epochs": price.epochs,
        "images": price.images,
        "seconds": estimate.seconds(runs, paces),
        "decides": {str(n): ids for n, ids in claims.further_seeds(judgements, FURTHER_SEEDS).items() if ids},
    }


def _print_further_seed(further: dict[str, Any], out: Console) -> None:
    time = "" if further["seconds"] is None else f", {terminal.duration(further['seconds'])} on this device"
    out.print(f"each further seed: {counted(further['runs'], 'Run')}, {counted(further['epochs'], 'epoch')}{time}")
    for seeds, ids in further["decides"].items():
        out.print(f"  with {seeds} seeds, at the present estimates, decided: {', '.join(ids)}", markup=False)


# Alternatives for ImageNet


def alternatives(work: Workspace) -> list[Alternative]:
    """Return the plan as requested and its alternatives; nothing if no Run on ImageNet is missing."""
    archs = list(dict.fromkeys(run.arch for run in work.plan().missing))
    if not set(archs) & set(IMAGENET_ARCHS):
        return []
    found = [_alternative("as asked", (), work)]
    if len(archs) > 1:
        found += [_alternative(f"--arch {a}", ("--arch", a), work.with_settings(arch=a)) for a in archs]
    for what, changes in _smaller(work.settings.profile, [arch for arch in archs if arch in IMAGENET_ARCHS]):
        options = [word for key, value in changes.items() for word in ("--set", f"{key}={_yaml(value)}")]
        other = _alternative(what, tuple(options), work.with_settings(changes))
        if other.cost != found[0].cost:
            found.append(other)
    if any(artifact.optional for artifact in work.artifacts) and not work.options.with_iterative:
        more = work.with_settings(with_iterative=True)
        found.append(_alternative("--with-iterative", ("--with-iterative",), more))
    return found


def halved(profile: Profile) -> dict[str, Any]:
    """Return the changes that halve ImageNet's schedule and all epochs on it."""
    recipe = profile.imagenet.recipe
    milestones = [milestone // 2 for milestone in recipe.milestones if milestone > 1]
    changes: dict[str, Any] = {
        "imagenet.recipe.epochs": recipe.epochs // 2,
        "imagenet.recipe.milestones": sorted(set(milestones)),
    }
    for arch, row in profile.table3.items():
        windows = [(first // 2, last // 2) for first, last in row.windows]
        changes[f"table3.{arch}"] = {
            "one_shot": sorted({epoch // 2 for epoch in row.one_shot}),
            "windows": [list(window) for window in dict.fromkeys(windows) if window[0] < window[1]],
        }
    return changes


def _smaller(profile: Profile, archs: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (description, changes to the profile) of cheaper settings."""
    epochs = profile.imagenet.recipe.epochs
    windows = {arch: profile.table3[arch].windows for arch in archs if arch in profile.table3}
    if any(windows.values()):
        nearest = {arch: list(_nearest(some, epochs)) for arch, some in windows.items() if some}
        yield (
            "one window only",
            {f"table3.{arch}": {"one_shot": [], "windows": [window]} for arch, window in nearest.items()},
        )
    if epochs // 2 >= max(1, profile.table4.rewind):
        yield "half the schedule", halved(profile)


def _nearest(windows: Sequence[tuple[int, int]], epochs: int) -> tuple[int, int]:
    """Return the window that is nearest to the paper's choice."""
    first, last = (epoch * epochs / PAPER_EPOCHS["imagenet"] for epoch in CHOSEN)
    return min(windows, key=lambda window: abs(window[0] - first) + abs(window[1] - last))


def _alternative(what: str, options: tuple[str, ...], work: Workspace) -> Alternative:
    plan = work.plan()
    return Alternative(what, options, cost(plan.missing, work.store), disk_bytes(plan.missing, plan.keep))


def _yaml(value: Any) -> str:
    """Format a value as YAML in one line."""
    return json.dumps(value).replace('"', "")


def _alternative_entry(other: Alternative, paces: Mapping[str, Pace]) -> dict[str, Any]:
    return {
        "what": other.what,
        "options": list(other.options),
        "runs": other.cost.runs,
        "epochs": other.cost.epochs,
        "images": other.cost.images,
        "seconds": other.seconds(paces),
        "disk_bytes": other.disk,
    }


def _print_alternatives(others: Sequence[Alternative], paces: Mapping[str, Pace], out: Console) -> None:
    if not others:
        return
    rows = []
    for other in others:
        seconds = other.seconds(paces)
        counts = [f"{n:,}" for n in (other.cost.runs, other.cost.epochs, other.cost.images)]
        time = "not calibrated" if seconds is None else terminal.duration(seconds)
        rows.append([other.what, *counts, time, terminal.size(other.disk)])
    header = ["", "Runs", "epochs", "images", "time here", "disk"]
    out.print(terminal.table(header, rows, "\nalternatives, and what is left to train of each"))
    for other in others:
        if "--set" in other.options:
            out.print(f"{other.what}: {shlex.join(other.options)}", markup=False, soft_wrap=True)
