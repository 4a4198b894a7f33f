"""Figures: the right numbers stand where they belong, what is missing is marked, and marks say what they show."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace
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
    from_values,
    pilot,
    ppr,
    printed,
    probe,
    table1,
    table4,
    texts,
    without,
)  # fmt: skip

from repro import artifacts
from repro import cells as compare
from repro.cells import cell
from repro.report import figures, reading
from repro.report.document import Document
from repro.report.numbers import MINUS, fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from repro.report.figures.sheet import Sheet

EVERY = every()
RESULTS = Path(__file__).parents[1] / "results"


@pytest.fixture(autouse=True)
def unplaced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the places of axes and legend open, which takes most of the time, where no test looks at them."""
    if "placed" not in request.keywords:
        monkeypatch.setattr("repro.report.figures.sheet.Sheet._place_axes", lambda sheet: None)


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


def looks(figure: Sheet, name: str) -> set[tuple[Any, Any]]:
    """Colours and markers of the curve of this name."""
    lines: list[Line2D] = [marks(figure)[g] for g, title in figure.titles.items() if title.startswith(f"{name}, ")]
    return {(line.get_color(), line.get_marker()) for line in lines}


# ---- a picture, whatever the document ----------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_every_document_is_drawn_with_a_title_a_mark(name: str) -> None:
    figure = figures.draw(EVERY[name])
    assert all(marks(figure)) and all(figure.titles.values()) and len(texts(figure)) >= 3


