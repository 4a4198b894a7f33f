"""Locate params.yaml, the paper's tables, and the folder of results, Runs and data.

A checkout has all of them at its root. An installed wheel contains params.yaml and paper_tables/ (in `DEFAULTS`,
added by setup.py) but no results; it writes to the current folder. Imports nothing of repro.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

PARAMS, TABLES = "params.yaml", "paper_tables"
PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent
DEFAULTS = PACKAGE / "defaults"


def in_checkout() -> bool:
    """Return whether the package runs from a checkout, not from a wheel."""
    return (CHECKOUT / PARAMS).is_file() and (CHECKOUT / TABLES).is_dir()


def params_file(given: Path | None = None) -> Path:
    """Return the params.yaml to use: ``given`` (``--params``), else ``$REPRO_PARAMS``, else the one in the current
    folder or its nearest parent, else the checkout's or the wheel's."""
    return given or _found("REPRO_PARAMS", PARAMS, _ours)


def find_root(given: Path | None = None) -> Path:
    """Return the folder of results/, runs/ and data/: ``$REPRO_HOME``, else the folder of `params_file`, or the
    current folder if that is the wheel's."""
    if home := os.environ.get("REPRO_HOME"):
        return Path(home)
    folder = params_file(given).resolve().parent
    return Path.cwd() if folder == DEFAULTS else folder


def tables_dir() -> Path:
    """Return the folder of the paper's tables: ``$REPRO_PAPER_TABLES``, else paper_tables/ in the current folder
    or a parent, else the checkout's or the wheel's."""
    return _found("REPRO_PAPER_TABLES", TABLES, lambda folder: (folder / TABLES / "claims.yaml").is_file())


def _found(variable: str, name: str, ours: Callable[[Path], bool]) -> Path:
    """Return the place that ``variable`` names, else ``name`` in the nearest folder that is ``ours``."""
    if named := os.environ.get(variable):
        return Path(named)
    here = Path.cwd()
    return next(filter(ours, (here, *here.parents)), CHECKOUT if in_checkout() else DEFAULTS) / name


def _ours(folder: Path) -> bool:
    """Return whether ``folder`` has a params.yaml of this project; DVC users have files of that name, too."""
    try:
        content = (folder / PARAMS).read_bytes()
    except FileNotFoundError:
        return False
    return (folder / TABLES).is_dir() or bool(re.search(rb"^['\"]?profiles['\"]?\s*:", content, re.MULTILINE))
