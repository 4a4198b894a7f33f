"""The synthetic tree in the layout of ImageNet."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from repro.data import imagenet
from repro.data.imagenet import index, synthetic
from repro.run import Photos

ROOT = Path(__file__).resolve().parent.parent


def smoke(stored: int = 0) -> Photos:
    return Photos("synthetic-ilsvrc", 192, 64, index.SYNTHETIC, crop=64, resize=73, stored=stored)


def test_the_synthetic_tree_is_made_once_and_again_if_torn(tmp_path: Path) -> None:
    first = imagenet.open_splits(smoke(), [], tmp_path)[0]
    content = [first.read(i) for i in range(len(first))]
    assert {path.name for path in tmp_path.glob("[!.]*")} == {index.SYNTHETIC}
    path = tmp_path / index.SYNTHETIC / first.names[9]
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(synthetic, "generate")
        assert imagenet.open_splits(smoke(), [], tmp_path)[0].read(9) == content[9]
    os.truncate(path, 100)
    again = imagenet.open_splits(smoke(), [], tmp_path)[0]
    assert [again.read(i) for i in range(len(again))] == content


def test_the_synthetic_tree_has_a_resized_copy(tmp_path: Path) -> None:
    """Its images are small: all but those of odd kinds stay as they are."""
    resized, original = (imagenet.open_splits(smoke(stored), [], tmp_path)[0] for stored in (256, 0))
    changed = [name for i, name in enumerate(original.names) if resized.read(i) != original.read(i)]
    assert resized.names == original.names
    assert sorted(name.partition("_")[2] for name in changed) == ["30.JPEG", "5.JPEG"]


def test_many_may_ask_for_the_synthetic_tree_at_once(tmp_path: Path) -> None:
    ask = "import sys; from pathlib import Path; from repro.data.imagenet import synthetic; "
    ask += "print(synthetic.ensure_generated(Path(sys.argv[1])).content_hash)"
    command = [sys.executable, "-c", ask, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    hashes = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(hashes) == 1
    assert {path.name for path in tmp_path.glob("[!.]*")} == {index.SYNTHETIC}


def test_the_synthetic_tree_is_in_imagenets_layout_with_odd_files(tmp_path: Path) -> None:
    prepared = synthetic.ensure_generated(tmp_path)
    rows = prepared.load()
    assert (prepared.train, prepared.val, len(rows.classes)) == (192, 64, 8)
    assert np.bincount(rows.labels).tolist() == [24 + 8] * 8
    assert prepared.kinds["PNG"] == prepared.kinds["CMYK or YCCK JPEG"] == 1
    assert prepared.kinds["grayscale JPEG"] >= 3
    wide = rows.facts["width"] > rows.facts["height"]
    assert 50 < wide.sum() < 200
    assert rows.facts["width"].min() >= 40 and rows.facts["height"].max() <= 160
    turned = 0
    for name in rows.names:
        with Image.open(prepared.root / name) as image:
            turned += image.getexif().get(0x0112) == 6
    assert turned == 1


def test_the_synthetic_classes_can_be_learned(tmp_path: Path) -> None:
    """Ridge regression on 8x8 thumbnails is right far more often than the one time in eight of a guess."""
    features, targets = [], []
    for split in imagenet.open_splits(smoke(), [], tmp_path)[:2]:
        thumbnails = []
        for i in range(len(split)):
            with Image.open(io.BytesIO(split.read(i))) as image:
                thumbnails.append(np.asarray(image.convert("RGB").resize((8, 8))).ravel() / 255)
        features.append(np.column_stack([np.stack(thumbnails), np.ones(len(split))]))
        targets.append(split.labels)
    train, test = features
    weights = np.linalg.solve(train.T @ train + np.eye(train.shape[1]), train.T @ np.eye(8)[targets[0]])
    assert ((test @ weights).argmax(1) == targets[1]).mean() > 0.6
