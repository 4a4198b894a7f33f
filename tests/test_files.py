"""Files: whole or absent, whatever their name stands for; locks, and disks that have none."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Strangers, failing

from repro import files
from repro.errors import MissingInput, UsageError
from repro.record import Record
from repro.run import Run
from repro.store import Store, ledger

# ---- writing


def test_a_symbolic_link_stays_one_and_its_file_keeps_its_mode(tmp_path: Path) -> None:
    elsewhere = tmp_path / "shared" / "params.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("old")
    elsewhere.chmod(0o640)
    link = tmp_path / "params.yaml"
    link.symlink_to(Path("shared") / "params.yaml")
    files.write_text(link, "new")
    assert link.is_symlink() and elsewhere.read_text() == "new"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o640
    assert list(elsewhere.parent.iterdir()) == [elsewhere]


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "runs.jsonl"
    link.symlink_to(tmp_path / "volume" / "runs.jsonl")
    files.write_text(link, "new")
    assert link.is_symlink() and (tmp_path / "volume" / "runs.jsonl").read_text() == "new"


def test_a_link_to_itself_is_refused_and_stays(tmp_path: Path) -> None:
    link = tmp_path / "home.zip"
    link.symlink_to(link)
    with pytest.raises(MissingInput, match=rf"^{link}: Too many levels of symbolic links$"):
        files.write_text(link, "new")
    assert link.is_symlink() and list(tmp_path.iterdir()) == [link]


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        files.write_text(tmp_path / "result.json", "")
        with files.locked(tmp_path / ".lock", "busy"):
            pass
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o664}


def test_a_device_is_written_to_and_stays_a_device() -> None:
    files.write_bytes(Path(os.devnull), b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_pipe_gets_what_is_written(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    files.write_bytes(pipe, b"through")
    reader.join()
    assert read == [b"through"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_two_containers_with_one_process_id_write_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is in the middle of it while the other begins."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    fsync, path = os.fsync, tmp_path / "runs.jsonl"

    def meanwhile(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        files.write_bytes(path, b"the other's")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    files.write_bytes(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [path]


# ---- a disk that is full or cannot be written


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_line_and_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(MissingInput, match="no room left") as caught:
        files.write_bytes(path, b"new")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]  # nothing half-written beside it


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Tests run as root, whom permissions do not stop."""
    monkeypatch.setattr(files, "open", failing(code), raising=False)
    if code == errno.EROFS:  # there, removing a temporary file that is not even there fails as well
        monkeypatch.setattr(os, "unlink", failing(code))
    with pytest.raises(MissingInput, match="cannot be written") as caught:
        files.check_writable(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    path.write_text("not a folder")
    with pytest.raises(MissingInput, match="runs"):
        files.check_writable(path)


def test_looking_whether_a_folder_can_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


# ---- locks


def test_a_lock_is_one_holders_and_free_again_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a" / ".lock"
    with pytest.raises(RuntimeError, match="in between"), files.locked(path, "busy"):
        for seconds in (0.0, 0.03):
            with pytest.raises(UsageError, match=r"^busy$"), files.locked(path, "busy", seconds):
                raise AssertionError
        raise RuntimeError("in between")
    with files.locked(path, "busy"):
        pass


def test_who_waits_for_a_lock_is_told_its_holder(tmp_path: Path) -> None:
    path, busy = tmp_path / ".lock", "in use by another process: wait"
    with files.locked(path, busy):
        for content, holder in (("", "another process"), ("process 7 on elsewhere\n", "process 7 on elsewhere")):
            path.write_text(content)
            with pytest.raises(UsageError, match=f"^in use by {holder}: wait$"), files.locked(path, busy):
                raise AssertionError


NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS]


@pytest.fixture(params=NO_LOCKS, ids=lambda code: errno.errorcode[code])
def no_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Lustre mounted with noflock, and on some FUSE."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_flock")
def test_a_disk_without_locks_is_one_line_with_what_is_safe(
    tmp_path: Path, store: Store, record_of: Callable[..., Record], some_run: Run
) -> None:
    def train() -> None:
        with store.lock():
            raise AssertionError

    def prepare() -> None:
        with files.locked(tmp_path / ".lock", "in use"):
            raise AssertionError

    for use in (train, prepare, lambda: store.add([record_of(some_run)]), lambda: files.check_lockable(tmp_path)):
        with pytest.raises(MissingInput, match=r"where files cannot be locked .* one command at a time$"):
            use()
    assert not store.ledger.exists()


@pytest.mark.usefixtures("no_flock")
def test_one_command_at_a_time_goes_without_locks_where_it_is_told_to(
    store: Store, record_of: Callable[..., Record], some_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(files.WITHOUT, "1")
    with store.lock(), store.run_lock(some_run):
        store.finish([(some_run, record_of(some_run))])
    assert list(ledger.read(store.ledger)) == [some_run.key]


# ---- somebody else's folders


def test_a_store_of_somebody_elses_is_one_line(strangers: Strangers, some_run: Run) -> None:
    store = Store(strangers.folder / "runs", strangers.folder / "results" / "runs.jsonl")
    with store.lock(), store.run_lock(some_run):
        store.begin(some_run)
    (store.folder(some_run) / "run.json").unlink()
    strangers.seal()
    with strangers.acting():
        for lock in (store.lock, lambda: store.run_lock(some_run)):
            with (
                pytest.raises(MissingInput, match=r"cannot be written \(Permission denied\): choose another"),
                lock(),
            ):
                raise AssertionError
        with pytest.raises(MissingInput, match="cannot be written"):
            store.begin(some_run)
        with pytest.raises(MissingInput, match="cannot be written"):
            files.check_lockable(strangers.folder / "results" / "smoke")


def test_a_lock_file_of_somebody_elses_is_held_all_the_same(strangers: Strangers) -> None:
    """Two users of one group, before whose files the first one's umask was 022."""
    path, busy = strangers.folder / ".lock", "in use by another process"
    path.touch(0o644)
    with files.locked(path, busy):  # who held it before is not who holds it then
        pass
    theirs, ours = files.locked(path, busy), files.locked(path, busy)
    with strangers.acting(), theirs, pytest.raises(UsageError, match=f"^{busy}$"), ours:
        raise AssertionError
    with files.locked(path, busy):
        pass
