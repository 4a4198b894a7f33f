"""Profiles side by side (repro/commands/hypotheses.py), for terminal, page and README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from repro.report.numbers import fixed
from repro.report.reading import label
from repro.report.tables import Table
from repro.words import counted

Found = Mapping[str, Any]
SCORES = {
    "within": "within", "outside": "outside", "not_run": "not run",
    "rms": "RMS", "compared": "of", "common_rms": "RMS, common", "common": "of", "other": "other",
}  # fmt: skip
"""What is shown of a profile on an artifact, with its headings."""
MEANING = (
    "RMS: root mean square of z, which is reproduced less printed in units of the noise of that difference, "
    "sd sqrt(1 + 1/n); noise alone gives about 1. Common: on the cells that all profiles have, where they are "
    "judged by the same numbers. Other: no noise is known, or a Run diverged."
)


def show(found: Found, to: Console) -> None:
    """Print assumptions, scores, what they rest on, the cells and the conclusion."""
    to.print(f"[bold]Hypotheses[/bold]  {', '.join(found['profiles'])}")
    for part in (*parts(found), *common(found), found["conclusion"]):
        to.print()
        to.print(part, markup=False)


def open_assumption(found: Found) -> str:
    """Name the first assumption in which the profiles differ."""
    first = next(iter(found["assumptions"]), "").replace("_", " ")
    return f"The open assumption: which {first}?" if first else "Profiles that follow the paper"


def parts(found: Found) -> list[Table | str]:
    """Return tables and sentences: assumptions, scores with the total last, their limits, what they rest on."""
    shown: list[Table | str] = []
    for name, texts in found["assumptions"].items():
        supposed = [(profile, text or "nothing") for profile, text in texts.items()]
        shown.append(Table(("profile", "supposes"), supposed, name.replace("_", " "), folds=["supposes"]))
    values = []
    for name, own in found["values"].items():
        given = [f"{'nothing' if value is None else value} in {profile}" for profile, value in own.items()]
        values.append((name, ", ".join(given)))
    if values:
        shown.append(Table(("name", "value"), values, "set in params.yaml", folds=["name", "value"]))
    total = found["total"]
    scores = [
        [one.get("artifact", "total"), profile, *(_number({**one, **own}[field]) for field in SCORES)]
        for one in (*found["artifacts"], total)
        for profile, own in one["profiles"].items()
    ]
    header = ("artifact", "profile", *SCORES.values())
    shown += [Table(header, scores, "Printed numbers that each profile explains", left=2), MEANING]
    if total["alike"]:
        of = f"{total['alike']} of the {total['common']} common cells"
        shown.append(f"{of} are the same in all: they tell nothing between them.")
    if any(own["runs_shared"] for own in total["profiles"].values()):
        shown.append("Artifacts share Runs, so the last lines count some evidence more than once.")
    if found["assumptions"] and (apart := [label(o["artifact"]) for o in found["artifacts"] if not o["differ"]]):
        shown.append(f"None of the assumptions that differ bears on {', '.join(apart)}.")
    if rests := [line for profile in found["profiles"] for line in _rests(found, profile)]:
        shown.append(Table(("profile", "on"), rests, "What they rest on", folds=["on"]))
    return shown


def common(found: Found) -> list[Table]:
    """Return a table of each artifact's common cells: place, printed number, each profile's number and its z."""
    shown = []
    for one in (one for one in found["artifacts"] if one["common"]):
        header, rows = ["series", "row", "column", "printed"], []
        for profile in found["profiles"]:
            header += [profile, "z"]
        for cell in one["cells"]:
            row = [cell["series"], cell["row"], cell["col"], f"{cell['published']:g}"]
            for profile, z in cell["z"].items():
                row += [fixed(cell["reproduced"][profile], one["digits"]), fixed(z, 1, sign=True)]
            rows.append(row)
        shown.append(Table(header, rows, f"{label(one['artifact'])}: the cells that all have", left=3))
    return shown


def _number(value: float | None) -> str:
    """Format a count, or an RMS if there is one."""
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _rests(found: Found, profile: str) -> list[tuple[str, str]]:
    """Return (profile, artifacts with their Runs, seeds, devices and precisions); like artifacts share a line."""
    alike: dict[str, list[str]] = {}
    for one in found["artifacts"]:
        own = one["profiles"][profile]
        if own["compared"]:
            seeds = f"seed{'s' if len(own['seeds']) > 1 else ''} {', '.join(map(str, own['seeds']))}"
            on = f"{seeds}; {', '.join(own['devices'])}; {', '.join(own['precisions'])}"
            alike.setdefault(on, []).append(f"{label(one['artifact'])} ({counted(own['runs'], 'Run')})")
    return [(profile, f"{', '.join(artifacts)}: {on}") for on, artifacts in alike.items()]
