"""The page: well-formed, self-contained, and it says what the documents and the claims say."""

from __future__ import annotations

import re
from collections import Counter

import figure_documents
import pytest
from page_documents import (
    Tree,
    claim,
    claims,
    curves,
    document,
    everything,
    page,
    pilot,
    printed,
    whole,
)

from repro import artifacts, published
from repro import cells as compare
from repro.report import claims_table
from repro.report.numbers import amount, brief, fixed
from repro.report.page import short_answer
from repro.report.templates import typeset


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the drawing, which takes seconds."""
    monkeypatch.setattr("repro.report.page.picture", lambda document: "")


# ---- the file ------------------------------------------------------------------------------------------------


def test_links_resolve_and_nothing_is_fetched() -> None:
    text, tree = whole()
    assert not re.search(r"https?://|xmlns|@import|url\((?!#)", text)
    for name, attributes in tree.elements:
        assert not {"src", "srcset", "data", "action"} & set(attributes), (name, attributes)
        if (target := attributes.get("href")) is not None:
            picture = name == "image" and target.startswith("data:image/png;base64,")
            assert picture or (target.startswith("#") and target[1:] in tree.ids), (name, target)
    assert not [
        tag for tag, _ in tree.elements if tag in ("link", "img", "iframe", "object", "embed", "foreignobject")
    ]


def test_every_mark_tells_its_value() -> None:
    _, tree = whole()
    assert tree.untold == []
    assert len(tree.having("mark")) >= len(everything()[1]["claims"])


@pytest.mark.usefixtures("no_pictures")
def test_an_address_in_a_document_is_text_only() -> None:
    tree = Tree(page([printed("fig1", title="see https://example.org/x", assumptions={"a": "http://b"})]))
    assert "see https://example.org/x" in tree.text and "http://b" in tree.text
    assert not [value for _, a in tree.elements for value in a.values() if "http" in (value or "")]


def test_everything_is_escaped() -> None:
    evil = '<script>alert("1")</script>&\'"><b>'
    cells = [compare.cell(evil, evil, str(x), [float(x)], published=2.0, replicate_sd=0.1) for x in (1, 2)]
    about = {evil: evil, "keys": [evil], "schedule": evil, "data": evil}
    bad = document(evil, cells, title=evil, unit=evil, assumptions={evil: evil}, provenance=about,
                   overrides={evil: evil}, profile=evil, comparable=False)  # fmt: skip
    odd = claim(evil, evil, claim=evil, quote=evil, section=evil, definition=evil, artifact=[evil], noise=evil,
                missing=evil, repeats=[[evil, evil]])  # fmt: skip
    entry = {"id": evil, "says": evil, "value": 1, "computed": evil, "cells": [[evil] * 5]}
    untested = [{"section": evil, "quote": evil, "why": evil}]
    found = claims(odd, contradictions=[entry], untested=untested, profile=evil, comparable=False)
    text = page([bad], found)
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


def test_every_claim_tells_its_sentence_statistic_bounds_and_the_papers() -> None:
    _, tree = whole()
    for one in everything()[1]["claims"]:
        told = claims_table.told(one)
        for words in (one["claim"], one["quote"], one["definition"], told.bounds, told.printed, told.statistic):
            assert typeset(words) in tree.text or words in tree.text


def test_cells_are_counted_as_in_the_documents() -> None:
    documents, _, _ = everything()
    _, tree = whole()
    titles = Counter(a["title"] for a in tree.having("part") if "title" in a)
    expected = Counter(f"{n} {verdict}" for each in documents for verdict, n in each.verdicts.items())
    assert titles == expected
    table = tree.text.split("Every artifact of the paper")[1].split("The claims")[0]
    assert "Table 3" in table and "not run" in table.split("Table 3")[1]


@pytest.mark.usefixtures("no_pictures")
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
    assert short_answer(found) == short
    tree = Tree(page([printed("fig1")], found))
    assert short in tree.text and not tree.having("caveat")


@pytest.mark.usefixtures("no_pictures")
def test_another_profile_decides_nothing_and_says_so_where_one_looks() -> None:
    found = claims(claim("a"), claim("b"), comparable=False)
    tree = Tree(page([printed("fig1", paper=False), printed("table2", paper=False)], found))
    assert "This pilot run cannot say" in tree.text and "every claim holds" not in tree.text
    assert len(tree.having("caveat")) == len(tree.having("caveat-line")) == 1
    assert tree.text.count("pilot: orientation only") == 2
    assert "difference" not in tree.text.replace("different", "") and tree.having("orientation")
    assert Tree(page([printed("fig1")], claims(claim("a"), comparable=False))).having("caveat")
    assert not whole()[1].having("caveat") and not whole()[1].having("orientation")


@pytest.mark.usefixtures("no_pictures")
def test_a_changed_profile_is_named_with_its_changes() -> None:
    changed = printed("fig1", paper=False, overrides={"recipe.epochs": 100})
    assert "recipe.epochs = 100" in Tree(page([changed])).text


# ---- artifacts -----------------------------------------------------------------------------------------------


def test_every_cell_stands_in_a_table_with_ours_the_spread_the_papers_and_its_verdict() -> None:
    documents, _, _ = everything()
    shown = Counter((a.get("ours", ""), a.get("paper", "")) for a in whole()[1].cells)
    for doc in documents:
        if doc.artifact == "table4" or len({cell.col for cell in doc.cells}) > 16:
            continue  # decimals of each column's own, and curves of which every few columns are shown
        for cell in doc.cells:
            ours, paper = (
                "" if (value := getattr(cell, field)) is None else fixed(value, doc.digits_of(field))
                for field in ("reproduced", "published")
            )
            verdict = cell.verdict if not ours else ""
            beside = f" {cell.verdict}" if ours and cell.verdict in ("outside", "diverged") else ""
            spread = f" ± {fixed(cell.sd, doc.digits)}" if cell.sd is not None else ""
            shown.subtract([(ours + spread + beside + verdict, paper)])
    assert not {place: n for place, n in shown.items() if n < 0}


@pytest.mark.usefixtures("no_pictures")
def test_the_papers_columns_are_called_by_the_papers_epochs() -> None:
    found = {"1": "10", "2": "20", "20": "200", "3": "30"}
    assert figure_documents.pilot("fig1").paper_epochs == found
    tree = Tree(page([figure_documents.pilot("fig1")]))
    assert "2 (20)" in tree.text and "20 (200)" in tree.text and "(the paper’s epochs in brackets)" in tree.text


@pytest.mark.usefixtures("no_pictures")
def test_outside_is_a_shape_and_a_word_as_well_as_a_colour() -> None:
    def drawn(value: float) -> str:
        cell = compare.cell("one-shot", "5", "20", [value], published=90.0, replicate_sd=0.23)
        return page([document("table2", [cell])]).split('class="wide"')[1]

    assert '#g-fails"/></svg><span class="unseen">outside' in drawn(95) and "outside" not in drawn(90.1)


@pytest.mark.usefixtures("no_pictures")
def test_a_curve_of_many_epochs_is_thinned_in_its_table_and_every_series_has_one() -> None:
    tree = Tree(page([curves("fig4", ("ppr 0.1", "baseline"), ("resnet20",), range(1, 41))]))
    assert all(f"{name} (every 4th column; all are in the CSV)" in tree.text for name in ("ppr 0.1", "baseline"))
    values = [cell["ours"] for cell in tree.cells if "ours" in cell]
    assert len(values) == 20 and values[:3] == ["77.10", "77.50", "77.90"]


@pytest.mark.usefixtures("no_pictures")
def test_a_table_of_mixed_units_has_few_decimals() -> None:
    cells = [compare.cell(p.series, p.row, p.col, [p.value], published=p.value) for p in published.load("table4")]
    tree = Tree(page([document("table4", cells, counted=artifacts.get("table4").counted)]))
    values = {cell.get("ours") for cell in tree.cells}
    assert "1600" in values and "1600.0" not in values and "−0.20" in values


def test_every_artifact_with_a_number_has_its_picture() -> None:
    tree = whole()[1]
    assert len(tree.having("picture")) == len(tree.having("figure")) == len(everything()[0]) - 1  # Table 3
    none = document("fig7", [compare.cell("s", "r", "1", [])])
    assert not Tree(page([none])).having("picture")


@pytest.mark.parametrize("artifact", [*artifacts.PAPER, "batch-probe", "fig7"])
def test_missing_and_odd_values_are_no_error(artifact: str) -> None:
    none = [compare.cell("s", "r", "1", []), compare.cell("s", "r", "2", [], diverged=True)]
    tree = Tree(page([document(artifact, none)]))
    assert "not run" in tree.text and "diverged" in tree.text
    odd = [*none, compare.cell("s", "r", "x", [5.0]), compare.cell("s", "r", "3", [-1.0], published=0.0)]
    Tree(page([document(artifact, odd)]))
    Tree(page([document(artifact, [])]))


@pytest.mark.usefixtures("no_pictures")
def test_assumptions_provenance_and_cost_stand_with_the_artifact() -> None:
    text = Tree(page([printed("fig1")])).text
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
    tree = Tree(page(pilot()))
    assert "66.87" in tree.text and "This pilot run cannot say" in tree.text
    empty = Tree(page([document("fig1", [compare.cell("s", "r", "1", [])]), document("fig2", [])]))
    assert "Nothing is decided yet" in empty.text and len(empty.having("tag")) == 2
    assert "no cells in this profile" in empty.text and not empty.having("caveat")


# ---- pieces --------------------------------------------------------------------------------------------------


def test_an_interval_lies_where_its_numbers_are() -> None:
    both = claims_table.places(claim("a"))
    assert 12 < both["left"] == both["above"] < both["low"] < both["value"] < both["high"] < both["right"] < 248
    assert claims_table.places(claim("a", below=None))["right"] == 248
    far = claims_table.places(claim("a", value=1e6, high=2e6))
    assert all(0 <= x <= 260 for x in far.values()) and far["value"] == pytest.approx(130, abs=1)
    nothing = claim("a", value=None, low=None, high=None, published=None, above=None, below=None)
    assert claims_table.places(nothing) == {"left": 12, "right": 248}
    tree = Tree(page([document("fig1", [])], claims(claim("a"), nothing | {"id": "b"})))
    assert len(tree.having("interval")) == 2 and "no value of ours" in tree.text


def test_numbers() -> None:
    assert fixed(-0.001, 2) == "0.00" and fixed(0.0, 1, sign=True) == "0.0"
    assert fixed(-0.5, 2, sign=True) == "−0.50"
    assert amount(2345.6) == "2,346" and amount(-0.04567) == "−0.0457" and amount(12) == "12.00"
    assert brief(1234.5) == "1,234.5" and brief(-0.25) == "−0.25"
