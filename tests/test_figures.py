"""Figures: the right numbers stand where they belong, what is missing is marked, and marks say what they show."""

from __future__ import annotations

import itertools
import json
import math
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from figure_documents import (
    DOCUMENTS,
    GP,
    IP,
    curves,
    document,
    every,
    fig5,
    fig7,
    not_run,
    pilot,
    ppr,
    printed,
    probe,
    table1,
    table4,
    texts,
    without,
)  # fmt: skip
from hypothesis import given
from hypothesis import strategies as st

from repro import artifacts
from repro import cells as compare
from repro.cells import cell
from repro.report import figures, reading
from repro.report.numbers import MINUS, fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from repro.report.figures.sheet import Sheet

EVERY = every()
RESULTS = Path(__file__).parents[1] / "results"


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


def curve(figure: Sheet, name: str) -> list[Line2D]:
    """The marks of the curve of this name."""
    return [marks(figure)[gid] for gid, title in figure.titles.items() if title.startswith(f"{name}, ")]


# ---- a picture, whatever the document ----------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_every_document_gives_a_png_and_a_title_a_mark(name: str, tmp_path: Path) -> None:
    figure = figures.draw(EVERY[name])
    content = figures.as_png(figure)
    assert content.startswith(b"\x89PNG\r\n\x1a\n") and content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    assert 1000 <= width <= 2500 and 250 <= height <= 2000
    assert all(marks(figure)) and all(figure.titles.values())
    assert len(texts(figure)) >= 3
    assert not re.search(
        r"\b(Ours|The paper's)\b", " ".join(texts(figure))
    )  # "Reproduced" and "Published" everywhere


@pytest.mark.parametrize("artifact", [*artifacts.IMPLEMENTED, "fig7", ""])
def test_odd_documents_are_no_error(artifact: str) -> None:
    cells: list[Any] = [
        None,
        [],
        [{}],
        [{"series": "s", "row": "r", "col": "1", "reproduced": 3}, {"series": "t", "row": "0", "col": "x"}],
        [{"series": "calibration", "row": "r", "col": "64", "reproduced": 3}],
        [{"series": "1-shot", "row": "r", "col": "64", "published": 3, "verdict": None}, None],
        [{"series": "IP + WT", "row": "r", "col": "epochs", "reproduced": 0.0, "published": math.nan}],
        [{"series": "w_std", "row": "a", "col": "3", "reproduced": -1.0}],
    ]
    for one in cells:
        for comparable in (True, False):
            figures.draw({"artifact": artifact, "cells": one, "comparable": comparable})
    figures.draw({"artifact": artifact, "provenance": None, "overrides": None, "cells": None})


