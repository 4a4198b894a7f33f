"""What a person who waits is told, on a terminal and off one."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from repro import artifacts, files
from repro.engine.events import EpochReport
from repro.experiments import Study
from repro.plan import Plan, cost, make_plan
from repro.record import Record
from repro.report.progress import WORK, ImagesProgress, TrainingProgress, work_per_image
from repro.run import Run
from repro.store import Store
from repro.ticket import Event
from repro.ticket.command import SearchProgress

Study_of = Callable[..., Study]
EPOCH = 50_000 + 10_000 // 3  # images; one that is only tested counts a third
Asked = tuple[Plan, list[Run]]


@pytest.fixture
def asked(study: Study_of, store: Store) -> Asked:
    """The paper's Fig. 1, and its tickets."""
    plan = make_plan(artifacts.get("fig1").runs(study("paper"), (0,)), store)
    return plan, [run for run in plan.missing if run.mask]


def reporter(
    store: Store, terminal: bool, line_every: float = 0.0, width: int = 200
) -> tuple[TrainingProgress, io.StringIO]:
    said = io.StringIO()
    return TrainingProgress(Console(file=said, force_terminal=terminal, width=width), store, line_every), said


def epoch(run: Run, wave: int, seconds: float = 10.0, number: int = 3) -> EpochReport:
    return EpochReport(run, number, run.data.train, seconds, None, wave)


