"""ImageNet as it may lie on disk: every layout in the same order, and what is wrong named from names alone."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from repro.data.imagenet import layout
from repro.errors import MissingInput

WNIDS = ["n01440764", "n01443537", "n02084071"]
TRAIN_EACH, VAL_EACH = 4, 2


def names() -> list[str]:
    """The canonical order of a small tree: by split, class and file name."""
    train = [f"train/{wnid}/{wnid}_{i}.JPEG" for wnid in WNIDS for i in range(TRAIN_EACH)]
    return train + [f"val/{wnid}/{val_file(k, i)}" for k, wnid in enumerate(WNIDS) for i in range(VAL_EACH)]


def val_file(label: int, number: int) -> str:
    # As in the flat layout, classes take turns in the order of file names.
    return f"ILSVRC2012_val_{1 + number * len(WNIDS) + label:08}.JPEG"


def plant(root: Path, files: list[str]) -> Path:
    """A tree of files whose content is their name: nothing here looks inside."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Class folders in both splits."""
    return plant(tmp_path / "imagenet", names())


def flatten(root: Path) -> list[str]:
    """val/ without class folders; returns the wnid of each file in the order of file names."""
    labels = {}
    for path in sorted((root / "val").glob("*/*")):
        labels[path.name] = path.parent.name
        path.rename(root / "val" / path.name)
    for wnid in WNIDS:
        (root / "val" / wnid).rmdir()
    return [labels[name] for name in sorted(labels)]


def write_solution(path: Path, root: Path, wnids: list[str]) -> None:
    """Kaggle's list, in an order of its own, with boxes behind the wnid."""
    files = sorted(file.stem for file in (root / "val").iterdir())
    rows = [f"{file},{wnid} 1 2 3 4 {wnid} 5 6 7 8" for file, wnid in zip(files, wnids, strict=True)]
    path.write_text("\n".join(["ImageId,PredictionString", *reversed(rows)]) + "\n")


def test_class_folders_are_listed_by_split_class_and_file_name(root: Path) -> None:
    found = layout.listing(root)
    assert found.classes == WNIDS
    assert found.names == names()
    assert found.train == len(WNIDS) * TRAIN_EACH
    assert found.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [0, 0, 1, 1, 2, 2]
    assert found.facts["size"].tolist() == [(root / name).stat().st_size for name in found.names]
    assert found.facts["mtime"].tolist() == [(root / name).stat().st_mtime_ns for name in found.names]


def test_the_order_in_which_files_were_made_does_not_matter(root: Path, tmp_path: Path) -> None:
    shuffled = names()
    random.Random(3).shuffle(shuffled)
    other = plant(tmp_path / "other", shuffled)
    assert layout.listing(other).names == layout.listing(root).names


@pytest.mark.parametrize("name", layout.LISTS)
@pytest.mark.parametrize("folder", ["val", "."])
def test_a_flat_val_has_the_classes_of_its_list(root: Path, folder: str, name: str) -> None:
    with_folders = layout.listing(root)
    wnids = flatten(root)
    (root / folder / name).write_text("\n".join(wnids) + "\n")
    found = layout.listing(root)
    assert [Path(n).name for n in found.names] == [Path(n).name for n in with_folders.names]
    assert np.array_equal(found.labels, with_folders.labels)
    assert found.names[-1].count("/") == 1  # val/FILE


@pytest.mark.parametrize("above", [0, 1, 2, 3])
def test_kaggles_archive_is_found_with_its_list_above(root: Path, tmp_path: Path, above: int) -> None:
    with_folders = layout.listing(root)
    place = tmp_path / "kaggle" / "ILSVRC" / "Data" / "CLS-LOC"
    place.parent.mkdir(parents=True)
    root.rename(place)
    wnids = flatten(place)
    write_solution([place, *place.parents][above] / layout.SOLUTION, place, wnids)
    assert layout.find([tmp_path / "kaggle"]) == place
    assert np.array_equal(layout.listing(place).labels, with_folders.labels)


@pytest.mark.parametrize("place", ["", "imagenet", "ILSVRC2012", "ilsvrc2012", "ILSVRC/Data/CLS-LOC"])
def test_every_usual_place_is_found(root: Path, tmp_path: Path, place: str) -> None:
    target = tmp_path / "data" / place
    shutil.copytree(root, target)
    assert layout.find([tmp_path / "nothing", tmp_path / "data"]) == target


