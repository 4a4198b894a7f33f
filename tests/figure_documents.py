"""Documents to draw: whole, empty, of another profile, with missing and diverged cells; and what a figure says."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

from repro import artifacts, published
from repro import cells as compare
from repro.report.document import Document

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from repro.report.figures import Sheet


def from_values(values: Mapping[str, Any]) -> Document:
    """Return the document that JSON holds."""
    known = {item.name: values[item.name] for item in fields(Document) if item.name in values}
    names = [item.name for item in fields(compare.Cell)]
    return Document(
        **known | {"cells": [compare.Cell(**{n: cell.get(n) for n in names}) for cell in values["cells"]]}
    )


GP, IP = "GP + EWT", "IP + WT"
TABLE4 = {
    (GP, "pruning rate"): 80.0, (GP, "accuracy delta"): -0.31, (GP, "pruning epochs"): 150.0,
    (GP, "retraining epochs"): 200.0, (IP, "pruning rate"): 79.03, (IP, "accuracy delta"): -0.1,
    (IP, "epochs"): 1600.0,
}  # fmt: skip
SIZES = {6000: 97.1, 8000: 91.0, 10000: 84.9, 12000: 78.8, 16000: 61.2, 24000: 37.9}
AXES = {"fig1": ["v", "s"], "fig2": ["layer", "epoch"], "fig3": ["x", "y"]}
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
    made = Document(
        artifact,
        title=artifacts.get(artifact).title,
        unit=UNITS.get(artifact, "top-1 accuracy, %"),
        digits=4 if artifact in UNITS else 2,
        axes=AXES.get(artifact, ["network", "epoch"]),
        profile="paper" if paper else "pilot",
        comparable=paper,
        assumptions={"batch_size": "128"},
        provenance=PROVENANCE,
        cells=cells,
    )
    return replace(made, **changes)


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


def whole(artifact: str) -> Document:
    return curves() if artifact == "fig2" else printed(artifact, seeds=3)


def ppr(epochs: int, archs: tuple[str, ...] = ("resnet20",), seeds: int = 1, **changes: Any) -> Document:
    """Curves like the paper's: noisy at 0.1, rising and settling at 0.01, the baseline in steps."""
    noise, found = random.Random(0), []
    for arch in archs:
        for series, rise, spread in (("ppr 0.1", 3.0, 1.5), ("ppr 0.01", 20.0, 0.2), ("baseline", 4.0, 1.0)):
            for epoch in range(1, epochs + 1):
                share = 200 * epoch / epochs
                mean = 89 - 45 * math.exp(-share / rise) + (3 if series == "baseline" and share > 120 else 0)
                values = [noise.gauss(mean, spread) for _ in range(seeds)]
                found.append(compare.cell(series, arch, str(epoch), values))
    return document("fig4", found, **changes)


def fig5(rows: tuple[str, ...] = ("20", "120", "200"), seeds: int = 1) -> Document:
    """Two almost identical curves above the first, as in the paper."""
    sizes, noise = (5000, 10000, 20000, 30000, 40000, 50000), random.Random(0)
    return document("fig5", [
        compare.cell("memorization", row, str(size),
             [100 * math.exp(-size / (18000 + 6000 * (row != rows[0]))) + noise.random() for _ in range(seeds)])
        for row in rows for size in sizes
    ])  # fmt: skip


def probe(*, paper: bool = True, seeds: int = 1, epochs: tuple[int, ...] = (122, 125, 130, 135, 140)) -> Document:
    """Batch 64 inside the band, batch 128 and the dense network outside, close to each other."""
    places = [(row, e) for row in ("batch 64", "batch 128") for e in epochs] + [("dense", 140)]
    found = [
        compare.cell("hamming", row, str(e), [(e - 120) * (0.0026 if row == "batch 64" else 0.0016) + 0.001 * seed
                                      for seed in range(seeds)],
             published=0.052 if e == 140 else None, replicate_sd=0.004, comparable=paper)
        for row, e in places
    ]  # fmt: skip
    return replace(document("fig3", found, paper=paper, unit="share of weights"), artifact="batch-probe")


