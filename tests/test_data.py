"""CIFAR-10 in every layout, and what is not CIFAR-10."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from alike import same

from repro import data
from repro.data import cifar10
from repro.data.images import Images, Split, assemble
from repro.errors import MissingInput, UsageError

Bytes = npt.NDArray[np.uint8]
BINARY, PICKLED = cifar10.BINARY, cifar10.PICKLED


def records(number: int) -> Bytes:
    """10,000 records of the official binary layout, random but for three bytes that say which one it is."""
    random = np.random.default_rng(number)
    raw = random.integers(0, 256, (10_000, 3073), dtype=np.uint8)
    raw[:, 0] %= 10
    raw[:, 1] = number  # red at (0, 0)
    raw[:, 1 + 1024] = np.arange(10_000) // 256  # green
    raw[:, 1 + 2048] = np.arange(10_000) % 256  # blue
    return raw


def archive(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=0) as tar:
        tar.add(folder, folder.name)
    return path


def variant(source: Path, target: Path, changes: dict[str, bytes | None]) -> Path:
    """The folder ``source`` again, with some files replaced or (None) left out."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        content = changes.get(path.name, b"")
        if path.name not in changes:
            (target / path.name).symlink_to(path)
        elif content is not None:
            (target / path.name).write_bytes(content)
    return target


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in the official binary layout: six files of 10,000 records."""
    folder = tmp_path_factory.mktemp("cifar") / "cifar-10-batches-bin"
    folder.mkdir()
    for number, name in enumerate(BINARY):
        (folder / name).write_bytes(records(number).tobytes())
    yield folder
    shutil.rmtree(folder.parent)


@pytest.fixture(scope="session")
def tar(binary: Path) -> Path:
    return archive(binary, binary.parent / "cifar-10-binary.tar.gz")


@pytest.fixture(scope="session")
def pickled(binary: Path) -> Path:
    """The same images in torchvision's layout."""
    folder = binary.parent / "cifar-10-batches-py"
    folder.mkdir()
    for name, source in zip(PICKLED, BINARY, strict=True):
        raw = np.fromfile(binary / source, dtype=np.uint8).reshape(-1, 3073)
        batch = {"data": np.ascontiguousarray(raw[:, 1:]), "labels": raw[:, 0].tolist(), "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return folder


@pytest.fixture(scope="session")
def sums(pickled: Path) -> dict[str, str]:
    """md5 of our pickles."""
    return {n: hashlib.md5((pickled / n).read_bytes(), usedforsecurity=False).hexdigest() for n in PICKLED}


@pytest.fixture(scope="session")
def images(binary: Path) -> Images:
    """Read from the binary folder."""
    return cifar10.load(binary)


# The layouts


def test_the_binary_layout_is_read_pixel_for_pixel(binary: Path, images: Images) -> None:
    """A record is a label, then 1,024 red values row by row, then green, then blue."""
    assert images.train.images.shape == (50_000, 32, 32, 3)
    assert images.test.images.shape == (10_000, 32, 32, 3)
    raw = [np.fromfile(binary / name, dtype=np.uint8).reshape(-1, 3073) for name in BINARY]
    for split, numbers in ((images.train, range(5)), (images.test, [5])):
        found = split.images[:, 0, 0].astype(int)
        identity = found[:, 0] * 10_000 + found[:, 1] * 256 + found[:, 2]
        everyone = np.concatenate([n * 10_000 + np.arange(10_000) for n in numbers])
        assert np.array_equal(np.sort(identity), everyone)
        for i in range(0, len(identity), 2500):
            record = raw[identity[i] // 10_000][identity[i] % 10_000]
            assert split.labels[i] == record[0]
            for y in range(32):
                for x in range(32):
                    pixel = [record[1 + 1024 * channel + 32 * y + x] for channel in range(3)]
                    assert split.images[i, y, x].tolist() == pixel


def test_the_fingerprint_of_a_study_is_that_of_the_images_found(binary: Path, images: Images) -> None:
    assert data.fingerprint("cifar10", [binary.parent]) == images.fingerprint
    assert data.load("cifar10", [binary.parent]).fingerprint == images.fingerprint


def test_the_fingerprint_of_unchanged_files_is_not_computed_again(
    binary: Path, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, cache = variant(binary, tmp_path / "cifar-10-batches-bin", {}), tmp_path / "runs" / ".cifar10.json"
    assert cifar10.fingerprint(place, cache) == images.fingerprint
    assert not cache.parent.exists()  # reading results makes no folder of Runs
    cache.parent.mkdir()
    assert cifar10.fingerprint(place, cache) == images.fingerprint
    loaded: list[Path] = []
    monkeypatch.setattr(cifar10, "load", lambda place: loaded.append(place) or images)
    assert cifar10.fingerprint(place, cache) == images.fingerprint
    assert loaded == []
    (place / BINARY[0]).unlink()
    shutil.copyfile(binary / BINARY[0], place / BINARY[0])  # the same bytes, at another time
    cifar10.fingerprint(place, cache)
    for text in ("[]", "{", '{"files": 1}'):
        cache.write_text(text)
        cifar10.fingerprint(place, cache)
    assert loaded == [place] * 4
    assert cifar10.fingerprint(place, cache) == images.fingerprint
    assert loaded == [place] * 4


def test_an_archive_is_the_folder(tar: Path, images: Images) -> None:
    assert same(cifar10.load(tar), images)


def test_torchvisions_layout_holds_the_same_images(
    pickled: Path, sums: dict[str, str], images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "published_md5", lambda: sums)
    assert same(cifar10.load(pickled), images)


def test_the_order_of_files_does_not_matter(binary: Path, images: Images, tmp_path: Path) -> None:
    shuffled = tmp_path / "cifar-10-batches-bin"
    shuffled.mkdir()
    for name, source in zip(BINARY, [BINARY[i] for i in (3, 0, 4, 2, 1, 5)], strict=True):
        (shuffled / name).symlink_to(binary / source)
    assert same(cifar10.load(shuffled), images)


def test_one_pixel_one_label_or_a_swap_of_splits_changes_the_fingerprint() -> None:
    random = np.random.default_rng(0)
    splits = [
        Split(random.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8), np.arange(20, dtype=np.uint8) % 10)
        for _ in range(2)
    ]
    plain = assemble(*splits, "").fingerprint
    pixel, label = splits[0].images.copy(), splits[0].labels.copy()
    pixel[7, 31, 31, 2] ^= 1
    label[7] = 0
    others = [
        assemble(Split(pixel, splits[0].labels), splits[1], ""),
        assemble(Split(splits[0].images, label), splits[1], ""),
        assemble(splits[1], splits[0], ""),
    ]
    assert len({plain, *(other.fingerprint for other in others)}) == 4
    order = random.permutation(20)
    shuffled = Split(splits[0].images[order], splits[0].labels[order])
    assert assemble(shuffled, splits[1], "").fingerprint == plain


def test_data_is_found_under_its_folder_or_in_it(binary: Path, tar: Path, tmp_path: Path) -> None:
    assert cifar10.find([tmp_path, binary.parent]) == binary
    assert cifar10.find([binary]) == binary
    assert cifar10.find([tmp_path]) is None
    (tmp_path / tar.name).symlink_to(tar)
    assert cifar10.find([tmp_path, binary]) == tmp_path / tar.name


def test_without_data_the_fingerprint_is_the_official_one(tmp_path: Path) -> None:
    assert data.fingerprint("cifar10", [tmp_path]) == cifar10.OFFICIAL_FINGERPRINT


def test_real_cifar10_has_the_official_fingerprint() -> None:
    place = cifar10.find([Path(os.environ["REPRO_DATA"])]) if os.environ.get("REPRO_DATA") else None
    if place is None:
        pytest.skip("no CIFAR-10 in $REPRO_DATA")
    found = cifar10.load(place)
    assert found.fingerprint == cifar10.OFFICIAL_FINGERPRINT
    assert np.bincount(found.train.labels).tolist() == [5000] * 10
    assert np.bincount(found.test.labels).tolist() == [1000] * 10
    mean, std = found.statistics
    assert [round(value / 255, 4) for value in mean] == [0.4914, 0.4822, 0.4465]
    assert [round(value / 255, 4) for value in std] == [0.2470, 0.2435, 0.2616]


# What is not CIFAR-10


def refused(place: Path, *words: str) -> None:
    """Loading ``place`` raises `MissingInput`: one line with its path and all ``words``."""
    with pytest.raises(MissingInput) as caught:
        cifar10.load(place)
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in [str(place), *words] if word not in message] == []


@pytest.mark.parametrize("name", ["data_batch_1.bin", "data_batch_4.bin", "test_batch.bin"])
def test_a_missing_file_is_named(binary: Path, tmp_path: Path, name: str) -> None:
    refused(variant(binary, tmp_path / "cifar-10-batches-bin", {name: None}), name)


@pytest.mark.parametrize("size", [0, 3073, 10_000 * 3073 - 1, 10_000 * 3073 + 1])
def test_a_truncated_file_is_named(binary: Path, tmp_path: Path, size: int) -> None:
    content = ((binary / "data_batch_2.bin").read_bytes() + b"\0")[:size]
    folder = variant(binary, tmp_path / "cifar-10-batches-bin", {"data_batch_2.bin": content})
    refused(folder, "data_batch_2.bin")


def test_a_label_above_nine_is_named(binary: Path, tmp_path: Path) -> None:
    content = bytearray((binary / "data_batch_3.bin").read_bytes())
    content[3073 * 9999] = 10
    changes: dict[str, bytes | None] = {"data_batch_3.bin": bytes(content)}
    refused(variant(binary, tmp_path / "cifar-10-batches-bin", changes), "data_batch_3.bin", "label of 10")


def test_an_empty_folder_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-bin").mkdir()
    refused(tmp_path / "cifar-10-batches-bin", "data_batch_1.bin")
    (tmp_path / "cifar-10-batches-py").mkdir()
    refused(tmp_path / "cifar-10-batches-py", "data_batch_1")


def test_without_data_the_help_says_what_to_do(tmp_path: Path) -> None:
    folders = [tmp_path / "here", tmp_path / "there"]
    with pytest.raises(MissingInput) as caught:
        data.load("cifar10", folders)
    for word in [*map(str, folders), "--data-dir", "repro data prepare"]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickle_with_another_md5_is_not_opened(tmp_path: Path) -> None:
    """It may be anything: here one that leaves a trace when it is opened."""
    trace = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (trace,)

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in PICKLED:
        (folder / name).write_bytes(pickle.dumps(Trap()))
    refused(folder, "data_batch_1", "md5")
    assert not trace.exists()
    pickle.loads((folder / "data_batch_1").read_bytes())
    assert trace.exists()  # the trap is one


def test_torchvisions_sums_are_of_these_six_files() -> None:
    sums = cifar10.published_md5()
    assert sorted(sums) == sorted(PICKLED)
    assert sums["data_batch_1"] == "c99cafc152244af753f735de768cd75f"


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_text("<html>not found</html>")
    refused(path, "archive")


def test_a_download_that_broke_off(tar: Path, tmp_path: Path) -> None:
    path = tmp_path / tar.name
    with tar.open("rb") as whole:
        path.write_bytes(whole.read(5_000_000))
    refused(path)


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "something").mkdir()
    (tmp_path / "something" / "README").write_text("no images")
    refused(archive(tmp_path / "something", tmp_path / "cifar-10-python.tar.gz"), "data_batch_1")


def flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 1]))


def test_a_damaged_byte_in_an_archive_is_found(tar: Path, tmp_path: Path) -> None:
    """gzip's checksum covers it, once the archive is read to its end."""
    path = tmp_path / tar.name
    path.symlink_to(tar)
    flip(tar, 100_000_000)  # some pixel
    try:
        refused(path)
    finally:
        flip(tar, 100_000_000)


def test_a_damaged_archive_is_refused_wherever_the_damage_lies(tmp_path: Path) -> None:
    """In a compressed stream a wrong byte may break the decompression itself."""
    content = np.random.default_rng(0).integers(0, 16, 200_000, dtype=np.uint8).tobytes()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    whole = stream.getvalue()
    path = tmp_path / "cifar-10-binary.tar.gz"
    for position in range(20, len(whole) - 8, len(whole) // 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        refused(path)


def test_a_file_that_may_not_be_read_is_named(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = variant(binary, tmp_path / "cifar-10-batches-bin", {})

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    refused(folder, "data_batch_1.bin")


def test_an_unknown_data_set_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mnist.*cifar10"):
        data.load("mnist", [tmp_path])
