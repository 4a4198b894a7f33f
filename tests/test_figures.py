"""Figures: the right numbers stand where they belong, what is missing is marked, and marks say what they show."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from figure_documents import (
    DOCUMENTS,
    curves,
    document,
    every,
    fig5,
    fig7,
    from_values,
    marked,
    marks,
    pilot,
    points,
    ppr,
    printed,
    probe,
    texts,
    ticks,
    titled,
    without,
)  # fmt: skip

from repro import artifacts
from repro import cells as compare
from repro.cells import cell
from repro.report import figures
from repro.report.document import Document
from repro.report.numbers import MINUS, fixed

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

    from repro.report.figures import Sheet

EVERY = every()
RESULTS = Path(__file__).parents[1] / "results"


pytestmark = pytest.mark.usefixtures("unplaced")


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


def test_what_a_page_says_beside_the_figure_can_be_left_out() -> None:
    whole, inner = (" ".join(texts(figures.draw(pilot("fig1"), titled=titled))) for titled in (True, False))
    for words in ("Fig. 1", "pilot profile: not comparable", "144 Runs"):
        assert words in whole and words not in inner
    assert "12 cells: " in inner and "Reproduced" in inner


def test_long_lines_are_broken_and_only_what_the_ellipsis_stands_for_is_lost() -> None:
    doc = replace(
        pilot("fig1"), title="several words and one that is much_too_long_for_any_line_of_this_width " * 2
    )
    title, *_ = [text for text in texts(figures.draw(doc)) if text.startswith("Fig. 1")]
    assert len(title.splitlines()) > 1 and "".join(title.split()) == "".join(f"Fig. 1 {doc.title}".split())
    lines = texts(figures.draw(replace(doc, title="word " * 999)))
    assert [len(text.splitlines()) for text in lines if text.endswith(" …")] == [4]


@pytest.mark.parametrize("artifact", artifacts.IMPLEMENTED)
def test_an_artifact_without_cells_says_so_in_words(artifact: str) -> None:
    figure = figures.draw(Document(artifact, profile="pilot"))
    assert "not part of the pilot profile: there are no cells to show" in texts(figure)
    assert not figure.axes


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
    outlined = [mark for mark in marks(figure).values() if mark.get_zorder() == 2]
    assert len(outlined) == 2 * doc.verdicts[compare.OUTSIDE] > 0 and "outside the 95 % band" in texts(figure)


def test_colour_bars_have_labels() -> None:
    for doc in (printed("fig3"), pilot("fig1"), curves()):
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
    from repro.report.figures.heat import without_outliers

    assert without_outliers([10.0, *(91 + index / 100 for index in range(50))]) == (91, 91.49)
    assert without_outliers([5.0, 5.0]) == (5, 5)


def test_numbers_stand_out_from_every_colour() -> None:
    from matplotlib.colors import to_rgb

    from repro.report.figures.heat import DIVERGING, SEQUENTIAL, scale

    def luminance(colour: Sequence[float]) -> float:
        """Return the relative luminance of WCAG."""
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colours in (scale(*SEQUENTIAL, -1, 1), scale(*DIVERGING, -1, 1)):
        for step in range(101):
            colour = cast(Any, colours).to_rgba(step / 50 - 1)[:3]
            # WCAG asks 3 of large and 4.5 of small text.
            assert (luminance(colour) + 0.05) / (luminance(to_rgb(figures.ON_COLOUR)) + 0.05) >= 4


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
    assert f"values down to {min(below):.1f} lie below the axis" in said
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


def test_the_probe_has_the_printed_point_and_rings_what_lies_outside() -> None:
    figure = figures.draw(probe())
    (axes,) = figure.axes
    rings = [line for line in axes.get_lines() if line.get_markerfacecolor() == "none"]
    assert sorted(float(cast(Any, ring.get_ydata())[0]) for ring in rings) == pytest.approx([0.032, 0.032])
    assert {"Published, Fig. 3", "95 % band of a repetition", "outside the band"} <= set(texts(figure))
    low, high = axes.get_ylim()
    assert low < 0.052 - 0.0111 and high > 0.052 + 0.0111
    said = " ".join(texts(figures.draw(DOCUMENTS["probe-gaps"])))
    assert "batch 128\n5 of 5 diverged" in said and "dense baseline\n1 of 1 not run" in said
    assert "outside the band" not in said
    assert "Published, Fig. 3" in texts(figures.draw(DOCUMENTS["probe-not-run"]))
    other = figures.draw(probe(paper=False))  # the printed number is told, and not drawn
    assert marked(other, "published 0.052") and "Published, Fig. 3" not in texts(other)


def test_more_curves_than_looks_are_coloured_by_their_order() -> None:
    cells = [cell("s", f"layer-{row}", str(x), [float(row + x)]) for row in range(7) for x in range(9)]
    figure = figures.draw(replace(fig7(), cells=cells))
    assert len({str(line.get_color()) for line in figure.axes[0].get_lines()}) == 7
    assert marked(figure, "layer-3", "reproduced 3.00", "reproduced 11.00")


# ---- Fig. 2 ------------------------------------------------------------------------------------------------


def test_fig2_draws_every_layer_and_eq5_from_the_first_drop_on() -> None:
    figure = figures.draw(curves(layers=20, epochs=20, first=12))
    left, right = figure.axes[:2]
    dashed = [line for line in left.get_lines() if line.get_linestyle() == "--" and len(line.get_xdata()) > 2]
    assert len(dashed) == 20 and all(list(line.get_xdata()) == list(range(12, 21)) for line in dashed)
    expected = 0.12 * 0.97**3 * (1 + 0.1 * math.sin(3))
    assert (0, round(expected, 6)) in points(left)
    assert marked(figure, "layer 4, layers.3.weight", f"epoch 0: reproduced {expected:.4f}")
    assert marked(figure, "layer 4", "epoch 20: ") and left.get_yscale() == "log"
    solid = [line for line in left.get_lines() if line.get_linestyle() == "-"]
    assert len(solid) == 20 and len({str(line.get_color()) for line in solid}) == 19  # first and last are grey
    assert len([line for line in right.get_lines() if line.get_linestyle() == "-"]) == 18
    assert "layers that are never pruned (first, last)" in texts(figure)
    assert "978 cells: 978 not run" in " ".join(texts(figures.draw(without(curves()))))