def table1(*, paper: bool = True, seeds: int = 1, shift: float = 0.4) -> Document:
    found, tenth, noise = [], 1 if paper else 10, random.Random(3)
    for (series, arch, epoch), value in published.lookup("table1").items():
        if series == "pruning rate":
            continue
        first = epoch == "120"
        values = [78.8 if first else value + noise.gauss(0, shift) for _ in range(seeds)]
        col = str(int(epoch) // tenth)
        found.append(compare.cell(series, arch, col, values, published=value, replicate_sd=0.3,
                                  comparable=paper and not first))  # fmt: skip
    for size, value in SIZES.items():
        found.append(compare.cell("calibration", "resnet20", str(size // tenth), [value]))
    return document("table1", found, paper=paper)


def table4(*, paper: bool = True) -> Document:
    found, printed = [], published.lookup("table4")
    for (series, column), value in TABLE4.items():
        for arch in ("resnet20", "resnet18", "resnet50"):
            scale = 0.1 if not paper and column.endswith("epochs") else 1.0
            found.append(compare.cell(series, arch, column, [scale * value] if arch == "resnet20" else [],
                              published=printed.get((series, arch, column)), comparable=paper,
                              replicate_sd=0.33 if column == "accuracy delta" else 0.0))  # fmt: skip
    return document("table4", found, paper=paper)


def without(doc: Document, verdict: str = "not run", **where: str) -> Document:
    """``doc`` with the cells at a place (all, where none is named) not run."""
    hit = [all(getattr(one, field) == value for field, value in where.items()) for one in doc.cells]
    assert any(hit)
    lost = [replace(one, reproduced=None, n=0, sd=None, band=None, verdict=verdict) for one in doc.cells]
    return replace(doc, cells=[new if gone else one for one, new, gone in zip(doc.cells, lost, hit, strict=True)])


def every() -> dict[str, Document]:
    """Return one document of each kind."""
    overrides = {"recipe.epochs": 20, "data.train": 5000, "fig1.arch": "resnet56 $x^2 $", "x" * 300: "y"}
    found = {
        "curves-58": curves(58, 20, 12), "curves-1": curves(1),
        "fig1-overridden": replace(pilot("fig1"), overrides=overrides), "table3": printed("table3"),
        "fig7": fig7(),
    }  # fmt: skip
    for artifact in DRAWN:
        found[f"{artifact}-whole"] = whole(artifact)
        small = whole(artifact) if artifact == "table2" else pilot(artifact)
        found[f"{artifact}-pilot"] = pilot(artifact)
        found[f"{artifact}-not-run"] = without(small)
        found[f"{artifact}-diverged"] = without(small, "diverged")
    return found | DOCUMENTS


def fig7() -> Document:
    """Return what docs/extending.md makes, as its file in a results folder."""
    cells = [compare.cell("tickets", s, f"{p}%", [60.0 + p / 100]) for s in ("2", "4") for p in (50, 80, 90, 95)]
    axes = ["pruned at epoch", "share of weights pruned"]
    return replace(document("fig1", cells, paper=False, axes=axes, title="How sparse?"), artifact="fig7")


DOCUMENTS = {
    "fig4-whole": ppr(200),
    "fig4-gaps": without(without(ppr(20, seeds=3), col="7"), "diverged", series="ppr 0.1", col="9"),
    "fig4-one-epoch": ppr(1),
    "fig4-five-networks": ppr(12, ("resnet20", "resnet56", "a", "b", "resnet1202"), paper=False),
    "fig4-not-run": without(ppr(200)),
    "fig5-whole": fig5(seeds=3),
    "fig5-five-rows": without(fig5(("2", "12", "20", "50", "70")), row="12", col="10000"),
    "probe-whole": probe(),
    "probe-three-seeds": probe(seeds=3),
    "probe-pilot": probe(paper=False),
    "probe-gaps": without(without(probe(), row="dense"), "diverged", row="batch 128"),
    "probe-not-run": without(probe()),
    "probe-one-epoch": probe(epochs=(140,)),
    "table1-whole": table1(seeds=3, shift=1.0),
    "table1-pilot": without(without(table1(paper=False), col="16", series="1-shot"), "diverged", col="20"),
    "table1-not-run": without(table1()),
    "table4-whole": table4(),
    "table4-pilot": table4(paper=False),
    "table4-diverged": without(without(table4()), "diverged", series=IP, row="resnet20"),
}  # fmt: skip


def texts(figure: Figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def points(axes: Axes) -> set[tuple[float, float]]:
    """Every place of a line or marker in data coordinates, rounded."""
    lines = [line for line in axes.get_lines() if line.get_transform() is axes.transData or line.get_gid()]
    pairs = [pair for line in lines for pair in zip(*cast(Any, line.get_data()), strict=True)]
    return {(round(float(x), 6), round(float(y), 6)) for x, y in pairs if math.isfinite(y)}


def marks(figure: Sheet) -> dict[str, Any]:
    """The artist behind every title."""
    found = {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid() in figure.titles}
    assert set(found) == set(figure.titles)
    return found


def marked(figure: Sheet, *words: str) -> list[str]:
    """The titles that have all of ``words``."""
    return [title for title in figure.titles.values() if all(word in title for word in words)]


def ticks(axes: Axes, which: str = "x") -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{which}ticklabels")()]


def titled(figure: Sheet, title: str) -> Axes:
    (found,) = [axes for axes in figure.axes if axes.get_title("left") == title]
    return found
