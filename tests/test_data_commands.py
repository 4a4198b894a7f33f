"""`repro data`: what it tells, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from repro.cli import main
from repro.data import cifar10
from repro.data.images import Split, assemble
from repro.data.photos import synthetic


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The synthetic tree as it comes, not prepared."""
    synthetic.generate(tmp_path / "imagenet")
    return tmp_path / "imagenet"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["data", *arguments])
    out, err = capsys.readouterr()
    return (ended.value.code if isinstance(ended.value.code, int) else 0), out, err


def test_the_commands_prepare_and_tell(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--data-dir", str(root))
    code, out, err = run(capsys, "status", "imagenet", *where)
    assert code == 3 and "run `repro data prepare imagenet --data-dir" in err and not out
    code, out, err = run(capsys, "prepare", "imagenet", *where, "--cache", "256")
    assert code == 0, err
    assert "192 + 64 images" in out and "NOT the official" in out and "256 pixels" in out
    assert "not the official ILSVRC 2012, and no result compares with it: 8 classes instead of 1,000" in err
    assert "will take about" in err and "are free" in err
    code, out, _ = run(capsys, "status", "imagenet", *where, "--json")
    told = json.loads(out)
    assert (told["train"], told["test"], told["official"]) == (192, 64, False)
    assert told["caches"] == [{"side": 256, "complete": True}]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("prepare", "imagenet", "--cache", "100"), 2, "--cache 100: choose 256 or 512"),
        (("prepare", "--cache", "256"), 2, "go with `repro data prepare imagenet`"),
        (("status", "mnist"), 2, "no data set 'mnist'; there are cifar10, imagenet"),
        (("prepare", "imagenet", "--data-dir", "/nonexistent"), 3, "no ImageNet under /nonexistent"),
        (("status", "imagenet", "--data-dir", "/nonexistent"), 3, "no ImageNet under /nonexistent"),
        (("status", "--data-dir", "/nonexistent"), 3, "no CIFAR-10 under /nonexistent"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    ended, _, err = run(capsys, *arguments)
    assert ended == code
    assert message in err and err.count("\n") == 1


def test_status_of_cifar10_says_what_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = Split(np.zeros((20, 32, 32, 3), np.uint8), np.zeros(20, np.uint8))
    found = assemble(split, split.first(10), "made up")
    monkeypatch.setattr(cifar10, "find", lambda folders: folders[0])
    monkeypatch.setattr(cifar10, "load", lambda place: found)
    code, out, _ = run(capsys, "status", "--data-dir", str(tmp_path))
    assert code == 0 and "20 + 10 images" in out and f"{found.fingerprint}, NOT the official CIFAR-10" in out
