"""How commands end: one line, one JSON value, an exit code; on any terminal, and on none."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from tiny import TINY

from repro import artifacts, files
from repro.cli import app, ending
from repro.commands import train
from repro.errors import RunFailed, UsageError
from repro.ticket.command import own_network

pytestmark = pytest.mark.usefixtures("quickly_drawn")

Command = Callable[..., tuple[int, str, str]]
SMOKE = ("--profile", "smoke", *TINY)


class Full(io.StringIO):
    """A terminal or file that takes nothing, for ``why``."""

    def __init__(self, why: int) -> None:
        super().__init__()
        self._why = why

    def write(self, text: str) -> int:
        raise OSError(self._why, os.strerror(self._why))


def ended(command: Callable[[], Any], *words: str) -> int:
    """The exit code with which ``command`` ends."""
    with pytest.raises(SystemExit) as left:
        ending.run(command, words)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["fig1", *SMOKE, "--dry-run"], 0),
        (["fig1", "--arch", "vgg"], 2),
        (["fig1", "--no-such-option"], 2),
        (["fig1", "--seeds", "many"], 2),
        (["fig1", "--profile", "paper", "--data-dir", "/nonexistent"], 3),
        (["no-such-command"], 2),
        (["ticket", "--network", "nowhere:net"], 2),
    ],
)
def test_with_json_stdout_is_one_value_whatever_happens(command: Command, words: list[str], code: int) -> None:
    found, out, err = command(*words, "--json")
    assert found == code, err
    value = json.loads(out)
    if code:
        assert value["exit_code"] == code
        assert err == f"repro: {value['error']}\n"


def test_a_dry_run_in_json_lists_the_runs(command: Command) -> None:
    plan = json.loads(command("fig2", *SMOKE, "--dry-run", "--json")[1])
    assert (plan["profile"], plan["runs"], plan["epochs"]) == ("smoke", 1, 2)
    assert [run["label"] for run in plan["to_train"]] == ["dense resnet20 seed 0"]


def test_what_a_users_module_prints_is_no_part_of_the_json(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text('print("[1] my artifact")\nprint({"a": 1})\nraise SystemError("no")')
    monkeypatch.setenv("REPRO_ARTIFACTS", str(tmp_path / "mine.py"))
    code, out, err = command("list", "--json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)
    assert "[1] my artifact\n" in err


def test_what_a_users_file_starts_prints_beside_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    says = 'import subprocess\nsubprocess.run(["echo", "sub"])\n'
    (tmp_path / "mine.py").write_text(f"{says}raise ValueError")
    (tmp_path / "my_printing_net.py").write_text(f"{says}def net():\n {says.splitlines()[1]}\n raise ValueError")
    monkeypatch.setenv("REPRO_ARTIFACTS", str(tmp_path / "mine.py"))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError):
        artifacts.load_others()
    with pytest.raises(UsageError, match="net:net fails"):
        own_network("my_printing_net:net", 0)
    print("the answer")
    assert capfd.readouterr() == ("the answer\n", "sub\n" * 3)


def test_an_artifact_whose_run_failed_is_one_value_with_its_error(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "execute", lambda *given: RunFailed("its loss was not finite"))
    code, out, _ = command("fig1", *SMOKE, "--json")
    value = json.loads(out)
    assert (code, value["exit_code"], value["error"]) == (4, 4, "its loss was not finite")
    assert value["artifact"] == "fig1"  # what did finish is shown beside it


@pytest.mark.parametrize(
    ("printed", "before"),
    [('{"a": 1}\n', ""), ('loading\n[0\n{"a": 1}\n', "loading\n[0\n"), ('{\n"a":\n1\n}', "")],
)
def test_a_commands_value_is_the_last_thing_printed(printed: str, before: str) -> None:
    assert ending.one_value(printed, {}) == (before, printed[len(before) :])
    assert json.loads(ending.one_value(printed, {"exit_code": 3})[1]) == {"a": 1, "exit_code": 3}


def test_json_of_a_command_that_has_none_is_a_wrong_option(command: Command) -> None:
    code, out, err = command("reproduce", "--json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)
    assert "--json" in err


@pytest.mark.parametrize("rank", [0, 1])
def test_of_many_ranks_the_first_alone_prints_json(rank: int) -> None:
    placed = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
    words = [sys.executable, "-m", "repro", "fig1", "--seeds", "0", "--json"]
    done = subprocess.run(words, env=os.environ | placed, capture_output=True, check=False)
    assert (done.returncode, bool(done.stdout)) == (2, rank == 0)


def test_a_full_disk_behind_stdout_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.ENOSPC))
    for words in ([], ["--json"]):
        assert ended(lambda: print("{}"), *words) == 3
        assert capsys.readouterr().err == "repro: stdout cannot be written: No space left on device\n"


def test_a_closed_pipe_is_quiet(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.commands.results.list_artifacts", lambda *given, **how: Full(errno.EPIPE).write(""))
    assert command("list") == (141, "", "")


@pytest.mark.parametrize("words", [["--help"], ["published", "table2"], ["--version"]])
def test_every_command_ends_with_141_where_nobody_reads(words: list[str]) -> None:
    """``repro CMD | true``."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "repro", *words], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_command_that_ends_by_itself_keeps_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: sys.exit(1)) == 1