@pytest.mark.placed
def test_the_same_document_gives_the_same_bytes_under_any_matplotlibrc(tmp_path: Path) -> None:
    import matplotlib

    figures.write(pilot("fig1"), tmp_path / "made" / "a.png")
    with matplotlib.rc_context({"font.size": 31, "savefig.dpi": 20, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        figures.write(pilot("fig1"), tmp_path / "made" / "b.png")
        assert dict(matplotlib.rcParams) == before
    content = (tmp_path / "made" / "a.png").read_bytes()
    assert content == (tmp_path / "made" / "b.png").read_bytes() and content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(list((tmp_path / "made").iterdir())) == 2


def test_importing_the_figures_imports_neither_matplotlib_nor_numpy() -> None:
    code = "import sys, repro.report.figures; print({'matplotlib', 'numpy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.shipped
@pytest.mark.parametrize("profile", ["pilot", "paper"])
@pytest.mark.parametrize("name", artifacts.IMPLEMENTED)
def test_every_shipped_number_is_in_a_title(profile: str, name: str) -> None:
    """Of short curves: long ones bear a mark here and there."""
    doc = from_values(json.loads((RESULTS / profile / f"{name}.json").read_text()))
    if len(doc.cells) > 200:
        return
    figure = figures.draw(doc)
    said = " | ".join([*figure.titles.values(), *texts(figure)])
    for one, field in itertools.product(doc.cells, ("reproduced", "published")):
        if (value := one.value(field)) is not None:
            digits = 1 if one.col == "pruning rate" else doc.digits_of(field, one.col)
            assert fixed(value, digits) in said or f"{value:,.0f}" in said


# ---- what stands around every picture ----------------------------------------------------------------------


def test_another_profile_and_its_overrides_are_said() -> None:
    said = " ".join(texts(figures.draw(replace(pilot("fig1"), overrides={"recipe.epochs": 7}))))
    assert "pilot profile: not comparable with the published numbers" in said
    assert "recipe.epochs=7" in said
    assert reading.warning(printed("fig1")) == ""


def test_the_footer_names_data_device_once_and_seeds() -> None:
    doc = printed("fig1", seeds=3)
    devices = ["Xeon, 1 thread", "Xeon, 1 threads", "Xeon, 2 threads", "NVIDIA H200"]
    doc = replace(doc, provenance={**doc.provenance, "devices": devices})
    assert reading.footer(doc) == [
        "profile paper", doc.provenance["data"], "Xeon, 1 or 2 threads, NVIDIA H200", "bfloat16",
        "seeds 0, 1, 2", "144 Runs",
    ]  # fmt: skip
    assert reading.footer(Document("fig1", profile="smoke")) == ["profile smoke"]


def test_what_a_page_says_beside_the_figure_is_aside() -> None:
    figure = figures.draw(pilot("fig1"))
    aside = " ".join(artist.get_text() for artist in figure.aside if hasattr(artist, "get_text"))
    assert "Fig. 1" in aside and "not comparable" in aside and "144 Runs" in aside
    assert "12 cells: " not in aside and "Reproduced" not in aside


def test_cells_and_seeds_are_counted() -> None:
    doc = printed("fig1", shift=0.7)
    within, outside = doc.verdicts[compare.WITHIN], doc.verdicts[compare.OUTSIDE]
    told = f"154 cells: {within} within the 95 % band, {outside} outside"
    assert reading.summary(doc) == told and outside > 1
    assert reading.summary(without(doc)) == "154 cells: 154 not run"
    several = [cell("s", "r", str(n), [1.0] * n) for n in (1, 3)]
    assert [reading.seeds(found) for found in ([], several[:1], several[1:], several)] == [
        "", "one seed", "mean of 3 seeds", "mean of up to 3 seeds",
    ]  # fmt: skip


def test_wrapped_lines_fit_and_nothing_is_lost_but_for_what_the_ellipsis_stands_for() -> None:
    from repro.report.figures.sheet import FOOT, text_width, wrapped

    text = "several words and one that is much_too_long_for_any_line_of_this_width " * 2
    lines = wrapped(text, 3, FOOT).splitlines()
    assert all(text_width(line, 7.5) <= 3 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    lines = wrapped("word " * 200, 3, FOOT).splitlines()
    assert len(lines) == 4 and lines[-1].endswith(" …")


@pytest.mark.parametrize("artifact", artifacts.IMPLEMENTED)
def test_an_artifact_without_cells_says_so_in_words(artifact: str) -> None:
    figure = figures.draw(Document(artifact, profile="pilot"))
    assert "not part of the pilot profile: there are no cells to show" in texts(figure)
    assert not figure.axes


def test_a_title_names_place_numbers_and_verdict() -> None:
    doc = printed("fig1", seeds=2, shift=0.0)
    (one,) = [c for c in doc.cells if (c.row, c.col) == ("100", "60")]
    assert reading.told(one, doc) == (
        "s = 60, v = 100: reproduced 91.39 % (2 seeds), published 91.39 %, within the 95 % band"
    )
    gone = replace(one, reproduced=None, n=0, verdict="diverged")
    assert reading.told(gone, doc) == "s = 60, v = 100: diverged, published 91.39 %"
    other = replace(doc, paper_epochs={"60": "600"}, comparable=False)
    assert reading.told(one, other).endswith("published 91.39 % (the paper's s = 600), within the 95 % band")


# ---- heat maps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("artifact", ["fig1", "fig3"])
def test_a_heat_map_shows_reproduced_published_and_their_difference(artifact: str) -> None:
    doc = printed(artifact, seeds=3, shift=0.8)
    figure = figures.draw(doc)
    panels = [titled(figure, name) for name in ("Reproduced", "Published", f"Reproduced {MINUS} published")]
    for axes, field in zip(panels, ("reproduced", "published", "difference"), strict=True):
        values = [getattr(one, field) for one in doc.cells]
        sign = field == "difference"
        wanted = [fixed(v, doc.digits_of(field), sign=sign) if v or sign else "0" for v in values]
        assert sorted(text.get_text() for text in axes.texts) == sorted(wanted)
    assert [axes.get_xlabel() for axes in panels] == [artifacts.get(artifact).columns] * 3
    assert len(figure.titles) == 3 * len(doc.cells)
    outlined = [p for axes in figure.axes for p in axes.patches if p.get_zorder() == 3]
    assert len(outlined) == 2 * doc.verdicts[compare.OUTSIDE] > 0 and "outside the 95 % band" in texts(figure)


def test_colour_bars_have_labels() -> None:
    for doc in (printed("fig3"), pilot("fig1"), curves(4)):
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
    assert "–  not printed in the paper" in texts(figure)


@pytest.mark.parametrize(("artifact", "word"), [("fig1", "not run"), ("fig3", "diverged")])
def test_heat_maps_hatch_what_has_no_value(artifact: str, word: str) -> None:
    doc = without(printed(artifact), word, col="200")
    figure, many = figures.draw(doc), sum(c.col == "200" for c in doc.cells)
    hatched = [gid for gid, artist in marks(figure).items() if artist.get_hatch()]
    assert len(hatched) == 2 * many  # as reproduced and as difference
    assert all(f": {word}" in figure.titles[gid] for gid in hatched)
    assert word in texts(figure)


def test_a_far_outlier_does_not_take_the_contrast_of_the_others() -> None:
    from repro.report.figures.heat import colour_of, spanning

    colours = spanning([10.0, *(91 + index / 100 for index in range(50))])
    assert colours.get_clim() == (91, 91.49)
    assert colour_of(10.0, colours) == colour_of(91, colours)
    assert spanning([5.0, 5.0]).get_clim() == (4.5, 5.5)


def test_numbers_stand_out_from_every_colour() -> None:
    from matplotlib.colors import to_rgb

    from repro.report.figures.heat import around_zero, colour_of, ink_on, spanning

    def luminance(colour: tuple[float, float, float]) -> float:
        """Return the relative luminance of WCAG."""
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colours in (spanning([-1.0, 1.0]), around_zero([1.0], 0.5)):
        for step in range(101):
            colour = colour_of(step / 50 - 1, colours)
            pair = sorted([luminance(colour), luminance(to_rgb(ink_on(colour)))])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4  # WCAG asks 3 of large and 4.5 of small text


# ---- curves ------------------------------------------------------------------------------------------------


def test_fig4_draws_every_series_where_it_was_run() -> None:
    doc = without(without(ppr(20), series="ppr 0.01", col="7"), "diverged", series="ppr 0.1", col="9")
    other = [
        replace(c, reproduced=88.0) if c.verdict == "diverged" else c for c in doc.cells
    ]  # of the other seeds
    figure = figures.draw(replace(doc, cells=other))
    shown = {(float(c.col), round(c.shown, 6)) for c in doc.cells if c.shown is not None}
    assert shown <= points(titled(figure, "ResNet20 on CIFAR-10")) and len(shown) == 58
    assert marked(figure, "PPR, rate 0.1, epoch 9: diverged") and not marked(figure, "88.00")
    said = " ".join(texts(figure))
    assert "\n1 of 20 diverged" in said and "\n1 of 20 not run" in said
    assert {"dense baseline", "top-1 accuracy, %"} <= set(texts(figure))


def test_the_same_curve_has_the_same_colour_in_every_figure() -> None:
    cells = [c for c in ppr(20).cells if c.series != "ppr 0.1"]
    both, single = figures.draw(ppr(20)), figures.draw(replace(ppr(20), artifact="fig6", cells=cells))
    for name in ("PPR, rate 0.01", "dense baseline"):
        assert looks(both, name) == looks(single, name) and len(looks(both, name)) == 1
    assert looks(both, "PPR, rate 0.1").isdisjoint(looks(both, "PPR, rate 0.01"))


def test_the_level_is_the_mean_of_the_later_half_and_only_of_a_whole_one() -> None:
    doc = ppr(20)
    late = [one.reproduced or 0.0 for one in doc.cells if one.series == "ppr 0.01" and int(one.col) >= 10]
    assert f"PPR, rate 0.01\nlater half {sum(late) / 11:.2f}" in texts(figures.draw(doc))
    said = texts(figures.draw(without(doc, series="ppr 0.01", col="15")))
    assert len([text for text in said if "\nlater half " in text]) == 1


def test_values_far_below_the_others_are_left_out_aloud() -> None:
    doc = ppr(200)
    figure = figures.draw(doc)
    low = figure.axes[0].get_ylim()[0]
    below = [one.reproduced for one in doc.cells if one.reproduced is not None and one.reproduced < low]
    assert low > 60
    said = " ".join(" ".join(texts(figure)).split())
    assert f"{len(below)} values lie below the axis, down to {min(below):.1f}" in said
    assert "below the axis" not in " ".join(texts(figures.draw(ppr(12))))


def test_several_seeds_have_a_band_that_ends_at_100_percent() -> None:
    doc = fig5(seeds=3)
    doc = replace(doc, cells=[replace(one, reproduced=99.0, sd=5.0) for one in doc.cells])
    bands = figures.draw(doc).axes[0].collections
    tops = [path.vertices[:, 1].max() for band in bands for path in band.get_paths()]
    assert tops == [100.0] * 3
    assert len(figures.draw(ppr(12)).axes[0].collections) == 0


def test_medians_keep_gaps_and_steps() -> None:
    from repro.report.figures.curves import medians

    step = [85.0] * 120 + [91.0] * 80
    assert medians(step) == step
    found = medians([1.0, math.nan, 9.0, 2.0, 3.0])
    assert math.isnan(found[1]) and [found[0], *found[2:]] == [1.0, 2.5, 2.5, 2.5]


def test_fig5_names_every_structure_and_marks_it_differently() -> None:
    figure = figures.draw(fig5())
    names = [f"pruned at epoch {epoch}" for epoch in (20, 120, 200)]
    assert set(names) <= set(texts(figure))
    assert len(set.union(*(looks(figure, name) for name in names))) == 3
    assert ticks(figure.axes[0]) == ["0", "10,000", "20,000", "30,000", "40,000", "50,000", "60,000"]
    assert list(figure.axes[0].get_xticks(minor=True)) == [5000]  # a value that is no round number
    assert figure.axes[0].get_xlabel() == "number of examples with random labels"


def test_fig6_draws_each_network_along_its_own_schedule() -> None:
    """ResNet56 over 200 epochs of CIFAR-10, ResNet18 over 90 of ImageNet, every fifth checked."""
    other = [replace(one, row="resnet18", col=str(5 * int(one.col))) for one in ppr(18).cells]
    figure = figures.draw(document("fig6", [*ppr(200, ("resnet56",)).cells, *other]))
    left, right = titled(figure, "(a)  ResNet56 on CIFAR-10"), titled(figure, "(b)  ResNet18 on ImageNet")
    assert 200 <= left.get_xlim()[1] < 210 and 90 <= right.get_xlim()[1] < 95


def test_the_probe_has_the_printed_point_once_and_rings_what_lies_outside() -> None:
    figure = figures.draw(probe())
    (axes,) = figure.axes
    rings = [line for line in axes.get_lines() if line.get_markerfacecolor() == "none"]
    assert sorted(float(cast(Any, ring.get_ydata())[0]) for ring in rings) == pytest.approx([0.032, 0.032])
    assert {"Published, Fig. 3", "95 % band of a repetition", "outside the band"} <= set(texts(figure))
    low, high = axes.get_ylim()
    assert low < 0.052 - 0.0111 and high > 0.052 + 0.0111
    said = " ".join(texts(figures.draw(DOCUMENTS["probe-gaps"])))
    assert "batch 128\n5 of 5 diverged" in said and "dense baseline\nnot run" in said
    assert "outside the band" not in said
    other = figures.draw(probe(paper=False))  # the printed number is told, and not drawn
    assert marked(other, "published 0.052") and "Published, Fig. 3" not in texts(other)


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
    assert any("12 of 58 layers" in text for text in texts(figures.draw(curves(58, 15, 12))))
    assert "978 cells: 978 not run" in " ".join(texts(figures.draw(without(curves()))))


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
    assert {
        round(v, 6) for one in doc.cells for f in ("published", "reproduced") if (v := one.value(f))
    } <= heights
    assert sum(len(axes.collections) for axes in figure.axes) == 18  # error bars
    wanted = {"Reproduced ± sd", "Reproduced ± sd, outside the band", "95 % band of a repetition"}
    assert wanted <= set(texts(figure))
    assert len(marked(figure, "outside the 95 % band")) == 2 * doc.verdicts["outside"] > 0
    single = figures.draw(printed("table2", seeds=1))
    assert sum(len(axes.collections) for axes in single.axes) == 0


def test_all_networks_have_one_scale_that_holds_every_number() -> None:
    first, *others = figures.draw(printed("table3", shift=0.1)).axes
    assert {axes.get_ylim() for axes in others} == {first.get_ylim()}
    assert [axes.yaxis.get_tick_params()["labelleft"] for axes in (first, *others)] == [True, False, False]
    for axes in others:
        assert all(axes.get_ylim()[0] < y < axes.get_ylim()[1] for _, y in points(axes))


@pytest.mark.parametrize("word", ["not run", "diverged"])
def test_a_missing_dot_is_hatched_and_said(word: str) -> None:
    figure = figures.draw(without(printed("table3"), word))
    hatched = [gid for gid, artist in marks(figure).items() if hasattr(artist, "get_hatch") and artist.get_hatch()]
    assert len(hatched) == 21 and all(f": {word}, published" in figure.titles[gid] for gid in hatched)
    assert len(marked(figure, f": {word}, published")) == 42 and word in texts(figure)


def test_table2_of_another_profile_has_axes_of_their_own_for_the_papers_numbers() -> None:
    figure = figures.draw(pilot("table2"))
    reproduced, _, published, _ = figure.axes
    assert [reproduced.get_ylabel(), published.get_ylabel()] == ["Reproduced, %", "Published, %"]
    assert [ticks(reproduced), ticks(published)] == [["2", "6", "20"], ["20", "60", "200"]]
    assert published.get_xlabel() == "pruned at epoch (the paper's)"
    assert reproduced.get_ylim()[1] < published.get_ylim()[0]
    assert len(marked(figure, ": not run")) == 2  # the hatched place, and the published number


def test_fig7_of_ones_own_has_axis_names() -> None:
    figure = figures.draw(fig7())
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["pruned at epoch 2, tickets", "pruned at epoch 4, tickets"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"share of weights pruned"}
    assert figure.axes[0].get_ylabel() == "top-1 accuracy, %"
    assert ticks(figure.axes[0]) == ["50%", "80%", "90%", "95%"]
    many = replace(fig7(), cells=[cell("s", "r", str(x), [float(x)]) for x in range(30)])
    assert isinstance(figures.drawing_of(many), artifacts.drawing.Curves)


def test_table1_says_what_gradual_pruning_gains_but_not_in_the_calibration_column() -> None:
    doc = table1()
    said = texts(figures.draw(doc))
    values = {(one.series, one.col): one for one in doc.cells}
    for epoch, field in itertools.product(("160", "200", "240"), ("published", "reproduced")):
        gradual, at_once = (values[series, epoch].value(field) for series in ("4-shot gradual", "1-shot"))
        assert gradual and at_once and fixed(gradual - at_once, 2, sign=True) in said
    assert len([text for text in said if text[0] in f"+{MINUS}"]) == 6
    assert "calibration" in said


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

    def col(values: dict[str, float | None], target: float | None = 80.0, *more: compare.Cell) -> str | None:
        ladder = [cell("calibration", "r", col, [] if v is None else [v], diverged=v is None)
                  for col, v in values.items()]  # fmt: skip
        found = chosen([*ladder, *more], target)
        return None if found is None else found.col

    assert col({"10": 90.0, "20": 81.0, "30": 60.0}) == "20"
    assert col({"10": 81.0, "20": 79.0}) == "10"  # of two equally near, the smaller
    assert col({"10": 90.0, "20": None}) == "10"  # one that diverged was tried
    assert col({"10": 90.0}, None) is None
    assert col({"10": 80.0}, 80.0, cell("calibration", "r", "20", [])) is None


def test_table1_says_what_is_missing() -> None:
    doc = without(without(table1(shift=2.0), col="200"), "diverged", col="240", series="1-shot")
    hatched = [artist.get_hatch() for artist in figures.draw(doc).axes[0].patches if artist.get_hatch()]
    assert sorted(hatched) == ["/////", "/////", "xxxxx"]


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
    assert f"150 + 200 epochs     80.0 % pruned     {MINUS}0.31 points" in said
    assert f"70 + 90 epochs     80.0 % pruned     {MINUS}0.56 points" in said
    assert said.count("GP + EWT takes 22 % of the epochs of IP + WT") == 3
    assert (
        f"1,600 epochs     79.0 % pruned ◆     {MINUS}0.10 points" in said
    )  # the paper's 82.2 is no power of 0.8
    assert (said.count("not run"), said.count("–  not printed in the paper")) == (1, 1)  # in the legend
    whole = " ".join(" ".join(said).split())
    assert "GP: gradual pruning, EWT: early winning ticket, IP: iterative pruning, WT: winning ticket" in whole
    assert whole.count("one seed") == 1


def test_table4_tells_a_missing_part_from_a_missing_row() -> None:
    from repro.report.figures.bars import words_of

    half = without(table4(), series=GP, row="resnet20", col="accuracy delta")
    half = without(half, series=GP, row="resnet20", col="retraining epochs")
    row = {one.col: one for one in half.cells if (one.series, one.row) == (GP, "resnet20")}
    drawing = artifacts.get("table4").drawing
    assert isinstance(drawing, artifacts.drawing.Bars)
    found = words_of(row, "reproduced", half, drawing)
    assert found == "150 + ? epochs     80.0 % pruned     accuracy delta: not run"
    assert texts(figures.draw(half)).count("GP + EWT takes 22 % of the epochs of IP + WT") == 2
    diverged = figures.draw(without(table4(), "diverged", series=IP, row="resnet20"))
    assert marked(diverged, "ResNet20, IP + WT: diverged")
