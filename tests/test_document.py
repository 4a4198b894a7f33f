"""An artifact's JSON: all that the document says, a cell a line, the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro import artifacts
from repro.experiments import Study
from repro.record import Record
from repro.report import reading
from repro.report.document import as_json, grids, make, standing

PILOT = Path(__file__).parents[1] / "results" / "pilot"
FIELDS = ("series", "row", "col", "published", "reproduced", "n", "sd", "best_epoch", "band", "verdict")

numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.none() | numbers | st.integers() | st.text(max_size=5)
cells = st.fixed_dictionaries(dict.fromkeys(FIELDS, values))
heads = st.dictionaries(st.text(max_size=5), st.none() | numbers | st.text() | st.lists(st.text()), max_size=4)


def without_nulls(cell: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell.items() if value is not None}


@given(heads, st.lists(cells, max_size=4))
def test_it_reads_back_to_the_document(head: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Less the fields that a cell has no value for, numbers of cells to 7 digits; the rest as it is."""
    document = {**head, "cells": found}
    text = as_json(document)
    assert text == as_json(json.loads(json.dumps(document)))
    read = json.loads(text)
    assert {name: value for name, value in read.items() if name != "cells"} == {
        name: value for name, value in document.items() if name != "cells"
    }
    for ours, theirs in zip(read["cells"], found, strict=True):
        told = without_nulls(theirs)
        assert list(ours) == list(told)
        for name, value in told.items():
            assert ours[name] == (pytest.approx(value, rel=5e-7, abs=0) if isinstance(value, float) else value)
            assert type(ours[name]) is type(value)


def test_numbers_have_seven_digits_and_cells_a_line_each() -> None:
    third = {"series": "a", "row": "b", "col": "5", "reproduced": 100 / 3, "sd": None, "n": 1}
    text = as_json({"artifact": "x", "training_seconds": 100 / 3, "cells": [third, third]})
    line = '{"series":"a","row":"b","col":"5","reproduced":33.33333,"n":1}'
    assert text.splitlines().count(line) == text.splitlines().count(f"{line},") == 1
    assert json.loads(text)["training_seconds"] == 100 / 3  # of the head every digit


@pytest.mark.parametrize("name", ["fig1", "fig2", "table1", "table4"])
def test_what_is_shipped_is_written_again_to_the_same_bytes(name: str) -> None:
    text = (PILOT / f"{name}.json").read_text()
    assert as_json(json.loads(text)) == text


# ---- what a document says of its images and epochs


def empty(name: str, study: Study) -> dict[str, Any]:
    artifact = artifacts.get(name)
    return make(artifact, study, artifact.cells(study, artifacts.Results({}), [0]), [])


@pytest.mark.parametrize("name", artifacts.IMPLEMENTED)
def test_what_was_made_of_synthetic_images_says_so_in_its_title(name: str, study: Callable[..., Study]) -> None:
    """A picture in a slide has no footer; Fig. 6 of synthetic photographs once said "on ImageNet"."""
    smoke, paper = empty(name, study("smoke")), empty(name, study("paper"))
    assert "synthetic images" in smoke["title"]
    assert "CIFAR" not in smoke["title"] and "ImageNet" not in smoke["title"]
    assert paper["title"] == artifacts.get(name).title and "synthetic" not in paper
    arch = "resnet18" if name == "table3" else "resnet20"
    assert reading.network(arch, smoke).endswith("on synthetic images")
    assert reading.network("resnet20", paper) == "ResNet20 on CIFAR-10"


def test_a_title_names_no_network_that_the_profile_does_not_have(study: Callable[..., Study]) -> None:
    assert empty("table2", study("pilot"))["title"] == "One-shot and gradual pruning for ResNet20 on CIFAR-10"
    assert empty("fig6", study("pilot"))["title"] == "PPR accuracy check: ResNet56 on CIFAR-10"
    for name in artifacts.IMPLEMENTED:
        assert empty(name, study("paper"))["title"] == artifacts.get(name).title


def test_epochs_are_called_as_the_paper_calls_them_where_it_has_others(
    study: Callable[..., Study],
) -> None:
    pilot = study("pilot")
    assert empty("fig1", pilot)["paper_epochs"] == {"1": "10", "2": "20", "6": "60", "10": "100", "20": "200"}
    assert empty("table2", pilot)["paper_epochs"]["10-15"] == "100-150"
    assert "2500" not in empty("table1", pilot)["paper_epochs"]  # a number of examples
    assert not any("paper_epochs" in empty(name, pilot) for name in ("fig2", "fig4", "fig5", "table4"))
    assert not any("paper_epochs" in empty(name, study("paper")) for name in artifacts.IMPLEMENTED)
    assert empty("table3", study("smoke"))["paper_epochs"]["2-3"] == "60-90"  # of ImageNet's 90
    told = empty("fig1", pilot)
    (_, header, rows) = grids(told)[1]
    assert header[1:3] == ["1 (10)", "2 (20)"] and rows[1][0] == "1 (10)"
    assert "Epochs in brackets are the paper's." in standing(told)


def test_one_device_is_named_once(study: Callable[..., Study], record_of: Callable[..., Record]) -> None:
    artifact, one = artifacts.get("fig3"), study("smoke")
    about = {"wall_s": 1.0, "ended": "2026-01-01", "seed": 0}
    records = [record_of(one.dense("resnet20", 0), provenance=about | {"device": f"CPU, 1 {word}"})
               for word in ("thread", "threads")]  # fmt: skip
    assert make(artifact, one, [], records)["provenance"]["devices"] == ["CPU, 1 thread"]
