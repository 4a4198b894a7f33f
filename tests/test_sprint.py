"""A sprint: what it trains in which order, how much it begins, what it brings home, and how the next goes on."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tiny import FEW, PHOTOS, TINY

from repro.commands import priorities, sprint
from repro.engine import calibration, session
from repro.engine.speeds import Choice
from repro.errors import Interrupted
from repro.options import Options
from repro.plan import Plan, cost, end_times
from repro.record import Record
from repro.run import Run, ancestors
from repro.store import Store, archive
from repro.store.ledger import read
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

Command = Callable[..., tuple[int, str, str]]
OUTCOME = ("status", "top1", "best_top1", "train_top1", "curve", "start", "probe", "checkpoints")


def workspace(folder: Path, profile: str = "paper", budget: str = "10m", **options: object) -> Workspace:
    places = {"runs_dir": folder / "runs", "out": folder / "out", "without": ["imagenet"], "ignore_shipped": True}
    return Workspace(Options(profile=profile, time_budget=budget, **places | options))  # type: ignore[arg-type]


def finish(work: Workspace, runs: list[Run], record_of: Callable[..., Record]) -> None:
    work.store.add([record_of(run) for run in runs])


# ---- the order of parts


@pytest.mark.parametrize("seeds", [1, 3])
def test_every_run_that_is_left_is_in_one_part(tmp_path: Path, seeds: int) -> None:
    work = workspace(tmp_path, seeds=seeds)
    found = [run.key for part in priorities.parts(work).values() for run in part]
    left = [run.key for run in ancestors(work.asked()) if run.data.name != "imagenet"]
    assert sorted(found) == sorted(left)
    assert len(set(found)) == len(found)


def test_dense_networks_come_first_and_further_seeds_after_all_of_the_first(tmp_path: Path) -> None:
    parts = priorities.parts(workspace(tmp_path, seeds=3))
    names = list(parts)
    assert names[:3] == ["dense networks", "distances between structures", "probe of batch sizes"] or names[
        :2
    ] == [
        "dense networks",
        "distances between structures",
    ]
    assert [run.seed for run in parts["dense networks"]] == [0, 1, 2]
    further = [name.endswith(priorities.FURTHER) for name in names]
    assert further == sorted(further)
    for (name, runs), later in zip(parts.items(), further, strict=True):
        if name not in priorities.EVERY_SEED:
            assert {run.seed > 0 for run in runs} == {later}


def test_the_diagonal_begins_with_the_columns_that_claims_rest_on(tmp_path: Path) -> None:
    parts = priorities.parts(workspace(tmp_path))
    diagonal = [run.mask.of.epoch for run in parts["tickets, diagonal of Fig. 1"] if run.mask]
    assert diagonal[:3] == [200, 100, 20]
    assert sorted(diagonal) == [10, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200]
    columns = parts["tickets, columns 20, 100, 200"]
    assert {run.mask.of.epoch for run in columns if run.mask} == {20, 100, 200}
    assert len(columns) == 3 * 12


def test_half_a_ppr_curve_is_a_coarse_curve(tmp_path: Path) -> None:
    parts = priorities.parts(workspace(tmp_path))
    first = parts["PPR curves"][:20]
    assert [run.weights.epoch for run in first if run.weights] == list(range(10, 201, 10))
    assert {run.recipe.lr for run in parts["PPR curves"][:200]} == {0.01}


def test_what_is_under_way_comes_first(tmp_path: Path) -> None:
    work = workspace(tmp_path)
    begun = work.study.ticket("resnet20", 0, 140, 140)
    state = work.store.folder(begun) / "state-e0003-0000000000000000.safetensors"
    state.parent.mkdir(parents=True)
    state.touch()
    parts = priorities.parts(work)
    (name, first), *others = parts.items()
    assert (name, first) == ("under way", [begun])
    assert not any(begun in runs for _, runs in others)


def test_what_needs_a_checkpoint_that_is_gone_comes_last(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    """The dense network is finished and none of its checkpoints came along, but for epoch 100."""
    work = workspace(tmp_path)
    dense = work.study.dense("resnet20", 0)
    finish(work, [dense], record_of)
    kept = work.store.folder(dense) / "epoch-0100-0000000000000000.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    parts = priorities.parts(work)
    *before, last = parts
    assert last == priorities.LAST
    others = [run for name in before for run in parts[name]]
    assert work.study.ticket("resnet20", 0, 100, 100) in others
    assert all(p.epoch == 100 for run in others for p in run.parents if p.run == dense)


def test_runs_on_images_that_are_not_here_are_left_out(tmp_path: Path) -> None:
    found = priorities.parts(workspace(tmp_path))
    assert {run.data.name for runs in found.values() for run in runs} == {"cifar10"}


# ---- what each part decides


def test_a_claim_is_decided_by_the_part_that_completes_its_cells(tmp_path: Path) -> None:
    work = workspace(tmp_path, "smoke", without=[])
    parts = priorities.parts(work)
    found = priorities.decided(work, parts.values())
    by_claim = {claim: name for name, claims in zip(parts, found, strict=True) for claim in claims}
    assert len(by_claim) == sum(map(len, found))
    assert by_claim["baseline-resnet20"] == "dense networks"
    assert by_claim["structures-of-100-and-200-are-far"] == "distances between structures"
    assert by_claim["ppr-large-rate-is-flat"] == "PPR curves"
    assert by_claim["baseline-resnet56"] == "other networks"


def test_what_is_finished_decides_nothing_any_more(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    work = workspace(tmp_path)
    before = priorities.decided(work, priorities.parts(work).values())
    curve = {"epoch": [], "train_loss": [], "train_top1": [], "test_epoch": [200], "test_top1": [92.0]}
    probe = {"epoch": [0], "w_std": {}, "w_mean": {}, "layer_rates": {}}
    work.store.add([record_of(work.study.dense("resnet20", 0), curve=curve, probe=probe)])
    parts = priorities.parts(work)
    assert "baseline-resnet20" in before[0]
    assert all("baseline-resnet20" not in claims for claims in priorities.decided(work, parts.values()))


# ---- how much is begun


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that trains 50,000 images a second in one lane, 160,000 in 16 lanes and more."""
    speeds = {"streams": {1: 50_000.0, 2: 80_000.0}, "fused": {1: 40_000.0, 4: 120_000.0, 16: 160_000.0}}
    monkeypatch.setattr(calibration, "known", lambda run, device, cache: Choice(speeds))


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize("seconds", [30, 300, 500, 1000, 3000, 10_000])
def test_as_many_runs_are_begun_as_end_in_time(tmp_path: Path, seconds: float) -> None:
    """And no number of lanes would have let more of them end."""
    work = workspace(tmp_path)
    runner = sprint.Sprint(work, Console(quiet=True))
    tickets = next(runs for name, runs in priorities.parts(work).items() if name.startswith("tickets, columns"))
    choice = runner._choice(tickets)
    count, lanes = runner._packed(tickets, choice, seconds)
    images = [cost([run]).images for run in tickets]
    assert max(end_times(images[:count], lanes, choice.speed_of), default=0.0) <= seconds
    for n in range(1, choice.lanes + 1):
        assert count == len(images) or max(end_times(images[: count + 1], n, choice.speed_of)) > seconds


