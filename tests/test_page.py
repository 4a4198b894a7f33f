"""The page: well-formed, self-contained, and it says what the documents and the claims say."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from importlib import resources
from typing import Any

import plot_documents
import pytest
from page_documents import (
    Tree,
    claim,
    claims,
    curves,
    document,
    everything,
    pilot,
    printed,
    whole,
)

from repro import compare, published
from repro.report import page_html, page_summary, svg_artifact
from repro.report.page import page
from repro.report.plots_curves import LOOKS
from repro.report.plots_page import BLUE, VERMILION
from repro.report.svg import Scale, fixed, round_values
from repro.report.svg_claims import interval
from repro.report.svg_lines import curves_of

# ---- the file ------------------------------------------------------------------------------------------------


def test_links_resolve_and_nothing_is_fetched() -> None:
    text, tree = whole()
    assert not re.search(r"https?:|//[a-z]|xmlns|@import|url\((?!#)", text)
    for tag, attributes in tree.elements:
        assert not {"src", "srcset", "data", "action"} & set(attributes), (tag, attributes)
        if (target := attributes.get("href")) is not None:
            assert target.startswith("#") and target[1:] in tree.ids, (tag, target)
    assert not [
        tag for tag, _ in tree.elements if tag in ("link", "img", "iframe", "object", "embed", "foreignobject")
    ]


def test_every_mark_tells_its_value() -> None:
    _, tree = whole()
    assert tree.untold == []
    assert len(tree.having("mark")) > 400 and len(tree.having("curve")) > 10


def test_an_address_in_a_document_is_text_only() -> None:
    text = page([printed("fig1", title="see https://example.org/x", assumptions={"a": "http://b"})], None, None)
    assert not re.search(r"https?://", text)
    assert "see https://example.org/x" in Tree(text).text


def test_everything_is_escaped() -> None:
    evil = '<script>alert("1")</script>&\'"><b>'
    cells = [compare.cell(evil, evil, str(x), [float(x)], published=2.0, replicate_sd=0.1) for x in (1, 2)]
    about = {evil: evil, "keys": [evil]}
    bad = document(evil, cells, title=evil, unit=evil, assumptions={evil: evil}, provenance=about,
                   overrides={evil: evil}, profile=evil, comparable=False)  # fmt: skip
    odd = claim(evil, evil, claim=evil, quote=evil, section=evil, definition=evil, artifact=[evil], noise=evil,
                missing=evil, repeats=[[evil, evil]])  # fmt: skip
    text = page([bad], claims(odd, contradictions=[{"id": evil, "says": evil, "value": 1, "cells": [[evil] * 5]}],
                              untested=[{"section": evil, "quote": evil, "why": evil}]), claims(odd))  # fmt: skip
    tree = Tree(text)
    assert [tag for tag, _ in tree.elements].count("script") == 1
    assert "<script>alert" not in text and "<b>" not in re.sub(r"<b>[^<]*</b>", "", text)
    assert 'alert("1")' in tree.text


def test_the_same_arguments_give_the_same_text() -> None:
    assert page(*everything()) == whole()[0]


# ---- the verdict ---------------------------------------------------------------------------------------------


def test_every_claim_has_its_verdict_and_the_papers_own() -> None:
    _, tree = whole()
    shown = Counter(a["data-verdict"] for a in tree.having("claim"))
    assert shown == Counter(everything()[1]["counts"]) and sum(shown.values()) == 20
    tiles = {a["data-filter"] for a in tree.having("tile")}
    assert tiles == set(shown)
    assert tree.text.count("paper’s own numbers: fails") == 20
    for name in ("c-fig1-holds", "c-text-not-run"):
        assert f"Definition of {name}." in tree.text and f"claim-{name}" in tree.ids
    assert tree.text.count("about 7 seeds would decide") == 4
    assert tree.text.count("waits for: PPR curves (1 Run)") == 8  # in sight, and among the facts
    assert "a (s ≥ 100) quote" in tree.text


def test_cells_are_counted_as_in_the_documents() -> None:
    documents, _, _ = everything()
    _, tree = whole()
    titles = Counter(a["title"] for a in tree.having("part") if "title" in a)
    expected = Counter(f"{n} {verdict}" for each in documents for verdict, n in each["verdicts"].items())
    assert titles == expected
    table = tree.text.split("Every artifact of the paper")[1].split("The claims")[0]
    assert "Table 3" in table and "not run" in table.split("Table 3")[1]


@pytest.mark.parametrize(
    ("verdicts", "short"),
    [
        (["holds"] * 3, "Yes, every claim holds"),
        (["holds"] * 3 + ["undecided"], "Yes, as far as it was decided"),
        (["holds"] + ["not run"] * 3, "Too little is decided; so far it holds"),
        (["holds", "fails"] + ["not run"] * 3, "Too little is decided; not everything holds"),
        (["holds"] * 3 + ["fails"], "For the most part"),
        (["holds", "fails"], "Only in part"),
        (["fails"] * 2, "No"),
        (["undecided"], "Nothing is decided yet"),
    ],
)
def test_the_answer_says_no_more_than_the_claims(verdicts: list[str], short: str) -> None:
    found = claims(*[claim(f"c{i}", v) for i, v in enumerate(verdicts)])
    assert page_summary.answer([printed("fig1")], found).short == short
    tree = Tree(page([printed("fig1")], found, None))
    assert short in tree.text and not tree.having("caveat")


def test_another_profile_decides_nothing_and_says_so_where_one_looks() -> None:
    found = claims(claim("a"), claim("b"), comparable=False)
    tree = Tree(page([printed("fig1", paper=False), printed("table2", paper=False)], found, None))
    assert "This pilot run cannot say" in tree.text and "every claim holds" not in tree.text
    assert len(tree.having("caveat")) == len(tree.having("caveat-line")) == 1
    assert tree.text.count("pilot: orientation only") == 2
    assert "difference" not in tree.text.replace("different", "") and tree.having("orientation")
    assert Tree(page([printed("fig1", paper=False)], claims(claim("a")), None)).having("caveat")
    assert Tree(page([printed("fig1")], claims(claim("a"), comparable=False), None)).having("caveat")
    assert not whole()[1].having("caveat") and not whole()[1].having("orientation")


def test_a_changed_profile_is_named_with_its_changes() -> None:
    changed = printed("fig1", paper=False, overrides={"recipe.epochs": 100})
    assert "recipe.epochs = 100" in Tree(page([changed], None, None)).text


# ---- artifacts -----------------------------------------------------------------------------------------------


def test_a_heat_map_tells_ours_the_papers_and_the_difference() -> None:
    text, _ = whole()
    for words in ("ours 90.35 ± 0.01 sd (2 seeds)\npaper 90.24\ndifference +0.11\nband ± 0.55\nwithin",):
        assert words in page([document("fig1", [
            compare.cell("tickets", "5", "10", [90.34, 90.36], published=90.24, replicate_sd=0.23)
        ])], None, None)  # fmt: skip
    assert "s = 100, v = 5\n" in text and "diverged" in text and 'class="lost"' in text


def test_the_papers_columns_are_called_by_the_papers_epochs() -> None:
    found = {"1": "10", "2": "20", "20": "200", "3": "30"}
    assert plot_documents.pilot("fig1")["paper_epochs"] == found
    text = Tree(page([plot_documents.pilot("fig1")])).text
    assert "structure from epoch s (pilot’s in brackets) →" in text and " 200 (20) " in text
    assert "s = 1, v = 3 (the paper’s 10, 30)" in text
    assert (
        "ours, and below them the paper’s (its epochs in brackets)" in text and " 20 (200) " in text
    )  # the table
    assert "10 (pilot: 1)" not in text
    assert "60 (pilot: 6)" in Tree(page([plot_documents.pilot("table2")])).text


def test_a_series_has_the_colour_that_it_has_in_the_picture() -> None:
    """The picture's first two are vermilion and blue, dense networks are grey; a single rate is the small one."""
    css = resources.files("repro.report").joinpath("page.css").read_text().split("--c2")[0]
    assert css.index("--c0: #b4480b") < css.index("--c1: #1b6a9c")
    assert [look["color"] for look in LOOKS[:2]] == [VERMILION, BLUE]
    fig4 = curves("fig4", ("ppr 0.1", "ppr 0.01", "baseline"), ("resnet20",), range(3))
    fig6 = curves("fig6", ("ppr 0.01", "baseline"), ("resnet56",), range(3))
    fig5 = curves("fig5", ("memorization",), ("2", "12"), range(3))
    for doc, by, looks in (
        (fig4, "series", {"ppr 0.1": "c0", "ppr 0.01": "c1", "baseline": "dense"}),
        (fig6, "series", {"ppr 0.01": "c1", "baseline": "dense"}),
        (fig5, "row", {"2": "c0", "12": "c1"}),
    ):
        drawn = curves_of(doc["cells"], by, "reproduced", set())
        assert {curve.name: curve.class_ for curve in drawn} == looks


