"""`repro data prepare imagenet`: what it finds out, what it names, and that nothing found out is lost."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from repro import data, files
from repro.data import imagenet
from repro.data.imagenet import index, layout, pillow, preparation, synthetic
from repro.data.imagenet.preparation import Observer, prepare
from repro.errors import MissingInput, UsageError

ROOT = Path(__file__).resolve().parent.parent
IMAGES = synthetic.CLASSES * (synthetic.TRAIN_EACH + synthetic.VAL_EACH)


class Recorder(Observer):
    """Remembers what it is told; stops everything after ``stop`` images, as Ctrl-C would."""

    def __init__(self, stop: int | None = None) -> None:
        self.totals: dict[str, int] = {}
        self.lines: list[str] = []
        self.done, self.stop = 0, stop

    def track(self, what: str, total: int, chunks: Iterable[int]) -> Iterator[int]:
        self.totals[what] = total
        for images in chunks:
            self.done += images
            if self.stop and self.done >= self.stop:
                raise KeyboardInterrupt
            yield images

    def said(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic tree as it comes, not prepared. Not to be written to."""
    root = tmp_path_factory.mktemp("photos") / "imagenet"
    synthetic.generate(root)
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A copy of one's own, modification times included."""
    return Path(shutil.copytree(pristine, tmp_path / "imagenet"))


def images(root: Path) -> list[Path]:
    return sorted(root.glob("train/*/*.JPEG"))


# What it finds out


def test_every_image_is_described(root: Path) -> None:
    found = prepare(root).load()
    for i, name in enumerate(found.names):
        content = (root / name).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            kind = {"L": 1, "CMYK": 2}.get(image.mode, 0) if image.format == "JPEG" else 3
            size = image.size
        facts = found.facts[i]
        assert (facts["width"], facts["height"], facts["kind"], facts["size"]) == (*size, kind, len(content))
        assert files.sha256(content).startswith(facts["digest"].tobytes().hex())
        assert found.classes[found.labels[i]] == Path(name).parent.name
    assert found.train == synthetic.CLASSES * synthetic.TRAIN_EACH


def test_odd_images_are_told_and_counted(root: Path) -> None:
    recorder = Recorder()
    prepared = prepare(root, observer=recorder)
    assert prepared.kinds["PNG"] == prepared.kinds["CMYK or YCCK JPEG"] == 1
    assert prepared.kinds["grayscale JPEG"] == len(range(0, 192, 17)) + len(range(0, 64, 17))
    assert sum(prepared.kinds.values()) == IMAGES
    (line,) = [line for line in recorder.lines if "neither" in line]
    assert "_5.JPEG (PNG)" in line and "_30.JPEG (CMYK" in line


def test_the_index_is_found_where_the_images_are(root: Path) -> None:
    prepared = prepare(root)
    for folders in ([root], [root.parent], [root.parent / "nothing", root.parent]):
        assert index.find(folders) == prepared
    assert {path.name for path in (root / index.FOLDER).iterdir()} <= {"index.json", "index.npz", ".lock"}


def test_threads_find_out_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(root)
    alone = (root / index.FOLDER / "index.npz").read_bytes()
    shutil.rmtree(root / index.FOLDER)
    monkeypatch.setattr(preparation, "CHUNK", 10)
    monkeypatch.setattr(preparation, "cores", lambda: 3)
    assert prepare(root) == prepared
    assert (root / index.FOLDER / "index.npz").read_bytes() == alone


# Fingerprints


def flatten(root: Path) -> None:
    """The flat layout, with its list."""
    wnids = {path.name: path.parent.name for path in (root / "val").glob("*/*")}
    for name, wnid in wnids.items():
        (root / "val" / wnid / name).rename(root / "val" / name)
    for wnid in set(wnids.values()):
        (root / "val" / wnid).rmdir()
    (root / "val" / layout.LISTS[1]).write_text("\n".join(wnids[name] for name in sorted(wnids)))


def test_the_fingerprint_of_a_part_is_its_content_whatever_layout_and_times(root: Path) -> None:
    before = prepare(root, observer=(recorder := Recorder()))
    assert before.fingerprint == before.content_hash and len(before.fingerprint) == 16
    assert any("not the official" in line for line in recorder.lines)
    flatten(root)
    for path in images(root):
        os.utime(path, ns=(1, 1))
    assert prepare(root).fingerprint == before.fingerprint


