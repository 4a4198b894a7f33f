"""What is pruned is decided by tensors and by what runs, and what is left out is said."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_ticket import RECIPE, TEST, TRAIN, arguments, outcome
from torch import Tensor, nn

from repro.errors import UsageError
from repro.pruning import sparsity_of
from repro.ticket import Event, Recipe, Result, find_ticket
from repro.ticket.network import choose_prunable, unusual

SHORT = Recipe(**{**vars(RECIPE), "epochs": 1, "milestones": ()})


def search(model: nn.Module, folder: Path, heard: list[Event] | None = None, **changes: Any) -> Result:
    told = heard.append if heard is not None else None
    options: dict[str, Any] = {"recipe": SHORT, "device": "cpu", **changes}
    return find_ticket(model, TRAIN, TEST, folder=folder, on_event=told, **arguments(**options))


class HeadFirst(nn.Module):
    """Its classifier is defined before the rest, and its last convolution before the first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(8, 4)
        self.late, self.middle, self.early = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = self.late(self.middle(self.early(x).relu()).relu()).relu()
        logits: Tensor = self.head(features.amax((2, 3)))
        return logits


class Tied(nn.Module):
    """The classifier has the weight of an embedding, and of a layer before it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(4, 4)
        self.inside, self.body = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.stem, self.head = nn.Linear(192, 4), nn.Linear(4, 4)
        self.inside.weight = self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.inside(self.body(self.stem(x.flatten(1)).relu()).relu()))
        return logits


def three(norm: Any) -> nn.Module:
    """Three convolutions of which ``norm`` makes the weight of the second, and a hidden linear layer."""
    torch.manual_seed(0)
    pool, flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    parts = [
        nn.Conv2d(3, 4, 3),
        norm(nn.Conv2d(4, 4, 3)),
        nn.Conv2d(4, 4, 3),
        pool,
        flat,
        nn.Linear(4, 4),
        nn.Linear(4, 4),
    ]
    return nn.Sequential(OrderedDict(zip(("a", "b", "c", "pool", "flat", "d", "e"), parts, strict=True)))


def old_weight_norm(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(module)


def test_the_first_and_the_last_are_those_that_run_first_and_last(tmp_path: Path) -> None:
    result = search(HeadFirst(), tmp_path)
    assert list(result.masks) == ["late.weight", "middle.weight"]
    assert result.left_out == {"early.weight": "the first convolution", "head.weight": "the classifier"}
    assert not result.notes


def test_a_classifier_keeps_its_weight_whatever_else_has_it(tmp_path: Path) -> None:
    recipe = Recipe(**{**vars(SHORT), "augment": False})
    result = search(Tied(), tmp_path, recipe=recipe)
    assert list(result.masks) == ["body.weight", "stem.weight"]
    assert result.ticket.sparsity == pytest.approx(0.8, abs=0.01)
    assert bool((result.model.head.weight != 0).all())  # type: ignore[union-attr]
    assert result.model.head.weight is result.model.embedding.weight  # type: ignore[union-attr]


@pytest.mark.parametrize("norm", [old_weight_norm, nn.utils.parametrizations.weight_norm])
def test_a_convolution_under_weight_norm_is_said_to_be_left_out(tmp_path: Path, norm: Any) -> None:
    heard: list[Event] = []
    result = search(three(norm), tmp_path, heard)
    assert list(result.masks) == ["c.weight"]
    notes = [str(event) for event in heard if event.kind == "note"]
    assert "Not pruned: b.weight (computed from other tensors, by weight_norm for instance)" in notes
    assert "Not pruned: d.weight (a linear layer beside convolutions)" in notes
    assert result.document()["left_out"]["b.weight"].startswith("computed")
    assert any("b.weight" in sentence for sentence in result.sentences())
    again = search(three(norm), tmp_path)
    assert outcome(again) == outcome(result)


def test_what_leaves_nothing_says_why() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 4))
    with pytest.raises(
        UsageError, match=r"nothing to prune: .*; left out: 0.weight \(computed from other tensors"
    ):
        choose_prunable(model, None)
    frozen = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 4))
    with pytest.raises(UsageError, match=r"left out: 0.weight \(frozen\)"):
        choose_prunable(frozen, None)


def test_layers_within_one_under_weight_norm_are_pruned() -> None:
    adapted = nn.Linear(8, 8)
    adapted.down, adapted.up = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
    names, left_out = choose_prunable(
        nn.Sequential(nn.utils.parametrizations.weight_norm(adapted), nn.Linear(8, 4)), None
    )
    assert names == ("0.down.weight", "0.up.weight")
    assert list(left_out) == ["0.weight", "1.weight"]


def test_attention_is_said_to_be_left_out() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    names, left_out = choose_prunable(nn.Sequential(layer, nn.Linear(8, 4)), None)
    assert names == ("0.self_attn.out_proj.weight", "0.linear1.weight", "0.linear2.weight")
    assert unusual(left_out) == ["0.self_attn.in_proj_weight (neither a convolution nor a linear layer)"]


def test_a_name_asked_for_may_be_any_of_its_tensor() -> None:
    assert choose_prunable(Tied(), ["head.weight", "body.weight"])[0] == ("embedding.weight", "body.weight")


def test_the_ticket_on_disk_is_what_load_state_dict_takes(tmp_path: Path) -> None:
    """Tied weights, buffers and all; the masks beside it say which weights are zero."""
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)]
    for make in (HeadFirst, Tied, lambda: nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(64, 4))):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        result = search(make(), folder, recipe=Recipe(**{**vars(SHORT), "augment": False}), sparsity=0.5)
        network = make()
        network.load_state_dict(load_file(folder / "ticket.safetensors"), strict=True)
        for name, value in result.model.state_dict().items():
            assert torch.equal(network.state_dict()[name], value)
        masks = load_file(folder / "masks.safetensors")
        assert sparsity_of(masks) == pytest.approx(0.5, abs=0.02)
        weights = dict(network.named_parameters())
        assert all(torch.equal(weights[name] != 0, mask) for name, mask in masks.items())
