"""The commands as a user meets them, on a few tiny synthetic Runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY

from repro.cli.app import main
from repro.config import params, yaml_loader
from repro.engine import session
from repro.options import Options
from repro.record import Record
from repro.store import Store, ledger
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

ROOT = Path(__file__).resolve().parent.parent
TINY_RUNS = 5  # fig1: one dense, 2 x 2 tickets

Command = Callable[..., tuple[int, str, str]]


def results(tmp_path: Path, out: str = "out") -> Path:
    """The one results folder of a changed profile."""
    (folder,) = (tmp_path / out).glob("smoke*")
    return folder


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose ``runs`` and ``out`` the tiny Fig. 1 left; Fig. 2's only Run, the dense one, is in it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.chdir(ROOT)
        patched.delenv("REPRO_DATA", raising=False)
        patched.setenv("REPRO_HOME", str(folder / "home"))
        patched.setattr("repro.report.figures.write", lambda document, path: path.write_bytes(b"\x89PNG"))
        places = ["--runs-dir", str(folder / "runs"), "--out", str(folder / "out")]
        main(["fig1", "--profile", "smoke", *TINY, *places])
    assert not ended.value.code
    return folder


@pytest.fixture
def trained(_trained: Path, tmp_path: Path) -> Path:
    """The test's own folder, as after the tiny Fig. 1."""
    shutil.copytree(_trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_params_and_ledger_are_parsed_once_a_command(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first option to the last page, five Runs trained on the way: a ledger of thousands costs once."""
    parsed: list[str] = []
    mapping, ledger_lines = yaml_loader.mapping, ledger._parsed

    def counted_mapping(path: Path, *given: Any) -> dict[str, Any]:
        parsed.append(path.name)
        return mapping(path, *given)

    def counted_ledger(path: Path, content: bytes) -> dict[str, Record]:
        parsed.append(path.name)
        return ledger_lines(path, content)

    monkeypatch.setattr(params, "mapping", counted_mapping)
    monkeypatch.setattr(ledger, "_parsed", counted_ledger)
    params._parsed.cache_clear()
    code, _, err = command("fig1", "--profile", "smoke", *TINY, "--ignore-shipped")
    assert code == 0, err
    assert parsed == ["params.yaml"], "a ledger that this process writes is not parsed at all"
    ledger._known.clear()
    params._parsed.cache_clear()
    parsed.clear()
    code, _, err = command("fig1", "--profile", "smoke", *TINY, "--ignore-shipped", "--no-train")
    assert code == 0, err
    assert sorted(parsed) == ["params.yaml", "runs.jsonl"]


def test_fig1_writes_four_files_and_a_second_call_trains_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = command("fig1", "--profile", "smoke", *TINY)
    assert code == 0, err
    assert "not comparable" in out
    folder = results(tmp_path)
    document = json.loads((folder / "fig1.json").read_text())
    assert {"artifact", "profile", "assumptions", "provenance", "cells"} <= set(document)
    fields = {
        "series", "row", "col", "published", "reproduced", "n", "sd", "best_epoch", "band", "verdict",
        "difference", "z",
    }  # fmt: skip
    assert all({"verdict", "reproduced"} < set(cell) <= fields for cell in document["cells"])
    assert document["provenance"]["runs"] == TINY_RUNS
    assert all(cell["verdict"] in ("not comparable", "unpublished") for cell in document["cells"])
    assert (folder / "fig1.png").read_bytes().startswith(b"\x89PNG")
    assert "v \\ s" in (folder / "fig1.md").read_text()
    assert len((folder / "fig1.csv").read_text().splitlines()) == 1 + len(document["cells"])

    monkeypatch.setattr(session.Session, "execute", lambda *a: pytest.fail("trained again"))
    code, out, _ = command("fig1", "--profile", "smoke", *TINY, "--json")
    assert code == 0
    assert json.loads(out)["cells"] == document["cells"]


def test_artifacts_share_runs_and_plan_says_so(command: Command, trained: Path) -> None:
    code, out, _ = command("plan", "--profile", "smoke", *TINY, "--json", "--no-calibrate")
    assert code == 0
    plan = json.loads(out)
    assert plan["artifacts"]["fig1"]["left"] == 0
    assert plan["artifacts"]["fig2"]["left"] == 0
    assert plan["artifacts"]["table2"]["shared_with"]["fig1"] == [2, 1]  # the dense Run and the diagonal's ticket
    assert plan["artifacts"]["fig3"]["left"] == 1  # one structure: a mask and itself need none
    assert plan["artifacts"]["table2"]["left"] == 2  # a window and its retraining


def test_the_paper_plan_has_143_tickets(command: Command) -> None:
    code, out, _ = command("plan", "fig1", "table2", "--profile", "paper", "--no-calibrate")
    assert code == 0
    assert "143" in out
    assert "fig1 and table2 share 7 Runs, 6 of them tickets" in out


def test_dry_run_trains_nothing(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("fig1", "--profile", "smoke", *TINY, "--dry-run")
    assert code == 0
    assert f"{TINY_RUNS} to train" in out
    assert not (tmp_path / "runs").exists()


def test_a_ledger_renders_without_runs_or_data(command: Command, trained: Path) -> None:
    first = json.loads((results(trained) / "fig1.json").read_text())
    elsewhere = trained / "clone" / results(trained).name
    elsewhere.mkdir(parents=True)
    shutil.copy(results(trained) / "runs.jsonl", elsewhere)
    code, out, err = command("fig1", "--profile", "smoke", *TINY, "--json", runs="none", out="clone")
    assert code == 0, err
    assert json.loads(out)["cells"] == first["cells"]
    assert not (trained / "none").exists()


def test_the_budget_ends_in_time_and_the_same_command_goes_on(
    command: Command, tmp_path: Path, _trained: Path
) -> None:
    code, _, err = command("fig1", "--profile", "smoke", *TINY, "--time-budget", "0.01s")
    assert code == 5
    assert "run the same command again to resume" in err
    began = time.monotonic()
    code, _, _ = command("fig1", "--profile", "smoke", *TINY, "--time-budget", "1s")
    assert code in (0, 5)
    assert time.monotonic() - began < 30
    assert command("fig1", "--profile", "smoke", *TINY)[0] == 0
    whole, parts = (json.loads((results(folder) / "fig1.json").read_text()) for folder in (_trained, tmp_path))
    assert whole["cells"] == parts["cells"]


def test_export_and_import_round_trip(command: Command, trained: Path) -> None:
    code, _, _ = command(
        "runs", "export", str(trained / "all.zip"), "--profile", "smoke", *TINY, "--max-size", "3MiB"
    )
    assert code == 0
    parts = sorted(trained.glob("all*.zip"))
    assert len(parts) > 1 and all(part.stat().st_size < 3 * 2**20 for part in parts)

    name = results(trained).name
    other = Store(trained / "b-runs", trained / "b" / name / "runs.jsonl")
    from repro.store import archive

    (members,) = archive.read(parts).values()
    first = archive.import_runs(other, members)
    assert (first.new, first.conflicts) == (TINY_RUNS, [])
    assert first.checkpoints == 3  # dense at 0, 1 and 2
    again = archive.import_runs(other, members)
    assert (again.new, again.known, again.checkpoints) == (0, TINY_RUNS, 0)
    code, out, err = command("fig1", "--profile", "smoke", *TINY, "--json", runs="b-runs", out="b")
    assert code == 0, err
    assert json.loads(out)["cells"] == json.loads((results(trained) / "fig1.json").read_text())["cells"]


@pytest.mark.shipped
def test_shipped_results_can_be_ignored_where_they_lie(tmp_path: Path) -> None:
    """Without --out, too, where the shipped ledger is the results folder's own."""
    known = Workspace(Options(profile="pilot", runs_dir=tmp_path), ["fig2"])
    anew = Workspace(Options(profile="pilot", runs_dir=tmp_path, ignore_shipped=True), ["fig2"])
    assert (len(known.plan().missing), len(anew.plan().missing)) == (0, 1)
    assert anew.out != known.out
    assert anew.out.parent == known.out.parent


def test_an_export_for_what_is_left_leaves_out_what_nobody_needs_any_more(
    command: Command, tmp_path: Path
) -> None:
    """Once fig1 is done its tickets need no checkpoint; the epochs that fig4 starts from go along."""
    profile = ["--profile", "smoke", *TINY, "--set", "table2={resnet20: {one_shot: [2], windows: []}}"]
    assert command("fig1", *profile)[0] == 0
    whole, left = tmp_path / "whole.zip", tmp_path / "left.zip"
    arguments = ["--artifact", "fig1", *profile]
    assert command("runs", "export", str(whole), *arguments)[0] == 0
    assert command("runs", "export", str(left), *arguments, "--left-only")[0] == 0

    def epochs(file: Path) -> list[str]:
        return sorted(re.findall(r"epoch-\d{4}", " ".join(zipfile.ZipFile(file).namelist())))

    assert epochs(whole) == ["epoch-0000", "epoch-0001", "epoch-0002"]
    assert epochs(left) == ["epoch-0001", "epoch-0002"]  # nothing that is left starts from the initialisation


def test_an_altered_export_is_refused_and_nothing_written(command: Command, trained: Path) -> None:
    file = trained / "dense.zip"
    assert command("runs", "export", str(file), "--artifact", "fig2", "--profile", "smoke", *TINY)[0] == 0
    content = bytearray(file.read_bytes())
    for damaged in (bytes(content[: len(content) // 2]), _flip(content, len(content) // 3), b"no zip at all"):
        file.write_bytes(damaged)
        code, _, err = command("runs", "import", str(file), runs="c-runs", out="c")
        assert code == 3
        assert "nothing was imported" in err and err.count("\n") == 1
        assert not (trained / "c").exists()


def test_a_finished_run_is_never_replaced_by_an_import(command: Command, trained: Path) -> None:
    file = trained / "dense.zip"
    assert command("runs", "export", str(file), "--artifact", "fig2", "--profile", "smoke", *TINY)[0] == 0
    ledger = results(trained) / "runs.jsonl"
    (dense,) = [line for line in ledger.read_text().splitlines() if json.loads(line)["label"].startswith("dense")]
    ours = json.loads(dense) | {"top1": 12.5}
    theirs = trained / "d" / results(trained).name / "runs.jsonl"
    theirs.parent.mkdir(parents=True)
    theirs.write_text(json.dumps(ours) + "\n")
    code, _, err = command("runs", "import", str(file), runs="d-runs", out="d")
    assert code == 0
    assert "kept ours" in err
    assert json.loads(theirs.read_text())["top1"] == 12.5


def test_a_damaged_checkpoint_is_set_aside_and_trained_again(command: Command, trained: Path) -> None:
    before = json.loads((results(trained) / "fig1.json").read_text())
    (checkpoint,) = (trained / "runs").glob("dense-*/*/epoch-0001-*.safetensors")
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(_flip(bytearray(content), len(content) - 7))
    ledger = results(trained) / "runs.jsonl"
    dense = [line for line in ledger.read_text().splitlines() if json.loads(line)["label"].startswith("dense")]
    ledger.write_text("".join(line + "\n" for line in dense))
    shutil.rmtree(trained / "runs" / "tickets-resnet20")
    code, _, err = command("fig1", "--profile", "smoke", *TINY)
    assert code == 0
    assert "damaged, set aside" in err and "trained again" in err
    assert checkpoint.read_bytes() == content
    assert json.loads((results(trained) / "fig1.json").read_text())["cells"] == before["cells"]


def test_a_diverging_run_fails_aloud_and_is_marked(command: Command, tmp_path: Path) -> None:
    """The dense network in its second batch, so that there is no epoch that a ticket could grow from."""
    wild = [*TINY, "--set", "recipe.lr=1.0e+20", "--set", "recipe.batch_size=32"]
    code, _, err = command("fig1", "--profile", "smoke", *wild)
    assert code == 4
    assert "not finite" in err and "could not be trained" in err
    assert command("fig1", "--profile", "smoke", *wild)[0] == 4
    cells = json.loads((results(tmp_path) / "fig1.json").read_text())["cells"]
    assert {cell["verdict"] for cell in cells if cell["series"] == "tickets"} == {"diverged"}


def test_table2_prunes_gradually_and_retrains_under_the_final_mask(command: Command, tmp_path: Path) -> None:
    code, _, err = command("table2", "--profile", "smoke", *TINY)
    assert code == 0, err
    records = [json.loads(line) for line in (results(tmp_path) / "runs.jsonl").read_text().splitlines()]
    (retrained,) = [record for record in records if "retrain" in record["label"]]
    assert retrained["start"]["sparsity"] == pytest.approx(0.8, abs=1e-5)
    assert retrained["start"]["mask_distance"] == 0  # its weights are those that the mask was made from
    assert retrained["status"] == "done" and len(retrained["curve"]["epoch"]) == 2


def test_seeds_give_a_standard_deviation(command: Command, tmp_path: Path) -> None:
    code, out, err = command("fig2", "--profile", "smoke", *TINY, "--seeds", "2", "--json")
    assert code == 0, err
    cells = json.loads(out)["cells"]
    assert {cell["n"] for cell in cells if cell["series"] == "w_std"} == {2}
    assert all(cell["sd"] > 0 for cell in cells if cell["series"] == "w_std")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fig1", "--set", "recipe.epoch=3"], 2, "did you mean 'epochs'"),
        (["fig1", "--set", "recipe.epochs=-3"], 2, "-3 is below 1"),
        (["fig1", "--set", "fig1.v=[-1]"], 2, "fig1.v[0]: -1 is below 0"),
        (["fig1", "--set", "fig1.s=[300]"], 2, "has no epoch 300, only 0 to 4"),
        (["fig1", "--set", "fig1.s"], 2, "write key=value"),
        (["fig1", "--profile", "tiny"], 2, "there are smoke, pilot, paper, paper-128"),
        (["fig1", "--arch", "resnet18"], 2, "has no resnet18 in fig1; it has resnet20"),
        (["table2", "--profile", "pilot", "--arch", "resnet56"], 2, "it has resnet20"),
        (["fig1", "--seeds", "0"], 2, "choose 1 to"),
        (["fig1", "--time-budget", "soon"], 2, "write 90s, 9m or 1.5h"),
        (["fig1", "--device", "tpu"], 2, "choose auto, cpu or cuda"),
        (["fig1", "--precision", "float16"], 2, "--precision float16: choose auto, float32, tf32 or bfloat16"),
        (["fig1", "--precision", "tf32", "--device", "cpu"], 2, "has none; choose float32 or bfloat16"),
        (
            ["fig1", "--strategy", "warp"],
            2,
            '--strategy warp: choose auto, eager, compiled, streams, "streams, compiled" or fused',
        ),
        (["fig1", "--wave", "-1"], 2, "choose 0 or more"),
        (
            ["fig1", "--profile", "paper", "--data-dir", "/nonexistent"],
            3,
            "there is no such folder",
        ),
        (["plan", "fig9"], 2, "no artifact of the paper"),
        (["plan", "table5"], 2, "no artifact of the paper"),
        (["published", "fig7"], 2, "unknown artifact"),
        (["runs", "import", "/nonexistent.zip"], 3, "no file"),
    ],
)
def test_bad_input_is_one_clear_line(command: Command, arguments: list[str], code: int, said: str) -> None:
    found, _, err = command(*arguments)
    assert found == code
    assert said in err
    assert err.strip().count("\n") == 0, err


def test_help_names_every_profile(command: Command) -> None:
    code, out, _ = command("fig1", "--help")
    assert code == 0
    for name in params.load(ROOT / "params.yaml").profiles:
        assert re.search(rf"\b{name}\b", out), name
    assert "Not in the paper. How far" in command("batch-probe", "--help")[1]


def test_help_needs_no_torch() -> None:
    code = "import sys; from repro.cli import app; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_published_json_has_every_number(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["published", "--json"])
    cells = json.loads(capsys.readouterr().out)
    assert sum(cell["artifact"] == "fig1" for cell in cells) == 154
    assert set(cells[0]) == {"artifact", "series", "row", "col", "value"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    places = ["--runs-dir", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--ignore-shipped"]
    command = [sys.executable, "-m", "repro", "fig1", "--profile", "smoke", "--device", "cpu", *TINY, *places]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "runs").glob("*/*/state-*")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "repro: interrupted; run the same command again to resume"


def test_params_with_an_unknown_key(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text().replace("sparsity: 0.8", "sparcity: 0.8", 1))
    code, _, err = command("fig1", "--params", str(file))
    assert code == 2
    assert "params.yaml: profiles.smoke: unknown key 'sparcity'; did you mean 'sparsity'?" in err


def test_a_store_in_use_is_refused(command: Command, tmp_path: Path) -> None:
    holder = Store(tmp_path / "runs", tmp_path / "x.jsonl")
    with holder.lock():
        code, _, err = command("fig1", "--profile", "smoke", *TINY)
    assert code == 2
    assert f"in use by process {os.getpid()}" in err


def test_results_that_cannot_be_written_are_said_before_training(command: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    code, _, err = command("fig1", "--profile", "smoke", *TINY)
    assert code == 3
    assert err.strip().count("\n") == 0
    assert not (tmp_path / "runs").exists()


def _flip(content: bytearray, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 0xFF
    return bytes(changed)
