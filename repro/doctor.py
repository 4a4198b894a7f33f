"""`repro doctor`: device, driver, versions, data, disk, and what would go wrong."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from repro import data, data_commands, files
from repro.data import cifar10
from repro.errors import ReproError
from repro.options import Options
from repro.pace import first_of_each
from repro.plan import disk_bytes
from repro.report import terminal
from repro.run import Photos, Run
from repro.workspace import Workspace

Check = tuple[str, str, str]  # what, state (ok, note, problem), finding


def report(options: Options, as_json: bool) -> None:
    """Print every check. Problems are said, not raised: the command is there to show them all."""
    found = [*_software(), *_device(), *_project(options)]
    if as_json:
        print(json.dumps([dict(zip(("what", "state", "finding"), check, strict=True)) for check in found]))
        return
    out = terminal.console()
    for what, state, finding in found:
        out.print(f"{state:8} {what:12} {finding}", markup=False)
    problems = sum(state == "problem" for _, state, _ in found)
    out.print(f"{problems} problems" if problems else "nothing stands in the way")


def _software() -> list[Check]:
    python = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    found: list[Check] = [
        ("python", "ok" if fits else "problem", python + ("" if fits else ": 3.11 to 3.13 are tested"))
    ]
    for name in ("torch", "torchvision", "numpy", "safetensors", "dvc"):
        try:
            found.append((name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            why = "absent: artifacts are made without DVC" if name == "dvc" else "absent: run `make env`"
            found.append((name, "note" if name == "dvc" else "problem", why))
    return found


def _device() -> list[Check]:
    import torch

    from repro.engine import device as devices

    chosen = devices.choose("auto")
    precision = devices.resolve_precision("auto", chosen)
    found: list[Check] = [("device", "ok", f"{chosen.name}; precision auto is {precision} here")]
    if chosen.cuda:
        capability = ".".join(map(str, torch.cuda.get_device_capability()))
        memory = torch.cuda.get_device_properties(0).total_memory
        found.append(
            ("cuda", "ok", f"CUDA {torch.version.cuda}, capability {capability}, {terminal.size(memory)}")
        )
        driver = Path("/proc/driver/nvidia/version")
        found.append(
            ("driver", "ok", driver.read_text().splitlines()[0] if driver.exists() else "version not told")
        )
    elif shutil.which("nvidia-smi"):
        found.append(
            (
                "cuda",
                "problem",
                "nvidia-smi is here but PyTorch sees no device: driver 580 or newer is needed",
            )
        )
    else:
        found.append(
            (
                "cuda",
                "note",
                "no CUDA device: `repro plan --profile paper` tells what the paper would take here",
            )
        )
    if not shutil.which("cc") and not shutil.which("gcc"):
        found.append(("compiler", "note", "no C compiler: Triton would need one"))
    return found


def _project(options: Options) -> list[Check]:
    found: list[Check] = []
    try:
        work = Workspace(options)
    except ReproError as error:
        return [("params", "problem", str(error))]
    found.append(("params", "ok", f"{work.root / 'params.yaml'}, profile {work.settings.name}"))
    place = cifar10.find(work.folders)
    if place is None:
        found.append(("data", "note", str(cifar10.missing(work.folders))))
    else:
        official = data.load("cifar10", work.folders).fingerprint == cifar10.OFFICIAL_FINGERPRINT
        found.append(
            (
                "data",
                "ok" if official else "problem",
                f"{place}" + ("" if official else ": not the official images"),
            )
        )
    found.append(("imagenet", *data_commands.standing(work.folders)))
    for name, folder in (("runs", work.store.runs_dir), ("results", work.out)):
        try:
            files.check_writable(folder)
            found.append((name, "ok", f"{folder}, writable"))
        except ReproError as error:
            found.append((name, "problem", str(error)))
            return found
    plan = work.plan()
    needed, free = disk_bytes(plan.missing, plan.keep), shutil.disk_usage(work.store.runs_dir).free
    state = "ok" if needed < free else "problem"
    found.append(("disk", state, f"{terminal.size(needed)} of checkpoints to come, {terminal.size(free)} free"))
    found += _speeds(plan.missing, work.store.runs_dir)
    done = len(plan.runs) - len(plan.missing)
    found.append(("ledger", "ok", f"{done} of {len(plan.runs)} Runs of profile {work.settings.name} are finished"))
    return found


def _speeds(runs: Sequence[Run], runs_dir: Path) -> list[Check]:
    """What the last calibration found for each network on small images that is left to train."""
    from repro.engine import device, tuning

    chosen = device.choose("auto")
    small = [run for run in runs if not isinstance(run.data, Photos)]
    found: list[Check] = []
    for arch, run in first_of_each(small).items():
        choice = tuning.known(run, chosen, runs_dir / tuning.CACHE)
        if choice.speeds:
            said = f"{arch}: {terminal.speed(choice.speed(choice.lanes))}, {choice.said()}"
            found.append(("speed", "ok", said))
        else:
            found.append(("speed", "note", f"{arch}: not calibrated yet (`repro plan` does it, in seconds)"))
    return found
