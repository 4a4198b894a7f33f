"""A copy with smaller images: its pixels, that it resumes, that nothing takes it for the original; and splits."""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photographs import photograph, pixels
from PIL import Image

from repro import data
from repro.data import imagenet
from repro.data.imagenet import index, layout, pillow, preparation
from repro.data.imagenet.index import Prepared
from repro.data.imagenet.preparation import Observer, prepare, resize_tree
from repro.errors import MissingInput, UsageError
from repro.run import Photos

ROOT = Path(__file__).resolve().parent.parent
# Mean and largest pixel error, in levels of 255, of a photograph in the copy against the resized pixels.
MEAN_ERROR, LARGEST_ERROR = 3.0, 60
WNIDS = ("n01440764", "n01443537")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of photographs around 256 pixels on a side, some odd; prepared. Not to be written to."""
    root = tmp_path_factory.mktemp("photos") / "imagenet"
    random = np.random.default_rng(7)
    sizes = [(400, 300), (300, 400), (257, 256), (256, 300), (300, 255), (500, 375), (200, 700), (333, 500)]
    for split, each in (("train", 20), ("val", 4)):
        for number in range(each * len(WNIDS)):
            wnid = WNIDS[number % len(WNIDS)]
            path = root / split / wnid / f"{wnid}_{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = photograph(random, *sizes[number % len(sizes)])
            mode = {1: "L", 3: "L", 8: "CMYK", 11: "CMYK", 13: "RGBA"}.get(number, "RGB")
            image.convert(mode).save(path, "PNG" if mode == "RGBA" else "JPEG", quality=92)
    prepare(root)
    return root


@pytest.fixture
def prepared(pristine: Path, tmp_path: Path) -> Prepared:
    """A prepared copy of one's own."""
    found = index.find([Path(shutil.copytree(pristine, tmp_path / "imagenet"))])
    assert found
    return found


