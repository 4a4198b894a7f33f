"""The paper's artifacts, and one of our own: each says which Runs it needs and what it makes of their results.

A new artifact is one module with an `Artifact`: in this folder, or anywhere and named in ``$REPRO_ARTIFACTS``
(docs/extending.md).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import re
from pathlib import Path

from repro.artifacts.base import Artifact, Results
from repro.errors import UsageError
from repro.machine import stdout_to_stderr

__all__ = ["IMPLEMENTED", "PAPER", "Artifact", "Results", "get", "load_others"]


def _shipped() -> dict[str, Artifact]:
    """Return the artifacts of all modules of this folder: the paper's in its order, then the others."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    listed = [found for module in modules for found in vars(module).values() if isinstance(found, Artifact)]
    listed.sort(key=lambda artifact: (not artifact.place, artifact.name))
    return {artifact.name: artifact for artifact in listed}


IMPLEMENTED: dict[str, Artifact] = _shipped()
_SHIPPED = tuple(IMPLEMENTED)

# Every artifact of the paper, all of them regenerated.
PAPER = tuple(name for name, artifact in IMPLEMENTED.items() if artifact.place)


def load_others() -> list[Artifact]:
    """Import the artifacts of the files named in ``$REPRO_ARTIFACTS`` and return them.

    Raises `UsageError` for a file that does not exist, does not run, or has no ``ARTIFACT`` with a name of its
    own.
    """
    found: list[Artifact] = []
    for text in filter(None, os.environ.get("REPRO_ARTIFACTS", "").split(os.pathsep)):
        artifact = _load(Path(text))
        if artifact.name in (*_SHIPPED, *(other.name for other in found)):
            raise UsageError(f"$REPRO_ARTIFACTS: {text}: there is an artifact {artifact.name} already")
        found.append(artifact)
    IMPLEMENTED.update({artifact.name: artifact for artifact in found})
    return found


def _load(file: Path) -> Artifact:
    spec = importlib.util.spec_from_file_location(f"repro_artifact_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise UsageError(f"$REPRO_ARTIFACTS: {file}: no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        with stdout_to_stderr():
            spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"$REPRO_ARTIFACTS: {file}: {type(error).__name__}: {error}") from error
    artifact = getattr(module, "ARTIFACT", None)
    if not isinstance(artifact, Artifact) or not re.fullmatch(r"[a-z][a-z0-9-]*", artifact.name):
        raise UsageError(f"$REPRO_ARTIFACTS: {file}: needs an ARTIFACT with a name of small letters and digits")
    return artifact


def get(name: str) -> Artifact:
    """Return the artifact called ``name``. Raises `UsageError` with the names that exist."""
    if name not in IMPLEMENTED:
        raise UsageError(f"{name} is no artifact of the paper; there are {', '.join(IMPLEMENTED)}")
    return IMPLEMENTED[name]
