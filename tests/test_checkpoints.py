"""Kept checkpoints in the hands of who did not train them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import repro
from repro import nets
from repro.engine.network import Network
from repro.errors import MissingInput, UsageError
from repro.files import sha256
from repro.pruning import magnitude_masks, sparsity_of
from repro.store import HASH, Store

KEY = "0123456789abcdef"


class OfKey:
    """As much of a Run as a store asks for to keep its checkpoints."""

    experiment, key = "tickets-resnet20", KEY


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """A ticket whose checkpoints at epochs 0 and 4 lie in runs/ of the current project."""
    network = Network("resnet20", 3, torch.device("cpu"))
    monkeypatch.setenv("REPRO_HOME", str(tmp_path))
    store = Store(tmp_path / "runs", tmp_path / "results" / "smoke" / "runs.jsonl")
    store.save_checkpoint(OfKey(), 0, network.checkpoint())  # type: ignore[arg-type]
    network.prune(0.8)
    store.save_checkpoint(OfKey(), 4, network.checkpoint())  # type: ignore[arg-type]
    return network


def file_of(tmp_path: Path, epoch: int) -> Path:
    return next(tmp_path.rglob(f"epoch-{epoch:04d}-*.safetensors"))


@pytest.mark.parametrize("arch", ["resnet20", "resnet18"])
def test_a_kept_checkpoint_loads_strictly_into_the_network_of_nets(arch: str, tmp_path: Path) -> None:
    network = Network(arch, 5, torch.device("cpu"))
    network.prune(0.5)
    kept = network.checkpoint()
    save_file(kept, tmp_path / "ticket.safetensors")
    model = nets.build(arch, 0)
    model.load_state_dict(load_file(tmp_path / "ticket.safetensors"), strict=True)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, kept[name]), name
    with pytest.raises(RuntimeError, match="Unexpected key"):  # strict for all but masks
        model.load_state_dict({**model.state_dict(), "other": torch.zeros(1)})


def test_weights_of_torchvision_with_their_batch_counters_load_strictly() -> None:
    from torchvision import models

    theirs = models.resnet18(weights=None).state_dict()
    assert "bn1.num_batches_tracked" in theirs
    nets.build("resnet18", 0).load_state_dict(theirs, strict=True)
    assert "bn1.num_batches_tracked" in theirs


def test_a_run_is_loaded_by_its_key_or_its_file(kept: Network, tmp_path: Path) -> None:
    for place, epoch in (
        (KEY, None),
        (KEY[:6], 4),
        (file_of(tmp_path, 4), None),
        (str(file_of(tmp_path, 4)), None),
    ):
        model, masks = repro.load_checkpoint(place, epoch)
        assert masks is not None and sparsity_of(masks) == pytest.approx(0.8, abs=1e-5)
        assert torch.equal(model.get_parameter("conv.weight"), kept.model.get_parameter("conv.weight"))
    model, masks = repro.load_checkpoint(KEY, epoch=0)
    assert masks is None
    own = magnitude_masks(model, 0.8)  # of a dense checkpoint the mask is computed
    assert all(torch.equal(own[name], mask) for name, mask in (kept.masks() or {}).items())


def test_a_checkpoint_that_is_not_there_is_told_with_those_that_are(kept: Network, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"at epoch 3 .* it has epochs 0, 4"):
        repro.load_checkpoint(KEY, epoch=3)
    with pytest.raises(MissingInput, match="no checkpoint of it is kept"):
        repro.load_checkpoint("ffff")
    with pytest.raises(MissingInput, match=r"no file lost\.safetensors"):
        repro.load_checkpoint("lost.safetensors")
    (tmp_path / "runs" / "tickets-resnet20" / f"{KEY[:-1]}0").mkdir()
    assert repro.load_checkpoint(KEY[:6])[1] is not None  # a Run without checkpoints is no other one
    other = tmp_path / "results" / "paper" / "checkpoints" / f"{KEY[:-1]}0"
    other.mkdir(parents=True)
    (other / file_of(tmp_path, 4).name).write_bytes(file_of(tmp_path, 4).read_bytes())
    with pytest.raises(UsageError, match="begins the keys of 2 Runs"):
        repro.load_checkpoint(KEY[:6])


def test_a_damaged_or_foreign_checkpoint_is_refused_by_name(kept: Network, tmp_path: Path) -> None:
    path = file_of(tmp_path, 4)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(MissingInput, match=f"{path.name} is damaged"):
        repro.load_checkpoint(path)
    save_file({"weight": torch.zeros(3)}, tmp_path / "theirs.safetensors")
    with pytest.raises(UsageError, match="not a checkpoint of resnet20"):
        repro.load_checkpoint(tmp_path / "theirs.safetensors")
    (tmp_path / "text.safetensors").write_text("none")
    with pytest.raises(UsageError, match="not a safetensors file"):
        repro.load_checkpoint(tmp_path / "text.safetensors")


def test_a_shipped_checkpoint_is_loaded_by_its_key_where_nothing_was_pulled(
    kept: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC's remote in git keeps it under another name; what its own name says is checked."""
    remote = file_of(tmp_path, 4).rename(tmp_path / "10dfafe7bd9afaeb052350b23c1571")
    name = f"{KEY}/epoch-0004-{sha256(remote.read_bytes())[:HASH]}.safetensors"
    monkeypatch.setattr("repro.store.listed", lambda results: {name: remote} if results.name == "smoke" else {})
    (tmp_path / "results" / "smoke").mkdir(parents=True)
    assert repro.load_checkpoint(KEY)[1] is not None
    remote.write_bytes(remote.read_bytes()[:-1] + b"x")
    with pytest.raises(MissingInput, match=f"{remote.name} is damaged"):
        repro.load_checkpoint(KEY)
