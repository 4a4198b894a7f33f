"""The plots: a picture for every document, in which the right numbers stand where they belong, legibly."""

from __future__ import annotations

import functools
import math
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plot_documents import DRAWN, PROVENANCE, Document, curves, document, every, not_run, pilot, printed, texts

from repro import compare
from repro.report import plots, plots_grid, plots_heat, plots_lines, plots_page

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

DOCUMENTS = every()


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(*cast(Any, line.get_data()), strict=True)]


# ---- a picture, whatever the document ----------------------------------------------------------------------


@dataclass
class Picture:
    """A document as drawn: the file, and every text on it with its box in pixels."""

    path: Path
    texts: list[str]
    boxes: list[Any]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Picture]:
    """Draws each of `DOCUMENTS` once."""
    from matplotlib.text import Text

    @functools.cache
    def make(name: str) -> Picture:
        drawn: dict[int, tuple[Text, Any]] = {}
        draw = Text.draw

        def note(text: Text, *given: Any, **named: Any) -> None:
            if text.get_visible() and text.get_text().strip():
                drawn[id(text)] = text, text.get_window_extent().extents
            draw(text, *given, **named)

        path = tmp_path_factory.mktemp("plots") / "made" / "it.png"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "draw", note)
            plots.draw(DOCUMENTS[name], path)
        return Picture(path, [text.get_text() for text, _ in drawn.values()], [box for _, box in drawn.values()])

    return make


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_valid_png_of_plausible_size(name: str, picture: Callable[[str], Picture]) -> None:
    import matplotlib.image

    path = picture(name).path
    assert list(path.parent.iterdir()) == [path]
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = size(path)
    assert 1000 <= width <= 2500
    assert 350 <= height <= 1600
    pixels = matplotlib.image.imread(path)
    assert 0.01 < float((pixels[:, :, :3].min(axis=2) < 0.99).mean()) < 0.9


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_text_overlaps_another_or_leaves_the_page(name: str, picture: Callable[[str], Picture]) -> None:
    import numpy

    drawn = picture(name)
    assert len(drawn.texts) >= 3
    left, bottom, right, top = numpy.array(drawn.boxes).T
    width, height = size(drawn.path)
    assert min(left.min(), bottom.min(), width - right.max(), height - top.max()) >= 0
    wide = numpy.minimum.outer(right, right) - numpy.maximum.outer(left, left)
    high = numpy.minimum.outer(top, top) - numpy.maximum.outer(bottom, bottom)
    overlapping = numpy.argwhere(numpy.triu((wide > 1) & (high > 1), k=1))
    assert [(drawn.texts[one], drawn.texts[other]) for one, other in overlapping] == []


