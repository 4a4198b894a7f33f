"""Words about numbers and machines, and the names of Runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from repro import artifacts
from repro.experiments import Study
from repro.report import document, plots_page
from repro.report.words import counted, machines
from repro.run import Run


def test_one_is_not_several() -> None:
    assert [counted(n, "Run") for n in (0, 1, 2, 1200)] == ["0 Runs", "1 Run", "2 Runs", "1,200 Runs"]


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
    footer = plots_page.footer({"profile": "pilot", "provenance": {"devices": devices, "runs": 1}})
    assert footer == plots_page.DOT.join(filter(None, ["profile pilot", told, "1 Run"]))


def test_tickets_of_another_sparsity_have_names_of_their_own(study: Callable[..., Study]) -> None:
    runs: list[Run] = [study("paper").ticket("resnet20", 0, 100, 5, sparsity) for sparsity in (0.5, 0.8, 0.95)]
    name = "tickets resnet20 s=100 v=5"
    assert [run.label for run in runs] == [f"{name} at 50% seed 0", f"{name} seed 0", f"{name} at 95% seed 0"]


def test_every_artifact_says_what_its_rows_and_columns_are(study: Callable[..., Study]) -> None:
    for artifact in artifacts.IMPLEMENTED.values():
        assert "row" not in artifact.axes and "column" not in artifact.axes
        assert document.make(artifact, study("smoke"), [], [])["axes"] == list(artifact.axes)
