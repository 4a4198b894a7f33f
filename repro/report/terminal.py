"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from repro.options import rank
from repro.report.document import Document, grids, standing


def console(stderr: bool = False) -> Console:
    """A console that keeps wide tables whole where there is no terminal. Of many ranks only the first speaks."""
    quiet = rank() > 0
    found = Console(stderr=stderr, highlight=False, quiet=quiet)
    if not found.is_terminal:
        found = Console(stderr=stderr, highlight=False, width=180, color_system=None, quiet=quiet)
    return found


def show(document: Document, to: Console) -> None:
    """The artifact's tables, then where it stands."""
    to.print(f"\n[bold]{document['artifact']}[/bold]  {document['title']}")
    for heading, header, rows in grids(document):
        to.print(table(header, rows, heading))
    brackets = (
        " Published numbers in brackets." if any(c["published"] is not None for c in document["cells"]) else ""
    )
    to.print(standing(document) + brackets)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None, left: int = 1) -> Table:
    """A plain rich table, the first ``left`` columns to the left, the others to the right."""
    found = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(header):
        found.add_column(name, justify="right" if index >= left else "left", no_wrap=True)
    for row in rows:
        found.add_row(*row)
    return found


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.4 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def speed(value: float) -> str:
    """Images a second, with a digit that tells where they are few."""
    return f"{value:,.0f} images/s" if value >= 10 else f"{value:.2g} images/s"


def size(count: float) -> str:
    """Bytes for people: ``1.1 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
