"""A Result as files: ``ticket.json``, ``ticket.md`` and ``ticket.png``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro import files
from repro.report import figures
from repro.report.document import Document
from repro.report.figures.look import BLUE, INK, MUTED, VERMILION
from repro.ticket.result import Outcome, Result
from repro.words import counted

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTED = (
    "Every pass over the training set counts as one epoch: `dense` until pruning was known to be safe (or to the "
    "end), `checks` one epoch of retraining each, `window` the gradual pruning, `retraining` whole schedules. "
    "Trainings that strategies share count in each of them."
)


def write(result: Result, name: str, profile: str = "own", more: Mapping[str, Any] | None = None) -> list[Path]:
    """Write the three files into the result's folder; returns them. ``name`` says in a few words what was trained
    on what, ``profile`` by whose settings; ``more`` goes into the JSON. Raises `MissingInput` where the disk is
    full or read-only."""
    paths = [result.folder / f"ticket.{suffix}" for suffix in ("json", "md", "png")]
    document = {**result.document(), "name": name, "profile": profile, **(more or {})}
    files.write_text(paths[0], json.dumps(document, indent=1) + "\n")
    files.write_text(paths[1], markdown(result, name))
    files.write_bytes(paths[2], figures.as_png(figure(result, name, profile)))
    return paths


def markdown(result: Result, name: str) -> str:
    """The report as Markdown."""
    checks = ", ".join(f"{check.epoch}: {check.top1:.2f}" for check in result.checks)
    parts = [
        "# An early winning ticket",
        name,
        " ".join(result.sentences()),
        result.table("github"),
        f"{COUNTED} All together, shared trainings once: {counted(result.epochs_trained, 'epoch')}.",
        "![PPR by epoch, and the final accuracies](ticket.png)",
        f"PPR top-1 in %, by epoch: {checks or 'no check'}.",
    ]
    return "\n\n".join(parts) + "\n"


def figure(result: Result, name: str, profile: str) -> Figure:
    """Draw PPR and dense accuracy by epoch, with safe epoch and window; beside them the final accuracies."""
    from repro.report.figures.sheet import Sheet

    spec, made = result.spec, result.provenance
    about = Document(
        artifact="",
        title="An early winning ticket",
        comparable=True,  # with nothing of the paper's, that is: the page warns of numbers that are
        profile=profile,
        provenance={
            "data": name,
            "devices": made["device"],
            "precisions": made["precision"],
            "seeds": [spec.seed],
        },
    )
    strategies = [result.ticket, *result.baselines.values()]
    if result.dense_top1 is not None:
        whole = Outcome("dense", result.dense_top1, max(result.dense.values()), 0.0, spec.schedule, 0, 0, 0)
        strategies.insert(0, whole)
    with figures.styled():
        sheet = Sheet(10.6, 4.0)
        sheet.note(" ".join(result.sentences()))
        for key in _keys(result):
            sheet.key(str(key.get_label()), key)
        right = 0.9 * len(strategies) + 0.5
        curves, finals = sheet.subplots(1, 2, width_ratios=[10.6 - right - 1.75, right])
        _curves(curves, result)
        _finals(finals, strategies)
        sheet.finish(about)
    return sheet


def _curves(axes: Axes, result: Result) -> None:
    from matplotlib.ticker import MaxNLocator

    schedule = result.spec.schedule
    axes.set_title("Test accuracy along the dense training")
    axes.set_xlim(0, schedule * 1.02)
    axes.plot([*result.dense], [*result.dense.values()], **DENSE)
    axes.plot([c.epoch for c in result.checks], [c.top1 for c in result.checks], **_ppr(result))
    if result.window and result.safe_epoch is not None:
        axes.axvspan(*result.window, **WINDOW)
        axes.axvline(result.safe_epoch, **SAFE)
    axes.set_xlabel("epoch of the dense training")
    axes.set_ylabel("top-1 accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.grid(axis="y")


def _finals(axes: Axes, strategies: list[Outcome]) -> None:
    axes.set_title("At the end")
    values = [outcome.top1 for outcome in strategies]
    room = 0.2 * (max(values) - min(values)) or 1.0
    axes.set_ylim(min(values) - room, max(values) + room)
    axes.set_xlim(-0.6, len(strategies) - 0.4)
    for place, outcome in enumerate(strategies):
        style = STYLES.get(outcome.name, {"marker": "D", "color": BLUE})
        axes.plot(place, outcome.top1, linestyle="", markersize=7, **style)
        axes.annotate(
            f"{outcome.top1:.2f}", (place, outcome.top1), (0, 8), textcoords="offset points", ha="center"
        )
    labels = [f"{outcome.name}\n{outcome.epochs:,} epochs" for outcome in strategies]
    axes.set_xticks(range(len(strategies)), labels)
    axes.grid(axis="y")


DENSE: dict[str, Any] = {"color": MUTED, "linewidth": 1.4}
WINDOW: dict[str, Any] = {"facecolor": VERMILION, "alpha": 0.12, "linewidth": 0}
SAFE: dict[str, Any] = {"color": VERMILION, "linewidth": 1.3, "linestyle": (0, (4, 2))}
STYLES: dict[str, dict[str, Any]] = {
    "dense": {"marker": "s", "color": MUTED},
    "ticket": {"marker": "o", "color": VERMILION},
    "one-shot": {"marker": "^", "color": INK},
}


def _ppr(result: Result) -> dict[str, Any]:
    few = len(result.checks) <= 60
    return {"color": BLUE, "linewidth": 1.4, "marker": "o" if few else None, "markersize": 4}


def _keys(result: Result) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    pruned = f"{100 * result.spec.sparsity:g} %"
    check = f"PPR: a copy pruned to {pruned}, retrained for one epoch at {result.spec.ppr_rate:g}"
    found: list[Artist] = [Line2D([], [], label="dense", **DENSE), Line2D([], [], label=check, **_ppr(result))]
    if result.window:
        first, last = result.window
        found.append(Line2D([], [], label=f"safe from epoch {first} (known at {result.known_at})", **SAFE))
        found.append(Patch(label=f"pruned gradually, epochs {first}-{last}", **WINDOW))
    return found
