"""`repro data`: what it tells, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from repro.cli.app import main
from repro.cli.options import check
from repro.commands import doctor
from repro.data import cifar10
from repro.data.imagenet import index, synthetic
from repro.data.images import Split, assemble
from repro.errors import MissingInput
from repro.options import Options


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
    code, out, err = run(capsys, "prepare", "imagenet", *where, "--resize", "256")
    assert code == 0, err
    assert f"{root}/resized-256: 192 + 64 images" in out and "NOT the official" in out
    assert "RESIZED to 256 pixels (imagenet.data.stored=256)" in out
    assert "not the official ILSVRC 2012, and no result compares with it: 8 classes instead of 1,000" in err
    assert "GB when complete" in err and "are free" in err
    before = {path: path.stat().st_mtime_ns for path in root.parent.rglob("*")}
    code, out, _ = run(capsys, "status", "imagenet", *where, "--json")
    assert before == {path: path.stat().st_mtime_ns for path in root.parent.rglob("*")}
    told = json.loads(out)
    assert (told["train"], told["test"], told["official"], told["stored"]) == (192, 64, False, 0)
    _, out, _ = run(capsys, "status", "imagenet", "--data-dir", str(root / "resized-256"), "--json")
    assert (json.loads(out)["official"], json.loads(out)["stored"]) == (False, 256)


@pytest.fixture
def prepared(root: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    code, _, err = run(capsys, "prepare", "imagenet", "--data-dir", str(root))
    assert code == 0, err
    return root


def test_a_folder_with_the_index_alone_is_a_data_folder(prepared: Path, tmp_path: Path) -> None:
    """As `--cache-dir` leaves it where the images are read-only."""
    shutil.copytree(prepared / index.FOLDER, tmp_path / "index" / index.FOLDER)
    check(Options(data_dir=tmp_path / "index"))
    with pytest.raises(MissingInput, match="neither CIFAR-10 nor ImageNet is there"):
        check(Options(data_dir=tmp_path / "index" / index.FOLDER))


def test_runs_on_original_images_are_refused_on_resized_ones(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "prepare", "imagenet", "--data-dir", str(root), "--resize", "256")
    where = ["--data-dir", str(root / "resized-256"), "--runs-dir", str(tmp_path), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main(["table3", "--profile", "paper", "--seeds", "1", *where])
    assert ended.value.code == 3
    assert "has images resized to 256 pixels, not the original ones: pass" in capsys.readouterr().err


def test_images_that_were_deleted_since_are_not_vouched_for(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *others = sorted(prepared.rglob("*.JPEG"))
    others[0].unlink()
    shutil.rmtree(others[-1].parent)
    code, out, err = run(capsys, "status", "imagenet", "--data-dir", str(prepared))
    assert code == 3 and not out
    assert "of the 256 images that were verified 9 are not as they were" in err
    assert f"{others[0].relative_to(prepared)} (gone)" in err and "`repro data prepare imagenet`" in err
    assert doctor._images("imagenet", [prepared], wanted=False)[0] == "problem"


def test_an_image_that_was_cut_short_since_is_found(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = min(prepared.rglob("*.JPEG"))
    image.write_bytes(image.read_bytes()[:100])
    code, _, err = run(capsys, "status", "imagenet", "--data-dir", str(prepared))
    assert code == 3 and f"{image.relative_to(prepared)} (another size)" in err


def test_offline_it_is_said_what_to_fetch_by_hand_and_where_to_put_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    def offline(self: object, folder: str, download: bool) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(CIFAR10, "__init__", offline)
    code, _, err = run(capsys, "prepare", "--data-dir", str(tmp_path))
    assert code == 3
    [line] = [line for line in err.splitlines() if line.startswith("repro: ")]
    for part in (
        "Name or service not known",
        CIFAR10.url,
        CIFAR10.tgz_md5,
        f"into {tmp_path} as {CIFAR10.filename}",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("prepare", "imagenet", "--resize", "100"), 2, "--resize 100: choose 256 or 512"),
        (("prepare", "--resize", "256"), 2, "go with `repro data prepare imagenet`"),
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
