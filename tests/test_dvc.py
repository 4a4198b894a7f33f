"""What DVC's users rely on: stages, metrics, plots, and the checkpoints that git ships in DVC's remote."""

from __future__ import annotations

import configparser
import csv
import hashlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from repro import artifacts
from repro.cells import cell
from repro.errors import MissingInput, UsageError
from repro.experiments import Study
from repro.report import metrics
from repro.report.document import Document
from repro.run import Run
from repro.store import Store, shipped
from repro.store.archive import checkpoints

ROOT = Path(__file__).resolve().parent.parent
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, Any] = PIPELINE["stages"]


def paths(entries: list[Any]) -> set[str]:
    return {path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)}


# ---- dvc.yaml ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(artifacts.IMPLEMENTED))
def test_every_artifact_has_a_stage_that_renders_it_from_the_ledger_and_trains_nothing(name: str) -> None:
    stage = STAGES[name]
    assert stage["cmd"] == f"repro {name} --profile paper --no-train"
    assert {"results/paper/runs.jsonl", "params.yaml"} <= paths(stage["deps"])
    assert paths(stage["outs"]) == {f"results/paper/{name}.{kind}" for kind in ("json", "csv", "md", "png")}
    assert paths(stage["metrics"]) == {f"results/paper/{metrics.FOLDER}/{name}"}
    assert f"results/paper/{name}.json" in STAGES["report"]["deps"]


def test_training_waits_until_it_is_unfrozen() -> None:
    assert STAGES["train"]["frozen"] is True


def test_what_stages_write_is_left_to_git_and_what_they_read_is_there() -> None:
    made = {path for stage in STAGES.values() for path in paths(stage.get("outs", []))}
    for stage in STAGES.values():
        outs = [*stage.get("outs", []), *stage.get("metrics", [])]
        assert all(options["cache"] is False for out in outs for options in out.values())
        assert [dep for dep in paths(stage["deps"]) - made if not (ROOT / dep).exists()] == []


def test_plots_name_columns_that_a_csv_has_and_templates_that_are_there() -> None:
    columns = {"series", "row", "col", "published", "reproduced", "sd", "verdict"}
    for plot in PIPELINE["plots"]:
        ((_, about),) = plot.items()
        ((file, y),) = about["y"].items()
        assert {about["x"], y} <= columns
        assert Path(file).with_suffix("").name in artifacts.IMPLEMENTED
        template = json.loads((ROOT / ".dvc" / "plots" / f"{about['template']}.json").read_text())
        assert template["data"]["values"] == "<DVC_METRIC_DATA>"
    with (ROOT / file).open() as lines:  # one of them, as it is shipped
        assert columns <= set(next(csv.reader(lines)))


# ---- metrics -----------------------------------------------------------------------------------------------


def document(comparable: bool = True, **reproduced: float) -> Document:
    """Fig. 1 with three cells of which those in ``reproduced`` ran."""
    places = {
        "base": ("baseline", "baseline", "100"),
        "first": ("tickets", "0", "10"),
        "last": ("tickets", "5", "10"),
    }
    made = [
        cell(*place, [reproduced[name]] if name in reproduced else [], published=90.0, replicate_sd=0.2,
             comparable=comparable)
        for name, place in places.items()
    ]  # fmt: skip
    return Document("fig1", axes=["v", "s"], comparable=comparable, cells=made)


def test_metrics_are_numbers_under_names_of_the_paper() -> None:
    found = metrics.of_document(document(base=90.25, first=88.0))
    counts = {"cells": 3, "within": 1, "outside": 1, "not_run": 1}
    assert found == {
        "all": counts | {"mean_difference": 1.125, "largest_difference": 2.0},
        "baseline.s100": {"reproduced": 90.25, "published": 90.0, "difference": 0.25},
        "tickets.v0.s10": {"reproduced": 88.0, "published": 90.0, "difference": -2.0},
    }


def test_another_profile_than_the_papers_has_no_differences() -> None:
    found = metrics.of_document(document(comparable=False, base=60.0))
    assert found["baseline.s100"] == {"reproduced": 60.0}
    assert set(found["all"]) == {"cells", "within", "outside", "not_run"}


def test_a_cell_that_is_gone_leaves_no_metric_and_the_same_numbers_write_nothing(tmp_path: Path) -> None:
    place = tmp_path / "metrics" / "fig1"
    metrics.write(document(base=90.25, first=88.0), tmp_path)
    assert {path.stem for path in place.iterdir()} == {"all", "baseline.s100", "tickets.v0.s10"}
    before = (place / "baseline.s100.json").stat().st_mtime_ns
    metrics.write(document(base=90.25), tmp_path)
    assert {path.stem for path in place.iterdir()} == {"all", "baseline.s100"}
    assert (place / "baseline.s100.json").stat().st_mtime_ns == before
    assert json.loads((place / "all.json").read_text())["not_run"] == 2


def test_cells_of_every_artifact_have_names_of_their_own(study: Callable[..., Study]) -> None:
    from repro.artifacts import Results

    made = study("paper")
    for name, artifact in artifacts.IMPLEMENTED.items():
        cells = artifact.cells(made, Results({}), [0])
        printed = [replace(one, reproduced=1.0) for one in cells if one.published is not None]
        found = metrics.of_document(Document(name, comparable=True, cells=printed))
        assert len(found) == len(printed) + 1


# ---- checkpoints -------------------------------------------------------------------------------------------


@pytest.fixture
def run(study: Callable[..., Study]) -> Run:
    return study("pilot").dense("resnet20", 0)


