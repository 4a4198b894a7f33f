"""Documents for the plots: whole, empty, of another profile, not run; and what a figure says."""

from __future__ import annotations

import math
import random
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from repro import compare, published

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Document = dict[str, Any]
PROVENANCE = {
    "devices": ["NVIDIA H200"],
    "precisions": ["bfloat16"],
    "seeds": [0, 1, 2],
    "runs": 144,
    "data": "cifar10: 50,000 training and 10,000 test images",
}
UNITS = {"fig2": "standard deviation of weights; share of weights removed", "fig3": "share of prunable weights"}
DRAWN = ("fig1", "fig2", "fig3", "table2")


def document(artifact: str, cells: list[compare.Cell], *, paper: bool = True, **changes: Any) -> Document:
    return {
        "artifact": artifact,
        "title": published.about(artifact).title,
        "unit": UNITS.get(artifact, "top-1 accuracy, %"),
        "profile": "paper" if paper else "pilot",
        "overrides": {},
        "comparable": paper,
        "assumptions": {"batch_size": "128"},
        "provenance": PROVENANCE,
        "cells": [asdict(cell) for cell in cells],
    } | changes


def printed(artifact: str, *, seeds: int = 1, shift: float = 0.2, paper: bool = True, **changes: Any) -> Document:
    """A document as large as the paper's table: published numbers, and those plus noise."""
    noise = random.Random(artifact)
    scale = 0.01 if artifact == "fig3" else 1.0
    return document(
        artifact,
        [
            compare.cell(*key, [value + noise.gauss(0, shift * scale) for _ in range(seeds)] if value else [0.0],
                         published=value, replicate_sd=0.23 * scale, comparable=paper)
            for key, value in published.lookup(artifact).items()
        ],
        paper=paper,
        **changes,
    )  # fmt: skip


def curves(layers: int = 20, epochs: int = 20, first: int = 12, **changes: Any) -> Document:
    """Fig. 2 with ``layers`` layers, the first and the last of them never pruned."""
    names = [f"layers.{index}.weight" for index in range(layers)]
    found = []
    for index, name in enumerate(names):
        for epoch in range(epochs + 1):
            value = 0.12 * 0.97**index * (1 + 0.1 * math.sin(epoch / 5 + index))
            found.append(compare.cell("w_std", name, str(epoch), [value]))
            if 0 < index < layers - 1:
                rate = 0.5 + 0.4 * index / layers + 0.01 * math.cos(epoch)
                found.append(compare.cell("layer pruning rate", name, str(epoch), [rate]))
            if epoch >= first:
                found.append(compare.cell("w_std predicted", name, str(epoch), [0.12 * 0.97**index]))
    return document("fig2", found, **changes)


def pilot(artifact: str) -> Document:
    """A small grid of another profile, one cell not run, one not printed in the paper."""
    table = published.lookup(artifact)
    if artifact == "fig2":
        return curves(layers=4, paper=False)
    places = {
        "fig1": [("baseline", "baseline", s) for s in ("1", "2", "20")]
        + [("tickets", v, s) for v in ("0", "3", "20") for s in ("1", "2", "20")],
        "fig3": [("hamming", x, y) for x in ("10", "12", "20") for y in ("10", "12", "20") if int(x) <= int(y)],
        "table2": [("one-shot", "resnet20", s) for s in ("2", "6", "20")] + [("gradual", "resnet20", "5-10")],
    }[artifact]
    found = []
    for index, (series, row, col) in enumerate(places):
        tenfold = (series, row if artifact == "table2" else tens(row), tens(col))
        value = 0.1 + index / 100 if artifact == "fig3" else 55.0 + index
        found.append(
            compare.cell(series, row, col, [] if index == 2 else [value], published=table.get(tenfold),
                         replicate_sd=0.23, comparable=False)
        )  # fmt: skip
    labels = {label for _, row, col in places for label in (row, col) if tens(label) not in (label, "resnet200")}
    return document(artifact, found, paper=False, paper_epochs={label: tens(label) for label in sorted(labels)})


def tens(epochs: str) -> str:
    """The paper's epoch at the same share of its schedule."""
    return re.sub(r"\d+", lambda found: str(int(found[0]) * 10), epochs)


def not_run(doc: Document) -> Document:
    changed = {"reproduced": None, "n": 0, "sd": None, "best_epoch": None, "band": None, "verdict": "not run"}
    return doc | {"cells": [cell | changed for cell in doc["cells"]]}


def whole(artifact: str) -> Document:
    return curves() if artifact == "fig2" else printed(artifact, seeds=3)


def every() -> dict[str, Document]:
    found = {"curves-58": curves(58, 200, 120), "curves-1": curves(1), "fig1-one-seed": printed("fig1", shift=0.6)}
    for artifact in DRAWN:
        found[f"{artifact}-whole"] = whole(artifact)
        found[f"{artifact}-pilot"] = pilot(artifact)
        found[f"{artifact}-not-run"] = not_run(whole(artifact))
        found[f"{artifact}-empty"] = document(artifact, [])
    overrides = {"recipe.epochs": 20, "data.train": 5000, "fig1.arch": "resnet56 $x^2 $", "x" * 300: "y"}
    found["fig1-overridden"] = pilot("fig1") | {"overrides": overrides}
    found["table3"] = printed("table3")
    return found


def texts(figure: Figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
