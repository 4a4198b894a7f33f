"""What several test modules share. Imports no torch, as most of repro does not."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from repro.cli.app import main
from repro.config import params
from repro.experiments import Study
from repro.record import DONE, Record
from repro.run import Run
from repro.store import Store

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("paper", "paper-128", "pilot")

# With a process a core (make test) and threads for every core in each, OpenMP's waiting threads take the cores
# from the working ones: ten times slower. Said before torch is imported; what tests start inherits it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where no GPU is, Triton's kernels are interpreted. Triton asks when it is imported.
if not Path("/proc/driver/nvidia").exists():
    os.environ["TRITON_INTERPRET"] = "1"

# The same examples every time, whatever the machine's speed.
hypothesis.settings.register_profile("repro", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repro")


def failing(code: int) -> Callable[..., Any]:
    """A function that raises OSError."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture(autouse=True)
def _elsewhere(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Results, Runs and data of the working tree are no test's business, nor of the commands that it starts: they
    see an empty folder, and tests marked ``shipped`` one with the ledgers of the last commit. No COLUMNS."""
    home = tmp_path_factory.getbasetemp() / "empty"
    if request.node.get_closest_marker("shipped"):
        home = request.getfixturevalue("_shipped")
    monkeypatch.setenv("REPRO_HOME", str(home))
    monkeypatch.delenv("COLUMNS", raising=False)  # the width of whoever runs the tests


@pytest.fixture(scope="session")
def _shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose results/ has the ledgers that git has, whatever was trained here since."""
    home = tmp_path_factory.mktemp("shipped")
    for profile in SHIPPED:
        name = f"results/{profile}/runs.jsonl"
        show = ["git", "-C", str(ROOT), "show", f"HEAD:{name}"]
        found = subprocess.run(show, capture_output=True, check=False)
        if found.returncode:
            pytest.skip("not a git repository that has the shipped ledgers")
        (home / name).parent.mkdir(parents=True)
        (home / name).write_bytes(found.stdout)
    return home


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def study() -> Callable[..., Study]:
    """``study("paper")``: a profile of the shipped params.yaml, on a data set with a made-up fingerprint."""

    @functools.cache
    def make(profile: str = "smoke") -> Study:
        return Study(params.settings(ROOT / "params.yaml", profile), "0123456789abcdef")

    return make


@pytest.fixture(scope="session")
def record_of() -> Callable[..., Record]:
    """``record_of(run, top1=90.0)``: a Record as a finished ``run`` would leave it."""

    def make(run: Run, **changes: Any) -> Record:
        curve = {"epoch": [1], "train_loss": [1 / 3], "train_top1": [40.0]}
        curve |= {"test_epoch": [1], "test_top1": [41.5]}
        values: dict[str, Any] = {
            "key": run.key,
            "label": run.label,
            "status": DONE,
            # What JSON gives back: lists where the Run has tuples.
            "spec": {name: _jsonable(value) for name, value in run.spec().items()},
            "top1": 41.5,
            "best_top1": 41.5,
            "best_epoch": 1,
            "train_top1": 40.0,
            "curve": curve,
            "provenance": {"device": "none"},
        }
        return Record(**values | changes)

    return make


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command with store and results in a folder of its own; returns exit code, stdout, stderr."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("REPRO_DATA", raising=False)

    def run(*arguments: str, runs: str = "runs", out: str = "out") -> tuple[int, str, str]:
        places = [["--runs-dir", str(tmp_path / runs)], ["--out", str(tmp_path / out)]]
        own = [] if arguments[0] == "published" else [word for place in places for word in place]
        with pytest.raises(SystemExit) as ended:
            main([*arguments, *own])
        code = ended.value.code
        captured = capsys.readouterr()
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return run


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """``small_files(bytes)``: from now on no file can grow beyond that, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda count: resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Strangers:
    """``folder`` is ours until `seal`; `acting` is as another user, who may then read and not write there. Where
    tests run as root, whom permissions do not stop, that is nobody; others are stopped by what `seal` takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def seal(self, mode: int = 0o555) -> None:
        """Nobody may write there any more."""
        for path in [*self.folder.rglob("*"), self.folder]:
            path.chmod(mode)

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """As another user. What is imported for the first time here may not be there for that one."""
        own = os.geteuid()
        if own == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            if own == 0:
                os.seteuid(0)


@pytest.fixture
def strangers() -> Iterator[Strangers]:
    """A folder that everybody can reach, pytest's own being for one user alone."""
    with tempfile.TemporaryDirectory(prefix="repro-strangers-") as name:
        Path(name).chmod(0o755)
        found = Strangers(Path(name))
        yield found
        found.seal(0o755)


@pytest.fixture
def some_run(study: Callable[..., Study]) -> Run:
    """The dense network of the smoke profile."""
    return study().dense("resnet20", 0)


@pytest.fixture
def unplaced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the places of a figure's axes open, which takes most of the time, but for tests marked ``placed``."""
    if "placed" not in request.keywords:
        monkeypatch.setattr("repro.report.figures.Sheet._place_axes", lambda sheet: None)


@pytest.fixture
def quickly_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are files: how they look is the business of tests of their own, and takes a second each."""
    monkeypatch.setattr("repro.report.figures.write", lambda document, path: path.write_bytes(b"\x89PNG"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a folder of the test's own."""
    return Store(tmp_path / "runs", tmp_path / "results" / "runs.jsonl")


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _jsonable(inner) for name, inner in value.items()}
    return [_jsonable(inner) for inner in value] if isinstance(value, tuple | list) else value