def test_one_byte_a_name_or_a_class_changes_the_fingerprint(root: Path) -> None:
    seen = {prepare(root).fingerprint}
    path = images(root)[1]
    path.write_bytes(path.read_bytes() + b"\0")  # decodes to the same pixels
    seen.add(prepare(root).fingerprint)
    path = path.rename(path.with_name("n90000001_9999.JPEG"))
    seen.add(prepare(root).fingerprint)
    path.rename(root / "train" / "n90000002" / path.name)  # from the last of a class to the first of the next
    seen.add(prepare(root).fingerprint)
    assert len(seen) == 4


@pytest.fixture
def as_official(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the official ILSVRC 2012 had the counts of the synthetic tree."""
    counts = {"CLASSES": 8, "TRAIN": 192, "VAL": 64, "VAL_EACH": 8, "LARGEST": 32}
    for name, count in counts.items():
        monkeypatch.setattr(layout, name, count)


@pytest.mark.usefixtures("as_official")
def test_the_official_counts_make_the_official_fingerprint(root: Path) -> None:
    prepared = prepare(root)
    assert prepared.fingerprint == index.OFFICIAL
    assert data.fingerprint("imagenet", [root]) == index.OFFICIAL
    assert imagenet.prepared([root]).content_hash == prepared.content_hash != index.OFFICIAL
    images(root)[0].unlink()
    fewer = prepare(root)
    assert data.fingerprint("imagenet", [root]) == fewer.fingerprint == fewer.content_hash
    assert fewer.fingerprint != index.OFFICIAL


@pytest.mark.usefixtures("as_official")
def test_resized_images_are_not_the_official_ones_whatever_their_number(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a resized copy that has lost its note."""
    monkeypatch.setattr(layout, "LARGEST", 160)
    prepared = prepare(root)
    assert prepared.fingerprint == prepared.content_hash
    assert re.fullmatch(r"no image has a shorter side above \d+ pixels: resized images", *prepared.differences)


def test_without_a_prepared_tree_the_official_fingerprint_is_assumed(root: Path) -> None:
    assert data.fingerprint("imagenet", [root.parent / "nothing"]) == index.OFFICIAL
    assert data.fingerprint("imagenet", [root]) == index.OFFICIAL
    assert index.find([root]) is None
    prepare(root)
    (root / index.FOLDER / "index.json").write_text("{")
    assert data.fingerprint("imagenet", [root]) == index.OFFICIAL


def test_the_synthetic_fingerprint_needs_no_images() -> None:
    assert data.fingerprint("synthetic-ilsvrc", []) == index.SYNTHETIC


# Faults


def test_all_bad_images_are_named_with_what_is_wrong(root: Path) -> None:
    whole, short, endless, empty, text = images(root)[40:45]
    spoilt = {path: path.read_bytes() for path in (short, endless, empty, text)}
    short.write_bytes(spoilt[short][:-200])
    endless.write_bytes(spoilt[endless][:-2])
    empty.write_bytes(b"")
    text.write_text("<html>404</html>")
    with pytest.raises(MissingInput) as error:
        prepare(root)
    message = str(error.value)
    assert f"4 of {IMAGES} images are bad" in message
    assert f"{short.name}: its end is missing" in message
    assert f"{endless.name}: its end is missing" in message
    assert f"{empty.name}: is empty" in message
    assert f"{text.name}: not an image" in message
    assert whole.name not in message
    assert index.find([root]) is None
    for path, content in spoilt.items():
        path.write_bytes(content)
    prepare(root)


def test_an_image_without_its_end_is_bad_however_it_ends(pristine: Path) -> None:
    """Pillow alone forgives some, and the loader none."""
    for path in images(pristine)[:40]:
        content = path.read_bytes()
        if content.endswith(b"\xff\xd9"):  # not the PNG
            for ending in (b"", bytes(512)):
                with pytest.raises(layout.BadImage):
                    pillow.look(content[:-2] + ending)


def test_a_file_that_cannot_be_read_is_bad(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = images(root)[3]
    target = path.rename(path.with_suffix(".moved"))
    path.symlink_to(target)
    listing = layout.listing(root)
    target.unlink()
    monkeypatch.setattr(layout, "listing", lambda root: listing)
    with pytest.raises(MissingInput, match=rf"{path.name}: cannot be read \(No such file"):
        prepare(root)


def test_many_bad_images_are_counted_and_some_named(root: Path) -> None:
    for path in images(root)[:30]:
        path.write_bytes(b"")
    with pytest.raises(MissingInput, match=r"30 of 256 images are bad: .*; and 10 more\. Fetch"):
        prepare(root)


def test_a_missing_class_is_said_before_anything_is_decoded(root: Path) -> None:
    shutil.rmtree(root / "val" / "n90000003")
    recorder = Recorder()
    with pytest.raises(MissingInput, match="val/ lacks 1 of the classes of train/: n90000003"):
        prepare(root, observer=recorder)
    assert not recorder.totals


def test_a_second_run_reads_only_what_is_new_or_changed(root: Path) -> None:
    prepare(root)
    first, second, gone, *_ = images(root)
    first.write_bytes(second.read_bytes())
    shutil.copy2(second, second.with_name("n90000001_9999.JPEG"))
    gone.unlink()
    recorder = Recorder()
    again = prepare(root, observer=recorder)
    assert recorder.totals == {"verifying": 2}
    assert recorder.lines[2] == f"{IMAGES - 2} of {IMAGES} images were verified before"
    shutil.rmtree(root / index.FOLDER)
    assert prepare(root).fingerprint == again.fingerprint  # as if all had been read


def test_interrupted_it_starts_again_and_ends_as_if_undisturbed(root: Path) -> None:
    whole = prepare(root).content_hash
    shutil.rmtree(root / index.FOLDER)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, observer=Recorder(stop=1))
    assert index.find([root]) is None
    prepared = prepare(root, observer=(recorder := Recorder()))
    assert recorder.totals == {"verifying": IMAGES} and recorder.done == IMAGES
    assert prepared.content_hash == whole


def test_a_full_disk_for_the_index_is_one_line(
    root: Path, small_files: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = index.save
    monkeypatch.setattr(
        "repro.data.imagenet.preparation.save", lambda *arguments: (small_files(1000), save(*arguments))
    )
    with pytest.raises(MissingInput, match=r"no room left .*index\.npz"):
        prepare(root)
    small_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert index.find([root]) is None


def test_a_damaged_index_is_said_and_written_anew(root: Path) -> None:
    prepared = prepare(root)
    path = root / index.FOLDER / "index.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(MissingInput, match=r"index\.npz.*again"):
        prepared.load()
    assert prepare(root).load().names == layout.listing(root).names


def test_an_index_of_before_is_not_taken_for_the_new_one(root: Path) -> None:
    prepare(root)
    before = (root / index.FOLDER / "index.npz").read_bytes()
    images(root)[0].unlink()
    prepared = prepare(root)
    (root / index.FOLDER / "index.npz").write_bytes(before)
    with pytest.raises(MissingInput, match=r"index\.npz: its hash is not"):
        prepared.load()


@pytest.mark.parametrize(
    "change",
    [
        {"train": "192"},
        {"val": None},
        {"stored": "0"},
        {"kinds": {"PNG": "1"}},
        {"kinds": 3},
        {"differences": [1]},
    ],
    ids=str,
)
def test_an_index_with_odd_values_is_none(root: Path, change: dict[str, object]) -> None:
    prepare(root)
    place = root / index.FOLDER / "index.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    assert index.find([root]) is None
    assert prepare(root).train == 192


def test_two_at_a_time_are_refused(root: Path) -> None:
    (root / index.FOLDER).mkdir()
    with files.locked(root / index.FOLDER / ".lock", "in use"), pytest.raises(UsageError, match="by process"):
        prepare(root)


def test_a_tree_that_cannot_be_written_needs_another_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = files.check_writable

    def read_only(folder: Path) -> None:
        if root in folder.parents:
            raise MissingInput(f"{folder} cannot be written (Read-only file system): choose another folder")
        check(folder)

    monkeypatch.setattr(files, "check_writable", read_only)
    with pytest.raises(MissingInput, match="choose another folder: --cache-dir DIR"):
        prepare(root)
    cache_dir = tmp_path / "scratch"
    prepared = prepare(root, cache_dir)
    assert index.find([cache_dir]) == prepared
    assert prepared.root == root.resolve()
    assert not (root / index.FOLDER).exists()
    recorder = Recorder()
    prepare(root, cache_dir, observer=recorder)
    assert recorder.totals == {"verifying": 0}
