"""What a search tells on the way and returns: its events, its result, and the report as JSON, Markdown and PNG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors.torch import save
from torch import Tensor, nn

from repro import files
from repro.pruning import Masks
from repro.report.tables import markdown_table
from repro.ticket.network import on_cpu
from repro.ticket.search_spec import ITERATIVE, SearchSpec
from repro.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTED = (
    "Every pass over the training set counts as one epoch: `dense` until pruning was known to be safe (or to the "
    "end), `checks` one epoch of retraining each, `window` the gradual pruning, `retraining` whole schedules. "
    "Trainings that strategies share count in each of them."
)
Kind = Literal["note", "epoch", "check", "safe", "unsettled", "done"]


@dataclass(frozen=True)
class Event:
    """One step of a search, as a line if printed.

    ``note``: a fact that is known before training; ``phase`` is the sentence. ``epoch``: one epoch of ``phase`` is
    trained and kept on disk. ``check``: the PPR accuracy of dense epoch ``epoch``. ``safe``: PPR has reached its
    plateau, and pruning is safe from ``epoch``. ``unsettled``: it reached none. ``done``: ``phase`` ended with
    ``top1``. Accuracies are per cent of the test set.

    ``spent`` counts the epochs so far, PPR checks and earlier calls included; ``left`` is the most epochs that may
    still be needed: an early plateau needs fewer.
    """

    kind: Kind
    phase: str
    epoch: int
    last: int
    top1: float | None
    spent: int
    left: int
    images_per_second: float | None = None

    def __str__(self) -> str:
        top1 = "" if self.top1 is None else f"top-1 {self.top1:.2f} %"
        lines = {
            "note": self.phase,
            "epoch": ", ".join(filter(None, (f"{self.phase}: epoch {self.epoch}/{self.last}", top1))),
            "check": f"PPR check of epoch {self.epoch}: {top1}",
            "safe": f"safe to prune from epoch {self.epoch}: PPR has reached its plateau",
            "unsettled": f"PPR reached no plateau within {self.last} epochs: pruned at the end of the dense "
            "schedule",
            "done": f"{self.phase} done: {top1}",
        }
        return lines[self.kind]


Observer = Callable[[Event], object]


@dataclass(frozen=True)
class Outcome:
    """One strategy: test accuracy of its last and its best epoch in per cent, the share of prunable weights that
    are zero, and the epochs that it would take alone."""

    name: str
    top1: float
    best_top1: float
    sparsity: float
    dense: int
    checks: int
    window: int
    retraining: int

    @property
    def epochs(self) -> int:
        """The number of passes over the training set."""
        return self.dense + self.checks + self.window + self.retraining


@dataclass(frozen=True)
class Result:
    """The result of `find_ticket`. Epochs are epochs trained of the schedule, accuracies per cent of the test set.

    Args:
        safe_epoch: the epoch from which pruning is safe; None if PPR reached no plateau.
        known_at: the epoch at which that was known, or None.
        window: first and last epoch of gradual pruning, or None.
        checks: PPR by dense epoch (section 3.3): accuracy after pruning and one epoch of training.
        dense: accuracy by epoch of the dense training, which ends early unless it is needed to its end.
        ticket, baselines: the strategies.
        epochs_trained: epochs of all strategies together, shared trainings once.
        model: the ticket in eval mode, its pruned weights exactly zero.
        masks: bool tensors by name, True where a weight stays.
        notes: what to know about network and data, in sentences.
        left_out: the weights that are not pruned, each with the reason.
    """

    spec: SearchSpec
    safe_epoch: int | None
    known_at: int | None
    window: tuple[int, int] | None
    checks: dict[int, float]
    dense: dict[int, float]
    ticket: Outcome
    baselines: dict[str, Outcome]
    epochs_trained: int
    provenance: dict[str, Any]
    folder: Path
    model: nn.Module
    masks: Masks
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def dense_top1(self) -> float | None:
        """Accuracy at the end of the dense training; None if it stopped early."""
        return self.dense.get(self.spec.schedule)

    @property
    def iterative_epochs(self) -> int:
        """The epochs of iterative pruning to this sparsity, trained or not."""
        return (1 + self.spec.rounds) * self.spec.schedule

    def sentences(self) -> list[str]:
        """Return the finding in words."""
        spec, whole = self.spec, self.iterative_epochs
        checks = f"{spec.patience} checks without a gain above {spec.tolerance:.2g} points"
        trained = "" if ITERATIVE in self.baselines else ", not trained here"
        cost = (
            f"The ticket took {self.ticket.epochs:,} epochs, {100 * self.ticket.epochs / whole:.0f} % of "
            f"iterative pruning's {whole:,} ({1 + spec.rounds} trainings{trained})."
        )
        if self.window:
            found = [
                f"Pruning is safe from epoch {self.safe_epoch} of {spec.schedule}. That was known at epoch "
                f"{self.known_at}, after {checks}.",
                f"Pruned gradually over epochs {self.window[0]}-{self.window[1]}, then retrained.",
            ]
        else:
            found = [
                f"PPR did not settle within {spec.schedule} epochs ({checks}): pruned at the end of the dense "
                "schedule, all at once."
            ]
        return [*found, cost, *(f"{note}." for note in self.notes)]

    def save(self) -> None:
        """Write ``ticket.safetensors``, for `load_state_dict`, and ``masks.safetensors`` into ``folder``.

        Raises `MissingInput` if the disk is full.
        """
        state = {name: value for name, value in self.model.state_dict().items() if isinstance(value, Tensor)}
        for name, tensors in (("ticket", state), ("masks", self.masks)):
            files.write_bytes(self.folder / f"{name}.safetensors", save(on_cpu(tensors)))

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return header and rows of the table, a row a strategy; the dense network comes first if trained to its
        end."""
        header = ["", "top-1 %", "to dense", "pruned %", "dense", "checks", "window", "retraining", "epochs"]
        found, dense = [], self.dense_top1
        if dense is not None:
            whole = f"{self.spec.schedule:,}"
            found.append(["dense", f"{dense:.2f}", "", "0.0", whole, "", "", "", whole])
        for one in (self.ticket, *self.baselines.values()):
            gain = "" if dense is None else f"{one.top1 - dense:+.2f}"
            counts = [f"{n:,}" if n else "" for n in (one.dense, one.checks, one.window, one.retraining)]
            sparsity = f"{100 * one.sparsity:.1f}"
            found.append([one.name, f"{one.top1:.2f}", gain, sparsity, *counts, f"{one.epochs:,}"])
        return header, found

    def table(self) -> str:
        """Return the table of strategies as Markdown."""
        return markdown_table(*self.rows())

    def document(self) -> dict[str, Any]:
        """Return all but the network as JSON values."""
        outcomes = [self.ticket, *self.baselines.values()]
        return {
            "title": "An early winning ticket",
            "safe_epoch": self.safe_epoch,
            "known_at": self.known_at,
            "window": list(self.window) if self.window else None,
            "sentences": self.sentences(),
            "left_out": self.left_out,
            "dense_top1": self.dense_top1,
            "strategies": [{**asdict(outcome), "epochs": outcome.epochs} for outcome in outcomes],
            "epochs_trained": self.epochs_trained,
            "iterative_epochs": self.iterative_epochs,
            "checks": [*map(list, self.checks.items())],
            "dense": [*map(list, self.dense.items())],
            "search": asdict(self.spec),
            "provenance": self.provenance,
        }