def test_the_same_document_gives_the_same_bytes_under_any_matplotlibrc(tmp_path: Path) -> None:
    import matplotlib

    figures.write(pilot("fig1"), tmp_path / "made" / "a.png")
    with matplotlib.rc_context({"font.size": 31, "savefig.dpi": 20, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        figures.write(pilot("fig1"), tmp_path / "made" / "b.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "made" / "a.png").read_bytes() == (tmp_path / "made" / "b.png").read_bytes()
    assert len(list((tmp_path / "made").iterdir())) == 2


def test_importing_the_figures_imports_neither_matplotlib_nor_numpy() -> None:
    code = "import sys, repro.report.figures; print({'matplotlib', 'numpy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.shipped
@pytest.mark.parametrize("profile", ["pilot", "paper"])
@pytest.mark.parametrize("name", artifacts.IMPLEMENTED)
def test_every_shipped_number_is_in_a_title(profile: str, name: str) -> None:
    """Of short curves: long ones bear a mark here and there."""
    doc = json.loads((RESULTS / profile / f"{name}.json").read_text())
    if len(doc["cells"]) > 200:
        return
    figure = figures.draw(doc)
    said = " | ".join([*figure.titles.values(), *texts(figure)])
    shown = [c for c in doc["cells"] if reading.shown(c) is not None or c.get("published") is not None]
    for one in shown:
        digits = 0 if one["col"] in doc["counted"] else 1 if one["col"] == "pruning rate" else doc["digits"]
        if (value := reading.shown(one)) is not None:
            assert fixed(value, digits) in said or f"{value:,.0f}" in said
        if (value := one.get("published")) is not None:
            assert fixed(value, min(digits, 3)) in said or f"{value:,.0f}" in said


# ---- what stands around every picture ----------------------------------------------------------------------


def test_another_profile_and_its_overrides_are_said() -> None:
    said = " ".join(texts(figures.draw(pilot("fig1") | {"overrides": {"recipe.epochs": 7}})))
    assert "pilot profile: not comparable with the published numbers" in said
    assert "recipe.epochs=7" in said
    assert "not comparable" not in " ".join(texts(figures.draw(printed("fig1"))))


def test_the_footer_names_data_device_once_and_seeds() -> None:
    doc = printed("fig1", seeds=3)
    devices = ["Xeon, 1 thread", "Xeon, 1 threads", "Xeon, 2 threads", "NVIDIA H200"]
    doc["provenance"] = doc["provenance"] | {"devices": devices}
    assert reading.footer(doc) == [
        "profile paper", doc["provenance"]["data"], "Xeon, 1 or 2 threads, NVIDIA H200", "bfloat16",
        "3 seeds: 0, 1, 2", "144 Runs",
    ]  # fmt: skip
    assert "1 seed a value, of seeds 0, 1, 2" in reading.footer(printed("fig1"))  # the Runs behind have more
    assert reading.footer({"profile": "smoke"}) == ["profile smoke"]


def test_what_a_page_says_beside_the_figure_is_aside() -> None:
    figure = figures.draw(pilot("fig1"))
    aside = " ".join(artist.get_text() for artist in figure.aside if hasattr(artist, "get_text"))
    assert "Fig. 1" in aside and "not comparable" in aside and "144 Runs" in aside
    assert "11 of 12 cells run" not in aside and "Reproduced" not in aside


def test_the_tally_counts_every_cell_once() -> None:
    doc = printed("fig1", shift=0.7)
    found = compare.count(compare.Cell(**cell) for cell in doc["cells"])
    text = reading.tally(doc["cells"], True)
    assert text == f"154 cells, {found['within']} within the 95 % band, {found['outside']} outside it"
    assert found["outside"] > 0
    assert reading.tally(pilot("fig1")["cells"], False) == "11 of 12 cells run"


@given(st.text(alphabet="ab cdé", max_size=120), st.floats(0.3, 4), st.sampled_from([7.5, 13.0]))
def test_wrapped_lines_fit_and_nothing_is_lost(text: str, width: float, size: float) -> None:
    from repro.report.figures.sheet import text_width, wrapped

    lines = wrapped(text, width, size, lines=1000)
    assert all(text_width(line, size) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    from repro.report.figures.sheet import wrapped

    lines = wrapped("word " * 200, 3, 9, lines=3)
    assert len(lines) == 3 and lines[-1].endswith(" …")


@pytest.mark.parametrize("artifact", artifacts.IMPLEMENTED)
def test_an_artifact_without_cells_says_so_in_words(artifact: str) -> None:
    figure = figures.draw({"artifact": artifact, "profile": "pilot", "cells": []})
    assert "not part of the pilot profile: there are no cells to show" in texts(figure)
    assert not figure.axes


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.00"), (-0.001, "0.00"), (0.5, "+0.50"), (-12.344, "\u221212.34")]
)
def test_differences_are_signed(value: float, text: str) -> None:
    assert fixed(value, 2, sign=True) == text


def test_a_title_names_place_numbers_and_verdict() -> None:
    doc = printed("fig1", seeds=2, shift=0.0)
    (one,) = [c for c in doc["cells"] if (c["row"], c["col"]) == ("100", "60")]
    assert reading.told(one, doc) == (
        "s = 60, v = 100: reproduced 91.39 % (2 seeds), published 91.39 %, within the 95 % band"
    )
    gone = one | {"reproduced": None, "n": 0, "verdict": "diverged"}
    assert reading.told(gone, doc) == "s = 60, v = 100: diverged, published 91.39 %"
    other = doc | {"paper_epochs": {"60": "600"}, "comparable": False}
    assert reading.told(one, other).endswith("published 91.39 % (the paper's s = 600), within the 95 % band")


# ---- heat maps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("artifact", ["fig1", "fig3"])
def test_a_heat_map_shows_reproduced_published_and_their_difference(artifact: str) -> None:
    doc = printed(artifact, seeds=3)
    figure = figures.draw(doc)
    digits = doc["digits"]
    panels = [titled(figure, name) for name in ("Reproduced", "Published", f"Reproduced {MINUS} published")]
    for axes, field, places in zip(
        panels, ("reproduced", "published", ""), (digits, min(digits, 3), digits), strict=True
    ):
        values = [c[field] if field else c["reproduced"] - c["published"] for c in doc["cells"]]
        wanted = [fixed(v, places, sign=not field) if v or not field else "0" for v in values]
        assert sorted(text.get_text() for text in axes.texts) == sorted(wanted)
    assert [axes.get_xlabel() for axes in panels] == [artifacts.get(artifact).columns] * 3
    assert len(figure.titles) == 3 * len(doc["cells"])


def test_colour_bars_have_labels() -> None:
    for doc in (printed("fig1"), pilot("fig1"), curves()):
        bars = [axes for axes in figures.draw(doc).axes if axes.get_label() == "<colorbar>"]
        assert bars and all(axes.get_xlabel() or axes.get_ylabel() for axes in bars)


def test_fig1_calls_the_papers_columns_by_the_papers_epochs_alone() -> None:
    """README's first picture once had the pilot's epoch 1 above the paper's numbers of epoch 10."""
    figure = figures.draw(pilot("fig1"))
    published, reproduced = titled(figure, "Published (orientation only)"), titled(figure, "Reproduced")
    assert [ticks(published), ticks(reproduced)] == [["10", "20", "200"], ["1", "2", "20"]]
    rows = ["dense\nbaseline", "0", "3", "20"]
    assert [ticks(published, "y"), ticks(reproduced, "y")] == [[rows[0], "0", "30", "200"], rows]
    relative = titled(figure, f"Reproduced {MINUS} its own (s = 20, v = 20)")
    assert "0.00" in [text.get_text() for text in relative.texts]


@pytest.mark.parametrize("artifact", ["fig1", "fig3"])
@pytest.mark.parametrize("word", ["not run", "diverged"])
def test_heat_maps_hatch_what_has_no_value(artifact: str, word: str) -> None:
    doc = without(printed(artifact), word, col="200")
    figure, many = figures.draw(doc), sum(c["col"] == "200" for c in doc["cells"])
    hatched = [gid for gid, artist in marks(figure).items() if artist.get_hatch()]
    assert len(hatched) == 2 * many  # as reproduced and as difference
    assert all(f": {word}" in figure.titles[gid] for gid in hatched)
    assert word in texts(figure)
    assert "–  not printed in the paper" in texts(figures.draw(pilot("fig1")))


def test_cells_outside_the_band_are_outlined() -> None:
    from matplotlib.patches import Rectangle

    for artifact in ("fig1", "fig3"):
        doc = printed(artifact, shift=0.8)
        outside = sum(cell["verdict"] == "outside" for cell in doc["cells"])
        figure = figures.draw(doc)
        frames = [p for axes in figure.axes for p in axes.findobj(Rectangle) if p.get_zorder() == 3]
        assert len(frames) == 2 * outside > 0
        assert "outside the 95 % band" in texts(figure)


def test_a_far_outlier_does_not_take_the_contrast_of_the_others() -> None:
    from repro.report.figures.heat import Scale, spanning

    values = [91 + index / 100 for index in range(50)]
    scale = spanning([10.0, *values])
    assert (scale.low, scale.high) == (91, 91.49)
    assert scale.extend([10.0, *values]) == "min"
    assert scale.colour(10.0) == scale.colour(91)
    assert spanning([5.0, 5.0]) == Scale(4.5, 5.5)


def test_numbers_stand_out_from_every_colour() -> None:
    from matplotlib.colors import to_rgb

    from repro.report.figures.heat import Scale, around_zero, ink_on

    def luminance(colour: tuple[float, ...]) -> float:
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for scale in (Scale(0, 1), around_zero([1.0], 0.5)):
        for step in range(101):
            colour = scale.colour(scale.low + (scale.high - scale.low) * step / 100)
            pair = sorted([luminance(colour), luminance(to_rgb(ink_on(colour)))])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4  # WCAG asks 3 of large and 4.5 of small text


# ---- curves ------------------------------------------------------------------------------------------------


def test_fig4_draws_every_series_where_it_was_run() -> None:
    doc = without(without(ppr(20), series="ppr 0.01", col="7"), "diverged", series="ppr 0.1", col="9")
    for one in doc["cells"]:
        if one["verdict"] == "diverged":
            one["reproduced"] = 88.0  # the mean of the seeds that did not diverge
    figure = figures.draw(doc)
    axes = titled(figure, "ResNet20 on CIFAR-10")
    shown = {(float(c["col"]), round(v, 6)) for c in doc["cells"] if (v := reading.shown(c)) is not None}
    assert shown <= points(axes) and len(shown) == 58
    assert marked(figure, "PPR, rate 0.1, epoch 9: diverged")
    assert not marked(figure, "88.00")
    said = " ".join(texts(figure))
    assert "PPR, rate 0.1: 1 of 20 diverged; PPR, rate 0.01: 1 of 20 not run" in said
    assert {"PPR, rate 0.1", "PPR, rate 0.01", "dense baseline", "top-1 accuracy, %"} <= set(texts(figure))


def test_the_same_curve_has_the_same_colour_in_every_figure() -> None:
    both, single = figures.draw(ppr(20)), figures.draw(without(ppr(20)) | {"cells": [
        c for c in ppr(20)["cells"] if c["series"] != "ppr 0.1"
    ], "artifact": "fig6"})  # fmt: skip
    for name in ("PPR, rate 0.01", "dense baseline"):
        looks = [
            {(line.get_color(), line.get_marker()) for line in curve(figure, name)} for figure in (both, single)
        ]
        assert looks[0] == looks[1] and len(looks[0]) == 1
    assert {line.get_color() for line in curve(both, "PPR, rate 0.1")}.isdisjoint(
        line.get_color() for line in curve(both, "PPR, rate 0.01")
    )


def test_the_level_is_the_mean_of_the_later_half_and_only_of_a_whole_one() -> None:
    doc = ppr(20)
    late = [one["reproduced"] for one in doc["cells"] if one["series"] == "ppr 0.01" and int(one["col"]) >= 10]
    assert f"later half {sum(late) / 11:.2f}" in texts(figures.draw(doc))
    said = texts(figures.draw(without(doc, series="ppr 0.01", col="15")))
    assert len([text for text in said if text.startswith("later half")]) == 1


def test_values_far_below_the_others_are_left_out_aloud() -> None:
    doc = ppr(200)
    figure = figures.draw(doc)
    low = figure.axes[0].get_ylim()[0]
    below = [one["reproduced"] for one in doc["cells"] if one["reproduced"] < low]
    assert low > 60
    assert f"{len(below)} values lie below the axis, down to {min(below):.1f}" in " ".join(texts(figure))
    assert "below the axis" not in " ".join(texts(figures.draw(ppr(12))))


def test_several_seeds_have_a_band_that_ends_at_100_percent() -> None:
    doc = fig5(seeds=3)
    doc["cells"] = [one | {"reproduced": 99.0, "sd": 5.0} for one in doc["cells"]]
    bands = figures.draw(doc).axes[0].collections
    tops = [path.vertices[:, 1].max() for band in bands for path in band.get_paths()]
    assert tops == [100.0] * 3
    assert len(figures.draw(ppr(12)).axes[0].collections) == 0


@given(st.lists(st.floats(0, 100) | st.just(math.nan), max_size=40))
def test_medians_keep_gaps_and_stay_among_their_neighbours(values: list[float]) -> None:
    from repro.report.figures.curves import medians

    found = medians(values)
    assert [math.isnan(value) for value in found] == [math.isnan(value) for value in values]
    for index, value in enumerate(found):
        near = [v for v in values[max(0, index - 4) : index + 5] if not math.isnan(v)]
        assert math.isnan(value) or min(near) <= value <= max(near)
    step = [85.0] * 120 + [91.0] * 80
    assert medians(step) == step


@given(st.lists(st.floats(0, 3), min_size=1, max_size=12))
def test_labels_are_kept_apart_in_order_and_inside(wanted: list[float]) -> None:
    from repro.report.figures.curves import spaced

    found = spaced(wanted, 0.2, 3.0)
    assert all(-1e-9 <= place <= 3 + 1e-9 for place in found)
    pairs = sorted(zip(wanted, found, strict=True))
    assert all(b[1] - a[1] >= 0.2 - 1e-9 for a, b in itertools.pairwise(pairs) if a[0] < b[0])
    assert all(b - a >= 0.2 - 1e-9 for a, b in itertools.pairwise(sorted(found)))
    if all(b[0] - a[0] >= 0.2 for a, b in itertools.pairwise(pairs)):
        assert found == pytest.approx(wanted)


def test_fig5_names_every_structure_and_marks_it_differently() -> None:
    figure = figures.draw(fig5())
    names = [f"pruned at epoch {epoch}" for epoch in (20, 120, 200)]
    assert set(names) <= set(texts(figure))
    looks = {(line.get_color(), line.get_marker()) for name in names for line in curve(figure, name)}
    assert len(looks) == 3
    assert ticks(figure.axes[0]) == ["5,000", "10,000", "20,000", "30,000", "40,000", "50,000"]
    assert figure.axes[0].get_xlabel() == "number of examples with random labels"


def test_fig6_draws_each_network_along_its_own_schedule() -> None:
    """ResNet56 over 200 epochs of CIFAR-10, ResNet18 over 90 of ImageNet, every fifth checked."""
    other = [cell | {"row": "resnet18", "col": str(5 * int(cell["col"]))} for cell in ppr(18)["cells"]]
    doc = document("fig6", []) | {"cells": [*ppr(200, ("resnet56",))["cells"], *other]}
    figure = figures.draw(doc)
    left, right = titled(figure, "(a)  ResNet56 on CIFAR-10"), titled(figure, "(b)  ResNet18 on ImageNet")
    assert 200 <= left.get_xlim()[1] < 210 and 90 <= right.get_xlim()[1] < 95
    assert titled(figures.draw(ppr(20)), "ResNet20 on CIFAR-10")  # of one network no letter


def test_the_probe_has_the_printed_point_once_and_rings_what_lies_outside() -> None:
    figure = figures.draw(probe())
    (axes,) = figure.axes
    rings = [line for line in axes.get_lines() if line.get_markerfacecolor() == "none"]
    assert sorted(float(cast(Any, ring.get_ydata())[0]) for ring in rings) == pytest.approx([0.032, 0.032])
    assert {"Published, Fig. 3", "95 % band of a repetition", "outside the band"} <= set(texts(figure))
    low, high = axes.get_ylim()
    assert low < 0.052 - 0.0111 and high > 0.052 + 0.0111
    said = " ".join(texts(figures.draw(DOCUMENTS["probe-gaps"])))
    assert "batch 128: 5 of 5 diverged; dense baseline: not run" in said and "outside the band" not in said
    other = texts(figures.draw(probe(paper=False)))
    assert "published (Fig. 3): 0.052 at 140" in " ".join(other) and "Published, Fig. 3" not in other


# ---- Fig. 2 ------------------------------------------------------------------------------------------------


def test_fig2_draws_every_layer_and_eq5_from_the_first_drop_on() -> None:
    figure = figures.draw(curves(layers=20, epochs=20, first=12))
    left, right = figure.axes[:2]
    dashed = [line for line in left.get_lines() if line.get_linestyle() == "--" and len(line.get_xdata()) > 2]
    assert len(dashed) == 20 and all(list(line.get_xdata()) == list(range(12, 21)) for line in dashed)
    expected = 0.12 * 0.97**3 * (1 + 0.1 * math.sin(3))
    assert (0, round(expected, 6)) in points(left)
    assert marked(figure, "layer 4, layers.3.weight", f"{expected:.4f} at epoch 0")
    solid = [line for line in left.get_lines() if line.get_linestyle() == "-"]
    assert len(solid) == 20 and len({str(line.get_color()) for line in solid}) == 19  # first and last are grey
    assert len([line for line in right.get_lines() if line.get_linestyle() == "-"]) == 18
    assert "layers that are never pruned (first, last)" in texts(figure)
    assert any("12 of 58 layers" in text for text in texts(figures.draw(curves(58, 30, 12))))
    assert "nothing of this has been run yet" in " ".join(texts(figures.draw(not_run(curves()))))


@given(st.integers(0, 80), st.integers(0, 20))
def test_spread_keeps_order_and_both_ends(count: int, most: int) -> None:
    from repro.report.figures.layers import spread

    rows = [str(index) for index in range(count)]
    found = spread(rows, most)
    assert len(found) == len(set(found)) == min(count, most)
    assert list(found) == sorted(found, key=int)
    if count and most > 1:
        assert (found[0], found[-1]) == (rows[0], rows[-1])


# ---- dots --------------------------------------------------------------------------------------------------


def test_table2_keeps_the_tables_order_on_one_scale() -> None:
    figure = figures.draw(printed("table2", seeds=3))
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["ResNet20, one-shot", "ResNet56, one-shot", "ResNet20, gradual"]
    assert ticks(figure.axes[0]) == ticks(figure.axes[1]) == ["20", "60", "100", "120", "160", "200"]
    assert ticks(figure.axes[2]) == ["25-75", "50-100", "75-125", "100-150", "125-175", "150-200"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.axes[0].get_ylabel() == "top-1 accuracy, %"


def test_table2_marks_published_reproduced_spread_and_what_lies_outside() -> None:
    doc = printed("table2", seeds=3, shift=0.9)
    figure = figures.draw(doc)
    heights = {y for axes in figure.axes for _, y in points(axes)}
    for one in doc["cells"]:
        assert {round(one["published"], 6), round(one["reproduced"], 6)} <= heights
    assert sum(len(axes.collections) for axes in figure.axes) == 18  # error bars
    assert {"Reproduced ± sd", "Reproduced ± sd, outside the band", "95 % band of a repetition"} <= set(
        texts(figure)
    )
    outside = [c for c in doc["cells"] if c["verdict"] == "outside"]
    assert len(marked(figure, "outside the 95 % band")) == 2 * len(outside) > 0
    single = figures.draw(printed("table2", seeds=1))
    assert sum(len(axes.collections) for axes in single.axes) == 0


def test_networks_far_apart_have_a_scale_each_with_its_numbers() -> None:
    """Table 3: ResNet50 lies six points above ResNet18, and each spreads over four."""
    figure = figures.draw(printed("table3", shift=0.1))
    at_once, gradual, other = figure.axes
    assert at_once.get_ylim() == gradual.get_ylim() != other.get_ylim()
    numbered = [axes.yaxis.get_tick_params()["labelleft"] for axes in figure.axes]
    assert numbered == [True, False, True]
    for axes in figure.axes:
        assert all(axes.get_ylim()[0] < y < axes.get_ylim()[1] for _, y in points(axes))


@pytest.mark.parametrize("word", ["not run", "diverged"])
def test_a_missing_dot_is_hatched_and_said_where_the_published_one_is_not(word: str) -> None:
    figure = figures.draw(without(printed("table3"), word))
    assert sum(text.get_text() == word for axes in figure.axes for text in axes.texts) == 21
    assert len(marked(figure, f": {word}, published")) == 42
    for axes in figure.axes:
        low, high = axes.get_ylim()
        words = sorted(axes.texts, key=lambda text: text.get_position()[0])
        printed_at = sorted(points(axes))
        for text, (_, y) in zip(words, printed_at, strict=True):
            assert (text.get_position()[1] > 0.5) is bool(y < (low + high) / 2)


def test_table2_of_another_profile_has_axes_of_their_own_for_the_papers_numbers() -> None:
    figure = figures.draw(pilot("table2"))
    reproduced, published = figure.axes[:2]
    assert [reproduced.get_ylabel(), published.get_ylabel()] == ["Reproduced, %", "Published, %"]
    assert [ticks(reproduced), ticks(published)] == [["2", "6", "20"], ["20", "60", "200"]]
    assert published.get_xlabel() == "pruned at epoch (the paper's)"
    assert reproduced.get_ylim()[1] < published.get_ylim()[0]
    assert sum(text.get_text() == "not run" for axes in figure.axes for text in axes.texts) == 1


def test_fig7_of_ones_own_has_axis_names() -> None:
    figure = figures.draw(fig7())
    assert [axes.get_title("left") for axes in figure.axes] == [
        "pruned at epoch 2, tickets",
        "pruned at epoch 4, tickets",
    ]
    assert {axes.get_xlabel() for axes in figure.axes} == {"share of weights pruned"}
    assert figure.axes[0].get_ylabel() == "top-1 accuracy, %"
    assert ticks(figure.axes[0]) == ["50%", "80%", "90%", "95%"]
    many = document("fig1", [cell("s", "r", str(x), [float(x)]) for x in range(30)]) | {"artifact": "fig7"}
    assert isinstance(figures.drawing_of(many), artifacts.drawing.Curves)


def test_table1_says_what_gradual_pruning_gains_but_not_in_the_calibration_column() -> None:
    doc = table1()
    said = texts(figures.draw(doc))
    values = {(one["series"], one["col"]): one for one in doc["cells"]}
    for epoch, field in itertools.product(("160", "200", "240"), ("published", "reproduced")):
        gain = values["4-shot gradual", epoch][field] - values["1-shot", epoch][field]
        assert fixed(gain, 2, sign=True) in said
    assert len([text for text in said if text[0] in f"+{MINUS}"]) == 6
    assert "calibration" in said and any("6 cells," in text for text in said)


def test_table1_marks_the_chosen_number_of_examples() -> None:
    figure = figures.draw(table1())
    axes = titled(figure, "Calibration")
    assert "12,000 is nearest to the published 79.72" in axes.get_xlabel()
    (mark,) = [line for line in axes.get_lines() if line.get_marker() == "s"]
    assert (list(cast(Any, mark.get_xdata())), list(cast(Any, mark.get_ydata()))) == ([12000], [78.8])
    unfinished = titled(figures.draw(without(table1(), series="calibration", col="24000")), "Calibration")
    assert not [line for line in unfinished.get_lines() if line.get_marker() == "s"]
    assert "none is chosen yet" in unfinished.get_xlabel()


def test_the_chosen_number_is_the_engines() -> None:
    from repro.report.figures.dots import chosen

    def col(values: dict[str, float | None], target: float | None = 80.0, *more: Any) -> str | None:
        ladder = [vars(cell("calibration", "r", col, [] if v is None else [v], diverged=v is None))
                  for col, v in values.items()]  # fmt: skip
        found = chosen([*ladder, *more], target)
        return None if found is None else str(found["col"])

    assert col({"10": 90.0, "20": 81.0, "30": 60.0}) == "20"
    assert col({"10": 81.0, "20": 79.0}) == "10"  # of two equally near, the smaller
    assert col({"10": 90.0, "20": None}) == "10"  # one that diverged was tried
    assert col({"10": 90.0}, None) is None
    assert col({"10": 80.0}, 80.0, vars(cell("calibration", "r", "20", []))) is None


def test_table1_says_what_is_missing() -> None:
    doc = without(without(table1(shift=2.0), col="200"), "diverged", col="240", series="1-shot")
    words = [text.get_text() for text in figures.draw(doc).axes[0].texts]
    # a pair of which nothing was run, and one cell
    assert (words.count("not run"), words.count("diverged")) == (1, 1)


# ---- bars --------------------------------------------------------------------------------------------------


def widths(axes: Axes) -> list[float]:
    from matplotlib.container import BarContainer

    return [patch.get_width() for bars in axes.containers if isinstance(bars, BarContainer) for patch in bars]


def test_table4_bars_are_as_long_as_the_epochs() -> None:
    right, left = figures.draw(table4()).axes
    assert widths(left) == [150, 200, 1600, 70, 90, 70, 90, 720]
    assert widths(right) == [150, 200, 1600]
    assert left.get_xlim() == right.get_xlim()
    right, left = figures.draw(table4(paper=False)).axes
    assert widths(right) == [15, 20, 160]
    assert left.get_xlim()[1] == pytest.approx(10 * right.get_xlim()[1])


def test_table4_writes_rate_delta_and_saving_at_the_bars_and_expands_its_letters() -> None:
    said = texts(figures.draw(table4()))
    assert {"150 + 200 epochs", "1,600 epochs", "80.0 % pruned", "82.2 % pruned"} <= set(said)
    assert {f"{MINUS}0.56 points", f"{MINUS}0.31 points"} <= set(said)
    assert said.count("GP + EWT takes 22 % of the epochs of IP + WT") == 3
    assert "79.0 % pruned ◆" in said  # the paper's 82.2 is no power of 0.8
    assert (said.count("not run"), said.count("–  not printed in the paper")) == (5, 1)  # four, and in the legend
    whole = " ".join(said)
    assert "GP: gradual pruning, EWT: early winning ticket, IP: iterative pruning, WT: winning ticket" in whole
    assert len(re.findall(r"\d seeds?\b|one seed", whole)) == 1


def test_table4_tells_a_missing_part_from_a_missing_row() -> None:
    from repro.report.figures.bars import pieces

    half = without(table4(), series=GP, row="resnet20", col="accuracy delta")
    half = without(half, series=GP, row="resnet20", col="retraining epochs")
    row = {one["col"]: one for one in half["cells"] if (one["series"], one["row"]) == (GP, "resnet20")}
    drawing = artifacts.get("table4").drawing
    assert isinstance(drawing, artifacts.drawing.Bars)
    found = [text for text, _ in pieces(row, "reproduced", half, drawing)]
    assert found == ["150 + ? epochs", "80.0 % pruned", "accuracy delta: not run"]
    assert texts(figures.draw(half)).count("GP + EWT takes 22 % of the epochs of IP + WT") == 2
    diverged = figures.draw(without(table4(), "diverged", series=IP, row="resnet20"))
    assert marked(diverged, "ResNet20, IP + WT: diverged")