@pytest.fixture(scope="session")
def shrunk(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The copy of 256 pixels. Not to be written to."""
    found = index.find([pristine])
    assert found
    return resize_tree(found, 256, tmp_path_factory.mktemp("small") / "resized")


def opened(
    prepared: Prepared, stored: int = 0, train: int = 40
) -> tuple[layout.ImageFiles, layout.ImageFiles, str]:
    wanted = Photos("imagenet", train, 8, prepared.fingerprint, crop=224, resize=256, stored=stored)
    return imagenet.open_splits(wanted, [prepared.home.parent], Path("/nonexistent"))


def images(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.JPEG"))}


# What the copy holds


def test_an_image_of_the_copy_is_what_pillow_resizes_it_to(pristine: Path, shrunk: Prepared) -> None:
    for name, content in images(pristine).items():
        with Image.open(io.BytesIO(content)) as image:
            expected = image.convert("RGB")
        width, height = expected.size
        if min(width, height) > 256:
            shape = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
            expected = expected.resize(shape, Image.Resampling.BILINEAR)
        error = np.abs(pixels((shrunk.root / name).read_bytes()) - np.asarray(expected).astype(np.int64))
        assert error.mean() < MEAN_ERROR and error.max() < LARGEST_ERROR, name


def test_the_copy_is_a_plain_tree_of_the_same_images(pristine: Path, shrunk: Prepared) -> None:
    original, copy = layout.listing(pristine), layout.listing(shrunk.root)
    assert copy.names == original.names and np.array_equal(copy.labels, original.labels)
    assert (original.stored, copy.stored, shrunk.stored) == (0, 256, 256)
    assert shrunk.kinds == {
        **dict.fromkeys(index.KINDS, 0),
        "RGB JPEG": 44,
        "grayscale JPEG": 4,
    }  # gray stays gray
    facts = shrunk.load().facts
    assert np.minimum(facts["width"], facts["height"]).max() == 256


def test_what_is_small_and_plain_is_kept_byte_for_byte(pristine: Path, shrunk: Prepared) -> None:
    kept = 0
    copies = images(shrunk.root)
    for name, content in images(pristine).items():
        with Image.open(io.BytesIO(content)) as image:
            plain = min(image.size) <= 256 and image.format == "JPEG" and image.mode in ("RGB", "L")
        assert (copies[name] == content) == plain
        kept += plain
    assert 10 < kept < 30


def test_a_flat_val_becomes_class_folders(prepared: Prepared, shrunk: Prepared, tmp_path: Path) -> None:
    val = prepared.root / "val"
    wnids = {path.name: path.parent.name for path in val.glob("*/*")}
    for name, wnid in wnids.items():
        (val / wnid / name).rename(val / name)
    for wnid in WNIDS:
        (val / wnid).rmdir()
    (val / layout.LISTS[0]).write_text("\n".join(wnids[name] for name in sorted(wnids)))
    flat = prepare(prepared.root)
    copy = resize_tree(flat, 256, tmp_path / "resized")
    assert images(copy.root) == images(shrunk.root)
    assert copy.content_hash == copy.fingerprint == shrunk.fingerprint != flat.fingerprint


def test_shrinking_averages_what_is_too_fine_to_show() -> None:
    checkers = (np.indices((1024, 1024)).sum(0) % 2 * 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(checkers).save(content, "PNG")
    small = pixels(pillow.shrink(content.getvalue(), 256))
    assert small.shape == (256, 256, 3) and np.abs(small - 127.5).max() < 3


def test_metadata_stays_behind() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a caption"
    content = io.BytesIO()
    photograph(np.random.default_rng(1), 400, 300).save(content, "JPEG", exif=exif, comment=b"a comment")
    small = pillow.shrink(content.getvalue(), 256)
    assert b"caption" not in small and b"comment" not in small
    with Image.open(io.BytesIO(small)) as image:
        assert image.size == (341, 256)  # not turned: nobody does who trains on ImageNet


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(list(preparation.BYTES)))
def test_sizes_are_rounded_as_torchvision_does(width: int, height: int, side: int) -> None:
    from torchvision.transforms.functional import _compute_resized_output_size

    rows, columns = _compute_resized_output_size((height, width), [side])
    assert pillow.smaller(width, height, side) == (columns, rows)


def test_another_side_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--resize 300: choose 256 or 512"):
        resize_tree(prepared, 300, tmp_path / "resized")


# Interrupted, damaged


class Stopping(Observer):
    """Ends everything after one chunk."""

    def track(self, what: str, total: int, chunks: Iterable[int]) -> Iterable[int]:
        next(iter(chunks))
        raise KeyboardInterrupt


def written_again(root: Path, complete: Callable[[], object]) -> set[str]:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.JPEG")}
    complete()
    return {str(path) for path in root.rglob("*.JPEG") if path.stat().st_mtime_ns != before.get(path)}


def test_interrupted_it_resumes_and_ends_as_if_undisturbed(
    prepared: Prepared, shrunk: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "resized"
    monkeypatch.setattr(preparation, "CHUNK", 9)
    with pytest.raises(KeyboardInterrupt):
        resize_tree(prepared, 256, target, Stopping())
    written = images(target)
    assert 9 <= len(written) < 48 and index.find([target]) is None
    torn = target / next(iter(written))
    torn.write_bytes(b"")  # as a crash of the machine may leave it
    again = written_again(target, lambda: resize_tree(prepared, 256, target))
    assert len(again) == 48 - len(written) + 1 and str(torn) in again
    assert images(target) == images(shrunk.root)


def test_part_of_a_copy_is_not_taken_for_all_of_it(prepared: Prepared, shrunk: Prepared, tmp_path: Path) -> None:
    target = Path(shutil.copytree(shrunk.root, tmp_path / "resized"))
    next(target.rglob("*.JPEG")).unlink()
    with pytest.raises(
        MissingInput, match=r"has 47 of the 48 images .* with `repro data prepare imagenet --resize 256"
    ):
        prepare(target)
    assert resize_tree(prepared, 256, target).content_hash == shrunk.content_hash


def test_a_full_disk_is_one_line_and_the_same_command_resumes(
    prepared: Prepared, shrunk: Prepared, tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    target = tmp_path / "resized"
    small_files(9_000)
    with pytest.raises(MissingInput, match=r"no room left on the disk for .*: free some and run the same command"):
        resize_tree(prepared, 256, target)
    small_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert resize_tree(prepared, 256, target).content_hash == shrunk.content_hash
    assert images(target) == images(shrunk.root)


KILLED = """
import sys, time
from pathlib import Path
from repro.data.imagenet import index, preparation
plain = preparation.shrink
def slowly(content, side):
    time.sleep(0.02)
    return plain(content, side)
preparation.shrink = slowly
preparation.resize_tree(index.find([Path(sys.argv[1])]), 256, Path(sys.argv[2]))
"""


def test_killed_it_resumes(prepared: Prepared, shrunk: Prepared, tmp_path: Path) -> None:
    target = tmp_path / "resized"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(prepared.root), str(target)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while len(images(target)) < 6 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    kept = images(target)
    assert 6 <= len(kept) < 48
    again = written_again(target, lambda: resize_tree(prepared, 256, target))
    assert len(again) == 48 - len(kept)
    assert images(target) == images(shrunk.root)


def test_threads_write_the_same(
    prepared: Prepared, shrunk: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "CHUNK", 10)
    monkeypatch.setattr(preparation, "cores", lambda: 3)
    assert resize_tree(prepared, 256, tmp_path / "resized").content_hash == shrunk.content_hash


def test_originals_that_changed_since_are_all_named(prepared: Prepared, tmp_path: Path) -> None:
    lost, changed, torn = (prepared.root / name for name in prepared.load().names[-3:])
    content = torn.read_bytes()
    torn.write_bytes(content[: len(content) // 2].ljust(len(content), b"\0"))
    changed.write_bytes(content + b"\0")
    lost.unlink()
    with pytest.raises(MissingInput) as error:
        resize_tree(prepared, 256, tmp_path / "resized")
    assert "3 of 48 images are bad" in str(error.value)
    assert f"{torn.name}: its end is missing" in str(error.value)
    assert f"{changed.name}: has changed since it was verified" in str(error.value)
    assert f"{lost.name}: cannot be read (No such file or directory)" in str(error.value)


def test_another_copy_or_other_images_in_the_way_are_refused(
    prepared: Prepared, shrunk: Prepared, tmp_path: Path
) -> None:
    target = Path(shutil.copytree(shrunk.root, tmp_path / "resized"))
    with pytest.raises(MissingInput, match=r"made of other images .*delete it"):
        resize_tree(prepared, 512, target)
    (prepared.root / prepared.load().names[0]).unlink()
    with pytest.raises(MissingInput, match=r"made of other images .*delete it"):
        resize_tree(fewer := prepare(prepared.root), 256, target)
    with pytest.raises(MissingInput, match="has images that are no resized copy"):
        resize_tree(fewer, 256, prepared.root)


@pytest.mark.parametrize("note", ["{", "[]", "{}", '{"shorter_side": null, "images": 48}'])
def test_a_damaged_note_is_said(shrunk: Prepared, tmp_path: Path, note: str) -> None:
    target = Path(shutil.copytree(shrunk.root, tmp_path / "resized"))
    (target / layout.NOTE).write_text(note)
    with pytest.raises(MissingInput, match=rf"{layout.NOTE} is damaged \(.*\): delete .* and make it again"):
        prepare(target)


# What Runs read


def test_a_copy_and_the_original_are_not_mistaken_for_one_another(pristine: Path, shrunk: Prepared) -> None:
    original = index.find([pristine])
    assert original
    assert len(opened(shrunk, stored=256)[0].read(0)) < len(opened(original)[0].read(0))
    with pytest.raises(
        MissingInput, match=r"resized to 256 pixels, not the original .* imagenet\.data\.stored=256"
    ):
        opened(shrunk)
    for found in (original, shrunk):
        with pytest.raises(
            MissingInput, match=r"no images resized to 512 pixels: run `repro data prepare imagenet"
        ):
            opened(found, stored=512)


def test_a_copy_of_the_official_set_has_its_fingerprint_and_keys_of_its_own(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of the earlier cache of shards, whose images were the same."""
    counts = {"CLASSES": 2, "TRAIN": 40, "VAL": 8, "VAL_EACH": 4, "LARGEST": 256}
    for name, count in counts.items():
        monkeypatch.setattr(layout, name, count)
    copy = resize_tree(prepare(prepared.root), 256, tmp_path / "resized")
    assert copy.fingerprint == data.fingerprint("imagenet", [copy.root]) == index.OFFICIAL
    assert copy.stored == 256 and not copy.differences
    (copy.root / layout.NOTE).unlink()
    stripped = prepare(copy.root)
    assert stripped.fingerprint == stripped.content_hash and "resized images" in stripped.differences[-1]


def test_the_first_images_are_balanced_over_classes(prepared: Prepared) -> None:
    train, _, source = opened(prepared, train=11)
    assert source == f"imagenet, content {prepared.content_hash}"
    assert np.bincount(train.labels).tolist() == [6, 5]
    everything = prepared.load().names[:40]
    assert train.names == [*everything[:6], *everything[20:25]]
    assert train.read(5) == (prepared.root / train.names[5]).read_bytes()
    assert len(train) == 11


def test_a_file_cut_or_gone_since_is_an_error_when_read(prepared: Prepared) -> None:
    split = opened(prepared)[0]
    path = prepared.root / split.names[2]
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(layout.BadImage, match="has changed since it was verified"):
        split.read(2)
    path.unlink()
    with pytest.raises(layout.BadImage, match="No such file"):
        split.read(2)


def test_what_a_run_lacks_is_said_with_what_to_do(prepared: Prepared, tmp_path: Path) -> None:
    where = [prepared.home.parent]
    other = Photos("imagenet", 40, 8, index.OFFICIAL, crop=224, resize=256, stored=0)
    with pytest.raises(MissingInput, match=f"fingerprint {prepared.fingerprint}, the Run is on ilsvrc2012"):
        imagenet.open_splits(other, where, tmp_path)
    with pytest.raises(UsageError, match="41 images asked for, the data set has 40"):
        opened(prepared, train=41)
    shutil.rmtree(prepared.home)
    with pytest.raises(MissingInput, match="is not prepared: run `repro data prepare imagenet --data-dir"):
        opened(prepared)
    with pytest.raises(MissingInput, match="no ImageNet under"):
        imagenet.open_splits(other, [tmp_path / "nothing"], tmp_path)


def test_an_index_without_its_images_is_said(prepared: Prepared) -> None:
    shutil.rmtree(prepared.root / "train")
    with pytest.raises(MissingInput, match=r"is gone, which .* is about: prepare ImageNet again"):
        opened(prepared)