def keep(root: Path, name: str, content: bytes) -> None:
    """``root`` as a repository whose remote has ``content`` as ``name``, as DVC lays it down."""

    def put(content: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(content).hexdigest() + suffix
        place = root / shipped.REMOTE / "files" / "md5" / md5[:2] / md5[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return md5

    listing = json.dumps([{"md5": put(content), "relpath": name}]).encode()
    pointer = {"outs": [{"md5": put(listing, ".dir"), "path": "checkpoints"}]}
    (root / "results" / "paper").mkdir(parents=True, exist_ok=True)
    (root / "results" / "paper" / "checkpoints.dvc").write_text(yaml.safe_dump(pointer))


@pytest.fixture
def clone(tmp_path: Path, run: Run) -> Store:
    """A store in a fresh clone that ships one checkpoint; nothing was pulled."""
    maker = Store(tmp_path / "elsewhere", tmp_path / "elsewhere.jsonl")
    maker.save_checkpoint(run, 10, {"weight": torch.arange(6.0)})
    kept = maker.checkpoint(run, 10)
    assert kept is not None
    keep(tmp_path, f"{run.key}/{kept.name}", kept.path.read_bytes())
    return Store(tmp_path / "runs", tmp_path / "results" / "paper" / "runs.jsonl")


def test_a_shipped_checkpoint_is_found_without_dvc_and_nothing_is_written(
    clone: Store, run: Run, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert clone.checkpoint(run, 10) and not clone.checkpoint(run, 1)
    found = clone.load_checkpoint(run, 10)
    assert found is not None
    assert torch.equal(found[0]["weight"], torch.arange(6.0))
    assert sorted(tmp_path.rglob("*")) == before


def test_it_travels_under_the_name_that_has_its_hash(clone: Store, run: Run) -> None:
    ((member, content),) = checkpoints(clone, [run], {run.key: {10}})
    digest = hashlib.sha256(content).hexdigest()[:16]
    assert member == f"checkpoints/{run.experiment}/{run.key}/epoch-0010-{digest}.safetensors"


def test_a_shipped_checkpoint_that_was_altered_is_set_aside(clone: Store, run: Run) -> None:
    kept = clone.checkpoint(run, 10)
    assert kept is not None
    path = kept.path
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert clone.load_checkpoint(run, 10) is None
    assert not clone.checkpoint(run, 10)  # so that it is trained again


@pytest.mark.parametrize("what", ["list", "pointer"])
def test_a_list_of_checkpoints_that_was_altered_names_the_file_and_the_remedy(
    clone: Store, tmp_path: Path, what: str
) -> None:
    (listing,) = (tmp_path / shipped.REMOTE).rglob("*.dir")
    pointer = tmp_path / "results" / "paper" / "checkpoints.dvc"
    altered = listing if what == "list" else pointer
    altered.write_text("<<<<<<< HEAD\n" + altered.read_text())
    with pytest.raises(UsageError, match=r"(?s)checkpoints.dvc: cannot be read .*; restore it and .* from git"):
        Store(tmp_path / "runs", clone.ledger)


def test_what_dvc_keeps_elsewhere_is_not_here_and_shipping_more_wants_it_first(
    clone: Store, run: Run, tmp_path: Path
) -> None:
    """After `dvc add` and `dvc push` to a remote of the user's, in a clone that has not pulled from it."""
    (listing,) = (tmp_path / shipped.REMOTE).rglob("*.dir")
    listing.unlink()
    assert not Store(tmp_path / "runs", clone.ledger).checkpoint(run, 10)
    with pytest.raises(MissingInput, match=r"checkpoints.dvc names files that are not here: run `dvc pull` first"):
        shipped.unpack(tmp_path / "results" / "paper")


def test_the_shipped_files_are_those_that_their_lists_name_and_whole() -> None:
    """What `dvc pull` brings is what is read without it, and git keeps no file that nobody names."""
    config = configparser.ConfigParser()
    config.read_string((ROOT / ".dvc" / "config").read_text())
    name = config["core"]["remote"]
    assert (ROOT / ".dvc" / config[f"'remote \"{name}\"'"]["url"]).resolve() == ROOT / shipped.REMOTE
    found = [shipped.listed(pointer.parent) for pointer in sorted(ROOT.glob("results/*/checkpoints.dvc"))]
    assert all(found)
    for logical, path in ((name, path) for listed in found for name, path in listed.items()):
        content = path.read_bytes()
        assert hashlib.md5(content).hexdigest() == path.parent.name + path.name
        assert hashlib.sha256(content).hexdigest()[:16] in logical
    kept = {path for path in (ROOT / shipped.REMOTE).rglob("*") if path.is_file() and path.suffix != ".dir"}
    assert kept == {path for listed in found for path in listed.values()}


def test_without_dvc_shipping_says_which_commands_are_left(
    clone: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    folder = tmp_path / "results" / "paper"
    told = shipped.hand_to_dvc(folder)
    assert f"`dvc add {folder}/checkpoints`" in told
    assert f"`dvc push --remote shipped {folder}/checkpoints.dvc`" in told


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("dvc") is None, reason="DVC is not installed")
def test_shipping_adds_to_what_dvc_keeps(clone: Store, run: Run, tmp_path: Path) -> None:
    (tmp_path / ".dvc" / "config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n['remote \"shipped\"']\n    url = shipped\n"
    )
    folder = tmp_path / "results" / "paper"
    shipped.unpack(folder)
    other = folder / "checkpoints" / run.key / "epoch-0020-0123456789abcdef.safetensors"
    other.write_bytes(b"a second one")
    assert shipped.hand_to_dvc(folder).startswith("to keep the checkpoints: git add ")
    listed = shipped.listed(folder)
    assert {name.rsplit("/", 1)[1][:10] for name in listed} == {"epoch-0010", "epoch-0020"}
    assert listed[f"{run.key}/{other.name}"].read_bytes() == b"a second one"
