"""The project as others get it: a wheel, a source archive, a tarball without git, inside another's repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from repro import __version__, places
from repro.cli.app import main
from repro.options import Options
from repro.workspace import Workspace

PARTS = (
    "repro",
    "paper_tables",
    "params.yaml",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)


def copied(root: Path, to: Path) -> Path:
    """The project's own files in the folder ``to``, without what was built, trained or cached in the checkout."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        source, target = root / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(source, target)
    return to


def repro(*arguments: str, cwd: Path, package: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the package that lies in the folder ``package``, from the folder ``cwd``."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("REPRO_")}
    environment = {**mine, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable, "-m", "repro", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the unpacked source archive, as an index's users build it."""
    place = tmp_path_factory.mktemp("built from here")
    build = "import sys; from setuptools import build_meta as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"
    for kind, source in (("sdist", copied(root, place / "tree")), ("wheel", place / f"repro-{__version__}")):
        told = [sys.executable, "-c", build, kind, str(place)]
        built = subprocess.run(told, cwd=source, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        if kind == "sdist":
            with tarfile.open(place / f"repro-{__version__}.tar.gz") as archive:
                archive.extractall(place, filter="data")
    return place / f"repro-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed in, as `pip install --target` does."""
    place = tmp_path_factory.mktemp("site packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    return place


def test_a_wheel_holds_the_settings_and_the_papers_tables_and_no_results(root: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read("repro/defaults/params.yaml") == (root / "params.yaml").read_bytes()
    tables = {f"repro/defaults/paper_tables/{path.name}" for path in (root / "paper_tables").glob("*.yaml")}
    assert tables < names and {f"repro/report/page.{kind}" for kind in ("css", "js", "html.j2")} < names
    assert not [
        name for name in names if "runs.jsonl" in name or name.startswith(("tests", "benchmarks", "build"))
    ]


def test_an_installed_wheel_works_from_any_folder_and_writes_nothing_to_its_own(
    installed: Path, tmp_path: Path
) -> None:
    before = sorted(installed.rglob("*"))
    version = repro("--version", cwd=tmp_path, package=installed)
    assert version.stdout.startswith(f"repro {__version__}; torch ") and "pinned" not in version.stdout
    for command in (["published", "table2"], ["list"]):
        shown = repro(*command, cwd=tmp_path, package=installed)
        assert shown.returncode == 0, shown.stderr
        assert "resnet20" in shown.stdout.lower()
    assert sorted(installed.rglob("*")) == before


def test_a_tarball_without_git_in_another_repository_and_a_folder_with_spaces(root: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()  # another's, which is not even whole
    tree = copied(root, tmp_path / "a tree of repro")
    shown = repro("fig3", "--profile", "pilot", "--no-train", cwd=tree, package=tree)
    assert shown.returncode == 0, shown.stderr
    assert f"written: {tree / 'results' / 'pilot' / 'fig3.json'}" in shown.stdout


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, outside any project, for a package that lies in site-packages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "CHECKOUT", tmp_path / "site-packages")
    monkeypatch.delenv("REPRO_HOME")
    return tmp_path


def test_results_and_runs_of_a_wheel_go_to_the_current_folder(elsewhere: Path) -> None:
    assert places.params_file() == places.DEFAULTS / "params.yaml"
    assert places.find_root() == elsewhere


def test_a_params_file_in_the_current_folder_or_above_is_the_one_in_use(elsewhere: Path, root: Path) -> None:
    below = elsewhere / "notebooks"
    below.mkdir()
    shutil.copy(root / "params.yaml", elsewhere)
    os.chdir(below)
    assert places.params_file() == elsewhere / "params.yaml"
    assert places.find_root() == elsewhere


def test_the_params_file_of_another_project_is_left_alone(elsewhere: Path) -> None:
    (elsewhere / "params.yaml").write_text("train:\n  lr: 0.1\n")  # DVC's, for instance
    assert places.params_file() == places.DEFAULTS / "params.yaml"


def test_variables_name_the_settings_and_where_results_go(
    elsewhere: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = elsewhere / "own.yaml"
    own.write_text((root / "params.yaml").read_text().replace("\nprofile: smoke", "\nprofile: pilot"))
    monkeypatch.setenv("REPRO_PARAMS", str(own))
    monkeypatch.setenv("REPRO_HOME", str(elsewhere / "home"))
    work = Workspace(Options(), ["fig3"])
    assert work.settings.name == "pilot"
    assert work.out == elsewhere / "home" / "results" / "pilot"
    assert work.store.runs_dir == elsewhere / "home" / "runs"
    given = Workspace(Options(params_file=root / "params.yaml"), ["fig3"])  # --params comes first
    assert given.settings.name == "smoke"


def test_a_wheel_says_where_the_shipped_results_are_when_it_finds_none(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_PAPER_TABLES", str(root / "paper_tables"))
    monkeypatch.setenv("REPRO_HOME", str(elsewhere / "home"))  # where nothing was trained
    for command in (["list"], ["claims"], ["diff", "fig3"], ["fig3", "--no-train"]):
        with pytest.raises(SystemExit):
            main([*command, "--profile", "smoke", "--params", str(root / "params.yaml"), "--out", str(elsewhere)])
        said = capsys.readouterr().err
        assert "the project's results are in its repository, not in a wheel" in said.splitlines()[0], command


def test_the_papers_tables_can_be_anothers(elsewhere: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "CHECKOUT", root)
    assert places.tables_dir() == root / "paper_tables"
    shutil.copytree(root / "paper_tables", elsewhere / "paper_tables")
    assert places.tables_dir() == elsewhere / "paper_tables"
    monkeypatch.setenv("REPRO_PAPER_TABLES", str(elsewhere / "theirs"))
    assert places.tables_dir() == elsewhere / "theirs"


def test_tables_that_cannot_be_read_are_one_clear_line(root: Path, tmp_path: Path) -> None:
    shown = repro("published", "table2", cwd=root, package=root, REPRO_PAPER_TABLES=str(tmp_path / "none"))
    assert shown.returncode == 2
    assert shown.stderr.startswith("repro: cannot read") and shown.stderr.count("\n") == 1


def test_version_says_what_results_rest_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert "torch" in (said := capsys.readouterr().out) and "semantics 1" in said
