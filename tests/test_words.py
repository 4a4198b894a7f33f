"""Words about numbers and machines, and the names of Runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from repro import artifacts, words
from repro.experiments import Study
from repro.report import document, reading
from repro.report.document import Document
from repro.run import Run
from repro.words import counted, machines


def test_one_is_not_several() -> None:
    assert [counted(n, "Run") for n in (0, 1, 2, 1200)] == ["0 Runs", "1 Run", "2 Runs", "1,200 Runs"]


def test_a_verb_agrees_with_its_number() -> None:
    assert [words.are(n, "Run") for n in (0, 1, 1200)] == ["0 Runs are", "1 Run is", "1,200 Runs are"]


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        (["Xeon, 1 thread", "Xeon, 1 threads", "Xeon, 2 threads"], "Xeon, 1 or 2 threads"),
        (["Xeon, 1 thread"], "Xeon, 1 thread"),
        (["NVIDIA H200", "Xeon (R), 4 threads", "NVIDIA H200"], "NVIDIA H200, Xeon (R), 4 threads"),
        ([], ""),
    ],
)
def test_a_machine_is_named_once(devices: list[str], told: str) -> None:
    assert machines(devices) == told
    footer = reading.footer(Document("fig1", profile="pilot", provenance={"devices": devices, "runs": 1}))
    assert footer == list(filter(None, ["profile pilot", told, "1 Run"]))


def test_tickets_of_another_sparsity_have_names_of_their_own(study: Callable[..., Study]) -> None:
    runs: list[Run] = [study("paper").ticket("resnet20", 0, 100, 5, sparsity) for sparsity in (0.5, 0.8, 0.95)]
    name = "tickets resnet20 s=100 v=5"
    assert [run.label for run in runs] == [f"{name} at 50% seed 0", f"{name} seed 0", f"{name} at 95% seed 0"]


def test_every_artifact_says_what_its_rows_and_columns_are(study: Callable[..., Study]) -> None:
    for artifact in artifacts.IMPLEMENTED.values():
        assert "row" not in artifact.axes and "column" not in artifact.axes
        assert document.make(artifact, study("smoke"), [], []).axes == artifact.axes