def test_the_same_document_gives_the_same_bytes_under_any_matplotlibrc(tmp_path: Path) -> None:
    import matplotlib

    plots.draw(pilot("fig1"), tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 31, "savefig.dpi": 20, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        plots.draw(pilot("fig1"), tmp_path / "b.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_missing_field_is_not_an_error(tmp_path: Path) -> None:
    for artifact in (*DRAWN, "fig7"):
        bare = {"artifact": artifact, "cells": [{"series": "tickets", "row": "0", "col": "1"}, {}]}
        plots.draw(bare, tmp_path / f"{artifact}.png")
        plots.draw(
            {"artifact": artifact, "provenance": None, "overrides": None, "cells": None}, tmp_path / "x.png"
        )
    plots.draw({}, tmp_path / "x.png")


def test_importing_the_plots_imports_neither_matplotlib_nor_numpy() -> None:
    code = "import sys, repro.report.plots; print({'matplotlib', 'numpy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# ---- what stands around every picture ----------------------------------------------------------------------


def test_another_profile_and_its_overrides_are_said(style: None) -> None:
    doc = pilot("fig1") | {"overrides": {"recipe.epochs": 7}}
    said = " ".join(texts(plots.figure(doc)))
    assert "pilot profile: not comparable with the published numbers" in said
    assert "recipe.epochs=7" in said
    assert "not comparable" not in " ".join(texts(plots.figure(printed("fig1"))))


def test_the_footer_says_where_the_numbers_come_from() -> None:
    parts = plots_page.footer(printed("fig1")).split(plots_page.DOT)
    assert parts == [
        "profile paper",
        PROVENANCE["data"],
        "NVIDIA H200",
        "bfloat16",
        "3 seeds: 0, 1, 2",
        "144 Runs",
    ]
    assert plots_page.footer({"profile": "smoke"}) == "profile smoke"


def test_the_tally_counts_every_cell_once() -> None:
    doc = printed("fig1", shift=0.7)
    found = compare.count(compare.Cell(**cell) for cell in doc["cells"])
    text = plots_page.tally(doc["cells"], True)
    assert text == f"154 cells, {found['within']} within the 95 % band, {found['outside']} outside it"
    assert found["outside"] > 0
    assert plots_page.tally(pilot("fig1")["cells"], False) == "11 of 12 cells run"


@given(st.text(alphabet="ab cdé", max_size=120), st.floats(0.3, 4), st.sampled_from([7.5, 13.0]))
def test_wrapped_lines_fit_and_nothing_is_lost(text: str, width: float, size: float) -> None:
    lines = plots_page.wrapped(text, width, size, lines=1000)
    assert all(plots_page.text_width(line, size) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    lines = plots_page.wrapped("word " * 200, 3, 9, lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith(" …")


# ---- heatmaps ----------------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 300), min_size=1), st.sets(st.integers(0, 300)))
def test_a_grid_finds_every_cell_in_any_order(rng: random.Random, rows: set[int], cols: set[int]) -> None:
    values = {(str(row), str(col)): rng.random() for row in rows for col in cols if rng.random() < 0.8}
    cells: list[plots_page.Cell] = [
        {"series": "t", "row": row, "col": col, "reproduced": value} for (row, col), value in values.items()
    ]
    rng.shuffle(cells)
    found = plots_page.grid(cells)
    assert [int(row) for row in found.rows] == sorted({int(row) for row, _ in values})
    assert [int(col) for col in found.cols] == sorted({int(col) for _, col in values})
    assert found.known("reproduced") == values
    for row in rows:
        for col in cols:
            assert found.number(str(row), str(col), "reproduced") == values.get((str(row), str(col)))


def panels(doc: Document) -> list[plots_grid.Panel]:
    whole = plots_page.grid(doc["cells"])
    return plots_grid.fig1_panels(doc, whole, plots_page.ordered(row for row in whole.rows if row != "baseline"))


def test_fig1_shows_published_reproduced_and_their_difference() -> None:
    doc = printed("fig1", shift=0.6)
    left, middle, right = panels(doc)
    assert left.values["0", "200"] == 89.37
    assert left.scale == middle.scale
    assert right.scale.low == -right.scale.high
    for cell in doc["cells"]:
        place = cell["row"], cell["col"]
        assert right.values[place] == pytest.approx(cell["reproduced"] - cell["published"])
        assert (place in right.outline) == (cell["verdict"] == "outside")
    assert right.outline == middle.outline != frozenset()


def test_fig1_of_another_profile_is_compared_with_itself_only() -> None:
    left, middle, right = panels(pilot("fig1"))
    assert "orientation only" in left.title
    assert "published" not in right.title
    assert left.scale != middle.scale
    assert right.values["20", "20"] == 0
    assert right.values["0", "1"] == middle.values["0", "1"] - middle.values["20", "20"]
    assert set(middle.hatch) == set(right.hatch) == {("baseline", "20")}
    assert ("3", "1") not in left.values


def test_fig1_calls_the_papers_columns_by_the_papers_epochs(style: None) -> None:
    """README's first picture once had the pilot's epoch 1 above the paper's numbers of epoch 10."""
    published, reproduced, relative = plots.figure(pilot("fig1")).axes[:3]
    columns = [[tick.get_text() for tick in axes.get_xticklabels()] for axes in (published, reproduced, relative)]
    assert columns == [
        ["10\n(pilot: 1)", "20\n(pilot: 2)", "200\n(pilot: 20)"],
        ["1", "2", "20"],
        ["1", "2", "20"],
    ]
    rows = [[tick.get_text() for tick in axes.get_yticklabels()] for axes in (published, reproduced)]
    assert rows == [["baseline", "0", "30 (pilot: 3)", "200 (pilot: 20)"], ["baseline", "0", "3", "20"]]


def test_where_both_numbers_share_a_place_it_has_both_epochs(style: None) -> None:
    axes = plots.figure(pilot("fig3")).axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["10\n(paper 100)", "12\n(paper 120)", "20\n(paper 200)"]
    said = texts(plots.figure(pilot("table2")))
    assert "2\n(paper 20)" in said and "5-10\n(paper 50-100)" in said
    assert {"reproduced, %", "published, %"} <= set(said)


def test_fig1_without_its_reference_cell_has_no_third_panel_values() -> None:
    doc = pilot("fig1")
    doc["cells"] = [cell for cell in doc["cells"] if (cell["row"], cell["col"]) != ("20", "20")]
    right = panels(doc)[2]
    assert not right.values
    assert len(right.hatch) == 12
    assert "not run" in right.subtitle


def test_fig1_prints_every_number(style: None) -> None:
    doc = printed("fig1")
    said = texts(plots.figure(doc))
    for cell in doc["cells"]:
        assert f"{cell['published']:.2f}" in said
        assert f"{cell['reproduced']:.2f}" in said


def test_fig3_prints_both_numbers_and_says_what_was_not_run(style: None) -> None:
    said = texts(plots.figure(printed("fig3")))
    assert said.count("paper 0.159") == 2
    assert said.count("0") == said.count("paper 0") == 6
    assert texts(plots.figure(not_run(printed("fig3")))).count("not run") == 21


def test_fig3_of_another_profile_has_colours_of_its_own(style: None) -> None:
    from matplotlib.patches import Rectangle

    doc = pilot("fig3")
    doc["cells"] = [cell | {"reproduced": 0.0002} for cell in doc["cells"]]
    figure = plots.figure(doc)
    assert texts(figure).count("0.0002") == 6
    colours = {p.get_facecolor() for p in figure.axes[0].findobj(Rectangle) if isinstance(p, Rectangle)}
    assert (*plots_heat.Scale(0, 1).colour(1), 1.0) in colours


def test_a_legend_takes_as_few_rows_as_fit() -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label="x" * length) for length in (80, 5, 5)]
    assert plots_page.legend_room(handles, 12) < plots_page.legend_room(handles, 5)
    assert plots_page.legend_room([], 12) == 0


def test_cells_outside_the_band_are_outlined(style: None) -> None:
    from matplotlib.patches import Rectangle

    for artifact, times in (("fig1", 2), ("fig3", 1)):
        doc = printed(artifact, shift=0.8)
        outside = sum(cell["verdict"] == "outside" for cell in doc["cells"])
        rectangles = [p for axes in plots.figure(doc).axes for p in axes.findobj(Rectangle)]
        frames = [p for p in rectangles if p.get_zorder() == 3]
        assert len(frames) == times * outside > 0


def test_a_far_outlier_does_not_take_the_contrast_of_the_others() -> None:
    values = [91 + index / 100 for index in range(50)]
    scale = plots_heat.spanning([10.0, *values])
    assert (scale.low, scale.high) == (91, 91.49)
    assert scale.extend([10.0, *values]) == "min"
    assert scale.colour(10.0) == scale.colour(91)
    assert plots_heat.spanning([5.0, 5.0]) == plots_heat.Scale(4.5, 5.5)


def test_numbers_stand_out_from_every_colour() -> None:
    def luminance(colour: tuple[float, ...]) -> float:
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    from matplotlib.colors import to_rgb

    for scale in (plots_heat.Scale(0, 1), plots_heat.around_zero([1.0], 0.5)):
        for step in range(101):
            colour = scale.colour(scale.low + (scale.high - scale.low) * step / 100)
            pair = sorted([luminance(colour), luminance(to_rgb(plots_heat.ink_on(colour)))])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4  # WCAG asks 3 of large and 4.5 of small text


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.00"), (-0.001, "0.00"), (0.5, "+0.50"), (-12.344, "\u221212.34")]
)
def test_differences_are_signed(value: float, text: str) -> None:
    assert plots_grid.signed(value) == text


# ---- curves and dots ---------------------------------------------------------------------------------------


def test_fig2_draws_every_layer_and_eq5_from_the_first_drop_on(style: None) -> None:
    axes = plots.figure(curves(layers=20, epochs=20, first=12)).axes
    lines = axes[0].get_lines()
    dashed = [line for line in lines if line.get_color() == plots_page.INK]
    solid = [line for line in lines if line.get_linestyle() == "-"]
    assert (len(dashed), len(solid)) == (20, 20)
    assert all([x for x, _ in points(line)] == list(range(12, 21)) for line in dashed)
    assert [x for x, _ in points(solid[3])] == list(range(21))
    assert points(solid[3])[0][1] == pytest.approx(0.12 * 0.97**3 * (1 + 0.1 * math.sin(3)))
    assert len([line for line in axes[1].get_lines() if line.get_linestyle() == "-"]) == 18
    assert len({str(line.get_color()) for line in solid}) == 19  # first and last share the grey


def test_fig2_of_many_layers_says_that_it_draws_some_predictions(style: None) -> None:
    figure = plots.figure(curves(58, 30, 12))
    assert sum(line.get_color() == plots_page.INK for line in figure.axes[0].get_lines()) == 12
    assert any("12 of 58 layers" in text for text in texts(figure))


@given(st.integers(0, 80), st.integers(0, 20))
def test_spread_keeps_order_and_both_ends(count: int, most: int) -> None:
    rows = [str(index) for index in range(count)]
    found = plots_lines.spread(rows, most)
    assert len(found) == len(set(found)) == min(count, most)
    assert list(found) == sorted(found, key=int)
    if count and most > 1:
        assert (found[0], found[-1]) == (rows[0], rows[-1])


def test_table2_keeps_the_tables_order(style: None) -> None:
    figure = plots.figure(printed("table2", seeds=3))
    titles = [text for text in texts(figure) if text.startswith("ResNet")]
    assert titles == ["ResNet20,  one-shot", "ResNet56,  one-shot", "ResNet20,  gradual"]
    labels = [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]
    assert labels[0] == labels[1] == ["20", "60", "100", "120", "160", "200"]
    assert labels[2] == ["25-75", "50-100", "75-125", "100-150", "125-175", "150-200"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_table2_marks_published_reproduced_spread_and_what_lies_outside(style: None) -> None:
    doc = printed("table2", seeds=3, shift=0.9)
    figure = plots.figure(doc)
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    hollow = [line for line in lines if line.get_markerfacecolor() == "white"]
    assert sorted(points(line)[0][1] for line in hollow) == sorted(c["published"] for c in doc["cells"])
    outside = {round(cell["reproduced"], 6) for cell in doc["cells"] if cell["verdict"] == "outside"}
    assert {round(points(line)[0][1], 6) for line in lines if line.get_marker() == "D"} == outside != set()
    assert sum(len(axes.collections) for axes in figure.axes) == 18  # error bars
    single = plots.figure(printed("table2", seeds=1))
    assert sum(len(axes.collections) for axes in single.axes) == 0


def test_networks_far_apart_have_a_scale_each_with_its_numbers(style: None) -> None:
    """Table 3: ResNet50 lies six points above ResNet18, and each spreads over four."""
    figure = plots.figure(printed("table3", shift=0.1))
    at_once, gradual, other = figure.axes
    assert at_once.get_ylim() == gradual.get_ylim() != other.get_ylim()
    assert other.get_ylim()[0] > 70 > gradual.get_ylim()[1] - 1
    numbered = [axes.yaxis.get_tick_params()["labelleft"] for axes in figure.axes]
    assert numbered == [True, False, True]
    for axes in figure.axes:
        heights = [y for line in axes.get_lines() for _, y in points(line)]
        assert all(axes.get_ylim()[0] < y < axes.get_ylim()[1] for y in heights)


def test_not_run_is_said_where_the_published_number_is_not(style: None) -> None:
    figure = plots.figure(not_run(printed("table3")))
    words = [text for axes in figure.axes for text in axes.texts if text.get_text() == "not run"]
    printed_at = [points(line)[0] for axes in figure.axes for line in axes.get_lines()]
    middles = [sum(axes.get_ylim()) / 2 for axes in figure.axes for _ in axes.get_lines()]
    assert len(words) == len(printed_at) == 21
    for word, (_, y), middle in zip(words, printed_at, middles, strict=True):
        assert (word.get_position()[1] > 0.5) is bool(y < middle)


def test_what_a_profile_does_not_ask_for_is_said(style: None) -> None:
    found = texts(plots.figure(document("table3", [], paper=False)))
    assert "not in this profile" in found and any("no cells" in text for text in found)
    assert "nothing has been run yet" in texts(plots.figure(not_run(curves())))


def test_table2_of_another_profile_has_a_scale_for_each(style: None) -> None:
    figure = plots.figure(pilot("table2"))
    lower, upper = figure.axes[:2]
    assert lower.get_ylim()[1] < upper.get_ylim()[0]
    assert texts(figure).count("not run") == 1
