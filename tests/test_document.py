"""An artifact's JSON: all that the document says, a cell a line, the same bytes every time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from figure_documents import from_values
from hypothesis import given
from hypothesis import strategies as st

from repro import artifacts
from repro.cells import Cell, cell
from repro.experiments import Study
from repro.record import Record
from repro.report import reading
from repro.report.document import Document, as_json, make
from repro.report.tables import markdown_table, tables

PILOT = Path(__file__).parents[1] / "results" / "pilot"

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=5)
cells = st.builds(
    Cell, series=texts, row=texts, col=texts, published=st.none() | numbers, reproduced=st.none() | numbers,
    n=st.integers(), sd=st.none() | numbers, best_epoch=st.none() | numbers, band=st.none() | numbers,
    verdict=st.sampled_from(["within", "not run"]),
)  # fmt: skip


@given(
    texts, st.dictionaries(texts, st.none() | numbers | st.lists(texts), max_size=4), st.lists(cells, max_size=4)
)
def test_it_reads_back_to_the_document(name: str, about: dict[str, Any], found: list[Cell]) -> None:
    """Numbers of cells to 7 digits; the rest as it is."""
    document = Document(name, provenance=about, cells=found)
    read = from_values(json.loads(as_json(document)))
    assert (read.artifact, read.provenance) == (name, about)
    for ours, theirs in zip(read.cells, found, strict=True):
        for field, value in vars(theirs).items():
            assert getattr(ours, field) == (
                pytest.approx(value, rel=5e-7, abs=0) if isinstance(value, float) else value
            )


def test_numbers_have_seven_digits_and_cells_a_line_each() -> None:
    third = cell("a", "b", "5", [100 / 3])
    text = as_json(Document("x", provenance={"training_seconds": 100 / 3}, cells=[third, third]))
    line = '{"series":"a","row":"b","col":"5","reproduced":33.33333,"n":1,"verdict":"unpublished"}'
    assert text.splitlines().count(line) == text.splitlines().count(f"{line},") == 1
    assert json.loads(text)["provenance"]["training_seconds"] == 100 / 3  # of the head every digit


def test_a_table_has_the_same_bytes_without_tabulate(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["v = 5", "91.32 ± 0.10 (91.54)"], ["baseline", ""], ["–", "x"]]
    made = [markdown_table(["", "a"], rows), markdown_table(["v", "a long heading of a column"], rows)]
    monkeypatch.setitem(sys.modules, "tabulate", None)
    assert [markdown_table(["", "a"], rows), markdown_table(["v", "a long heading of a column"], rows)] == made


@pytest.mark.parametrize("name", ["fig1", "fig2", "table1", "table4"])
def test_what_is_shipped_is_written_again_to_the_same_bytes(name: str) -> None:
    text = (PILOT / f"{name}.json").read_text()
    assert as_json(from_values(json.loads(text))) == text


# ---- what a document says of its images and epochs


def empty(name: str, study: Study) -> Document:
    artifact = artifacts.get(name)
    return make(artifact, study, artifact.cells(study, artifacts.Results({}), [0]), [])


@pytest.mark.parametrize("name", artifacts.IMPLEMENTED)
def test_what_was_made_of_synthetic_images_says_so_in_its_title(name: str, study: Callable[..., Study]) -> None:
    """A picture in a slide has no footer; Fig. 6 of synthetic photographs once said "on ImageNet"."""
    smoke, paper = empty(name, study("smoke")), empty(name, study("paper"))
    assert "synthetic images" in smoke.title
    assert "CIFAR" not in smoke.title and "ImageNet" not in smoke.title
    assert paper.title == artifacts.get(name).title and not paper.synthetic
    arch = "resnet18" if name == "table3" else "resnet20"
    assert reading.network(arch, smoke).endswith("on synthetic images")
    assert reading.network("resnet20", paper) == "ResNet20 on CIFAR-10"


def test_a_title_names_no_network_that_the_profile_does_not_have(study: Callable[..., Study]) -> None:
    assert empty("table2", study("pilot")).title == "One-shot and gradual pruning for ResNet20 on CIFAR-10"
    assert empty("fig6", study("pilot")).title == "PPR accuracy check: ResNet56 on CIFAR-10"
    for name in artifacts.IMPLEMENTED:
        assert empty(name, study("paper")).title == artifacts.get(name).title


def test_epochs_are_called_as_the_paper_calls_them_where_it_has_others(
    study: Callable[..., Study],
) -> None:
    pilot = study("pilot")
    assert empty("fig1", pilot).paper_epochs == {"1": "10", "2": "20", "6": "60", "10": "100", "20": "200"}
    assert empty("table2", pilot).paper_epochs["10-15"] == "100-150"
    assert "2500" not in empty("table1", pilot).paper_epochs  # a number of examples
    assert not any(empty(name, pilot).paper_epochs for name in ("fig2", "fig4", "fig5", "table4"))
    assert not any(empty(name, study("paper")).paper_epochs for name in artifacts.IMPLEMENTED)
    assert empty("table3", study("smoke")).paper_epochs["2-3"] == "60-90"  # of ImageNet's 90
    told = empty("fig1", pilot)
    table = tables(told)[1]
    assert table.header[1:3] == ["1 (10)", "2 (20)"] and table.rows[1][0] == "1 (10)"
    assert "Epochs in brackets are the paper's." in reading.standing(told)


def test_one_device_is_named_once(study: Callable[..., Study], record_of: Callable[..., Record]) -> None:
    artifact, one = artifacts.get("fig3"), study("smoke")
    about = {"wall_s": 1.0, "ended": "2026-01-01", "seed": 0}
    records = [record_of(one.dense("resnet20", 0), provenance=about | {"device": f"CPU, 1 {word}"})
               for word in ("thread", "threads")]  # fmt: skip
    assert make(artifact, one, [], records).provenance["devices"] == ["CPU, 1 thread"]
