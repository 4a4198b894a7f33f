"""What belongs to the caller of find_ticket: network, random state, a Dataset with transforms of its own."""

from __future__ import annotations

import copy
import dataclasses
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from test_ticket import RECIPE, bits, outcome, search, small
from torch import Tensor, nn
from torch.utils.data import Dataset

from repro.ticket import Event, SearchOptions, find_ticket
from repro.ticket.network import choose_prunable


def test_what_the_caller_has_stays_as_it_was(tmp_path: Path) -> None:
    model = small().eval()
    model[0].requires_grad_(False)
    before, modes = bits(model.state_dict()), [module.training for module in model.modules()]
    torch.manual_seed(7), random.seed(7), np.random.seed(7)  # type: ignore[func-returns-value]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    threads = torch.get_num_threads()
    result = search(tmp_path, model)
    assert bits(model.state_dict()) == before and [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]  # type: ignore[union-attr]
    assert torch.get_num_threads() == threads
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(result.model[0].weight, model[0].weight)  # type: ignore[index]


class Jittered(Dataset[tuple[Tensor, int]]):
    """A Dataset with a random transform of its own, from every generator there is."""

    def __len__(self) -> int:
        return 30

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        noise = torch.randn(6) * 0.1 + random.random() * 0.1 + float(np.random.rand()) * 0.1
        return torch.eye(6)[index % 3] + noise, index % 3


def test_a_perceptron_and_a_random_dataset_repeat_to_the_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    assert choose_prunable(model, None)[0] == ("0.weight", "2.weight")
    recipe = dataclasses.replace(RECIPE, augment=False, batch_size=8)
    runs = [
        find_ticket(copy.deepcopy(model), Jittered(), Jittered(), recipe, folder=tmp_path / name,
                    options=SearchOptions(prunable=("2.weight",), device="cpu"))
        for name in ("a", "b")
    ]  # fmt: skip
    assert list(runs[0].masks) == ["2.weight"]
    assert outcome(runs[0]) == outcome(runs[1])


def test_a_strategy_named_by_a_string_is_a_list_of_one(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1, milestones=())
    result = search(tmp_path, baselines="one-shot", recipe=recipe)
    assert [*result.baselines] == ["one-shot"]


def test_a_cache_of_torchs_that_cannot_be_written_is_noted_and_the_search_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "cache"))
    heard: list[Event] = []
    recipe = dataclasses.replace(RECIPE, epochs=1, milestones=())
    result = search(tmp_path / "found", recipe=recipe, on_event=heard.append)
    assert heard[0].kind == "note" and f"{tmp_path}/file" in str(heard[0])
    assert "torch's cache is in a temporary folder" in str(heard[0]) and "\n" not in str(heard[0])
    assert result.ticket.top1 is not None and os.path.isdir(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    heard.clear()  # from now on it can be written
    search(tmp_path / "found", recipe=recipe, on_event=heard.append)
    assert not [event for event in heard if "cache" in str(event)]
