"""A figure inside the page: its text and titles, colours that follow dark mode, ids of its own, the same bytes."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repro.report import figures
from repro.report.figures import ON_COLOUR
from repro.report.inline import inline_svg


def figure(**attributes: Any) -> Any:
    with figures.styled():
        found = Figure(figsize=(4, 3))
        FigureCanvasAgg(found)
        axes = found.add_subplot(clip_on=True)
        axes.plot([0, 1, 2], [0.123456, 1, 0], gid="line")
        axes.add_patch(Rectangle((0, 0), 1, 1, facecolor="#f9fdcc", gid="tile"))
        axes.add_patch(Rectangle((1, 0), 1, 1, facecolor="#fafafa", hatch="//"))
        axes.text(0.5, 0.5, "on colour", color=ON_COLOUR)
        axes.text(1.5, 0.5, "0.123456 <b>", color="#202124")
        found.text(0.02, 0.97, "a heading")
    vars(found).update({"titles": {}} | attributes)
    return found


def svg(found: Any, name: str = "fig1") -> str:
    return str(inline_svg(found, name))


def test_it_is_one_element_that_scales_and_fetches_nothing() -> None:
    text = svg(figure())
    root = ElementTree.fromstring(text)
    assert root.tag == "svg" and root.get("width") is None and len(root.get("viewBox", "").split()) == 4
    assert not re.search(r"http|xmlns|<\?xml|metadata|<style", text)


def test_text_stays_as_it_is_and_coordinates_are_short() -> None:
    text = svg(figure())
    assert ">0.123456 &lt;b&gt;<" in text and "<b>" not in text
    assert not re.search(r"<[^>]*\d\.\d{3,}(?!;)[^>]*>", text.split(">", 1)[1])


def test_colours_are_the_pages_but_for_text_on_a_coloured_ground() -> None:
    text = svg(figure())
    texts = dict(re.findall(r"<text style=\"([^\"]*)\"[^>]*>(on colour|0\.123456|a heading)", text)[i][::-1]
                 for i in range(3))  # fmt: skip
    assert ON_COLOUR in texts["on colour"] and "currentColor" in texts["0.123456"]
    assert "currentColor" in texts["a heading"] and "#f9fdcc" in text and "#fafafa" not in text
    assert "var(--faint)" in text and "#ffffff" not in text


def test_marks_tell_their_values_and_nothing_else_has_an_id_without_use() -> None:
    text = svg(figure(titles={"tile": "<i> & 1", "line": "a curve"}))
    assert text.count('class="mark"') == 2
    assert '<g class="mark"><title>&lt;i&gt; &amp; 1</title>' in text and "<title>a curve</title>" in text
    ids = re.findall(r' id="([^"]*)"', text)
    assert ids and len(ids) == len(set(ids))
    assert {name for pair in re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', text) for name in pair if name} == set(
        ids
    )


def test_two_figures_share_no_id_and_the_same_gives_the_same_bytes() -> None:
    one, other = svg(figure()), svg(figure(), "fig2")
    assert one == svg(figure()) and one == svg(same := figure()) == svg(same)
    assert not set(re.findall(r' id="[^"]*"', one)) & set(re.findall(r' id="[^"]*"', other))


@pytest.mark.parametrize("gid", ["tile", "line"])
def test_a_figure_without_titles_has_no_marks(gid: str) -> None:
    assert f'id="{gid}"' not in svg(figure()) and 'class="mark"' not in svg(figure())
