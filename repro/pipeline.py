"""`repro reproduce`: picks the profile, says why, and goes through DVC's stages."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from repro import actions, artifacts, conclude, files, params
from repro.data import cifar10
from repro.data.photos import index
from repro.errors import RunFailed, UsageError
from repro.options import Options, data_left_out
from repro.profile import ROWS, Profile
from repro.workspace import data_folders, find_root


def reproduce(profile: str | None, data_dir: Path | None) -> None:
    """Bring every artifact up to date. Raises `RunFailed` where a stage failed."""
    root = find_root(None)
    folders = data_folders(data_dir, root)
    chosen, why = choose(profile, folders)
    print(f"profile {chosen}: {why}", file=sys.stderr)
    set_profile(root / "params.yaml", chosen)
    without = left_out(params.settings(root / "params.yaml", chosen).profile, folders)
    if without:
        print(f"{', '.join(without)}: not here, or not prepared; its Runs are left out", file=sys.stderr)
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if data_dir:
        environment["REPRO_DATA"] = str(data_dir.resolve())
    if without:
        environment["REPRO_WITHOUT"] = ",".join(without)
    if importlib.util.find_spec("dvc"):
        finished = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, check=False)
        if finished.returncode:
            raise RunFailed(f"a stage failed (DVC's exit code {finished.returncode}); its message stands above")
    else:
        print("DVC is not installed: the artifacts are made without it", file=sys.stderr)
        options = Options(profile=chosen, data_dir=data_dir, without=without)
        for name in artifacts.IMPLEMENTED:
            actions.produce(options, [name], dry_run=False, as_json=False)
        conclude.write_report(Options(profile=chosen, data_dir=data_dir))
    print()
    actions.list_artifacts(Options(profile=chosen, data_dir=data_dir), as_json=False)
    actions.compare(Options(profile=chosen, data_dir=data_dir), [], as_json=False)
    print(f"figures and tables: {root / 'results' / chosen}")
    print(f"what holds and what does not: {root / 'results' / chosen / 'index.html'}")
    print(f"this was profile {chosen}: {why}")


def choose(profile: str | None, folders: list[Path]) -> tuple[str, str]:
    """The profile to run, and why: the one asked for; paper where CUDA and CIFAR-10 are; else smoke."""
    if profile:
        return profile, "asked for"
    place = cifar10.find(folders)
    cuda = _cuda()
    if cuda and place:
        return "paper", f"{cuda} and CIFAR-10 ({place}) are here"
    missing = [*([] if cuda else ["no CUDA device"]), *([] if place else ["no CIFAR-10"])]
    return "smoke", (
        f"{' and '.join(missing)} here, so this is a check on synthetic images that everything runs; "
        "its numbers say nothing about the paper"
    )


def left_out(profile: Profile, folders: list[Path]) -> list[str]:
    """The data sets that the profile asks for and that are not here: what rests on them is left out, so that
    everything else can be reproduced without ImageNet's 150 GB. (CIFAR-10 decides which profile it is.)"""
    asked = {profile.data_of(arch).name for name in ROWS for arch in getattr(profile, name)}
    absent = {*data_left_out(), *([] if index.find(folders) else ["imagenet"])}
    return sorted(asked & absent)


def set_profile(path: Path, chosen: str) -> None:
    """Write ``profile: chosen`` into params.yaml, which DVC's stages read; the rest of the file stays."""
    known = params.load(path)
    if chosen not in known.profiles:
        raise UsageError(f"no profile '{chosen}' in {path}: there are {', '.join(known.profiles)}")
    if known.profile != chosen:
        text = path.read_text()
        files.write_text(path, re.sub(r"(?m)^profile:[ ]*\S+", f"profile: {chosen}", text, count=1))
        print(f"{path.name}: profile is now {chosen} (was {known.profile})", file=sys.stderr)


def _cuda() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