def test_outside_is_a_shape_as_well_as_a_colour() -> None:
    def drawn(value: float, artifact: str) -> str:
        cell = compare.cell("one-shot", "5", "20", [value], published=90.0, replicate_sd=0.23)
        return page([document(artifact, [cell])], None, None)

    assert 'class="outline"' in drawn(95, "fig1") and 'class="outline"' not in drawn(90.1, "fig1")
    assert 'class="our-dot out"' in drawn(95, "table2") and 'class="our-dot out"' not in drawn(90.1, "table2")


def test_curves_carry_every_value_and_hidden_series_stay_in_the_table() -> None:
    _, tree = whole()
    found = {a["data-name"]: a for a in tree.having("curve") if "data-v" in a}
    assert found["ppr 0.1\nours"]["data-x"] == "|".join(map(str, range(1, 41)))
    assert str(found["ppr 0.1\nours"]["data-v"]).split("|")[9] == "78.00"
    assert "a\nEq. 5" in found
    assert not [d for d in tree.having("curves") if "w_mean" in str(d.get("aria-label"))]
    assert "w_mean" in tree.text


def test_published_points_of_a_curve_are_drawn_and_stay_apart_where_not_comparable() -> None:
    cells = [
        compare.cell("baseline", "resnet20", str(x), [x], published=x + 1, replicate_sd=0.2) for x in range(1, 9)
    ]
    together = svg_artifact.panels(document("fig4", cells))
    assert [p.title for p in together] == ["ResNet20"] and "baseline, paper: 2.00" in together[0].drawing
    apart = svg_artifact.panels(document("fig4", cells, paper=False))
    assert [p.title for p in apart] == ["ResNet20", "ResNet20: the paper’s"]
    assert "paper" not in apart[0].drawing


