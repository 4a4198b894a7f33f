"""Checkpoints that the repository ships: tracked by DVC, kept by git, read without either.

    <results>/<profile>/checkpoints.dvc     in git: names a list by its MD5
    .dvc/shipped/files/md5/..               in git, and DVC's default remote: the list, and the files that it names
    <results>/<profile>/checkpoints/<key>/  ignored by git: what `dvc pull` makes of them

The bytes are in git once. A bare GPU machine has no DVC, so the list is read here (docs/dvc.md).
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import yaml

from repro import files
from repro.errors import MissingInput, UsageError

REMOTE = Path(".dvc", "shipped")
FOLDER = "checkpoints"


def listed(results: Path) -> dict[str, Path]:
    """What ``results``/checkpoints.dvc names (``<key>/epoch-0100-<hash>.safetensors``), and which file holds it;
    nothing where the list is not here (DVC has it elsewhere). Raises `UsageError` where either is damaged."""
    pointer, remote = results / f"{FOLDER}.dvc", remote_of(results)
    if remote is None or not pointer.exists():
        return {}
    try:
        (out,) = yaml.safe_load(pointer.read_text())["outs"]
        if not (listing := _held(remote, out["md5"])).exists():
            return {}
        content = listing.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir" != out["md5"]:
            raise ValueError("its list of files was altered")
        return {entry["relpath"]: _held(remote, entry["md5"]) for entry in files.parse_json(content)}
    except (KeyError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
        raise UsageError(f"{pointer}: cannot be read ({error}); restore it and {REMOTE} from git") from None


def unpack(results: Path) -> None:
    """Put what is listed into ``results``/checkpoints, where it is not: what is shipped beside it adds to it.
    Raises `MissingInput` where the list is neither here nor pulled, since DVC would forget what it names."""
    found = listed(results)
    if (results / f"{FOLDER}.dvc").exists() and not found and not (results / FOLDER).is_dir():
        raise MissingInput(f"{results / FOLDER}.dvc names files that are not here: run `dvc pull` first")
    for name, path in found.items():
        if not (target := results / FOLDER / name).exists():
            files.write_bytes(target, path.read_bytes())


def hand_to_dvc(results: Path) -> str:
    """Let DVC take ``results``/checkpoints into the remote that git keeps. Returns what is left to do."""
    folder = results / FOLDER
    commands = [["add", str(folder)], ["push", "--remote", "shipped", f"{folder}.dvc"]]
    told = " and ".join(f"`dvc {' '.join(command)}`" for command in commands)
    remote = remote_of(results)
    if remote is None or importlib.util.find_spec("dvc") is None:
        return f"{folder} is not in git: with DVC, in the repository, {told} put it where git keeps it"
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *command, "--quiet"], cwd=remote.parent.parent, check=False
        )
        if done.returncode:
            return f"DVC failed: {folder} is not in git before {told} succeed"
    return f"to keep the checkpoints: git add {folder}.dvc {remote}"


def remote_of(results: Path) -> Path | None:
    """The folder .dvc/shipped of the repository that ``results`` lies in, or None."""
    found = (parent / REMOTE for parent in results.absolute().parents)
    return next((remote for remote in found if remote.is_dir()), None)


def _held(remote: Path, md5: str) -> Path:
    return remote / "files" / "md5" / md5[:2] / md5[2:]
