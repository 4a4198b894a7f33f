"""The cache of smaller images, and the splits that Runs read."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photographs import photograph, pixels
from PIL import Image

from repro import files
from repro.data import imagenet
from repro.data.imagenet import cache, cache_build, index, parallel
from repro.data.imagenet.cache_build import build
from repro.data.imagenet.index import Prepared
from repro.data.imagenet.prepare import prepare
from repro.errors import MissingInput, UsageError
from repro.run import Photos

ROOT = Path(__file__).resolve().parent.parent
# Mean and largest pixel error, in levels of 255, of a photograph in the cache against the resized pixels.
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
    prepare(root, workers=1)
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A prepared copy of one's own."""
    return Path(shutil.copytree(pristine, tmp_path / "imagenet"))


@pytest.fixture
def prepared(root: Path) -> Prepared:
    """What is prepared at ``root``."""
    found = index.find([root])
    assert found
    return found


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of a handful of images, and chunks of three."""
    monkeypatch.setattr(cache_build, "SHARD", 100_000)
    monkeypatch.setattr(parallel, "CHUNK", 3)


def of(prepared: Prepared, stored: int = 256, train: int = 40, test: int = 8) -> Photos:
    return Photos("imagenet", train, test, prepared.fingerprint, crop=224, resize=256, stored=stored)


def opened(prepared: Prepared, **changes: int) -> tuple[imagenet.PhotoSplit, imagenet.PhotoSplit]:
    return imagenet.open_splits(of(prepared, **changes), [prepared.home.parent], Path("/nonexistent"))


def cached_files(prepared: Prepared) -> dict[str, bytes]:
    folder = cache.folder_of(prepared.home, 256)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".lock"}


# What the cache holds


def test_a_cached_image_is_what_pillow_resizes_it_to(prepared: Prepared) -> None:
    cache_build.build(prepared, 256, workers=1)
    for originals, smaller in zip(opened(prepared, stored=0), opened(prepared), strict=True):
        assert originals.names == smaller.names
        assert np.array_equal(originals.labels, smaller.labels)
        for i in range(len(originals)):
            with Image.open(io.BytesIO(originals.read(i))) as image:
                expected = image.convert("RGB")
            width, height = expected.size
            if min(width, height) > 256:
                shape = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
                expected = expected.resize(shape, Image.Resampling.BILINEAR)
            error = np.abs(pixels(smaller.read(i)) - np.asarray(expected).astype(np.int64))
            assert error.mean() < MEAN_ERROR and error.max() < LARGEST_ERROR, originals.names[i]


def test_what_is_small_and_plain_is_kept_byte_for_byte(prepared: Prepared) -> None:
    cache_build.build(prepared, 256, workers=1)
    kept = 0
    originals, smaller = opened(prepared, stored=0)[0], opened(prepared)[0]
    for i in range(len(originals)):
        with Image.open(io.BytesIO(originals.read(i))) as image:
            plain = min(image.size) <= 256 and image.format == "JPEG" and image.mode in ("RGB", "L")
        assert (smaller.read(i) == originals.read(i)) == plain
        kept += plain
    assert 10 < kept < 30


def test_every_cached_image_is_a_plain_jpeg_and_gray_stays_gray(prepared: Prepared) -> None:
    cache_build.build(prepared, 256, workers=1)
    modes = []
    for split in opened(prepared):
        for i in range(len(split)):
            with Image.open(io.BytesIO(split.read(i))) as image:
                assert image.format == "JPEG"
                modes.append(image.mode)
    assert modes.count("L") == 4 and modes.count("RGB") == 44


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 120))
def test_shards_are_filled_one_after_another(lengths: list[int], limit: int) -> None:
    expected, shard, end = [], 0, 0
    for length in lengths:
        if end and end + length > limit:
            shard, end = shard + 1, 0
        expected.append([shard, end, length])
        end += length
    assert cache.layout(np.array(lengths, dtype=np.uint32), limit).tolist() == expected


# Its size, told beforehand


def test_the_size_is_estimated_closely(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_build, "SAMPLE", 16)
    rows = prepared.load()
    told = cache_build.estimate(rows, prepared.root, 256)
    rest = cache_build.estimate(rows, prepared.root, 256, done=24)
    cache_build.build(prepared, 256, workers=1)
    lengths = cache.read_records(cache.folder_of(prepared.home, 256))["length"].astype(int)
    assert told == pytest.approx(lengths.sum(), rel=0.1)
    assert rest == pytest.approx(lengths[24:].sum(), rel=0.1)


def test_a_cache_that_does_not_fit_is_refused_beforehand(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**5, 10**5))
    with pytest.raises(MissingInput, match=r"needs about .* MB and has 0\.1 MB free: free some, or pass another"):
        cache_build.build(prepared, 256, workers=1)
    assert not list(cache.folder_of(prepared.home, 256).glob("shard-*"))


def test_another_side_is_refused(prepared: Prepared) -> None:
    with pytest.raises(UsageError, match="choose 256 or 512"):
        cache_build.build(prepared, 300)


# Interrupted, torn, damaged


class Stopping(parallel.Silent):
    """Ends everything after ``count`` images were written."""

    def __init__(self, count: int) -> None:
        self.count, self.writing = count, False

    def began(self, what: str, total: int) -> None:
        self.writing = what.startswith("writing")

    def advanced(self, images: int) -> None:
        self.count -= images if self.writing else 0
        if self.count <= 0:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("small_shards")
def test_interrupted_and_torn_anywhere_it_ends_as_if_undisturbed(prepared: Prepared) -> None:
    cache_build.build(prepared, 256, workers=1)
    undisturbed = cached_files(prepared)
    assert len([name for name in undisturbed if name.startswith("shard")]) > 3
    folder = cache.folder_of(prepared.home, 256)
    random = np.random.default_rng(0)
    shutil.rmtree(folder)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            cache_build.build(prepared, 256, Stopping(9), workers=1)
        with pytest.raises(MissingInput, match=r"not finished: run .* which goes on"):
            opened(prepared)
        # A kill leaves an image without its record, half an image, half a record.
        last = max(folder.glob("shard-*"))
        with open(last, "ab") as file:
            file.write(random.bytes(int(random.integers(1, 2000))))
        with open(folder / "records.bin", "ab") as file:
            file.write(random.bytes(int(random.integers(1, 8))))
    cache_build.build(prepared, 256, workers=1)
    assert cached_files(prepared) == undisturbed


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("lost", ["tail", "shard", "byte", "records"])
def test_damage_is_found_and_written_again(prepared: Prepared, lost: str) -> None:
    cache_build.build(prepared, 256, workers=1)
    undisturbed = cached_files(prepared)
    folder = cache.folder_of(prepared.home, 256)
    shard = folder / "shard-0001.bin"
    if lost == "tail":  # what a power cut leaves of a shard whose records were written
        os.truncate(shard, shard.stat().st_size - 10)
    elif lost == "shard":
        shard.unlink()
    else:
        path = folder / "records.bin" if lost == "records" else shard
        content = bytearray(path.read_bytes())
        content[4 if lost == "records" else len(content) // 2] ^= 4  # a checksum, or a pixel
        path.write_bytes(content)
    if lost == "byte":  # the size is right: the image that has it says so when it is read
        split = opened(prepared)[0]
        with pytest.raises(OSError, match=r"damaged in the cache.*shard-0001"):
            [split.read(i) for i in range(len(split))]
    else:
        with pytest.raises(MissingInput, match=r"missing or torn|is damaged"):
            opened(prepared)
    cache_build.build(prepared, 256, workers=1)
    assert cached_files(prepared) == undisturbed


@pytest.mark.usefixtures("small_shards")
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    prepared: Prepared, small_files: Callable[[int], None]
) -> None:
    cache_build.build(prepared, 256, workers=1)
    undisturbed = cached_files(prepared)
    folder = cache.folder_of(prepared.home, 256)
    shutil.rmtree(folder)
    small_files(80_000)
    with pytest.raises(MissingInput, match=r"no room left on the disk for .*: free some and run the same command"):
        cache_build.build(prepared, 256, workers=1)
    small_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    kept = len(cache.read_records(folder))
    assert kept > 0
    recorder = Stopping(10**6)
    cache_build.build(prepared, 256, recorder, workers=1)
    assert recorder.count == 10**6 - (48 - kept)
    assert cached_files(prepared) == undisturbed


KILLED = """
import sys, time
from pathlib import Path
from repro.data.imagenet import cache_build, index, resize, parallel
plain, parallel.CHUNK = resize.shrink, 3
def slowly(content, side):
    time.sleep(0.02)
    return plain(content, side)