@pytest.mark.usefixtures("timed")
def test_parts_that_can_train_side_by_side_share_the_lanes(
    tmp_path: Path, record_of: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is under way, gradual pruning's first half, and in the wave of its second half tickets as well; nothing
    of a later part where that would leave something earlier unfinished."""
    work = workspace(tmp_path)
    study = work.study
    kinds = ("dense-resnet20", "structures-resnet20", "ppr-resnet20")
    early = [run for run in ancestors(work.asked()) if run.experiment in kinds]

    def end(runs: list[Run]) -> None:
        finish(work, runs, record_of)
        for run in runs:
            work.store.folder(run).mkdir(parents=True, exist_ok=True)
            for epoch in range(run.last_epoch + 1):
                (work.store.folder(run) / f"epoch-{epoch:04d}-0000000000000000.safetensors").touch()

    end(early)
    for run in (study.ticket("resnet20", 0, epoch, epoch) for epoch in (20, 40, 60, 80)):
        state = work.store.folder(run) / "state-e0145-0000000000000000.safetensors"
        state.parent.mkdir(parents=True)
        state.touch()
    left, begun = [1500.0], list[list[Run]]()
    monkeypatch.setattr(sprint.Sprint, "left", property(lambda self: left[0]))

    def execute(self: sprint.Sprint, name: str, runs: list[Run], lanes: int, of: int) -> bool:
        begun.append(list(runs))
        if (choice := self._choice(runs)).speeds:
            left[0] -= max(end_times([cost([run], work.store).images for run in runs], lanes, choice.speed_of))
        end(runs)
        return True

    monkeypatch.setattr(sprint.Sprint, "_execute", execute)
    sprint.Sprint(work, Console(quiet=True)).train_parts()
    assert left[0] >= 0
    first, second = (Counter(run.experiment for run in wave) for wave in begun[:2])
    assert first == {"tickets-resnet20": 11, "gradual-resnet20": 6}
    assert second == {"gradual-resnet20": 6, "tickets-resnet20": len(begun[1]) - 6}
    assert second["tickets-resnet20"] == 2


def test_where_no_run_ends_in_time_the_most_urgent_is_left_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that nobody has timed: it is, once a network; nothing is begun that a later part asks for."""
    slow, over, begun = Choice({"eager": {1: 400.0}}), [False], list[list[str]]()
    timed = list[str]()
    monkeypatch.setattr(calibration, "known", lambda run, *_: slow if run.arch in timed else Choice())
    monkeypatch.setattr(calibration, "measure", lambda run, *_, **__: timed.append(run.arch) or slow)
    monkeypatch.setattr(sprint.Sprint, "left", property(lambda self: 0.0 if over[0] else 500.0))

    def execute(self: session.Session, plan: Plan) -> None:
        begun.append([run.label for run in plan.missing])
        over[0] = True

    monkeypatch.setattr(session.Session, "execute", execute)
    sprint.Sprint(workspace(tmp_path), Console(quiet=True)).train()
    assert begun == [["dense resnet20 seed 0"]]
    assert timed == ["resnet20", "resnet56"]


def test_a_dry_run_says_what_is_left_and_what_it_decides(command: Command) -> None:
    code, out, _ = command("sprint", "--dry-run", "--profile", "paper", "--ignore-shipped")
    assert code == 0
    (dense,) = [line.split() for line in out.splitlines() if line.startswith("dense networks  ")]
    assert dense[2] == "1"
    assert re.search(r"- dense networks: [a-z0-9, -]*baseline-resnet20", " ".join(out.split()))


def test_a_data_set_that_is_to_be_left_out_is_not_trained_where_it_is_here(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_WITHOUT", "cifar10,imagenet")
    code, out, _ = command("sprint", "--dry-run", "--profile", "paper", "--ignore-shipped")
    assert (code, "dense networks" in out) == (0, False)


def test_a_strategy_that_was_asked_for_is_the_only_one(tmp_path: Path, timed: None) -> None:
    runner = sprint.Sprint(workspace(tmp_path, strategy="streams"), Console(quiet=True))
    choice = runner._choice([runner._work.study.dense("resnet20", 0)])
    assert choice.names_at(choice.lanes) == ["streams"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--time-budget", "10m", "--workers", "2"], "No such option"),
        ([], "--time-budget is missing"),
        (["--time-budget", "soon"], "write 90s, 9m or 1.5h"),
        (["--time-budget", "10m", "--max-size", "big"], "write 15MiB"),
        (["--time-budget", "10m", "--profile", "papr"], "no profile 'papr'"),
    ],
)
def test_a_wrong_sprint_is_refused_before_any_work(command: Command, arguments: list[str], words: str) -> None:
    code, out, err = command("sprint", *arguments)
    assert code == 2
    assert words in out + err


# ---- from one device to the next


@pytest.fixture
def cut_short(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``cut_short(n)``: the time is over when the n-th epoch would begin."""

    def cut(epochs: int) -> None:
        asked = iter(range(10**6))
        over = [False]

        def has_time(self: object, seconds: float) -> bool:
            over[0] = over[0] or (seconds > 0 and next(asked) >= epochs)
            return not over[0]

        monkeypatch.setattr(session.Session, "_has_time", has_time)
        monkeypatch.setattr(sprint.Sprint, "left", property(lambda self: 0.0 if over[0] else 100.0))

    return cut


def outcomes(ledger: Path) -> dict[str, list[object]]:
    return {record.key: [getattr(record, name) for name in OUTCOME] for record in read(ledger).values()}


@pytest.mark.parametrize("epochs", [1, 4])
def test_what_is_left_half_way_ends_elsewhere_on_the_bits_of_an_undisturbed_run(
    command: Command,
    tmp_path: Path,
    cut_short: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
) -> None:
    """Cut within the dense network, or what grows from it; brought home into an empty store, finished there."""
    few = ["--profile", "smoke", "--device", "cpu", "--wave", "1"]
    few += TINY
    assert command("fig1", *few, runs="whole", out="whole-out")[0] == 0
    cut_short(epochs)
    home = tmp_path / "home.zip"
    code, out, err = command("sprint", "fig1", *few, "--time-budget", "10m", "--export", str(home))
    assert code == 0, err
    assert "written:" in out
    monkeypatch.undo()
    monkeypatch.chdir(Path(__file__).parent.parent)
    monkeypatch.setenv("REPRO_HOME", str(tmp_path / "empty"))
    names = zipfile.ZipFile(home).namelist()
    assert sum(name.startswith("states/") for name in names) == 1
    code, out, err = command("runs", "import", str(home), runs="next", out="next-out")
    assert code == 0, err
    assert ", 1 state of unfinished Runs" in out
    code, _, err = command("fig1", *few, runs="next", out="next-out")
    assert code == 0, err
    assert "trained again" not in err
    (whole,), (parts,) = ((tmp_path / out).glob("*/runs.jsonl") for out in ("whole-out", "next-out"))
    assert outcomes(parts) == outcomes(whole)


def test_a_signal_ends_the_training_and_not_the_export(
    command: Command, tmp_path: Path, cut_short: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preempted node has seconds: what was done by then is in the file."""
    few = ["fig2", "--profile", "smoke", "--device", "cpu", *TINY, "--time-budget", "10m"]
    cut_short(1)
    assert command("sprint", *few, "--export", str(tmp_path / "first.zip"))[0] == 0

    def preempted(self: object) -> None:
        raise Interrupted

    monkeypatch.setattr(sprint.Sprint, "train", preempted)
    code, out, err = command("sprint", *few, "--export", str(tmp_path / "second.zip"))
    assert code == 130
    assert "written:" in out and "interrupted" in err
    assert (tmp_path / "second.zip").read_bytes() == (tmp_path / "first.zip").read_bytes()


@pytest.mark.shipped
def test_where_nothing_is_missing_nothing_is_brought_home(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home.zip"
    arguments = ["fig3", "--profile", "paper-128", "--time-budget", "1m", "--export", str(home)]
    code, out, err = command("sprint", *arguments)
    assert code == 0, err
    assert "nothing was exported" in out
    assert not home.exists()


def test_a_sprint_brings_everything_home(command: Command, tmp_path: Path) -> None:
    """Where there is time for all of it, nothing is left half-way, and a store that imports the file has all."""
    home = tmp_path / "home.zip"
    few = ["--profile", "smoke", *FEW, *PHOTOS]
    few += ["--set", "table3={resnet18: {one_shot: [1], windows: []}, resnet50: {one_shot: [], windows: []}}"]
    code, out, err = command("sprint", *few, "--time-budget", "10m", "--export", str(home))
    assert code == 0, err
    names = zipfile.ZipFile(home).namelist()
    assert not any(name.startswith("states/") for name in names)
    assert command("runs", "import", str(home), runs="next", out="next-out")[0] == 0
    (ours,), (theirs,) = ((tmp_path / out).glob("*/runs.jsonl") for out in ("out", "next-out"))
    assert outcomes(theirs) == outcomes(ours)
    code, out, err = command("list", *few, "--json", runs="next", out="next-out")
    assert {entry["state"] for entry in json.loads(out)["artifacts"]} <= {"done", "not in this profile"}, err


# ---- exports


def member(name: str, size: int) -> tuple[str, bytes]:
    return name, bytes(size)


def test_the_dearest_goes_first_where_not_all_may_go(tmp_path: Path) -> None:
    members = [member(f"checkpoints/x/{n}/e", 10_000) for n in range(10)]
    written, left_out = archive.export(members, tmp_path / "a.zip", 25_000, "paper", max_total=60_000)
    assert left_out == [name for name, _ in members[-len(left_out) :]]
    held = [name for path in written for name in zipfile.ZipFile(path).namelist() if name != "manifest.json"]
    assert held == [name for name, _ in members[: len(held)]]
    assert 4 <= len(held) <= 5


def test_a_state_here_that_is_as_far_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs", tmp_path / "l.jsonl")
    header = json.dumps({"__metadata__": {"history": json.dumps({"provenance": {}})}}).encode()
    content = len(header).to_bytes(8, "little") + header
    for name, taken in (("e0003-aa", 1), ("e0003-bb", 0), ("e0002-cc", 0), ("e0004.000012-dd", 1)):
        members = {f"states/dense/k/state-{name}.safetensors": content}
        assert archive.import_runs(store, members).states == taken
