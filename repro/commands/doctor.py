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
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import torch
from rich.text import Text

from repro import estimate, files, machine
from repro.commands import data as data_commands
from repro.data import cifar10
from repro.data.imagenet import index
from repro.engine import device as devices
from repro.errors import MissingInput, ReproError, UsageError
from repro.options import Options
from repro.plan import cost
from repro.report import terminal
from repro.run import Run
from repro.words import counted
from repro.workspace import Workspace

Check = tuple[str, str, str]  # what, state (ok, note, warning, problem), finding
LONG = 30 * 86400  # seconds of training that deserve a warning
MANY = 50_000_000  # images: a day at 600 a second


def report(options: Options, as_json: bool) -> int:
    """Print all checks, rather than raise at the first problem; return the exit code, 3 if one found a problem."""
    found = [*_software(), *_device(), *_account(), *_project(options)]
    counts = Counter(state for _, state, _ in found)
    if as_json:
        print(json.dumps([dict(zip(("what", "state", "finding"), check, strict=True)) for check in found]))
    else:
        out = terminal.console()
        for what, state, finding in found:
            begin = f"{state:8} {what:11} "
            for line in Text(finding).wrap(out, max(out.width - len(begin), 20)):
                out.print(begin, line, sep="", soft_wrap=True)
                begin = " " * len(begin)
        grave = [counted(counts[state], state) for state in ("problem", "warning") if counts[state]]
        out.print(", ".join(grave) or "no problems found")
    return MissingInput.exit_code if counts["problem"] else 0


def _software() -> Iterator[Check]:
    python, fits = platform.python_version(), (3, 11) <= sys.version_info[:2] < (3, 14)
    yield "python", "ok" if fits else "problem", python if fits else f"{python}: 3.11 to 3.13 are tested"
    for name in ("torch", "torchvision", "numpy", "safetensors", "dvc"):
        try:
            yield name, "ok", metadata.version(name)
        except metadata.PackageNotFoundError:
            if name == "dvc":
                yield name, "note", "absent: artifacts are made without DVC"
            else:
                yield name, "problem", "absent: run `make env`"


def _device() -> Iterator[Check]:
    chosen = devices.choose("auto")
    precision = devices.resolve_precision("auto", chosen)
    yield "device", "ok", f"{chosen.name}; precision auto is {precision} here"
    if chosen.cuda:
        capability = ".".join(map(str, torch.cuda.get_device_capability()))
        memory = terminal.size(torch.cuda.get_device_properties(0).total_memory)
        yield "cuda", "ok", f"CUDA {torch.version.cuda}, capability {capability}, {memory}"
        driver = Path("/proc/driver/nvidia/version")
        yield "driver", "ok", driver.read_text().splitlines()[0] if driver.exists() else "version unknown"
    elif shutil.which("nvidia-smi"):
        yield "cuda", "problem", "nvidia-smi is here but PyTorch sees no device: driver 580 or newer is needed"
    else:
        plan = "`repro plan --profile paper` estimates how long the paper takes here"
        yield "cuda", "note", f"no CUDA device: {plan}"
    if not shutil.which("cc") and not shutil.which("gcc"):
        yield "compiler", "note", "no C compiler: Triton needs one"


def _account() -> Iterator[Check]:
    """Check what torch.compile and Slurm need of the user's account."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        name = getpass.getuser()
        yield "user", "note", f"uid {os.getuid()} has no name in /etc/passwd: '{name}' is used instead"
    try:
        files.check_writable(machine.compiler_cache())
    except ReproError as error:
        why = "set TORCHINDUCTOR_CACHE_DIR, else strategies with torch.compile are not used"
        yield "compiler", "note", f"{error}: {why}"


def _project(options: Options) -> Iterator[Check]:
    """Check what the profile needs."""
    try:
        work = Workspace(options)
    except ReproError as error:
        yield "profile", "problem", str(error)
        return
    plan = work.plan()
    yield "params", "ok", f"{work.params_file}, profile {work.settings.name}"
    for what, name in (("data", "cifar10"), ("imagenet", "imagenet")):
        yield what, *_images(name, work.folders, any(run.data.name == name for run in plan.missing))
    for what, folder in (("runs", work.store.runs_dir), ("results", work.out)):
        try:
            files.check_lockable(folder)
            yield what, "ok", f"{folder}, writable, with file locks"
        except ReproError as error:
            yield what, "problem", str(error)
    needed, free = plan.disk_bytes, files.free(work.store.runs_dir)
    space = f"{terminal.size(needed)} of checkpoints to come, {terminal.size(free)} free"
    yield ("disk", "ok", space) if needed < free else ("disk", "problem", f"{space}: pass another --runs-dir")
    yield from _time(plan.missing, work)
    runs = counted(len(plan.runs), "Run")
    yield "ledger", "ok", f"{plan.done} of {runs} of profile {work.settings.name} finished"


def _images(name: str, folders: list[Path], wanted: bool) -> tuple[str, str]:
    """Judge a data set: missing images are a problem only if Runs need them (``wanted``)."""
    try:
        info, line = data_commands.find(name, folders)
    except MissingInput as error:
        absent = (cifar10.find if name == "cifar10" else index.find)(folders) is None
        more = "; or set REPRO_WITHOUT=imagenet to leave out its Runs" if absent and name == "imagenet" else ""
        return ("problem", f"{error}{more}") if wanted or not absent else ("note", str(error))
    if info["official"]:
        return "ok", line
    return "problem" if name == "cifar10" else "note", line


def _time(runs: Sequence[Run], work: Workspace) -> Iterator[Check]:
    """Report how fast each missing network trains, as far as it was measured, and how long everything takes."""
    ask = f"`repro plan --profile {work.settings.name}`"
    try:
        paces = estimate.paces(runs, "auto", work.store)
    except UsageError as error:  # a precision that this device does not have
        yield "precision", "problem", f"{error}, with --precision"
        return
    for arch in dict.fromkeys(run.arch for run in runs if run.epochs):
        if pace := paces.get(arch):
            yield "speed", "ok", f"{arch}: {pace.describe()}; `repro plan --calibrate` measures it again"
        else:
            yield "speed", "note", f"{arch}: not calibrated yet ({ask} does it, in seconds)"
    seconds, images = estimate.seconds(runs, paces, work.store), cost(runs, work.store).images
    if seconds:
        state = "warning" if seconds > LONG else "ok"
        yield "time", state, f"{terminal.duration(seconds)} of training left on this device"
    elif seconds is None and images > MANY and not torch.cuda.is_available():
        left = f"{images / 1e6:,.0f} million images left to train, which takes a CPU days to months"
        yield "time", "warning", f"{left}: {ask} estimates how long"
