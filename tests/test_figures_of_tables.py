"""Figures of tables: dots and bars show the right numbers, and mark what is missing or diverged."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from figure_documents import (
    GP,
    IP,
    fig7,
    marked,
    marks,
    pilot,
    points,
    printed,
    table1,
    table4,
    texts,
    ticks,
    titled,
    without,
)  # fmt: skip

from repro import artifacts
from repro import cells as compare
from repro.cells import cell
from repro.report import figures
from repro.report.numbers import MINUS, fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

pytestmark = pytest.mark.usefixtures("unplaced")

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


def test_table1_says_what_gradual_pruning_gains() -> None:
    doc = table1()
    said = texts(figures.draw(doc))
    assert {"1-shot", "4-shot gradual"} <= set(said)
    values = {(one.series, one.col): one for one in doc.cells}
    for epoch, field in itertools.product(("160", "200", "240"), ("published", "reproduced")):
        gradual, at_once = (values[series, epoch].value(field) for series in ("4-shot gradual", "1-shot"))
        assert gradual and at_once and fixed(gradual - at_once, 2, sign=True) in said
    assert len([text for text in said if text[0] in f"+{MINUS}"]) == 6  # none in the column that calibrates


def test_table1_marks_the_chosen_number_of_examples() -> None:
    figure = figures.draw(table1())
    axes = titled(figure, "ResNet20, calibration")
    assert marked(figure, "number of examples with random labels 12000, ResNet20, calibration: reproduced 78.80 %")
    assert "12,000 is nearest to the first column's published 79.72" in axes.get_xlabel()
    (mark,) = [line for line in axes.get_lines() if line.get_marker() == "s"]
    assert (list(cast(Any, mark.get_xdata())), list(cast(Any, mark.get_ydata()))) == ([3], [78.8])
    unfinished = titled(
        figures.draw(without(table1(), series="calibration", col="24000")), "ResNet20, calibration"
    )
    assert not [line for line in unfinished.get_lines() if line.get_marker() == "s"]
    assert "none is chosen yet" in unfinished.get_xlabel()
    doc = table1()
    for one in {one.col for one in doc.cells if one.series == "calibration"}:
        doc = without(doc, "diverged", series="calibration", col=one)
    assert "the largest is taken" in titled(figures.draw(doc), "ResNet20, calibration").get_xlabel()


def test_the_chosen_number_is_the_engines() -> None:
    from repro.report.figures.dots import chosen

    def col(values: dict[str, float | None], target: float = 80.0, *more: compare.Cell) -> str | None:
        ladder = [cell("calibration", "r", col, [] if v is None else [v], diverged=v is None)
                  for col, v in values.items()]  # fmt: skip
        found = chosen([*ladder, *more], target)
        return None if found is None else found.col

    assert col({"10": 90.0, "20": 81.0, "30": 60.0}) == "20"
    assert col({"10": 81.0, "20": 79.0}) == "10"  # of two equally near, the smaller
    assert col({"10": 90.0, "20": None}) == "10"  # one that diverged was tried
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
    assert f"150 + 200 epochs (22 % of IP + WT)     80.0 % pruned     {MINUS}0.31 points" in said
    assert f"70 + 90 epochs     80.0 % pruned     {MINUS}0.56 points" in said  # the paper prints no other row
    assert sum("(22 % of IP + WT)" in text for text in said) == 3
    assert (
        f"1,600 epochs     79.0 % pruned ◆     {MINUS}0.10 points" in said
    )  # the paper's 82.2 is no power of 0.8
    assert (said.count("not run"), said.count("–  not printed in the paper")) == (1, 1)  # in the legend
    whole = " ".join(" ".join(said).split())
    assert "GP: gradual pruning, EWT: early winning ticket, IP: iterative pruning, WT: winning ticket" in whole
    assert whole.count("one seed") == 1


def test_table4_tells_a_missing_part_from_a_missing_row() -> None:
    half = without(table4(), series=GP, row="resnet20", col="accuracy delta")
    said = texts(figures.draw(without(half, series=GP, row="resnet20", col="retraining epochs")))
    assert "150 + ? epochs     80.0 % pruned     accuracy delta: not run" in said
    assert sum("(22 % of IP + WT)" in text for text in said) == 2
    diverged = figures.draw(without(table4(), "diverged", series=IP, row="resnet20"))
    assert marked(diverged, "ResNet20, IP + WT: diverged")
