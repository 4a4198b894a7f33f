"""Where a command looks: params.yaml, the paper's tables, and the folder that results, Runs and data lie in.

A checkout has all of them at its root. An installed wheel carries params.yaml and paper_tables/ (`DEFAULTS`,
put there by setup.py) and no results; what it writes goes to the current folder. Imports nothing of repro.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

PARAMS, TABLES = "params.yaml", "paper_tables"
PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent
DEFAULTS = PACKAGE / "defaults"


def in_checkout() -> bool:
    """Whether the package runs from the project's own folder, not from a wheel."""
    return (CHECKOUT / PARAMS).is_file() and (CHECKOUT / TABLES).is_dir()


def params_file(given: Path | None = None) -> Path:
    """The settings: ``given`` (``--params``), else ``$REPRO_PARAMS``, else the params.yaml of the current folder
    or the nearest one above it, else the checkout's or the wheel's."""
    named = given or _named("REPRO_PARAMS")
    return named or (_project() or (CHECKOUT if in_checkout() else DEFAULTS)) / PARAMS


def find_root(given: Path | None = None) -> Path:
    """The folder whose results/, runs/ and data/ a command means: ``$REPRO_HOME``, else where `params_file` is;
    the current folder where that is the wheel's own."""
    if home := _named("REPRO_HOME"):
        return home
    folder = params_file(given).resolve().parent
    return Path.cwd() if folder == DEFAULTS else folder


def tables_dir() -> Path:
    """The paper's tables: ``$REPRO_PAPER_TABLES``, else paper_tables/ in the current folder or above, else the
    checkout's or the wheel's."""
    if named := _named("REPRO_PAPER_TABLES"):
        return named
    above = (folder for folder in _upwards() if (folder / TABLES / "claims.yaml").is_file())
    return next(above, CHECKOUT if in_checkout() else DEFAULTS) / TABLES


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _upwards() -> tuple[Path, ...]:
    here = Path.cwd()
    return (here, *here.parents)


def _project() -> Path | None:
    return next((folder for folder in _upwards() if _ours(folder)), None)


def _ours(folder: Path) -> bool:
    """Whether ``folder`` has a params.yaml of this project; others have files of that name, too (DVC's)."""
    path = folder / PARAMS
    if not path.exists():
        return False
    if (folder / TABLES).is_dir():
        return True
    try:
        return bool(re.search(rb"^['\"]?profiles['\"]?\s*:", path.read_bytes(), re.MULTILINE))
    except OSError:
        return False