def test_other_data_is_not_taken_for_imagenet(tmp_path: Path) -> None:
    plant(tmp_path, ["train/cats/1.jpg", "val/cats/2.jpg"])
    assert layout.find([tmp_path]) is None
    with pytest.raises(MissingInput, match="pass --data-dir"):
        layout.require([tmp_path])


def test_train_without_val_is_said(root: Path) -> None:
    shutil.rmtree(root / "val")
    with pytest.raises(MissingInput, match="val/ is not"):
        layout.find([root])


@pytest.mark.parametrize(("split", "other"), [("train", "val"), ("val", "train")])
def test_a_missing_class_folder_is_named(root: Path, split: str, other: str) -> None:
    shutil.rmtree(root / split / WNIDS[1])
    with pytest.raises(MissingInput, match=f"{split}/ lacks 1 of the classes of {other}/: {WNIDS[1]}"):
        layout.listing(root)


def test_a_class_missing_under_a_flat_val_is_named(root: Path) -> None:
    (root / layout.LISTS[0]).write_text(" ".join(flatten(root)))
    shutil.rmtree(root / "train" / WNIDS[2])
    with pytest.raises(MissingInput, match=f"train/ lacks 1 .*{WNIDS[2]}"):
        layout.listing(root)


def test_an_empty_class_folder_is_named(root: Path) -> None:
    for file in (root / "train" / WNIDS[0]).iterdir():
        file.unlink()
    with pytest.raises(MissingInput, match=f"without an image in train/: {WNIDS[0]}"):
        layout.listing(root)


def test_a_flat_val_without_a_list_says_what_to_put_where(root: Path) -> None:
    flatten(root)
    with pytest.raises(MissingInput, match=rf"no list says .* 6 images .*{layout.LISTS[0]}.*{layout.SOLUTION}"):
        layout.listing(root)


def test_a_list_of_another_length_is_said(root: Path) -> None:
    (root / layout.LISTS[0]).write_text("\n".join(flatten(root)[1:]))
    with pytest.raises(MissingInput, match="lists 5 images, val/ has 6"):
        layout.listing(root)


def test_an_image_that_kaggles_list_does_not_know_is_named(root: Path) -> None:
    write_solution(root / layout.SOLUTION, root, flatten(root))
    plant(root, ["val/ILSVRC2012_val_00000099.JPEG"])
    with pytest.raises(MissingInput, match=r"does not say the class of val/ILSVRC2012_val_00000099\.JPEG"):
        layout.listing(root)


def test_what_is_no_image_by_its_name_is_ignored(root: Path) -> None:
    plant(root, [f"train/{WNIDS[0]}/readme.txt", f"train/{WNIDS[0]}/.DS_Store", "val/devkit.zip"])
    assert layout.listing(root).names == names()


# Whether it is the official one


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the official ILSVRC 2012 were the small tree."""
    monkeypatch.setattr(layout, "CLASSES", len(WNIDS))
    monkeypatch.setattr(layout, "TRAIN", len(WNIDS) * TRAIN_EACH)
    monkeypatch.setattr(layout, "VAL", len(WNIDS) * VAL_EACH)
    monkeypatch.setattr(layout, "VAL_EACH", VAL_EACH)


def differences(root: Path) -> str:
    return "; ".join(layout.differences(layout.listing(root)))


def test_the_official_counts() -> None:
    assert (layout.CLASSES, layout.TRAIN, layout.VAL, layout.VAL_EACH) == (1000, 1_281_167, 50_000, 50)


@pytest.mark.usefixtures("small")
def test_the_official_classes_and_counts_have_no_differences(root: Path) -> None:
    assert differences(root) == ""


@pytest.mark.usefixtures("small")
def test_every_difference_from_the_official_set_is_said(root: Path) -> None:
    (root / names()[0]).unlink()
    assert differences(root) == "11 training images instead of 12"
    (root / "val" / WNIDS[1] / val_file(1, 0)).rename(root / "val" / WNIDS[2] / val_file(1, 0))
    assert f"with not 2 validation images: {WNIDS[1]} with 1, {WNIDS[2]} with 3" in differences(root)
    for split in ("train", "val"):
        shutil.rmtree(root / split / WNIDS[2])
    assert "2 classes instead of 3" in differences(root)
    for split in ("train", "val"):
        (root / split / WNIDS[0]).rename(root / split / "tench")
    assert "no wnids: tench" in differences(root)


def test_a_long_list_of_names_is_cut() -> None:
    assert layout.some(["a", "b"], most=2) == "a, b"
    assert layout.some([str(i) for i in range(1003)], most=3) == "0, 1, 2 and 1,000 more"