def write(result: Result, name: str, profile: str = "own", more: Mapping[str, Any] | None = None) -> list[Path]:
    """Write the three files into the result's folder; returns them.

    Args:
        name: a few words: what was trained on what.
        profile: whose settings were used.
        more: further entries of the JSON.

    Raises `MissingInput` if the disk is full or read-only.
    """
    from repro.report.figures import as_png

    json_file, markdown, picture = paths = [result.folder / f"ticket.{suffix}" for suffix in ("json", "md", "png")]
    document = {**result.document(), "name": name, "profile": profile, **(more or {})}
    files.write_text(json_file, json.dumps(document, indent=1) + "\n")
    checks = ", ".join(f"{epoch}: {top1:.2f}" for epoch, top1 in result.checks.items())
    paragraphs = [
        "# An early winning ticket",
        name,
        " ".join(result.sentences()),
        result.table(),
        f"{COUNTED} All together, shared trainings once: {counted(result.epochs_trained, 'epoch')}.",
        "![PPR by epoch, and the final accuracies](ticket.png)",
        f"PPR top-1 in %, by epoch: {checks or 'no check'}.",
    ]
    files.write_text(markdown, "\n\n".join(paragraphs) + "\n")
    files.write_bytes(picture, as_png(figure(result, name, profile)))
    return paths


def figure(result: Result, name: str, profile: str) -> Figure:
    """Draw PPR and dense accuracy by epoch, the safe epoch, the window, and the final accuracies."""
    from matplotlib.ticker import MaxNLocator

    from repro.report.figures import BLUE, INK, MUTED, VERMILION, Sheet, styled

    colours = {"ticket": VERMILION, "one-shot": INK, "iterative": BLUE}
    spec, made = result.spec, result.provenance
    with styled():
        sheet = Sheet(8.6, 4.0)
        sheet.notes.append(" ".join(result.sentences()))
        axes = sheet.subplots()
        axes.set(xlabel="epoch of the dense training", ylabel="top-1 accuracy, %", xlim=(0, spec.schedule * 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        axes.plot([*result.dense], [*result.dense.values()], color=MUTED, linewidth=1.4, label="dense")
        check = f"PPR: pruned to {100 * spec.sparsity:g} %, retrained for one epoch at {spec.ppr_rate:g}"
        dots = "o-" if len(result.checks) <= 60 else "-"
        axes.plot([*result.checks], [*result.checks.values()], dots, color=BLUE, lw=1.4, markersize=4, label=check)
        if result.window:
            first, last = result.window
            safe = f"safe from epoch {first} (known at {result.known_at})"
            axes.axvline(first, color=VERMILION, linewidth=1.3, linestyle=(0, (4, 2)), label=safe)
            pruned = f"pruned gradually, epochs {first}-{last}"
            axes.axvspan(first, last, facecolor=VERMILION, alpha=0.12, linewidth=0, label=pruned)
        for outcome in (result.ticket, *result.baselines.values()):
            label = f"{outcome.name}, retrained: {outcome.top1:.2f} % after {counted(outcome.epochs, 'epoch')}"
            axes.axhline(
                outcome.top1, label=label, color=colours[outcome.name], linewidth=1.1, linestyle=(0, (1, 1.5))
            )
        for artist, label in zip(*axes.get_legend_handles_labels(), strict=True):
            sheet.key(label, artist)
        provenance = [f"profile {profile}", name, made["device"], made["precision"], f"seed {spec.seed}"]
        sheet.finish("An early winning ticket", provenance=provenance)
    return sheet
