"""The ledger: many processes add to it, and what stands in it is checked when it is read."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from repro import artifacts, record
from repro.artifacts import Results
from repro.errors import UsageError
from repro.experiments import Study
from repro.options import Options
from repro.record import DIVERGED, PROBED, Record
from repro.report import document, figures
from repro.run import Run, ancestors
from repro.store import Store, ledger
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

RecordOf = Callable[..., Record]
Command = Callable[..., tuple[int, str, str]]
EACH = 15


def bare(key: str) -> Record:
    return Record(key, f"run {key}", "diverged", {}, None, None, None, None, record.empty_curve())


ADD = """
import sys
from pathlib import Path
from repro import record
from repro.store import ledger
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    empty = record.empty_curve()
    run = record.Record(f"{number:04d}", "", "diverged", {}, None, None, None, None, empty)
    ledger.add(Path(sys.argv[1]), [run])
"""


# ---- many processes


def test_four_processes_lose_none_of_each_others_records(tmp_path: Path, root: Path) -> None:
    """Commands with stores of their own and one results folder; their only common lock is the ledger's."""
    path = tmp_path / "results" / "runs.jsonl"
    ranges = [(str(EACH * number), str(EACH * (number + 1))) for number in range(4)]
    processes = [subprocess.Popen([sys.executable, "-c", ADD, str(path), *own], cwd=root) for own in ranges]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert sorted(ledger.read(path)) == [f"{number:04d}" for number in range(4 * EACH)]
    assert {entry.name for entry in path.parent.iterdir()} == {"runs.jsonl", ".runs.jsonl.lock"}


def test_what_another_process_adds_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    ledger.add(path, [bare("a")])
    path.write_text(bare("b").line())  # no newline at its end
    assert list(ledger.add(path, [bare("b"), bare("c"), bare("c")])) == ["b", "c"]
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["b", "c"]


def test_a_ledger_is_parsed_once_however_often_it_is_read_and_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text("".join(bare(key).line() + "\n" for key in "abc"))
    parsed: list[str] = []
    parse = Record.parse
    monkeypatch.setattr(Record, "parse", lambda line: parsed.append(line) or parse(line))
    for key in "defg":
        Store(tmp_path / "runs", path).add([bare(key)])
    assert len(parsed) == 3
    assert len(Store(tmp_path / "runs", path).records()) == 7


def test_nothing_new_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(bare("a").line() + "\n")
    assert list(ledger.add(path, [bare("a")])) == ["a"]
    assert list(tmp_path.iterdir()) == [path]


# ---- odd values


def test_a_line_that_is_nested_too_deeply_is_named_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(bare("a").line() + "\n" + "[" * 100_000)
    with pytest.raises(UsageError, match=re.escape(f"{path}, line 2: not a Record (nested too deeply)")):
        ledger.read(path)


@pytest.mark.parametrize("without", [True, False])
def test_a_record_that_matches_another_run_is_refused_with_ledger_and_key(
    tmp_path: Path, some_run: Run, record_of: RecordOf, without: bool
) -> None:
    whole = record_of(some_run)
    data = {} if without else {"data": {**whole.spec["data"], "train": 7}}
    spec = {name: value for name, value in whole.spec.items() if name != "data"} | data
    path = tmp_path / "runs.jsonl"
    path.write_text(record_of(some_run, spec=spec).line() + "\n")
    with pytest.raises(
        UsageError, match=f"^{re.escape(str(path))}: the Record of {some_run.key} has another spec"
    ):
        Store(tmp_path / "runs", path).record(some_run)
    path.write_text(whole.line() + "\n")
    assert Store(tmp_path / "runs", path).record(some_run) == whole


def test_a_record_is_taken_for_its_run_before_and_after_it_was_written(some_run: Run, record_of: RecordOf) -> None:
    made = dataclasses.replace(record_of(some_run), spec=some_run.spec())
    assert made.matches(some_run) and Record.parse(made.line()).matches(some_run)
    assert not made.matches(dataclasses.replace(some_run, seed=some_run.seed + 1))


