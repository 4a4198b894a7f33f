"""The worked example of docs/extending.md: a Fig. 7 that the paper does not have, in one file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY

from repro import artifacts
from repro.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "fig7.py"


def repro(*arguments: str, file: Path = EXAMPLE) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, REPRO_ARTIFACTS=str(file), PYTHONPATH=str(ROOT))
    return subprocess.run(
        [sys.executable, "-m", "repro", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_the_document_shows_the_end_of_the_file_itself() -> None:
    shown = (ROOT / "docs" / "extending.md").read_text().split("```python\n")[1].split("```")[0]
    whole = EXAMPLE.read_text()
    assert shown.startswith("def table(") and whole.endswith(shown)
    assert len(whole.splitlines()) < 70


def test_fig7_trains_renders_and_shares_runs_with_fig1(tmp_path: Path) -> None:
    places = ["--runs-dir", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    made = repro("fig7", "--profile", "smoke", *TINY, *places, "--json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert [(c["row"], c["col"]) for c in document["cells"]] == [
        (s, p) for s in ("1", "2") for p in ("50%", "80%", "90%", "95%")
    ]
    assert all(cell["n"] == 1 for cell in document["cells"])
    (folder,) = (tmp_path / "out").iterdir()
    assert {f"fig7.{kind}" for kind in ("json", "csv", "md", "png")} <= {path.name for path in folder.iterdir()}
    planned = repro("plan", "fig7", "fig1", "--profile", "smoke", *TINY, *places, "--json", "--no-calibrate")
    shared = json.loads(planned.stdout)["artifacts"]["fig7"]["shared_with"]["fig1"]
    assert shared == [2, 1]  # the dense network, and the ticket (2, 2) at 80 %


def params_with(block: str) -> str:
    """params.yaml with further keys in the smoke profile."""
    return (ROOT / "params.yaml").read_text().replace("  smoke:\n", f"  smoke:\n    {block}\n", 1)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("fig7: {sparsitys: [0.5]}", "unknown key 'profiles.smoke.fig7.sparsitys'; did you mean 'sparsities'?"),
        ("fig7: {sparsities: 0.5}", "profiles.smoke.fig7.sparsities: a list was expected, not 0.5"),
        ("fig8: {}", "profiles.smoke.fig8': no artifact of that name has settings"),
    ],
)
def test_a_block_that_is_not_as_declared_is_refused_with_its_place(tmp_path: Path, block: str, said: str) -> None:
    (tmp_path / "params.yaml").write_text(params_with(block))
    refused = repro("list", "--profile", "smoke", "--params", str(tmp_path / "params.yaml"))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1) and said in refused.stderr


def test_the_same_file_in_the_package_is_an_artifact_without_another_line(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "repro", tmp_path / "repro", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLE, tmp_path / "repro" / "artifacts" / "fig7.py")
    (tmp_path / "paper_tables").symlink_to(ROOT / "paper_tables")
    (tmp_path / "params.yaml").write_text(params_with("fig7: {sparsities: [0.5, 0.9]}"))
    code = (
        "from repro import artifacts; from repro.options import Options; from repro.workspace import Workspace; "
        "work = Workspace(Options(profile='smoke'), ['fig7']); "
        "made = work.render(artifacts.get('fig7')); columns = sorted({cell.col for cell in made.cells}); "
        "print(artifacts.__file__, artifacts.PAPER[-1], *artifacts.IMPLEMENTED, made.title, *columns, sep='|')"
    )
    environment = dict(os.environ, PYTHONPATH=str(tmp_path), REPRO_HOME=str(tmp_path), REPRO_ARTIFACTS="")
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    file, last, *rest = made.stdout.strip().split("|")
    assert file.startswith(str(tmp_path)) and last == "table4", made.stderr
    title = "How sparse may an early ticket be? on synthetic images"
    assert rest[-5:] == ["batch-probe", "fig7", title, "50%", "90%"]
    assert (tmp_path / "results" / "smoke" / "fig7.png").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no Python file"),
        ("ARTIFACT = 1\n", "needs an ARTIFACT"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        (EXAMPLE.read_text().replace('"fig7"', '"fig1"'), "there is an artifact fig1 already"),
        (EXAMPLE.read_text().replace('"fig7"', '"batch-probe"'), "there is an artifact batch-probe already"),
        (EXAMPLE.read_text().replace('"fig7"', '"../x"'), "needs an ARTIFACT with a name"),
    ],
)
def test_a_file_that_will_not_do_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("REPRO_ARTIFACTS", str(file))
    before = dict(artifacts.IMPLEMENTED)
    with pytest.raises(UsageError, match=said) as refused:
        artifacts.load_others()
    assert str(file) in str(refused.value)
    assert before == artifacts.IMPLEMENTED
