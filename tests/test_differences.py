"""`repro diff`: every printed number beside ours, and an exit code that a script can trust."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.artifacts import get
from repro.cells import cell
from repro.experiments import Study
from repro.options import Options
from repro.record import Record
from repro.report import document
from repro.run import ancestors
from repro.workspace import Workspace

Command = Callable[..., tuple[int, str, str]]
DIFF = ("diff", "table2", "--profile", "paper")


@pytest.fixture
def finish(tmp_path: Path, record_of: Callable[..., Record]) -> Callable[[float], None]:
    """``finish(top1)``: ResNet20's Runs of Table 2 end with that accuracy."""

    def run(top1: float) -> None:
        options = Options(profile="paper", runs_dir=tmp_path / "runs", out=tmp_path / "out", arch="resnet20")
        work = Workspace(options, ["table2"])
        about = {"device": "none", "seed": 0, "wall_s": 1.0, "ended": "2026-01-01"}
        runs = ancestors(work.asked())
        work.store.add([record_of(run, top1=top1, best_top1=top1, provenance=about) for run in runs])

    return run


@pytest.mark.parametrize(("more", "wanted"), [([], 6), (["--no-fail"], 0), (["--json"], 6)])
def test_where_nothing_has_a_result_it_says_so_and_exits_6(command: Command, more: list[str], wanted: int) -> None:
    code, out, err = command(*DIFF, *more)
    assert code == wanted
    assert "nothing was compared: none of the 18 printed numbers" in err and len(err.splitlines()) == 1
    if "--json" in more:
        assert {cell["verdict"] for cell in json.loads(out)["cells"]} == {"not run"}


def test_a_cell_outside_its_band_comes_first_and_the_exit_code_is_1(
    command: Command, finish: Callable[[float], None]
) -> None:
    finish(91.60)
    code, out, err = command(*DIFF)
    assert (code, err) == (1, "")
    head, *rows = [line.split() for line in out.splitlines()[2:] if line.startswith(("cell", "table2 "))]
    assert head == ["cell", "reproduced", "published", "difference", "band", "z", "n", "verdict"]
    first = rows[0]
    assert first == [
        "table2",
        "one-shot,",
        "resnet20,",
        "20",
        "91.60",
        "90.27",
        "+1.33",
        "0.64",
        "+4.1",
        "1",
        "outside",
    ]
    verdicts = [row[-1] for row in rows]
    assert verdicts == sorted(verdicts) and set(verdicts) == {"outside", "within"}
    assert "6 printed numbers not shown: --all shows every one" in out  # ResNet56's
    assert command(*DIFF, "--no-fail")[0] == 0
    code, out, _ = command(*DIFF, "--all")
    assert code == 1 and len([line for line in out.splitlines() if line.startswith("table2 ")]) == 18


def test_json_has_difference_and_z_of_every_compared_cell(
    command: Command, finish: Callable[[float], None]
) -> None:
    finish(91.60)
    found = json.loads(command(*DIFF, "--json")[1])
    assert found["largest_difference"] == {"table2": 1.33}
    for one in found["cells"]:
        if one["verdict"] == "not run":
            assert one["difference"] is one["z"] is one["reproduced"] is None
        else:
            assert one["difference"] == pytest.approx(one["reproduced"] - one["published"], abs=1e-9)
            assert (abs(one["z"]) > 1.96) == (one["verdict"] == "outside")


def test_documents_hold_difference_and_z_as_numbers(study: Callable[..., Study]) -> None:
    cells = [
        cell("one-shot", "resnet20", "20", [91.6], published=90.27, replicate_sd=0.23),
        cell("one-shot", "resnet20", "60", [91.6], published=90.96, replicate_sd=0.23, comparable=False),
        cell("one-shot", "resnet20", "100", [], published=91.54, replicate_sd=0.23),
        cell("one-shot", "resnet20", "120", [91.6]),
    ]
    made = document.make(get("table2"), study("paper"), cells, [])
    read = list(csv.DictReader(io.StringIO(document.as_csv(made))))
    assert [row["difference"] for row in read] == ["1.33", "0.64", "", ""]
    assert [row["z"] != "" for row in read] == [True, False, False, False]
    assert [row["band"] != "" for row in read] == [True, False, False, False]
    told = json.loads(document.as_json(made))["cells"]
    assert [("difference" in one, "z" in one) for one in told] == [
        (True, True),
        (True, False),
        *[(False, False)] * 2,
    ]


def test_a_profile_that_is_not_the_papers_is_compared_with_nothing_and_no_failure(command: Command) -> None:
    code, out, err = command("diff", "fig2", "--profile", "pilot")  # the paper draws it: no number to compare
    assert (code, err) == (0, "")
    assert "nothing is compared; published numbers are shown" in out
