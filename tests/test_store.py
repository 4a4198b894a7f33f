"""The store: what it gives back, and what it does when files are damaged, a disk is full or it is in use."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import failing
from torch import Tensor

from repro import files
from repro.errors import MissingInput, UsageError
from repro.experiments import Study
from repro.record import PROBED, Record
from repro.run import Run
from repro.store import State, Store, ledger

Record_of = Callable[..., Record]


@pytest.fixture
def run(study: Callable[..., Study]) -> Run:
    return study().dense("resnet20", 0)


@pytest.fixture
def other(study: Callable[..., Study]) -> Run:
    return study().ticket("resnet20", 0, 2, 1)


def tensors(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 3, 3, 3, generator=generator)
    return {"w": weight, "mask/w": weight > 0, "momentum/w": weight / 3}


def state(epoch: int) -> State:
    return State(epoch, tensors(epoch), {"curve": {"epoch": list(range(1, epoch + 1)), "loss": [1 / 3] * epoch}})


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return set(first) == set(second) and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def loaded(store: Store, run: Run) -> State:
    """Its latest state, which there is."""
    found = store.load_state(run)
    assert found is not None
    return found


def path_of(store: Store, run: Run, epoch: int) -> Path:
    """The file of a checkpoint that there is."""
    kept = store.checkpoint(run, epoch)
    assert kept is not None
    return kept.path


def states(store: Store, run: Run) -> list[str]:
    return [path.name[:11] for path in sorted(store.folder(run).glob("state-e*.safetensors"))]


# States and checkpoints


def test_a_state_comes_back_as_it_was(store: Store, run: Run) -> None:
    assert store.load_state(run) is None
    store.save_state(run, state(3))
    found = loaded(store, run)
    assert found.epoch == 3
    assert equal(found.tensors, tensors(3))
    assert found.history == state(3).history
    assert store.progress(run) == 3


def test_the_last_two_states_are_kept_and_the_latest_is_taken(store: Store, run: Run) -> None:
    for epoch in (8, 9, 10, 11):
        store.save_state(run, state(epoch))
    assert states(store, run) == ["state-e0010", "state-e0011"]
    assert loaded(store, run).epoch == 11


def test_a_state_saved_again_replaces_its_own(store: Store, run: Run) -> None:
    store.save_state(run, state(3))
    store.save_state(run, State(3, tensors(99), {}))
    assert equal(loaded(store, run).tensors, tensors(99))
    assert states(store, run) == ["state-e0003"]


@pytest.mark.parametrize("position", [0, 12, 200, -1])
def test_a_flipped_byte_in_a_state_is_found_and_the_earlier_one_taken(
    store: Store, run: Run, position: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for epoch in (4, 5):
        store.save_state(run, state(epoch))
    damaged = next(store.folder(run).glob("state-e0005-*"))
    flip(damaged, position)
    found = loaded(store, run)
    assert found.epoch == 4
    assert equal(found.tensors, tensors(4))
    assert not damaged.exists()
    assert damaged.with_name(damaged.name + ".damaged").exists()
    assert str(damaged) in capsys.readouterr().err
    assert store.progress(run) == 4


@pytest.mark.parametrize("size", [0, 7, 300])
def test_with_both_states_truncated_the_run_starts_over(store: Store, run: Run, size: int) -> None:
    for epoch in (4, 5):
        store.save_state(run, state(epoch))
    for path in store.folder(run).glob("state-*"):
        path.write_bytes(path.read_bytes()[:size])
    assert store.load_state(run) is None
    assert store.progress(run) == 0


def test_a_checkpoint_comes_back_with_its_hash(store: Store, run: Run) -> None:
    assert store.load_checkpoint(run, 10) is None
    digest = store.save_checkpoint(run, 10, tensors(1))
    assert store.checkpoint(run, 10)
    assert not store.checkpoint(run, 1)
    found = store.load_checkpoint(run, 10)
    assert found is not None
    assert equal(found[0], tensors(1))
    assert found[1] == digest
    path = path_of(store, run, 10)
    assert files.sha256(path.read_bytes()).startswith(digest)


def test_the_same_tensors_have_the_same_hash(store: Store, run: Run, other: Run) -> None:
    transposed = {name: t.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0) for name, t in tensors(1).items()}
    assert store.save_checkpoint(run, 10, tensors(1)) == store.save_checkpoint(other, 3, transposed)


@pytest.mark.parametrize("position", [0, 12, -1])
def test_a_flipped_byte_in_a_checkpoint_is_found(store: Store, run: Run, position: int) -> None:
    store.save_checkpoint(run, 10, tensors(1))
    path = path_of(store, run, 10)
    flip(path, position)
    assert store.load_checkpoint(run, 10) is None
    assert not store.checkpoint(run, 10)  # so that planning trains it again
    assert path.with_name(path.name + ".damaged").exists()


def test_a_shipped_checkpoint_is_found_beside_its_ledger(tmp_path: Path, store: Store, run: Run) -> None:
    store.save_checkpoint(run, 10, tensors(1))
    path = path_of(store, run, 10)
    shipped = tmp_path / "shipped" / "checkpoints" / run.key
    shipped.mkdir(parents=True)
    os.replace(path, shipped / path.name)
    assert not store.checkpoint(run, 10)
    fresh = Store(tmp_path / "runs", tmp_path / "results" / "runs.jsonl", [tmp_path / "shipped" / "runs.jsonl"])
    found = fresh.load_checkpoint(run, 10)
    assert found is not None
    assert equal(found[0], tensors(1))


def test_begin_says_what_the_run_is(store: Store, run: Run) -> None:
    store.begin(run)
    said = json.loads((store.folder(run) / "run.json").read_text())
    assert said["label"] == run.label
    assert said["recipe"]["epochs"] == run.recipe.epochs


# The ledger


def test_a_record_comes_back_from_its_line(run: Run, record_of: Record_of) -> None:
    record = record_of(
        run, top1=91.23456, probe={"rate": 0.8, "epoch": [0], **{name: {"w": [0.1]} for name in PROBED}}
    )
    assert Record.parse(record.line()) == record
    assert "\n" not in record.line()
    assert record.top1_at(1) == 41.5
    assert record.top1_at(2) is None


def test_a_number_that_json_does_not_have_is_not_written(run: Run, record_of: Record_of) -> None:
    with pytest.raises(ValueError, match="JSON"):
        record_of(run, top1=float("nan")).line()


def test_finished_runs_are_found_by_a_new_store(store: Store, run: Run, other: Run, record_of: Record_of) -> None:
    first, second = record_of(run), record_of(other, top1=50.0)
    assert store.record(run) is None
    store.finish([(run, first)])
    store.finish([(other, second)])
    assert store.record(run) == first
    assert list(ledger.read(store.ledger).values()) == [first, second]
    again = Store(store.runs_dir, store.ledger)
    assert again.records() == [first, second]
    elsewhere = Store(store.runs_dir / "elsewhere", store.ledger)  # the ledger alone is enough
    assert elsewhere.record(other) == second
    without = Store(store.runs_dir, store.ledger.with_name("none.jsonl"))  # and so is the Run's folder
    assert without.record(run) == first


def test_finish_never_replaces_a_record(store: Store, run: Run, record_of: Record_of) -> None:
    store.finish([(run, record_of(run, top1=91.0))])
    store.finish([(run, record_of(run, top1=92.0))])
    Store(store.runs_dir, store.ledger).finish([(run, record_of(run, top1=93.0))])
    assert [record.top1 for record in ledger.read(store.ledger).values()] == [91.0]
    found = Store(store.runs_dir, store.ledger).record(run)
    assert found is not None
    assert found.top1 == 91.0


def test_finishing_removes_the_states_and_leaves_the_checkpoints(
    store: Store, run: Run, record_of: Record_of
) -> None:
    store.save_state(run, state(3))
    store.save_checkpoint(run, 2, tensors(2))
    store.finish([(run, record_of(run))])
    assert store.load_state(run) is None
    assert store.checkpoint(run, 2)


def test_add_takes_what_is_new(store: Store, run: Run, other: Run, record_of: Record_of) -> None:
    store.add([record_of(run, top1=91.0)])
    store.add([record_of(run, top1=92.0), record_of(other)])
    assert [record.top1 for record in ledger.read(store.ledger).values()] == [91.0, 41.5]


def test_two_stores_do_not_lose_each_others_lines(
    store: Store, run: Run, other: Run, record_of: Record_of
) -> None:
    second = Store(store.runs_dir, store.ledger)
    store.finish([(run, record_of(run))])
    second.finish([(other, record_of(other))])
    assert {record.key for record in ledger.read(store.ledger).values()} == {run.key, other.key}


def test_of_a_run_that_two_processes_trained_the_first_record_counts_for_both(
    store: Store, run: Run, record_of: Record_of
) -> None:
    """Each with a store of its own, and one results folder."""
    second = Store(store.runs_dir.with_name("other"), store.ledger)
    store.finish([(run, record_of(run, top1=91.0))])
    second.finish([(run, record_of(run, top1=92.0))])
    found = [second.record(run), Record.parse((second.folder(run) / "result.json").read_text())]
    assert [record and record.top1 for record in found] == [91.0, 91.0]


def test_a_shipped_ledger_is_read_and_not_written(
    tmp_path: Path, run: Run, other: Run, record_of: Record_of
) -> None:
    shipped = tmp_path / "shipped.jsonl"
    shipped.write_text(record_of(run, top1=91.0).line() + "\n")
    before = shipped.read_bytes()
    store = Store(tmp_path / "runs", tmp_path / "runs.jsonl", [shipped])
    found = store.record(run)
    assert found is not None
    assert found.top1 == 91.0
    store.finish([(other, record_of(other))])
    store.finish([(run, record_of(run, top1=92.0))])  # trained again for a checkpoint that was not shipped
    assert shipped.read_bytes() == before
    assert [record.top1 for record in ledger.read(store.ledger).values()] == [41.5, 91.0]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda line: line[: len(line) // 2], id="torn"),
        pytest.param(lambda line: b"", id="blank"),
        pytest.param(lambda line: b"{}", id="no fields"),
        pytest.param(lambda line: b"[1]", id="no object"),
        pytest.param(lambda line: line.replace(b'"status"', b'"state"'), id="another field"),
        pytest.param(lambda line: line.replace(b'"label"', b'"lab\xff"'), id="not UTF-8"),
    ],
)
def test_a_torn_or_altered_line_is_named(
    store: Store, run: Run, other: Run, record_of: Record_of, change: Callable[[bytes], bytes]
) -> None:
    store.add([record_of(run), record_of(other)])
    first, second = store.ledger.read_bytes().splitlines()
    store.ledger.write_bytes(first + b"\n" + change(second) + b"\n" + first + b"\n")
    with pytest.raises(UsageError) as caught:
        Store(store.runs_dir, store.ledger).records()
    assert f"{store.ledger}, line 2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_result_is_set_aside(store: Store, run: Run, record_of: Record_of) -> None:
    path = store.folder(run) / "result.json"
    files.write_text(path, record_of(run).line()[:50])
    assert store.record(run) is None
    assert not path.exists()
    assert path.with_name("result.json.damaged").exists()


# One process at a time


HOLD = (
    "import sys; from pathlib import Path; from repro.store import Store\n"
    "runs = Path(sys.argv[1])\n"
    "with Store(runs, runs / 'runs.jsonl').lock():\n"
    "    print('held', flush=True); sys.stdin.readline()"
)


def hold(store: Store, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.runs_dir)], cwd=root, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_second_process_is_refused_and_told_who_holds_the_store(store: Store, root: Path) -> None:
    with store.lock():
        stdout, stderr = hold(store, root).communicate()
    assert "held" not in stdout
    error = stderr.splitlines()[-1]
    assert f"UsageError: {store.runs_dir} is in use by process {os.getpid()}" in error


def test_a_killed_holder_leaves_no_lock_behind(store: Store, root: Path) -> None:
    with hold(store, root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"process {process.pid}"), store.lock():
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    with store.lock():
        assert str(os.getpid()) in (store.runs_dir / ".lock").read_text()


def test_a_lock_is_given_back_after_an_error(store: Store) -> None:
    with pytest.raises(RuntimeError, match="in between"), store.lock():
        raise RuntimeError("in between")
    with store.lock():
        pass


# A disk that is full


def test_a_full_disk_leaves_ledger_and_states_as_they_were(
    store: Store, run: Run, other: Run, record_of: Record_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.finish([(run, record_of(run))])
    for epoch in (1, 2):
        store.save_state(other, state(epoch))
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(MissingInput):
        store.save_state(other, state(3))
    with pytest.raises(MissingInput):
        store.add([record_of(other)])
    monkeypatch.undo()
    fresh = Store(store.runs_dir, store.ledger)
    assert loaded(fresh, other).epoch == 2
    assert [record.key for record in fresh.records()] == [run.key]


def test_what_counts_as_finished_is_in_the_ledger(
    store: Store, run: Run, record_of: Record_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up, or the process dies, between the two files that a finished Run is written to."""
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == store.ledger.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(MissingInput):
        store.finish([(run, record_of(run))])
    monkeypatch.undo()
    finished = Store(store.runs_dir, store.ledger).record(run) is not None
    assert finished == (run.key in {record.key for record in ledger.read(store.ledger).values()})
