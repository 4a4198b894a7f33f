"""Print on the terminal: a console, an artifact's tables, and how long and large things are."""

from __future__ import annotations

import os
from typing import Any

from rich import filesize
from rich.console import Console
from rich.markup import escape

from repro.options import placed
from repro.report import reading
from repro.report.document import Document
from repro.report.tables import tables

UNBOUNDED = 100_000  # columns


def console(stderr: bool = False) -> Console:
    """Return a console.

    Without a terminal it neither wraps nor cuts, unless ``$COLUMNS`` sets a width. It has no styles if
    ``$NO_COLOR`` is set. Of many ranks only the first prints.
    """
    settings: dict[str, Any] = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    found = Console(stderr=stderr, highlight=False, quiet=placed().rank > 0, **settings)
    if not found.is_terminal:
        asked = os.environ.get("COLUMNS", "")
        found.width = int(asked) if asked.isdecimal() and int(asked) else UNBOUNDED
    return found


def show(document: Document, to: Console) -> None:
    """Print the artifact's tables, and how it compares with the paper."""
    to.print(f"\n[bold]{document.artifact}[/bold]  {escape(document.title)}")
    for found in tables(document):
        to.print(found)
    brackets = " Published numbers in brackets." if document.printed else ""
    to.print(reading.standing(document) + brackets, markup=False)


def duration(seconds: float) -> str:
    """Format seconds: ``40 s``, ``12 min``, ``3.4 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def speed(value: float) -> str:
    """Format images a second, with a decimal where they are few."""
    return f"{value:,.0f} images/s" if value >= 10 else f"{value:.2g} images/s"


def size(count: float) -> str:
    """Format bytes: ``1.1 MB``."""
    return filesize.decimal(int(count))
