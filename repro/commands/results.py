"""`repro list` and `repro published`: artifacts with state and cost, and the paper's printed numbers."""

from __future__ import annotations

import json
from typing import Any

from repro import artifacts, published
from repro.errors import UsageError
from repro.options import Options
from repro.plan import cost
from repro.report import terminal
from repro.run import ancestors
from repro.words import counted
from repro.workspace import reading


def list_artifacts(options: Options, as_json: bool) -> None:
    """List every artifact of the paper, with its place, state and cost."""
    work = reading(options)
    found: list[dict[str, Any]] = []
    for name, artifact in artifacts.IMPLEMENTED.items():
        runs = ancestors(work.runs(artifact))
        done = sum(work.store.record(run) is not None for run in runs)
        state = "done" if done == len(runs) else f"{done} of {counted(len(runs), 'Run')}"
        entry = {"artifact": name, "place": artifact.place or "not in the paper", "title": artifact.title}
        entry["state"] = state if runs else "not in this profile"
        whole = cost(runs)
        found.append(entry | {"runs": len(runs), "done": done, "epochs": whole.epochs, "images": whole.images})
    if as_json:
        print(json.dumps({"profile": work.settings.name, "artifacts": found}))
        return
    rows = [[e["artifact"], e["place"], e["title"], e["state"], f"{e['epochs']:,}"] for e in found]
    header, title = ["artifact", "place", "what", "state", "epochs"], f"profile {work.settings.name}"
    terminal.console().print(terminal.table(header, rows, title, left=3, folds=["what"], spare=["place"]))


def show_published(options: Options, name: str | None = None, as_json: bool = False) -> None:
    """Print the published numbers, of one artifact or all. They do not depend on ``options``."""
    printed = published.tables()
    if name not in (None, *printed, *artifacts.PAPER):
        raise UsageError(f"unknown artifact {name!r}: one of {', '.join(sorted({*printed, *artifacts.PAPER}))}")
    cells = published.load(name)
    if as_json:
        keys = ("artifact", "series", "row", "col", "value")
        print(json.dumps([{key: getattr(cell, key) for key in keys} for cell in cells]))
        return
    out = terminal.console()
    for artifact in dict.fromkeys(cell.artifact for cell in cells):
        about = printed[artifact]
        rows = [[c.series, c.row, c.col, c.printed] for c in cells if c.artifact == artifact]
        header = ["series", "row", "column", "value"]
        out.print(terminal.table(header, rows, f"{artifact}: {about.title} ({about.unit})", left=2))
    if not cells:
        out.print(f"the paper draws {name} without numbers; its sentences are in paper_tables/claims.yaml")