def test_a_table_of_mixed_units_has_no_drawing_and_few_decimals() -> None:
    assert svg_artifact.panels(printed("table4")) == []
    cells = [compare.cell(p.series, p.row, p.col, [p.value], published=p.value) for p in published.load("table4")]
    tree = Tree(page([document("table4", cells, unit=published.about("table4").unit)], None, None))
    assert "1600" in tree.text and "1600.0" not in tree.text and "−0.20" in tree.text


def test_an_unknown_artifact_is_drawn_too() -> None:
    few = svg_artifact.panels(curves("fig7", ("mine",), ("one", "two"), range(3)))
    many = svg_artifact.panels(curves("fig7", ("mine",), ("one", "two"), range(30)))
    assert [p.title for p in few] == [p.title for p in many] == ["one", "two"]
    assert "row" in few[0].drawing and 'class="plot curves"' in many[0].drawing
    words = [compare.cell("s", "r", name, [1.0]) for name in ("slow", "fast")]
    assert "fast" in svg_artifact.panels(document("mine", words))[0].drawing


@pytest.mark.parametrize("artifact", [*svg_artifact.DRAWINGS, "fig7"])
def test_missing_and_odd_values_are_no_error(artifact: str) -> None:
    none = [compare.cell("s", "r", "1", []), compare.cell("s", "r", "2", [], diverged=True)]
    tree = Tree(page([document(artifact, none)], None, None))
    assert "not run" in tree.text and "diverged" in tree.text
    odd = [
        asdict(c)
        for c in [*none, compare.cell("s", "r", "x", [5.0]), compare.cell("s", "r", "3", [-1.0], published=0.0)]
    ]
    odd[2]["reproduced"] = float("nan")
    odd += [{"series": "s", "row": "r2", "col": "1", "verdict": "a new word"}, {}]
    Tree(page([document(artifact, []) | {"cells": odd}], None, None))
    Tree(page([document(artifact, [])], None, None))