resize.shrink = slowly
cache_build.build(index.find([Path(sys.argv[1])]), 256, workers=1)
"""


def test_killed_it_goes_on_where_it_was(prepared: Prepared) -> None:
    folder = cache.folder_of(prepared.home, 256)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(prepared.root)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while len(cache.read_records(folder)) < 6 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    kept = len(cache.read_records(folder))
    assert 6 <= kept < 48
    recorder = Stopping(10**6)
    cache_build.build(prepared, 256, recorder, workers=1)
    assert recorder.count == 10**6 - (48 - kept)
    resumed = cached_files(prepared)
    shutil.rmtree(folder)
    cache_build.build(prepared, 256, workers=1)
    assert cached_files(prepared) == resumed


def test_a_file_that_changed_since_is_not_cached(prepared: Prepared) -> None:
    path = prepared.root / prepared.load().names[-1]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(MissingInput, match=rf"{path.name} has changed since it was verified"):
        cache_build.build(prepared, 256, workers=1)


def test_the_cache_of_other_images_is_refused(prepared: Prepared) -> None:
    cache_build.build(prepared, 256, workers=1)
    (prepared.root / prepared.load().names[0]).unlink()
    other = prepare(prepared.root, workers=1)
    with pytest.raises(MissingInput, match=r"made of other images .*delete it"):
        cache_build.build(other, 256, workers=1)
    with pytest.raises(MissingInput, match=r"made of other images .*delete it"):
        opened(other, train=10)


# What Runs read


def test_the_cache_of_fewer_images_is_refused(prepared: Prepared) -> None:
    """Its records are whole: they are a smaller cache's."""
    build(prepared, 256)
    folder = cache.folder_of(prepared.home, 256)
    records = (folder / "records.bin").read_bytes()[: -cache.RECORD.itemsize]
    (folder / "records.bin").write_bytes(records)
    told = json.loads((folder / "cache.json").read_text())
    (folder / "cache.json").write_text(json.dumps(told | {"records_sha256": files.sha256(records)}))
    with pytest.raises(MissingInput, match="has 47 images, the index 48: run `repro data prepare"):
        opened(prepared)


