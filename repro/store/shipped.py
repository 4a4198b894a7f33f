"""Checkpoints that the repository ships: tracked by DVC, stored in git, readable without DVC.

    <results>/<profile>/checkpoints.dvc     in git: names a list of files by its MD5
    .dvc/shipped/files/md5/..               in git, and DVC's default remote: the list, and the files
    <results>/<profile>/checkpoints/<key>/  ignored by git: written by `dvc pull`

git stores the bytes once. A bare GPU machine has no DVC, so this module reads the list itself (docs/dvc.md).
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
    """Map the names in ``results``/checkpoints.dvc (``<key>/epoch-0100-<hash>.safetensors``) to files.

    Returns nothing if the list is not in .dvc/shipped. Raises `UsageError` if either file is damaged."""
    pointer, remote = results / f"{FOLDER}.dvc", remote_of(results)
    if remote is None or not pointer.exists():
        return {}
    try:
        (out,) = yaml.safe_load(pointer.read_text())["outs"]
        if not (listing := _object(remote, out["md5"])).exists():
            return {}
        content = listing.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir" != out["md5"]:
            raise ValueError("its list of files was altered")
        return {entry["relpath"]: _object(remote, entry["md5"]) for entry in files.parse_json(content)}
    except (KeyError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
        raise UsageError(f"{pointer}: cannot be read ({error}); restore it and {REMOTE} from git") from None


def unpack(results: Path) -> None:
    """Write the listed files to ``results``/checkpoints where they are missing, so that further ones can be added.
    Raises `MissingInput` if the list is neither here nor pulled, since DVC would then drop the files in it."""
    shipped = listed(results)
    if (results / f"{FOLDER}.dvc").exists() and not shipped and not (results / FOLDER).is_dir():
        raise MissingInput(f"{results / FOLDER}.dvc names files that are not here: run `dvc pull` first")
    for name, path in shipped.items():
        if not (target := results / FOLDER / name).exists():
            files.write_bytes(target, path.read_bytes())


def hand_to_dvc(results: Path) -> str:
    """Have DVC add ``results``/checkpoints to the remote that is in git. Returns what remains to be done."""
    folder = results / FOLDER
    commands = [["add", str(folder)], ["push", "--remote", "shipped", f"{folder}.dvc"]]
    by_hand = " and ".join(f"`dvc {' '.join(command)}`" for command in commands)
    remote = remote_of(results)
    if remote is None or importlib.util.find_spec("dvc") is None:
        return f"{folder} is not in git yet: in the repository, with DVC installed, run {by_hand}"
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *command, "--quiet"], cwd=remote.parent.parent, check=False
        )
        if done.returncode:
            return f"DVC failed: {folder} is not in git before {by_hand} succeed"
    return f"to keep the checkpoints: git add {folder}.dvc {remote}"


def remote_of(results: Path) -> Path | None:
    """Find .dvc/shipped in the repository that contains ``results``."""
    folders = (parent / REMOTE for parent in results.absolute().parents)
    return next((folder for folder in folders if folder.is_dir()), None)


def _object(remote: Path, md5: str) -> Path:
    return remote / "files" / "md5" / md5[:2] / md5[2:]
