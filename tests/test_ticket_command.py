"""`repro ticket` without its command line: what it writes, prints and refuses."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from repro.cli.app import main
from repro.errors import MissingInput, UsageError
from repro.options import Options
from repro.ticket import command

TINY = ("data.train=40", "data.test=20", "recipe.epochs=2", "recipe.milestones=[1]")
NETWORK = """
print("hello from a module")
from torch import nn

def tiny():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 10))

def talks():
    print("hello from a network")
    return tiny()

def broken():
    raise RuntimeError("no weights\\nat all")

def word():
    return "tiny"

number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a network in it."""
    (tmp_path / "my_network_of_tests.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def ticket(**options: Any) -> None:
    given = {"device": "cpu", "overrides": TINY, "baselines": ["none"], **options}
    fields = {field.name for field in dataclasses.fields(Options)}
    shared = {name: given.pop(name) for name in fields & given.keys()}
    command.ticket(Options(**shared), **given)


def test_a_network_of_ones_own(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sys.modules.pop("my_network_of_tests", None)  # imported anew, whatever ran before
    ticket(network="my_network_of_tests:talks", folder=own / "found", sparsity=0.5, as_json=True)
    said = capsys.readouterr()
    document = json.loads(said.out)  # without what the network prints
    assert "hello from a module" in said.err and "hello from a network" in said.err
    assert document == json.loads((own / "found/ticket.json").read_text())
    assert document["search"]["sparsity"] == 0.5 and document["profile"] == "smoke"
    assert [s["name"] for s in document["strategies"]] == ["ticket"]
    assert "synthetic images" in said.err
    assert {"ticket.md", "ticket.png", "ticket.json"} <= {path.name for path in (own / "found").iterdir()}

    ticket(network="my_network_of_tests:talks", folder=own / "found", sparsity=0.5)  # nothing is trained again
    said = capsys.readouterr()
    assert "ticket" in said.out and "written:" in said.out and "images/s" not in said.err

    with pytest.raises(UsageError, match=r"sparsity \(0.5, not 0.8\)"):
        ticket(network="my_network_of_tests:talks", folder=own / "found")


def test_a_time_budget_ends_it_and_the_same_command_goes_on(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ticket", "--network", "my_network_of_tests:tiny", "--out", str(own / "found"), "--beside", "none",
             "--precision", "float32", *(word for change in TINY for word in ("--set", change))]  # fmt: skip
    for budget, code in (("0.001s", 5), ("10m", 0)):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--time-budget", budget])
        assert ended.value.code == code
        said = capsys.readouterr()
        assert (" left; run the same command again to resume" in said.err) == (code == 5)
    search = json.loads((own / "found/ticket.json").read_text())["search"]
    assert search["precision"] == "float32"


def test_its_folder_is_told_apart_from_the_stores_own(own: Path, root: Path) -> None:
    assert command._folder(root, "a.b:net", "smoke", 3, {}) == root / "runs/search/a.b.net-smoke-seed3"
    assert command._folder(root, "net", "smoke", 0, {"precision": "tf32"}).name.startswith("net-smoke-seed0+")


def test_a_network_of_this_project_and_its_smoke_recipe(tmp_path: Path) -> None:
    few = ("data.train=32", "data.test=10", "recipe.epochs=1")
    ticket(arch="resnet20", folder=tmp_path, overrides=few)
    search = json.loads((tmp_path / "ticket.json").read_text())["search"]
    assert search["recipe"]["milestones"] == [4, 6] and search["recipe"]["batch_size"] == 32
    assert search["precision"] == "auto" and len(search["prunable"]) == 18


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "my_network_of_tests"}, "write package.module:function"),
        ({"network": "no_such_module:net"}, "--network no_such_module:net fails: ModuleNotFoundError"),
        (
            {"network": "my_network_of_tests:net"},
            "AttributeError: module 'my_network_of_tests' has no attribute 'net'",
        ),
        ({"network": "my_network_of_tests:number"}, "TypeError: 'int' object is not callable"),
        ({"network": "my_network_of_tests:broken"}, ":broken fails: RuntimeError: no weights"),
        ({"network": "my_network_of_tests:word"}, "gives str, not a torch.nn.Module"),
        ({"network": "a:b", "arch": "resnet20"}, "choose one"),
        ({"network": ""}, "write package.module:function"),
        ({"arch": ""}, "unknown arch ''"),
        ({"precision": "fp16"}, "precision fp16: choose auto, float32"),
        ({"time_budget": "soon"}, "write 90s, 9m or 1.5h"),
        ({"arch": "resnet21"}, "unknown arch 'resnet21'"),
        ({"arch": "resnet18"}, "there are resnet20, resnet56; --network takes any other"),
        ({"profile": "smok"}, "no profile 'smok'"),
        ({"overrides": ("recipe.epoch=3",)}, "did you mean 'epochs'"),
        ({"overrides": ("recipe.epochs=many",)}, "recipe.epochs"),
        ({"overrides": ("fig1.s=[1]",)}, "no key 'fig1'"),
        ({"overrides": (*TINY, "data.train=9999")}, "9999 images asked for"),
        ({"device": "tpu"}, "choose auto, cpu or cuda"),
        ({"sparsity": 80.0}, "between 0 and 1"),
        ({"check_every": 0}, "check_every 0"),
        ({"baselines": ["all"]}, "one-shot, iterative"),
    ],
)
def test_bad_input_is_one_line(own: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        ticket(**{"folder": own / "found", **options})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_cifar10_is_said(own: Path) -> None:
    with pytest.raises(MissingInput, match="no CIFAR-10 under"):
        ticket(data_dir=own)