@pytest.fixture
def whole(some_run: Run, record_of: RecordOf) -> Record:
    """A Record with every part that a Run can leave behind."""
    probe = {"rate": 0.8, "epoch": [0, 1], **{name: {"conv1": [0.1, 0.2], "fc": [0.3, 0.4]} for name in PROBED}}
    start = {"sparsity": 0.8, "layer_rates": {"conv1": 0.7}, "mask_distance": 0.03}
    about = {"seed": 0, "wall_s": 1.5, "ended": "2026-01-01T00:00:00+00:00", "packages": {"torch": "2"}}
    about |= {"device": "none", "parents": {"0123@5": "abcd"}}
    return record_of(some_run, probe=probe, start=start, provenance=about, checkpoints={"1": "abcd"})


@pytest.mark.parametrize(
    ("way", "value", "told"),
    [
        ("top1", "91", "top1: a number expected, not '91'"),
        ("best_epoch", [1], "best_epoch: a number expected"),
        ("status", "finished", "status: done or diverged expected, not 'finished'"),
        ("key", None, "key: str expected, not None"),
        ("spec", [], "spec: dict expected"),
        ("curve.train_loss.0", math.nan, "NaN is no result of a Run"),
        ("curve.test_top1.0", math.inf, "Infinity is no result of a Run"),
        ("curve.test_top1.0", [90.0], "curve.test_top1: numbers expected, not [90.0]"),
        ("curve.test_top1", [], "curve.test_epoch, curve.test_top1: of different lengths"),
        ("curve.epoch", None, "curve.epoch: numbers expected, not None"),
        ("curve.epoch", 3, "curve.epoch: numbers expected, not 3"),
        ("top5", 99.0, "unknown field 'top5'"),
        ("start.mask_distance", "0.1", "start.mask_distance: a number expected, not '0.1'"),
        ("probe.w_std.conv1", [0.1], "of different lengths"),
        ("probe.layer_rates", [], "probe.layer_rates: dict expected"),
        ("provenance", None, "provenance: dict expected"),
        ("provenance.seed", "0", "provenance.seed: int expected, not '0'"),
        ("provenance.wall_s", "3", "provenance.wall_s: int or float expected, not '3'"),
    ],
)
def test_an_odd_value_is_named_with_file_and_line(
    tmp_path: Path, whole: Record, way: str, value: object, told: str
) -> None:
    path = tmp_path / "runs.jsonl"
    odd = json.dumps(changed(dataclasses.asdict(whole), way.split("."), value))
    path.write_text(f"{bare('a').line()}\n{odd}\n")
    with pytest.raises(UsageError) as caught:
        Store(tmp_path / "runs", path).records()
    assert str(caught.value).startswith(f"{path}, line 2: not a Record (") and told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_field_that_is_lacking_is_named(tmp_path: Path, whole: Record) -> None:
    values = dataclasses.asdict(whole)
    del values["best_top1"]
    (tmp_path / "runs.jsonl").write_text(json.dumps(values) + "\n")
    with pytest.raises(UsageError, match=r"line 1: not a Record \(no field 'best_top1'\)"):
        Store(tmp_path / "runs", tmp_path / "runs.jsonl").records()


@pytest.mark.parametrize("name", ["fig1", "fig2", "fig3"])
@pytest.mark.parametrize("odd", ["91", None, math.nan, -math.inf, [], {}, [[1]], True, -1], ids=repr)
def test_whatever_value_is_odd_a_record_is_refused_or_shown(
    study: Callable[..., Study], whole: Record, name: str, odd: object
) -> None:
    """Each value of a Record in turn, its items and what is missing: one line, or an artifact."""
    made, artifact = study(), artifacts.get(name)
    for text in variants(dataclasses.asdict(whole), odd):
        try:
            found = Record.parse(text)
        except (ValueError, TypeError):
            continue
        results = Results({run.key: found for run in artifact.runs(made, [0])})
        try:
            cells = artifact.cells(made, results, [0])
        except UsageError as error:
            assert "restore its ledger from git" in str(error)
            continue
        assert document.as_markdown(document.make(artifact, made, cells, [found]))
        json.loads(found.line())


