"""The Python of docs/ticket.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn


def test_what_the_page_shows_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a tiny network and eight examples, in the order of the page."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/ticket.md").read_text(), re.DOTALL)
    torch.manual_seed(0)
    data = torch.eye(4).repeat(2, 1), torch.arange(8) % 4
    names: dict[str, Any] = {
        "model": nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)),
        "train_set": data,
        "test_set": data,
        "print": lambda *words, sep="": None,
    }
    before = names["model"][2].weight.clone()
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 2 and names["result"].spec.recipe.epochs == 20
    assert not torch.equal(names["model"][2].weight, before)  # it is the ticket by now
    for name, mask in names["masks"].items():
        assert torch.equal(names["model"].get_parameter(name) != 0, mask)
