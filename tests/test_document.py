"""An artifact's JSON: all that the document says, a cell a line, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.report.document import as_json

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
