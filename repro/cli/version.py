"""`repro --version`. Imports no torch."""

from __future__ import annotations

import platform
from importlib import metadata

from repro import __version__
from repro.run import SEMANTICS


def line() -> str:
    """Return the versions of this package, PyTorch (and the pinned one, if it differs), Python and the keys."""
    return f"repro {__version__}; {_torch()}; Python {platform.python_version()}; keys of semantics {SEMANTICS}"


def _torch() -> str:
    try:
        here = "torch " + metadata.version("torch").partition("+")[0]
    except metadata.PackageNotFoundError:
        here = "no torch"
    pinned = _pinned()
    return here if pinned in (None, here) else f"{here} (pinned: {pinned})"


def _pinned() -> str | None:
    """Return the pinned version, ``torch 2.11.0``; None if this package is not installed."""
    try:
        requirements = metadata.requires("repro") or []
    except metadata.PackageNotFoundError:
        return None
    return next((text.replace("==", " ") for text in requirements if text.startswith("torch==")), None)