def test_assumptions_provenance_and_cost_stand_with_the_artifact() -> None:
    text = Tree(page([printed("fig1")], None, None)).text
    for words in (
        "batch size 128",
        "3 Runs",
        "2.0 h of training",
        "cifar10: 50,000",
        "torch 2.11.0",
        "ab12 cd34 ef56",
    ):
        assert words in text


def test_contradictions_and_untested_sentences_are_shown() -> None:
    _, tree = whole()
    assert "contradiction-three-baselines" in tree.ids and "0.45" in tree.text and "92.05" in tree.text
    assert "thousands of epochs" in tree.text and "Of other papers." in tree.text


def test_the_shipped_pilot_and_an_empty_folder() -> None:
    tree = Tree(page(pilot(), None, None))
    assert "66.87" in tree.text and "This pilot run cannot say" in tree.text
    assert "no claim" in tree.text.lower()
    empty = Tree(page([], None, None))
    assert "Nothing has been run" in empty.text and len(empty.having("absent")) == 10
    assert not empty.having("caveat")
    Tree(page([], claims(claim("a")), claims(claim("a"))))
    Tree(page([{"summary": "not an artifact"}], None, None))


# ---- pieces --------------------------------------------------------------------------------------------------


def test_an_interval_lies_where_its_numbers_are() -> None:
    def places(**changes: Any) -> list[float]:
        drawing = interval(claim("a", **changes), "holds")
        return [float(x) for x in re.findall(r'c?x1?="([\d.]+)" (?:y1|cy)', drawing)]

    both = interval(claim("a"), "holds")
    zone = re.search(r'<rect x="([\d.]+)" y="4" width="([\d.]+)"', both)
    assert zone and float(zone[1]) > 12 and float(zone[1]) + float(zone[2]) < 248
    open_ended = re.search(r'<rect x="([\d.]+)" y="4" width="([\d.]+)"', interval(claim("a", below=None), "holds"))
    assert open_ended and float(open_ended[1]) + float(open_ended[2]) == 248
    assert all(0 <= x <= 260 for x in places(value=1e6, high=2e6))
    nothing = claim("a", value=None, low=None, high=None, published=None, above=None, below=None)
    assert "no value of ours" in interval(nothing, "not-run")


def test_scales_and_numbers() -> None:
    assert round_values(0, 10, 5) == [0, 2, 4, 6, 8, 10] and round_values(3, 3, 5) == [3]
    scale = Scale(1, 100, 0, 200, log=True)
    assert scale(10) == pytest.approx(100) and 10 in scale.ticks()
    assert (
        fixed(-0.001, 2) == "0.00" and fixed(-0.5, 2, sign=True) == "−0.50" and fixed(0.0, 1, sign=True) == "0.0"
    )
    assert page_html.tag("a", "<", None, b_=True, c=None, d=1.25, e_f="&") == '<a b d="1.2" e-f="&amp;">&lt;</a>'