def test_a_closed_stdout_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert ended(lambda: pytest.fail("began")) == 3
    assert capsys.readouterr().err.startswith("repro: stdout is closed: redirect it")


def test_a_file_that_cannot_be_used_is_one_line_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: open("/proc", "w").close()) == 3
    assert capsys.readouterr().err == "repro: /proc: Is a directory\n"


def test_an_error_that_is_no_user_input_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="strange"):
        ending.run(lambda: (_ for _ in ()).throw(OSError(errno.ELOOP, "strange")), [])


def test_with_an_older_typer_errors_are_those_of_click() -> None:
    pytest.importorskip("click")
    code = "import sys, typer; sys.modules['typer.exceptions'] = None; from repro.cli import ending; "
    code += "import click; sys.exit(ending.TyperException is not click.ClickException)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_printing_never_fails_for_an_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding=encoding, errors="strict"))
    assert ended(lambda: print("89.17 ± 0.42 → caf\udce9")) == 0
    text = content.getvalue().decode(encoding)
    assert text.startswith("89.17 ") and text.endswith("caf\\udce9\n")


def test_no_option_takes_nothing_for_a_value() -> None:
    """``--arch=$ARCH`` of a script where ARCH is not set."""
    whole = typer.main.get_command(app.application())
    options = [
        (name, param.opts[0])
        for name, one in _commands(whole, ())
        for param in one.params
        if param.opts[0].startswith("--") and re.search("str|Path", str(param.type_descriptor.annotation))
    ]
    assert {(("fig1",), "--arch"), (("plan",), "--profile"), (("runs", "export"), "--artifact")} <= set(options)
    for name, option in options:
        for words in ([f"{option}="], [option, ""], [option, " "]):
            with pytest.raises(UsageError, match=f"^{option} is empty"):
                whole.main(args=[*name, *words], standalone_mode=False)


def _commands(one: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    inner = getattr(one, "commands", None)
    if inner is None:
        return [(path, one)]
    return [pair for name, child in inner.items() for pair in _commands(child, (*path, name))]


def test_an_option_that_swallows_the_next_is_given_nothing(command: Command) -> None:
    """``--out $OUT --json``, where OUT is not set."""
    code, _, err = command("fig1", "--params", "--json")
    assert (code, err) == (
        2,
        "repro: --params is empty (an unset variable?): give a value, or omit it\n",
    )


@pytest.mark.parametrize(("words", "name"), [(["plan", ""], "ARTIFACT"), (["runs", "export", ""], "FILE")])
def test_an_argument_that_is_nothing_is_refused(command: Command, words: list[str], name: str) -> None:
    code, _, err = command(*words)
    assert (code, err.startswith(f"repro: {name} is empty")) == (2, True)


def test_help_names_no_types(command: Command) -> None:
    out = command("fig1", "--help")[1]
    assert "--strategy" in out and "<" not in out
    assert re.findall(r"─ ([A-Z][a-z ]+) ─", out) == ["Options", "What", "Where", "How", "Many at a time"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_folders_whose_names_are_no_text_work_from_training_to_import(command: Command, tmp_path: Path) -> None:
    """An old share, a zip from elsewhere: the names are bytes, and what is printed or written has them escaped."""
    name = os.fsdecode(b"caf\xe9")
    places = {"runs": f"{name}/runs", "out": f"{name}/out"}
    code, out, err = command("fig2", *SMOKE, **places)
    assert code == 0, err
    assert "caf\\udce9/out/smoke" in out
    assert command("report", *SMOKE, **places)[0] == 0
    file = str(tmp_path / name / "runs.zip")
    assert command("runs", "export", file, *SMOKE, **places)[0] == 0
    code, out, err = command("runs", "import", file, runs="b", out="b-out")
    assert code == 0 and list((tmp_path / "b-out").glob("*/runs.jsonl")), err
    code, out, err = command("list", "--data-dir", str(tmp_path / name))
    assert (code, err.count("\n")) == (3, 1) and "caf\\udce9" in err
    written = {"folder": str(tmp_path / name)}
    files.write_text(tmp_path / "told.json", json.dumps(written, ensure_ascii=False))
    assert json.loads((tmp_path / "told.json").read_text(encoding="utf-8")) == written
