"""What this process is told of its machine: threads, ranks, the user's name."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Callable

import matplotlib
import pytest

from repro import machine, options
from repro.errors import MissingInput


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    for name in ("OMP_NUM_THREADS", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("asked", "threads"), [(None, 8), ("1", 1), ("3", 3), ("99", 8), ("0", 1), ("", 8), ("4,2", 8), ("many", 8)]
)
def test_a_thread_a_core_or_fewer_if_the_user_says_so(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, threads: int
) -> None:
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert machine.threads() == threads


def test_what_torchrun_says_of_threads_is_not_the_users_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for count, threads in (("2", 4), ("16", 1)):
        for name, value in (("RANK", "0"), ("WORLD_SIZE", "16"), ("LOCAL_WORLD_SIZE", count)):
            monkeypatch.setenv(name, value)
        assert machine.threads() == threads


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"])
@pytest.mark.parametrize("value", ["", "0", "3", "many"])
def test_one_variable_that_a_cluster_left_behind_means_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert options.placed() == (0, 1, 0, 1)
    assert machine.share(8) == 8


@pytest.mark.parametrize(
    "given",
    [("0", "0", "", ""), ("2", "2", "", ""), ("-1", "2", "", ""), ("one", "2", "", ""), ("1", "2", "2", "2"),
     ("1", "2", "0", "0"), ("1", "2", "x", "1"), ("1", "2", "0", "4")],
)  # fmt: skip
def test_ranks_that_cannot_be_are_one_line_with_their_variables(
    monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, str, str]], given: tuple[str, ...]
) -> None:
    for name, value in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"), given, strict=True):
        monkeypatch.setenv(name, value)
    code, out, err = command("list", "--profile", "smoke")
    assert (code, out) == (2, "")
    assert f"RANK='{given[0]}', WORLD_SIZE='{given[1]}'" in err and err.count("\n") == 1


def test_a_rank_of_torchruns_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert options.placed() == (3, 8, 1, 2)


def test_a_uid_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's --user: torch.compile asks for the user's name."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    machine.name_user()
    assert getpass.getuser() == str(os.getuid())


def test_without_any_folder_for_torchs_cache_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # set to nothing is not set
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    with pytest.raises(MissingInput, match="No usable temporary directory found; set TORCHINDUCTOR_CACHE_DIR or"):
        machine.settle_compiler_cache()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


@pytest.mark.parametrize(("asked", "told"), [("", False), ("/proc/nowhere", True)])
def test_a_home_that_is_not_writable_makes_matplotlib_say_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, asked: str, told: bool
) -> None:
    """Its cache goes to a temporary folder; what was asked for and cannot be had is said."""
    logger = logging.getLogger("matplotlib")
    monkeypatch.setattr(logger, "filters", [])
    monkeypatch.setenv("MPLCONFIGDIR", asked)
    machine.quiet_matplotlib()
    matplotlib._get_config_or_cache_dir(lambda: "/proc/nowhere")  # type: ignore[attr-defined]
    assert ("temporary cache directory" in caplog.text) is told
