"""A claim's statistic in words: one formatter for the terminal, Markdown, page and README."""

from __future__ import annotations

import json
import re
from typing import Any

import page_documents
import pytest
from page_documents import Tree, claim, claims, page

from repro import published
from repro.claims.decide import FAILS, HOLDS, NOT_COMPARABLE, NOT_RUN, UNDECIDED, Judgement
from repro.claims.report import document
from repro.report import claims_table
from repro.report.page import claims_markdown, readme

CLAIMS = {found.id: found for found in published.claims()}
NOTHING = page_documents.document("fig1", [], comparable=False)
SCHEDULES = [("CIFAR-10", 200, 20), ("ImageNet", 90, 90)]


def judged(name: str, verdict: str, **changes: Any) -> Judgement:
    return Judgement(
        CLAIMS[name], verdict, **{"value": 1.0, "low": 0.5, "high": 1.5, "n": 1, "needed": 7} | changes
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "points", "value": -1.515, "low": -6.781, "high": 3.751}, "−1.51 (−6.78 to 3.75) points"),
        ({"unit": "%", "value": 94.0, "low": 93.8, "high": 94.2}, "94.00 (93.80 to 94.20) %"),
        ({"unit": "ratio", "value": 0.5663, "low": 0.482, "high": 0.65}, "0.566 (0.482 to 0.650), ratio"),
        ({"unit": "epochs of 200", "value": -60.0, "low": -110.0, "high": None, "unbounded": ["high"],
          "own_epochs": {"value": -6.0, "of": 20}}, "−60 (from −110 up) epochs of 200 (here −6 of 20)"),
        ({"unit": "epoch of 90", "value": 45.0, "low": None, "high": 50.0, "unbounded": ["low"]},
         "45 (up to 50), epoch of 90"),
        ({"unit": "epoch of 200", "value": None, "low": 180.0, "high": None, "unbounded": ["value", "high"]},
         "unbounded (from 180 up), epoch of 200"),
        ({"unit": "points", "low": None, "high": None}, "0.200 (no interval) points"),
        ({"unit": "points", "value": None, "low": None, "high": None}, ""),
    ],
)  # fmt: skip
def test_a_statistic_says_its_interval_and_unit_alike_on_terminal_page_and_readme(
    changes: dict[str, Any], words: str
) -> None:
    one = claim("one", **changes)
    assert claims_table.told(one).statistic == words
    found = claims(one | {"next": None})
    assert f"| {words or '–'} |" in readme([NOTHING], found)
    assert not words or words in Tree(page([NOTHING], found)).text
    (row,) = claims_table.table(found).rows
    assert row[2] == words and re.search(rf"\| {re.escape(words)} *\|", claims_markdown(found))


def test_without_a_comparable_profile_there_are_statistics_and_no_verdicts() -> None:
    names = ("baseline-resnet20", "baseline-resnet56", "early-tickets-match")
    found = [judged(name, verdict) for name, verdict in zip(names, (HOLDS, FAILS, UNDECIDED), strict=True)]
    found.append(judged("gradual-from-75", NOT_RUN, value=None, needed=None, missing="nothing ran"))
    told = document(found, profile="pilot", comparable=False, source="runs", seeds=[0], schedules=SCHEDULES)
    assert told["counts"] == {NOT_COMPARABLE: 3, NOT_RUN: 1}
    assert [entry["verdict"] for entry in told["claims"]] == [NOT_COMPARABLE] * 3 + [NOT_RUN]
    assert {entry["value"] for entry in told["claims"]} == {1.0, None}
    assert not any(entry["needed"] for entry in told["claims"])  # no number of seeds decides it
    assert not {"holds", "fails", "undecided"} & set(json.dumps(told["claims"] + [told["counts"]]).split('"'))
    whole = document(found, profile="paper", comparable=True, source="runs", seeds=[0])
    assert [entry["verdict"] for entry in whole["claims"]] == [HOLDS, FAILS, UNDECIDED, NOT_RUN]


def test_epochs_of_the_paper_are_given_in_the_profiles_own_too() -> None:
    found = [judged("ppr-small-rate-settles-near-100", UNDECIDED, value=150.0), judged("baseline-resnet20", HOLDS)]
    found.append(judged("ppr-indicates-45-resnet18", HOLDS, value=45.0))
    told = document(found, profile="pilot", comparable=False, source="runs", seeds=[0], schedules=SCHEDULES)
    assert [entry["own_epochs"] for entry in told["claims"]] == [{"value": 15.0, "of": 20}, None, None]
    said = "epoch 100 of its 200 on CIFAR-10 is 10 of this profile's 20."
    assert claims_table.epochs(told).endswith(said)
    for text in (readme([NOTHING], told), claims_markdown(told), "".join(claims_table.lines(told))):
        assert said in text
    assert "epoch 100 of its 200" in Tree(page([NOTHING], told)).text
    assert claims_table.epochs(told | {"schedules": [{"images": "CIFAR-10", "paper": 200, "own": 200}]}) == ""
