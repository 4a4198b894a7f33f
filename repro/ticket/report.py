"""Write a Result as files: ``ticket.json``, ``ticket.md`` and ``ticket.png``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro import files
from repro.report import figures
from repro.report.figures import BLUE, INK, MUTED, VERMILION
from repro.ticket.result import Result
from repro.words import counted, machines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTED = (
    "Every pass over the training set counts as one epoch: `dense` until pruning was known to be safe (or to the "
    "end), `checks` one epoch of retraining each, `window` the gradual pruning, `retraining` whole schedules. "
    "Trainings that strategies share count in each of them."
)
COLOURS = {"ticket": VERMILION, "one-shot": INK, "iterative": BLUE}


def write(result: Result, name: str, profile: str = "own", more: Mapping[str, Any] | None = None) -> list[Path]:
    """Write the three files into the result's folder; returns them.

    Args:
        name: a few words: what was trained on what.
        profile: whose settings were used.
        more: further entries of the JSON.

    Raises `MissingInput` if the disk is full or read-only.
    """
    paths = [result.folder / f"ticket.{suffix}" for suffix in ("json", "md", "png")]
    document = {**result.document(), "name": name, "profile": profile, **(more or {})}
    files.write_text(paths[0], json.dumps(document, indent=1) + "\n")
    files.write_text(paths[1], markdown(result, name))
    files.write_bytes(paths[2], figures.as_png(figure(result, name, profile)))
    return paths


def markdown(result: Result, name: str) -> str:
    """Return the report as Markdown."""
    checks = ", ".join(f"{check.epoch}: {check.top1:.2f}" for check in result.checks)
    parts = [
        "# An early winning ticket",
        name,
        " ".join(result.sentences()),
        result.table(),
        f"{COUNTED} All together, shared trainings once: {counted(result.epochs_trained, 'epoch')}.",
        "![PPR by epoch, and the final accuracies](ticket.png)",
        f"PPR top-1 in %, by epoch: {checks or 'no check'}.",
    ]
    return "\n\n".join(parts) + "\n"


def figure(result: Result, name: str, profile: str) -> Figure:
    """Draw PPR and dense accuracy by epoch, the safe epoch, the window, and the final accuracies."""
    from matplotlib.ticker import MaxNLocator

    from repro.report.figures.sheet import Sheet

    spec, made = result.spec, result.provenance
    provenance = [f"profile {profile}", name, machines(made["device"]), ", ".join(made["precision"])]
    with figures.styled():
        sheet = Sheet(8.6, 4.0)
        sheet.note(" ".join(result.sentences()))
        axes = sheet.subplots()
        axes.set(xlabel="epoch of the dense training", ylabel="top-1 accuracy, %", xlim=(0, spec.schedule * 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        axes.grid(axis="y")
        axes.plot([*result.dense], [*result.dense.values()], color=MUTED, linewidth=1.4, label="dense")
        check = f"PPR: pruned to {100 * spec.sparsity:g} %, retrained for one epoch at {spec.ppr_rate:g}"
        epochs, top1 = [check.epoch for check in result.checks], [check.top1 for check in result.checks]
        axes.plot(epochs, top1, "o-" if len(epochs) <= 60 else "-", color=BLUE, lw=1.4, markersize=4, label=check)
        if result.window:
            first, last = result.window
            safe = f"safe from epoch {first} (known at {result.known_at})"
            axes.axvline(first, color=VERMILION, linewidth=1.3, linestyle=(0, (4, 2)), label=safe)
            pruned = f"pruned gradually, epochs {first}-{last}"
            axes.axvspan(first, last, facecolor=VERMILION, alpha=0.12, linewidth=0, label=pruned)
        for outcome in (result.ticket, *result.baselines.values()):
            label = f"{outcome.name}, retrained: {outcome.top1:.2f} % after {counted(outcome.epochs, 'epoch')}"
            colour, dots = COLOURS[outcome.name], (0, (1, 1.5))
            axes.axhline(outcome.top1, label=label, color=colour, linewidth=1.1, linestyle=dots)
        for artist, label in zip(*axes.get_legend_handles_labels(), strict=True):
            sheet.key(label, artist)
        sheet.finish("An early winning ticket", provenance=[*provenance, f"seed {spec.seed}"])
    return sheet
