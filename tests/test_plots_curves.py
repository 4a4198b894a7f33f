"""Fig. 4, 5, 6, Tables 1 and 4, the batch probe as pictures: right numbers in right places, nothing lost."""

from __future__ import annotations

import functools
import itertools
import math
import random
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plot_documents import texts

from repro import published
from repro.compare import Cell, cell
from repro.report import plots, plots_axis, plots_bars, plots_page, plots_tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Document = dict[str, Any]
ARTIFACTS = ("fig4", "fig5", "fig6", "table1", "table4")
GP, IP = "GP + EWT", "IP + WT"
TABLE4 = {
    (GP, "pruning rate"): 80.0, (GP, "accuracy delta"): -0.31, (GP, "pruning epochs"): 150.0,
    (GP, "retraining epochs"): 200.0, (IP, "pruning rate"): 79.03, (IP, "accuracy delta"): -0.1,
    (IP, "epochs"): 1600.0,
}  # fmt: skip
SIZES = {6000: 97.1, 8000: 91.0, 10000: 84.9, 12000: 78.8, 16000: 61.2, 24000: 37.9}


def document(artifact: str, cells: list[Cell], *, paper: bool = True, **changes: Any) -> Document:
    return {
        "artifact": artifact,
        "title": published.about(artifact).title,
        "unit": "accuracy, %",
        "profile": "paper" if paper else "pilot",
        "overrides": {},
        "comparable": paper,
        "provenance": {"devices": ["NVIDIA H200"], "seeds": [0], "runs": 401},
        "cells": [asdict(one) for one in cells],
    } | changes


def ppr(epochs: int, archs: tuple[str, ...] = ("resnet20",), seeds: int = 1, **changes: Any) -> Document:
    """Curves like the paper's: noisy at 0.1, rising and settling at 0.01, the baseline in steps."""
    noise, found = random.Random(0), []
    for arch in archs:
        for series, rise, spread in (("ppr 0.1", 3.0, 1.5), ("ppr 0.01", 20.0, 0.2), ("baseline", 4.0, 1.0)):
            for epoch in range(1, epochs + 1):
                share = 200 * epoch / epochs
                mean = 89 - 45 * math.exp(-share / rise) + (3 if series == "baseline" and share > 120 else 0)
                values = [noise.gauss(mean, spread) for _ in range(seeds)]
                found.append(cell(series, arch, str(epoch), values))
    return document("fig4", found, **changes)


def fig5(rows: tuple[str, ...] = ("20", "120", "200"), seeds: int = 1) -> Document:
    """Two almost identical curves above the first, as in the paper."""
    sizes, noise = (5000, 10000, 20000, 30000, 40000, 50000), random.Random(0)
    return document("fig5", [
        cell("memorization", row, str(size),
             [100 * math.exp(-size / (18000 + 6000 * (row != rows[0]))) + noise.random() for _ in range(seeds)])
        for row in rows for size in sizes
    ])  # fmt: skip


def probe(*, paper: bool = True, seeds: int = 1, epochs: tuple[int, ...] = (122, 125, 130, 135, 140)) -> Document:
    """Batch 64 inside the band, batch 128 and the dense network outside, close to each other."""
    places = [(row, e) for row in ("batch 64", "batch 128") for e in epochs] + [("dense", 140)]
    found = [
        cell("hamming", row, str(e), [(e - 120) * (0.0026 if row == "batch 64" else 0.0016) + 0.001 * seed
                                      for seed in range(seeds)],
             published=0.052 if e == 140 else None, replicate_sd=0.004, comparable=paper)
        for row, e in places
    ]  # fmt: skip
    return document("fig3", found, paper=paper, unit="share of weights") | {"artifact": "batch-probe"}