def test_a_whole_record_is_whole(whole: Record) -> None:
    assert Record.parse(whole.line()) == whole


def test_a_record_without_provenance_is_shown(
    command: Command, tmp_path: Path, record_of: RecordOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "write", lambda document, path: None)  # seconds, and nothing to see here
    work = Workspace(Options(profile="smoke", runs_dir=tmp_path / "runs", out=tmp_path / "out"), ["fig3"])
    runs = ancestors(work.asked())
    work.store.add([record_of(run, provenance={}, start={"mask_distance": 0.5}) for run in runs])
    code, out, err = command("fig3", "--profile", "smoke", "--json")
    assert code == 0, err
    assert {cell["reproduced"] for cell in json.loads(out)["cells"]} == {0.0, 0.5}


@pytest.mark.parametrize(
    "arguments",
    [["fig1"], ["claims"], ["diff"], ["report"], ["list"], ["runs", "export", "runs.zip"], ["plan", "fig1"]],
    ids=" ".join,
)
def test_every_command_names_the_line(command: Command, tmp_path: Path, arguments: list[str]) -> None:
    path = tmp_path / "out" / "smoke" / "runs.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(bare("a").line().replace('"diverged"', '"done"').replace('"top1":null', '"top1":"91"') + "\n")
    code, _, err = command(*arguments, "--profile", "smoke")
    assert (code, err.strip().count("\n")) == (2, 0)
    assert f"{path}, line 1: not a Record (top1: a number expected, not '91')" in err


def test_probes_of_different_epochs_are_named(study: Callable[..., Study], whole: Record) -> None:
    """A Record of a smaller store, brought under a larger one's key."""
    made, artifact = study(), artifacts.get("fig2")
    shorter = {"rate": 0.8, "epoch": [0], **{name: {"conv1": [0.1], "fc": [0.3]} for name in PROBED}}
    runs = artifact.runs(made, [0, 1])
    found = Results({runs[0].key: whole, runs[1].key: dataclasses.replace(whole, probe=shorter)})
    with pytest.raises(UsageError, match="than another seed's: restore its ledger"):
        artifact.cells(made, found, [0, 1])


def changed(tree: Any, way: list[str], value: object) -> Any:
    """``tree`` with ``value`` at ``way``."""
    tree = copy.deepcopy(tree)
    node = tree
    for name in way[:-1]:
        node = node[name]
    node[int(way[-1]) if isinstance(node, list) else way[-1]] = value
    return tree


def variants(tree: dict[str, Any], odd: object) -> Iterator[str]:
    """As lines of JSON: ``odd`` in each place of ``tree``, and ``tree`` without it."""

    def places(node: Any, way: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for name, value in items:
            yield (*way, name)
            yield from places(value, (*way, name))

    for way in places(tree, ()):
        yield json.dumps(changed(tree, [str(name) for name in way], odd))
        without = copy.deepcopy(tree)
        node: Any = without
        for name in way[:-1]:
            node = node[name]
        del node[way[-1]]
        yield json.dumps(without)


def test_a_cell_whose_dense_network_diverged_has_diverged(tmp_path: Path, record_of: RecordOf) -> None:
    """Also in an artifact that does not show the dense network itself."""
    work = Workspace(Options(profile="smoke", runs_dir=tmp_path / "runs", out=tmp_path / "out"), ["table2"])
    work.store.add([record_of(work.study.dense("resnet20", 0), status=DIVERGED, top1=None)])
    cells, behind = work.cells(work.artifacts[0])
    assert {(cell.row, cell.verdict) for cell in cells} == {("resnet20", DIVERGED), ("resnet56", "not run")}
    assert behind == []  # no finished Run of its own
