"""`repro --version`. Imports no torch."""

from __future__ import annotations

import platform
from importlib import metadata

from repro import __version__
from repro.run import SEMANTICS


def line() -> str:
    """This version, PyTorch's beside the one that results were made with, Python's, and what keys mean."""
    return f"repro {__version__}; {_torch()}; Python {platform.python_version()}; keys of semantics {SEMANTICS}"


def _torch() -> str:
    try:
        here = "torch " + metadata.version("torch").partition("+")[0]
    except metadata.PackageNotFoundError:
        here = "no torch"
    pinned = _pinned()
    return here if pinned in (None, here) else f"{here} (pinned: {pinned})"


def _pinned() -> str | None:
    """``torch 2.11.0`` as this package asks for it; None where it is not installed, but run from its folder."""
    try:
        asked = metadata.requires("repro") or []
    except metadata.PackageNotFoundError:
        return None
    return next((text.replace("==", " ") for text in asked if text.startswith("torch==")), None)