def table1(*, paper: bool = True, seeds: int = 1, shift: float = 0.4) -> Document:
    found, tenth, noise = [], 1 if paper else 10, random.Random(3)
    for (series, arch, epoch), value in published.lookup("table1").items():
        if series == "pruning rate":
            continue
        first = epoch == "120"
        values = [78.8 if first else value + noise.gauss(0, shift) for _ in range(seeds)]
        found.append(cell(series, arch, str(int(epoch) // tenth), values, published=value, replicate_sd=0.3,
                          comparable=paper and not first))  # fmt: skip
    found += [cell("calibration", "resnet20", str(size // tenth), [value]) for size, value in SIZES.items()]
    return document("table1", found, paper=paper)


def table4(*, paper: bool = True) -> Document:
    found, printed = [], published.lookup("table4")
    for (series, column), value in TABLE4.items():
        for arch in ("resnet20", "resnet18", "resnet50"):
            scale = 0.1 if not paper and column.endswith("epochs") else 1.0
            found.append(cell(series, arch, column, [scale * value] if arch == "resnet20" else [],
                              published=printed.get((series, arch, column)), comparable=paper,
                              replicate_sd=0.33 if column == "accuracy delta" else 0.0))  # fmt: skip
    return document("table4", found, paper=paper)


def without(doc: Document, verdict: str = "not run", **where: str) -> Document:
    """``doc`` with the cells at a place (all, where none is named) not run."""
    changed = {"reproduced": None, "n": 0, "sd": None, "band": None, "verdict": verdict}
    hit = [all(one[field] == value for field, value in where.items()) for one in doc["cells"]]
    assert any(hit)
    return doc | {"cells": [one | changed if gone else one for one, gone in zip(doc["cells"], hit, strict=True)]}


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


def lines(axes: Axes, **look: str) -> list[Line2D]:
    return [line for line in axes.get_lines() if all(getattr(line, f"get_{k}")() == v for k, v in look.items())]


def heights(line: Line2D) -> list[float]:
    return [float(y) for y in cast(Any, line.get_ydata())]


# ---- a picture, whatever the document ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Draws each of `DOCUMENTS` once; the file, and every text on it with its box in pixels."""
    from matplotlib.text import Text

    @functools.cache
    def make(name: str) -> tuple[Path, dict[str, Any]]:
        drawn: dict[str, Any] = {}
        draw = Text.draw

        def note(text: Text, *given: Any, **named: Any) -> None:
            if text.get_visible() and text.get_text().strip():
                drawn[f"{text.get_text()} #{id(text)}"] = text.get_window_extent().extents
            draw(text, *given, **named)

        path = tmp_path_factory.mktemp("plots") / "it.png"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "draw", note)
            plots.draw(DOCUMENTS[name], path)
        return path, drawn

    return make


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_text_overlaps_another_or_leaves_the_page(name: str, picture: Callable[[str], Any]) -> None:
    import numpy

    path, drawn = picture(name)
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    assert 1000 <= width <= 2500
    assert 350 <= height <= 2000
    left, bottom, right, top = numpy.array(list(drawn.values())).T
    assert min(left.min(), bottom.min(), width - right.max(), height - top.max()) >= 0
    wide = numpy.minimum.outer(right, right) - numpy.maximum.outer(left, left)
    high = numpy.minimum.outer(top, top) - numpy.maximum.outer(bottom, bottom)
    said = list(drawn)
    assert [(said[i], said[j]) for i, j in numpy.argwhere(numpy.triu((wide > 1) & (high > 1), k=1))] == []


@pytest.mark.parametrize("name", ["fig4-gaps", "probe-whole", "table1-whole", "table4-whole"])
def test_the_same_document_gives_the_same_bytes(name: str, picture: Callable[[str], Any], tmp_path: Path) -> None:
    plots.draw(DOCUMENTS[name], tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == picture(name)[0].read_bytes()


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_odd_documents_are_no_error(artifact: str, tmp_path: Path) -> None:
    cells: list[list[Any]] = [
        [],
        [{}],
        [{"series": "s", "row": "r", "col": "1", "reproduced": 3}, {"series": "t", "row": "0", "col": "x"}],
        [{"series": "calibration", "row": "r", "col": "64", "reproduced": 3}],
        [{"series": "1-shot", "row": "r", "col": "64", "published": 3, "verdict": None}, None],
        [{"series": "IP + WT", "row": "r", "col": "epochs", "reproduced": 0.0, "published": math.nan}],
    ]
    for one in cells:
        plots.draw({"artifact": artifact, "cells": one}, tmp_path / "it.png")


# ---- Fig. 4, 5 and 6 ---------------------------------------------------------------------------------------


def test_fig4_draws_every_series_where_it_was_run(style: None) -> None:
    doc = without(without(ppr(20), series="ppr 0.01", col="7"), "diverged", series="ppr 0.1", col="9")
    for one in doc["cells"]:
        if one["verdict"] == "diverged":
            one["reproduced"] = 88.0  # the mean of the seeds that did not diverge
    figure = plots.figure(doc)
    (axes,) = figure.axes
    for series, marker, gap in (("ppr 0.1", "s", 9), ("ppr 0.01", "o", 7)):
        (line,) = lines(axes, marker=marker)
        values = [one["reproduced"] for one in doc["cells"] if one["series"] == series]
        values[gap - 1] = math.nan
        assert heights(line) == pytest.approx(values, nan_ok=True)
    (crosses,) = [line for line in lines(axes, marker="x") if len(heights(line))]
    assert list(crosses.get_xdata()) == [9]  # type: ignore[arg-type]
    said = " ".join(texts(figure))
    assert "PPR, rate 0.1: 1 of 20 diverged; PPR, rate 0.01: 1 of 20 not run" in said
    assert {"PPR, rate 0.1", "PPR, rate 0.01", "dense baseline"} <= set(texts(figure))


def test_the_level_is_the_mean_of_the_later_half_and_only_of_a_whole_one(style: None) -> None:
    doc = ppr(20)
    late = [one["reproduced"] for one in doc["cells"] if one["series"] == "ppr 0.01" and int(one["col"]) >= 10]
    assert f"later half {sum(late) / 11:.2f}" in texts(plots.figure(doc))
    said = texts(plots.figure(without(doc, series="ppr 0.01", col="15")))
    assert len([text for text in said if text.startswith("later half")]) == 1


def test_values_far_below_the_others_are_left_out_aloud(style: None) -> None:
    doc = ppr(200)
    figure = plots.figure(doc)
    low = figure.axes[0].get_ylim()[0]
    below = [one["reproduced"] for one in doc["cells"] if one["reproduced"] < low]
    assert low > 60
    assert f"{len(below)} values lie below the axis, down to {min(below):.1f}" in " ".join(texts(figure))
    assert "below the axis" not in " ".join(texts(plots.figure(ppr(12))))


def test_several_seeds_have_a_band(style: None) -> None:
    assert len(plots.figure(ppr(12, seeds=3)).axes[0].collections) == 3
    assert len(plots.figure(ppr(12)).axes[0].collections) == 0


@given(st.lists(st.floats(0, 100) | st.just(math.nan), max_size=40))
def test_medians_keep_gaps_and_stay_among_their_neighbours(values: list[float]) -> None:
    found = plots_axis.medians(values)
    assert [math.isnan(value) for value in found] == [math.isnan(value) for value in values]
    for index, value in enumerate(found):
        near = [v for v in values[max(0, index - 4) : index + 5] if not math.isnan(v)]
        assert math.isnan(value) or min(near) <= value <= max(near)


def test_medians_keep_a_step() -> None:
    step = [85.0] * 120 + [91.0] * 80
    assert plots_axis.medians(step) == step


@given(st.lists(st.floats(0, 3), min_size=1, max_size=12))
def test_labels_are_kept_apart_in_order_and_inside(wanted: list[float]) -> None:
    found = plots_axis.spaced(wanted, 0.2, 3.0)
    assert all(-1e-9 <= place <= 3 + 1e-9 for place in found)
    pairs = sorted(zip(wanted, found, strict=True))
    assert all(b[1] - a[1] >= 0.2 - 1e-9 for a, b in itertools.pairwise(pairs) if a[0] < b[0])
    gaps = sorted(found)
    assert all(b - a >= 0.2 - 1e-9 for a, b in itertools.pairwise(gaps))
    if all(b[0] - a[0] >= 0.2 for a, b in itertools.pairwise(pairs)):
        assert found == pytest.approx(wanted)


def test_fig5_names_every_structure_and_marks_it_differently(style: None) -> None:
    figure = plots.figure(fig5())
    assert {"pruned at epoch 20", "pruned at epoch 120", "pruned at epoch 200"} <= set(texts(figure))
    curves = [line for line in figure.axes[0].get_lines() if len(heights(line)) == 6]
    assert len({(str(line.get_marker()), str(line.get_color())) for line in curves}) == len(curves) == 3
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["5,000", "10,000", "20,000", "30,000", "40,000", "50,000"]


# ---- the batch probe ---------------------------------------------------------------------------------------


def test_the_probe_has_the_printed_point_once_and_rings_what_lies_outside(style: None) -> None:
    figure = plots.figure(probe())
    (axes,) = figure.axes
    assert [heights(line) for line in lines(axes, markerfacecolor="white", marker="o") if heights(line) == [0.052]]
    assert sorted(y for ring in lines(axes, markerfacecolor="none") for y in heights(ring)) == pytest.approx(
        [0.032, 0.032]
    )
    assert {"published, Fig. 3", "95 % band of a repetition", "outside the band"} <= set(texts(figure))
    low, high = axes.get_ylim()
    assert low < 0.052 - 0.0111 and high > 0.052 + 0.0111


def test_what_of_the_probe_was_not_run_is_said_and_the_band_stays(style: None) -> None:
    said = " ".join(texts(plots.figure(DOCUMENTS["probe-gaps"])))
    assert "batch 128: 5 of 5 diverged; dense: not run" in said
    assert "95 % band of a repetition" in said
    assert "outside the band" not in said
    other = " ".join(texts(plots.figure(probe(paper=False))))
    assert "Fig. 3 prints 0.052 at epoch 140" in other and "published, Fig. 3" not in other


# ---- Table 1 -----------------------------------------------------------------------------------------------


def test_table1_says_what_gradual_pruning_gains_but_not_in_the_calibration_column(style: None) -> None:
    doc = table1()
    said = texts(plots.figure(doc))
    values = {(one["series"], one["col"]): one for one in doc["cells"]}
    for epoch in ("160", "200", "240"):
        for field in ("published", "reproduced"):
            gain = values["4-shot gradual", epoch][field] - values["1-shot", epoch][field]
            assert f"{gain:+.2f}".replace("-", "\N{MINUS SIGN}") in said
    assert len([text for text in said if text[0] in "+\N{MINUS SIGN}"]) == 6
    assert "0.00" not in said
    assert "120\ncalibration" in said
    assert any("6 cells," in text for text in said)


def test_table1_marks_the_chosen_number_of_examples(style: None) -> None:
    figure = plots.figure(table1())
    assert any("chosen: 12,000 examples, nearest to 79.72" in text.replace("\n", " ") for text in texts(figure))
    (mark,) = lines(figure.axes[1], marker="s")
    assert (list(mark.get_xdata()), heights(mark)) == ([12000], [78.8])  # type: ignore[arg-type]
    unfinished = plots.figure(without(table1(), series="calibration", col="24000"))
    assert not lines(unfinished.axes[1], marker="s")
    assert any("nothing is chosen yet" in text for text in texts(unfinished))


def test_the_chosen_number_is_the_engines() -> None:
    def ladder(values: dict[str, float | None]) -> list[plots_page.Cell]:
        return [asdict(cell("calibration", "r", col, [] if v is None else [v], diverged=v is None))
                for col, v in values.items()]  # fmt: skip

    def col(values: dict[str, float | None], target: float | None = 80.0) -> str | None:
        found = plots_tables.chosen(ladder(values), target)
        return None if found is None else str(found["col"])

    assert col({"10": 90.0, "20": 81.0, "30": 60.0}) == "20"
    assert col({"10": 81.0, "20": 79.0}) == "10"  # of two equally near, the smaller
    assert col({"10": 90.0, "20": None}) == "10"  # one that diverged was tried
    assert col({"10": 90.0}, None) is None
    assert plots_tables.chosen([*ladder({"10": 80.0}), asdict(cell("calibration", "r", "20", []))], 80.0) is None


def test_table1_of_another_profile_has_a_strip_of_its_own_for_the_paper(style: None) -> None:
    doc = table1(paper=False)
    assert len(plots.figure(table1()).axes) == 2
    lower, upper, _ = plots.figure(doc).axes
    assert [lower.get_ylabel(), upper.get_ylabel()] == ["reproduced, %", "published, %"]
    assert not lines(lower, markerfacecolor="white")
    assert len(lines(upper, markerfacecolor="white")) == 8


def test_table1_says_what_is_missing_and_what_lies_outside(style: None) -> None:
    doc = without(without(table1(shift=2.0), col="200"), "diverged", col="240", series="1-shot")
    figure = plots.figure(doc)
    said = texts(figure)
    assert (said.count("not run"), said.count("diverged")) == (
        1,
        1,
    )  # a pair of which nothing was run, and one cell
    outside = [one["reproduced"] for one in doc["cells"] if one["verdict"] == "outside"]
    rings = lines(figure.axes[0], markerfacecolor="none")
    assert sorted(y for ring in rings for y in heights(ring)) == sorted(outside) != []


# ---- Table 4 -----------------------------------------------------------------------------------------------


def widths(axes: Axes) -> list[float]:
    from matplotlib.container import BarContainer

    return [patch.get_width() for bars in axes.containers if isinstance(bars, BarContainer) for patch in bars]


def test_table4_bars_are_as_long_as_the_epochs(style: None) -> None:
    left, right = plots.figure(table4()).axes
    assert widths(left) == [150, 200, 1600, 70, 90, 70, 90, 720]
    assert widths(right) == [150, 200, 1600]
    assert left.get_xlim() == right.get_xlim()
    left, right = plots.figure(table4(paper=False)).axes
    assert widths(right) == [15, 20, 160]
    assert left.get_xlim()[1] == pytest.approx(10 * right.get_xlim()[1])


def test_table4_writes_rate_delta_and_saving_at_the_bars(style: None) -> None:
    said = texts(plots.figure(table4()))
    assert {"150 + 200 epochs", "1,600 epochs", "80.0 % pruned", "82.2 % pruned"} <= set(said)
    assert {"\N{MINUS SIGN}0.56 points", "\N{MINUS SIGN}0.31 points"} <= set(said)
    assert said.count("GP + EWT takes 22 % of the epochs of IP + WT") == 3
    assert "79.0 % pruned ◆" in said  # the paper's 82.2 is no power of 0.8
    assert (said.count("not run"), said.count("–  not printed in the paper")) == (4, 1)


def test_table4_tells_a_missing_part_from_a_missing_row(style: None) -> None:
    half = without(table4(), series=GP, row="resnet20", col="accuracy delta")
    half = without(half, series=GP, row="resnet20", col="retraining epochs")
    row = {one["col"]: one for one in half["cells"] if (one["series"], one["row"]) == (GP, "resnet20")}
    found = [text for text, _ in plots_bars.pieces(row, "reproduced")]
    assert found == ["150 + ? epochs", "80.0 % pruned", "accuracy delta: not run"]
    assert texts(plots.figure(half)).count("GP + EWT takes 22 % of the epochs of IP + WT") == 2
    diverged = texts(plots.figure(without(table4(), "diverged", series=IP, row="resnet20")))
    assert diverged.count("diverged") == 1


def test_fig6_draws_each_network_along_its_own_schedule(style: None) -> None:
    """ResNet56 over 200 epochs of CIFAR-10, ResNet18 over 90 of ImageNet, every fifth checked."""
    other = [cell | {"row": "resnet18", "col": str(5 * int(cell["col"]))} for cell in ppr(18)["cells"]]
    doc = document("fig6", []) | {"cells": [*ppr(200, ("resnet56",))["cells"], *other]}
    figure = plots.figure(doc)
    left, right = figure.axes
    assert {"(a)  ResNet56 on CIFAR-10", "(b)  ResNet18 on ImageNet"} <= set(texts(figure))
    assert 200 <= left.get_xlim()[1] < 210 and 90 <= right.get_xlim()[1] < 95
    assert "ResNet20 on CIFAR-10" in texts(plots.figure(ppr(20)))  # of one network no letter
