"""`--keep-final`: what a ticket weighs once it is trained is kept where asked for, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import PHOTOS, TINY

import repro
from repro.options import Options
from repro.plan import forgotten
from repro.pruning import sparsity_of
from repro.store import Store, archive
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

Command = Callable[..., tuple[int, str, str]]
ONE = [*TINY, "--set", "fig1.s=[1]", "--set", "fig1.v=[0]"]  # one ticket
WORDS = ("--profile", "smoke", "--device", "cpu", *ONE)


@pytest.fixture
def plans(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], Workspace]:
    monkeypatch.chdir(root)

    def make(keep_final: bool) -> Workspace:
        places = {"runs_dir": tmp_path / "runs", "out": tmp_path / "out"}
        changes = [*TINY[1::2], *PHOTOS[1::2]]
        return Workspace(Options(profile="smoke", overrides=changes, keep_final=keep_final, **places))

    return make


def test_every_trained_network_is_kept_and_no_key_changes(plans: Callable[[bool], Workspace]) -> None:
    plain, final = (plans(asked).plan() for asked in (False, True))
    assert [run.key for run in plain.missing] == [run.key for run in final.missing]
    more = [run for run in final.missing if plain.keep.get(run.key, set()) != final.keep.get(run.key, set())]
    kept = {run.experiment for run in more}
    assert {"tickets-resnet20", "gradual-resnet20", "tickets-resnet18", "gradual-resnet18"} <= kept
    assert not [name for name in kept if name.startswith(("ppr", "structures", "memorization", "batch-probe"))]
    assert all(final.keep[run.key] == {*plain.keep.get(run.key, ()), run.last_epoch} for run in more)
    assert final.disk_bytes > plain.disk_bytes


def test_workers_are_told() -> None:
    assert Options.of_worker(Options(keep_final=True).for_worker()).keep_final
    assert not Options.of_worker(Options().for_worker()).keep_final


def test_a_tickets_final_weights_are_kept_with_their_mask_or_trained_again(
    root: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    work = Workspace(Options(profile="smoke", overrides=ONE[1::2], out=tmp_path / "out"), ["fig1"])
    (ticket,) = [run for run in work.asked() if run.mask]
    assert command("fig1", *WORDS)[0] == 0
    store = Store(tmp_path / "runs", work.store.ledger)
    assert forgotten([ticket], store) == [ticket]
    code, _, err = command("fig1", "--keep-final", *WORDS)
    assert code == 0
    assert f"comes too late for 1 finished Run: `repro runs train {ticket.key} --keep-final` trains one" in err
    assert forgotten([ticket], store) == [ticket]

    ledger = work.store.ledger.read_bytes()
    code, _, err = command("runs", "train", ticket.key, "--keep-final", *WORDS)
    assert code == 0, err
    assert not forgotten([ticket], store)
    assert work.store.ledger.read_bytes() == ledger  # the Record stays that of the first training
    assert command("runs", "train", ticket.key, "--keep-final", *WORDS)[2].endswith("is finished already\n")

    taken: dict[int, archive.Members] = {}
    for more in ([], ["--with-final"]):
        assert command("runs", "export", str(tmp_path / "f.zip"), *more, *WORDS[:2], *ONE)[0] == 0
        (taken[len(more)],) = archive.read([tmp_path / "f.zip"]).values()
    (file,) = taken[1].keys() - taken[0].keys()
    assert file.startswith(f"checkpoints/tickets-resnet20/{ticket.key}/epoch-0002-")

    monkeypatch.setenv("REPRO_HOME", str(tmp_path))
    model, masks = repro.load_checkpoint(ticket.key)
    assert masks is not None and sparsity_of(masks) == pytest.approx(0.8, abs=1e-4)
    assert all(not model.get_parameter(name)[~mask].any() for name, mask in masks.items())
