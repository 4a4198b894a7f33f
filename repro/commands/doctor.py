"""`repro doctor`: check device, driver, versions, data and disk."""

from __future__ import annotations

import getpass
import json
import os
import platform
import pwd
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from rich.text import Text

from repro import estimate, files, machine
from repro.commands import data as data_commands
from repro.data import cifar10
from repro.data.imagenet import index
from repro.errors import ReproError
from repro.options import Options
from repro.plan import cost, disk_bytes
from repro.report import terminal
from repro.run import Run
from repro.words import counted
from repro.workspace import Workspace

Check = tuple[str, str, str]  # what, state (ok, note, warning, problem), finding
GRAVE = ("problem", "warning")
LONG = 30 * 86400  # seconds of training that deserve a warning
MANY = 50_000_000  # images: a day at 600 a second


def report(options: Options, as_json: bool) -> int:
    """Print all checks, rather than raise at the first problem; return how many found one."""
    found = [*_software(), *_device(), *_habits(), *_project(options)]
    counts = Counter(state for _, state, _ in found)
    if as_json:
        print(json.dumps([dict(zip(("what", "state", "finding"), check, strict=True)) for check in found]))
        return counts["problem"]
    out = terminal.console()
    for what, state, finding in found:
        begin = f"{state:8} {what:11} "
        for line in Text(finding).wrap(out, max(out.width - len(begin), 20)):
            out.print(begin, line, sep="", soft_wrap=True)
            begin = " " * len(begin)
    grave = [counted(counts[state], state) for state in GRAVE if counts[state]]
    out.print(", ".join(grave) or "no problems found")
    return counts["problem"]


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
            ("driver", "ok", driver.read_text().splitlines()[0] if driver.exists() else "version unknown")
        )
    elif shutil.which("nvidia-smi"):
        why = "nvidia-smi is here but PyTorch sees no device: driver 580 or newer is needed"
        found.append(("cuda", "problem", why))
    else:
        why = "no CUDA device: `repro plan --profile paper` estimates how long the paper takes here"
        found.append(("cuda", "note", why))
    if not shutil.which("cc") and not shutil.which("gcc"):
        found.append(("compiler", "note", "no C compiler: Triton needs one"))
    return found


def _habits() -> list[Check]:
    """Check what torch.compile and Slurm need of the user's account."""
    found: list[Check] = []
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        named = f"uid {os.getuid()} has no name in /etc/passwd: '{getpass.getuser()}' is used instead"
        found.append(("user", "note", named))
    try:
        files.check_writable(machine.compiler_cache())
    except ReproError as error:
        why = f"{error}: set TORCHINDUCTOR_CACHE_DIR, else strategies with torch.compile are not used"
        found.append(("compiler", "note", why))
    return found


def _project(options: Options) -> list[Check]:
    """Check what the profile needs."""
    try:
        work = Workspace(options)
    except ReproError as error:
        return [("profile", "problem", str(error))]
    plan = work.plan()
    missing = [run for run in plan.missing if run.data.name not in options.without]
    wanted = {run.data.name for run in missing}
    done = len(plan.runs) - len(plan.missing)
    found: list[Check] = [("params", "ok", f"{work.params_file}, profile {work.settings.name}")]
    found.append(("data", *_cifar10(work.folders, "cifar10" in wanted)))
    found.append(("imagenet", *_imagenet(work.folders, "imagenet" in wanted)))
    for name, folder in (("runs", work.store.runs_dir), ("results", work.out)):
        try:
            files.check_lockable(folder)
            found.append((name, "ok", f"{folder}, writable, with file locks"))
        except ReproError as error:
            found.append((name, "problem", str(error)))
    needed = disk_bytes(missing, plan.keep)
    free = shutil.disk_usage(files.existing(work.store.runs_dir)).free
    space = f"{terminal.size(needed)} of checkpoints to come, {terminal.size(free)} free"
    found.append(
        ("disk", "ok", space) if needed < free else ("disk", "problem", f"{space}: pass another --runs-dir")
    )
    found += _time(missing, work)
    found.append(
        ("ledger", "ok", f"{done} of {counted(len(plan.runs), 'Run')} of profile {work.settings.name} finished")
    )
    return found


def _cifar10(folders: Sequence[Path], wanted: bool) -> tuple[str, str]:
    place = cifar10.find(folders)
    if place is None:
        return "problem" if wanted else "note", str(cifar10.missing(folders))
    try:
        official = cifar10.load(place).fingerprint == cifar10.OFFICIAL_FINGERPRINT
    except ReproError as error:
        return "problem", str(error)
    return ("ok", str(place)) if official else ("problem", f"{place}: not the official images")


def _imagenet(folders: list[Path], wanted: bool) -> tuple[str, str]:
    state, line = data_commands.check(folders)
    if wanted and not index.find(folders):
        return "problem", f"{line}; or set REPRO_WITHOUT=imagenet to leave out its Runs"
    return state, line


def _time(runs: Sequence[Run], work: Workspace) -> list[Check]:
    """Report how fast each missing network trains, as far as it was measured, and how long everything takes."""
    from repro.engine import device

    chosen, ask = device.choose("auto"), f"`repro plan --profile {work.settings.name}`"
    try:
        for precision in {run.precision for run in runs}:
            device.resolve_precision(precision, chosen)
    except ReproError as error:
        return [("precision", "problem", f"{error}, with --precision")]
    paces, found = estimate.known(runs, "auto", work.store), list[Check]()
    for arch in estimate.first_of_each(runs):
        if pace := paces.get(arch):
            known = ", ".join(filter(None, (terminal.speed(pace.best), pace.way, pace.source)))
            found.append(("speed", "ok", f"{arch}: {known}; `repro plan --calibrate` measures it again"))
        else:
            found.append(("speed", "note", f"{arch}: not calibrated yet ({ask} does it, in seconds)"))
    seconds, images = estimate.seconds(runs, paces, work.store), cost(runs, work.store).images
    if seconds is not None and seconds > 0:
        state = "warning" if seconds > LONG else "ok"
        found.append(("time", state, f"{terminal.duration(seconds)} of training left on this device"))
    elif seconds is None and not chosen.cuda and images > MANY:
        found.append(("time", "warning", f"{images / 1e6:,.0f} million images left to train, which takes a CPU "
                      f"days to months: {ask} estimates how long"))  # fmt: skip
    return found