@pytest.mark.parametrize(
    "change", [{"shard": "1"}, {"shard": 0}, {"complete": "yes"}, {"bytes": "3"}, {"content_hash": None}], ids=str
)
def test_a_cache_with_odd_values_is_none(prepared: Prepared, change: dict[str, object]) -> None:
    build(prepared, 256)
    place = cache.folder_of(prepared.home, 256) / "cache.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    assert cache.state(prepared.home, 256) is None
    with pytest.raises(MissingInput, match="has no cache of images of 256 pixels: run `repro data prepare"):
        opened(prepared)


def test_the_first_images_are_balanced_over_classes(prepared: Prepared) -> None:
    train, test = opened(prepared, stored=0, train=7, test=4)
    assert np.bincount(train.labels).tolist() == [4, 3]
    assert np.bincount(test.labels).tolist() == [2, 2]
    everything = prepared.load().names[:40]
    assert train.names == [*everything[:4], *everything[20:23]]
    assert train.read(5) == (prepared.root / train.names[5]).read_bytes()
    assert len(train) == 7 and len(test) == 4


def test_threads_read_the_same(prepared: Prepared) -> None:
    cache_build.build(prepared, 256, workers=1)
    split = opened(prepared)[0]
    alone = [split.read(i) for i in range(len(split))]
    wrong: list[int] = []

    def read() -> None:
        wrong.extend(i for _ in range(20) for i in range(len(split)) if split.read(i) != alone[i])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_file_cut_or_gone_since_is_an_error_when_read(prepared: Prepared) -> None:
    split = opened(prepared, stored=0)[0]
    path = prepared.root / split.names[2]
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(OSError, match="when verified"):
        split.read(2)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        split.read(2)


def test_what_a_run_lacks_is_said_with_what_to_do(prepared: Prepared, tmp_path: Path) -> None:
    where = [prepared.home.parent]
    with pytest.raises(MissingInput, match="no cache of images of 256 pixels: run `repro data prepare imagenet"):
        opened(prepared)
    other = Photos("imagenet", 40, 8, imagenet.OFFICIAL, crop=224, resize=256, stored=0)
    with pytest.raises(MissingInput, match=f"fingerprint {prepared.fingerprint}, the Run is on ilsvrc2012"):
        imagenet.open_splits(other, where, tmp_path)
    with pytest.raises(UsageError, match="41 images asked for, the data set has 40"):
        opened(prepared, stored=0, train=41)
    shutil.rmtree(prepared.home)
    with pytest.raises(MissingInput, match="is not prepared: run `repro data prepare imagenet --data-dir"):
        opened(prepared)
    with pytest.raises(MissingInput, match="no ImageNet under"):
        imagenet.open_splits(other, [tmp_path / "nothing"], tmp_path)


def test_a_cache_folder_is_enough_to_train_from(prepared: Prepared, tmp_path: Path) -> None:
    cache_dir = tmp_path / "fast-disk"
    apart = prepare(prepared.root, cache_dir, workers=1)
    cache_build.build(apart, 256, workers=1)
    assert not cache.folder_of(prepared.home, 256).exists()
    beside = index.find([prepared.root])
    assert beside and opened(beside)[0].read(0) == opened(apart)[0].read(0)  # found from the images as well
    moved = (tmp_path / "elsewhere") / cache_dir.name
    shutil.copytree(cache_dir, moved)
    shutil.rmtree(prepared.root)
    shutil.rmtree(cache_dir)
    found = index.find([moved])
    assert found and found.fingerprint == prepared.fingerprint
    assert len(opened(found)[0].read(0)) > 0
    with pytest.raises(MissingInput, match="is gone"):
        opened(found, stored=0)