def test_a_plain_line_tells_epoch_speed_and_time_left(
    asked: Asked, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, (first, *_) = asked
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tell, said = reporter(store, terminal=False)
    tell.started(plan, "a device")
    now[0] += 10
    tell.epoch_done(epoch(first, 1))
    begun, line = said.getvalue().splitlines()
    assert begun == "144 Runs to train, 28,800 epochs, on a device"
    left = 10 * (cost(plan.missing).images - EPOCH) / EPOCH
    assert f"[1/144] {first.label}: epoch 3/200" in line and f"{EPOCH / 10:,.0f} images/s, " in line
    assert f"{left / 86400:.1f} days left" in line and "at a time" not in line


def test_a_network_counts_by_its_multiply_adds(
    study: Study_of, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (study("paper").dense(arch, 0) for arch in ("resnet20", "resnet56"))
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tell, said = reporter(store, terminal=False)
    tell.started(make_plan([small, large], store), "a device")
    now[0] += 10
    tell.epoch_done(epoch(small, 1))
    work = (1 + WORK["resnet56"]) * cost([small]).images
    assert f"{10 * (work - EPOCH) / EPOCH / 3600:.1f} h left" in said.getvalue()


def test_the_multiply_adds_are_those_of_the_networks(study: Study_of) -> None:
    from roofline import flops_per_image

    dense = {arch: study("paper").dense(arch, 0) for arch in WORK}
    flops = {arch: flops_per_image(arch, 224 if arch in ("resnet18", "resnet50") else 32) for arch in WORK}
    for arch, run in dense.items():
        assert work_per_image(run) == pytest.approx(flops[arch] / flops["resnet20"], rel=0.02)


def test_a_wave_is_told_by_what_all_its_runs_do_together(asked: Asked, store: Store) -> None:
    plan, tickets = asked
    tell, said = reporter(store, terminal=False)
    tell.started(plan, "a device")
    for run in tickets[:16]:
        tell.epoch_done(epoch(run, 16))
    lines = said.getvalue().splitlines()[1:]
    assert len(lines) == 16
    assert all(f"{16 * EPOCH / 10:,.0f} images/s, 16 Runs at a time" in line for line in lines)


def test_lines_come_seldom(asked: Asked, store: Store) -> None:
    plan, tickets = asked
    tell, said = reporter(store, terminal=False, line_every=3600)
    tell.started(plan, "a device")
    for run in tickets:
        tell.run_started(run)
        tell.epoch_done(epoch(run, 16))
    _, line = said.getvalue().splitlines()
    assert line == f"[1/144] {tickets[0].label}: epoch {tickets[0].first_epoch + 1}/200 begins"


def test_a_run_that_goes_on_begins_where_it_was(asked: Asked, store: Store) -> None:
    plan, (run, *_) = asked
    files.write_bytes(store.folder(run) / f"state-e{run.first_epoch + 40:04d}-{'0' * 16}.safetensors", b"")
    tell, said = reporter(store, terminal=False)
    tell.started(plan, "a device")
    tell.run_started(run)
    assert f"epoch {run.first_epoch + 41}/200 begins" in said.getvalue()


def test_a_terminal_has_a_bar_that_moves(asked: Asked, store: Store) -> None:
    plan, tickets = asked
    tell, said = reporter(store, terminal=True)
    tell.started(plan, "a device")
    tell.measuring("resnet20: streams, 8 at a time")
    assert tell._bar is not None
    assert "timing resnet20: streams, 8 at a time" in tell._bar.tasks[0].description
    for number in range(1, 100):
        tell.epoch_done(epoch(tickets[0], 8, number=number))
    (task,) = tell._bar.tasks
    assert task.completed == 99 * EPOCH and task.total == cost(plan.missing).images
    assert "epoch 99/200" in task.description and "8 Runs at a time" in task.fields["note"]
    tell.ended()
    assert "left for everything" in said.getvalue()


def last_words(said: io.StringIO, width: int) -> str:
    """The last lines of a terminal's screen, none of which was cut."""
    screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.getvalue()).replace("\r", "\n")
    lines = screen.splitlines()
    assert max(map(len, lines)) <= width and "…" not in screen
    return " ".join(" ".join(lines[-4:]).split())


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_narrow_terminal_is_told_all_of_work_on_images(width: int) -> None:
    said, what = io.StringIO(), "caching images of 292 px in /data/imagenet/cache-292"
    tell = ImagesProgress(Console(file=said, force_terminal=True, width=width))
    assert list(tell.track(what, 1_331_167, [640_000])) == [640_000]
    end = last_words(said, width)
    assert f"{what} " in end and " 48% 640,000 of 1,331,167, " in end
    assert end.endswith(" left")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_narrow_terminal_is_told_all_of_it(asked: Asked, store: Store, width: int) -> None:
    plan, tickets = asked
    tell, said = reporter(store, terminal=True, width=width)
    tell.started(plan, "a device")
    report = EpochReport(tickets[0], 3, tickets[0].data.train, 10.0, 91.25, 16)
    tell.epoch_done(report)
    tell.ended()
    end = last_words(said, width)
    for words in (f"{tickets[0].label}: epoch 3/200", "85,333 images/s, 16 Runs at a time, top-1 91.25 %", "%"):
        assert words in end
    assert end.endswith("left for everything")


def test_workers_are_told_by_what_their_runs_have_behind_them(
    asked: Asked, store: Store, record_of: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, runs = asked
    now, epochs = [1000.0], {run.key: 0 for run in plan.missing}
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Store, "progress", lambda self, run: epochs[run.key])
    said, after = io.StringIO(), []
    tell = TrainingProgress(Console(file=said, width=300), store, then=lambda: after.append(1))
    tell.started(plan, "4 workers here")
    for run in runs[:4]:
        tell.handed_out(run)
    tell.looked()
    tell.looked()  # no line so soon
    now[0] += 100
    epochs[runs[0].key] = 100
    tell.looked()
    provenance = {"wall_s": 90.0, "diverged_at": 7}
    tell.run_done(runs[0], record_of(runs[0], provenance=provenance), 143)
    tell.run_done(runs[1], record_of(runs[1], status="diverged", top1=None, provenance=provenance), 142)
    tell.worker_died(runs[2], "was killed", True, ["its last line"])
    tell.worker_died(runs[3], "was killed", False, ["its last line"])
    four = ", ".join(f"{run.label} epoch {{}}/200" for run in runs[:3])
    work = cost(plan.missing).images + 100 * EPOCH  # all, while one Run has 100 epochs of it behind it
    assert said.getvalue().splitlines() == [
        "144 Runs to train, 28,800 epochs, on 4 workers here",
        f"0 of 144 Runs done, 4 running: {four.format(0, 0, 0)} and 1 other",
        f"0 of 144 Runs done, 4 running: {four.format(100, 0, 0)} and 1 other, "
        f"{(work / EPOCH - 100) / 3600:.1f} h left for everything",
        f"done 1/144  {runs[0].label}: top-1 41.50 %, 2 min",
        f"done 2/144  {runs[1].label}: diverged at epoch 7, 2 min",
        f"{runs[2].label}: its worker was killed; another one goes on from its last state",
        f"{runs[3].label}: its worker was killed; given up",
        "  its last line",
    ]
    assert len(after) == 2


@pytest.mark.parametrize("width", [60, 200])
def test_a_narrow_terminal_is_told_all_of_a_search(width: int) -> None:
    said = io.StringIO()
    with SearchProgress(Console(file=said, force_terminal=True, width=width, highlight=False)) as tell:
        tell(Event("note", "left out: [conv]", 0, 0, None, 0, 0))
        tell(Event("epoch", "dense", 3, 10, 45.25, 3, 9, images_per_second=12_345.0))
    assert "left out: [conv]" in said.getvalue()
    end = last_words(said, width)
    assert "dense: epoch 3/10, top-1 45.25 % " in end and " 25% 12,345 images/s, " in end
    assert end.endswith(" left for everything at most")


def test_a_search_off_a_terminal_has_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [1000.0], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with SearchProgress(Console(file=said, width=200)) as tell:
        for number in range(1, 5):
            now[0] += 5
            tell(Event("epoch", "dense", number, 10, 45.25, 4 + number, 10 - number))  # four are from before
    assert said.getvalue().splitlines() == [
        "dense: epoch 1/10, top-1 45.25 %, 45 s left for everything at most",
        "dense: epoch 3/10, top-1 45.25 %, 35 s left for everything at most",
    ]
