"""Files that travel: what is refused in one line, with nothing written, and what an export may be asked for."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

from repro import files
from repro.errors import MissingInput, UsageError
from repro.record import Record, empty_curve
from repro.run import Run
from repro.store import State, Store
from repro.store import archive as transfer

Command = Callable[..., tuple[int, str, str]]
Members = dict[str, bytes]


@pytest.fixture
def members(store: Store, some_run: Run, record_of: Callable[..., Record]) -> Members:
    """A Record, a checkpoint and a state, as they are exported."""
    weights = {"w": torch.zeros(1)}
    store.save_checkpoint(some_run, 1, weights)
    history: dict[str, Any] = {"curve": empty_curve(), "start": {}, "probe": {}, "checkpoints": {}}
    store.save_state(some_run, State(2, weights, history | {"provenance": {"parents": {}}}))
    found = dict(transfer.states(store, [some_run]))
    store.add([record_of(some_run)])
    found |= transfer.records(store, [some_run])
    found |= transfer.checkpoints(store, [some_run], {some_run.key: {1}})
    assert len(found) == 3
    return found


def crafted(path: Path, members: Members, **changes: object) -> Path:
    """A file whose sums are right, whatever it holds; ``changes`` are of its manifest."""
    manifest: dict[str, object] = {"results": "smoke", "sha256": {n: files.sha256(c) for n, c in members.items()}}
    told = json.dumps(manifest | changes).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [*members.items(), ("manifest.json", told)]:
            archive.writestr(name, content)
    return path


def test_what_was_exported_is_read(tmp_path: Path, members: Members) -> None:
    transfer.export(members.items(), tmp_path / "home.zip", 10**6, "smoke+3fa2c1")
    assert transfer.read([tmp_path / "home.zip"]) == {"smoke+3fa2c1": members}
    assert transfer.read([crafted(tmp_path / "crafted.zip", members)]) == {"smoke": members}


@pytest.mark.parametrize("results", ["..", "", ".", ".git", "a/b", "/tmp", "a\nb", "\0"])
def test_a_results_folder_that_is_none_is_refused(tmp_path: Path, members: Members, results: str) -> None:
    with pytest.raises(MissingInput, match="names no results folder; nothing was imported"):
        transfer.read([crafted(tmp_path / "x.zip", members, results=results)])


def test_an_import_of_a_crafted_file_writes_nothing(command: Command, tmp_path: Path, members: Members) -> None:
    file = crafted(tmp_path / "x.zip", members, results="..")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = command("runs", "import", str(file), runs="new-runs", out="new-out")
    assert (code, out, err.strip().count("\n")) == (3, "", 0)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("records/x", "this version of repro exports no such file"),
        ("records/../x.json", "exports no such file"),
        ("checkpoints/epoch-0001-0000000000000000.safetensors", "exports no such file"),
        ("checkpoints/../smoke/runs/epoch-0001-0000000000000000.safetensors", "exports no such file"),
        ("states/dense/0123/state-e1.2.3-0000000000000000.safetensors", "exports no such file"),
        ("masks/dense/0123/mask.safetensors", "exports no such file"),
        ("/etc/passwd", "exports no such file"),
        (
            "checkpoints/dense/0123/epoch-0001-0000000000000000.safetensors",
            "its content does not match the hash in its name",
        ),
        ("records/0123.json", "Expecting value"),
    ],
)
def test_a_member_that_is_none_is_refused(tmp_path: Path, members: Members, name: str, told: str) -> None:
    with pytest.raises(MissingInput) as caught:
        transfer.read([crafted(tmp_path / "x.zip", members | {name: b""})])
    assert f"x.zip: {name}: " in str(caught.value) and told in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"top1": "91"}, "top1: a number expected, not '91'"),
        ({"key": "0123456789abcdef"}, "the Record of another Run"),
        ({"curve": empty_curve() | {"epoch": [float("nan")]}}, "NaN is no result of a Run"),
        ({"of_a_newer_version": 1}, "of_a_newer_version"),
    ],
    ids=str,
)
def test_a_record_that_is_odd_is_refused(
    tmp_path: Path, members: Members, change: dict[str, object], told: str
) -> None:
    name = next(name for name in members if name.startswith("records/"))
    odd = json.dumps(json.loads(members[name]) | change).encode()
    with pytest.raises(MissingInput, match="nothing was imported") as caught:
        transfer.read([crafted(tmp_path / "x.zip", members | {name: odd})])
    assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("history", [None, [], {"provenance": {"parents": {}}}])
def test_a_state_without_its_history_is_refused(
    tmp_path: Path, store: Store, some_run: Run, history: Any, members: Members
) -> None:
    store.save_state(some_run, State(3, {"w": torch.zeros(1)}, history))
    newest = store.newest_state(some_run)
    assert newest
    name = f"states/{some_run.experiment}/{some_run.key}/{newest.name}"
    with pytest.raises(MissingInput, match="curve: dict expected"):
        transfer.read([crafted(tmp_path / "x.zip", members | {name: newest.read_bytes()})])


def patched(content: bytes, offset: int, value: int) -> bytes:
    """Each header of a zip with another 16-bit field: ``offset`` is in a local header, 2 more in the directory."""
    changed = bytearray(content)
    for mark, more in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        at = content.find(mark)
        while at >= 0:
            changed[at + offset + more : at + offset + more + 2] = value.to_bytes(2, "little")
            at = content.find(mark, at + 1)
    return bytes(changed)


@pytest.mark.parametrize(
    ("offset", "value", "told"),
    [
        (6, 1, "is encrypted"),
        (8, 9, "compression"),  # Deflate64
        (8, 99, "compression"),
        (4, 99, "version"),  # of a zip that is newer than Python
    ],
    ids=["encrypted", "Deflate64", "unknown method", "newer"],
)
def test_a_zip_that_cannot_be_read_is_one_line(
    command: Command, tmp_path: Path, members: Members, offset: int, value: int, told: str
) -> None:
    file = crafted(tmp_path / "x.zip", members)
    file.write_bytes(patched(file.read_bytes(), offset, value))
    code, out, err = command("runs", "import", str(file), runs="new-runs", out="new-out")
    assert (code, out, err.strip().count("\n")) == (3, "", 0)
    assert told in err and "nothing was imported" in err
    assert not (tmp_path / "new-runs").exists() and not (tmp_path / "new-out").exists()


@pytest.mark.parametrize(
    "manifest", [b"[]", b"{}", b"x", b'{"sha256": 3, "results": "a"}', pytest.param(b"[" * 100_000, id="nested")]
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", manifest)
    (tmp_path / "x.zip").write_bytes(buffer.getvalue())
    with pytest.raises(MissingInput, match="not a whole export of repro"):
        transfer.read([tmp_path / "x.zip"])


# ---- what is asked for


@pytest.mark.parametrize("text", ["inf", "infGiB", "nan", "-1MB", "0", "1e400", "GiB", "5 apples", "0.2"])
def test_a_size_that_is_none_is_refused_before_anything_is_done(
    command: Command, tmp_path: Path, text: str
) -> None:
    with pytest.raises(UsageError, match="write 15MiB or 900kB"):
        transfer.parse_size(text)
    code, _, err = command("runs", "export", str(tmp_path / "x.zip"), "--profile", "smoke", f"--max-size={text}")
    assert (code, err) == (2, f"repro: --max-size {text}: write 15MiB or 900kB\n".replace("  ", " "))


@pytest.mark.parametrize("name", [".", "..", "/", "folder"])
def test_a_target_that_names_no_file_is_refused(
    command: Command, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path) if name == "folder" else name
    code, _, err = command("runs", "export", place, "--profile", "smoke")
    assert (code, err.strip().count("\n")) == (2, 0)
    assert "names no file to write: runs.zip, for instance" in err


def test_a_device_takes_a_file(members: Members) -> None:
    null = Path(os.devnull)
    assert transfer.export(members.items(), null, 10**6, "smoke") == ([null], [])
