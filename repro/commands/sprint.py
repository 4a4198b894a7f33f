"""`repro sprint`: use a device for a limited time, and write a file to take home.

Missing Runs are trained part by part, in the order of what they decide (`priorities`); consecutive parts whose
Runs can train in the same wave do so. Of a wave, as many Runs are begun as end in time, in the number of lanes
that lets most of them end. When no whole Run fits any more, the next ones are begun and left unfinished. In the
end everything is exported: results, checkpoints that other Runs need, and the states of unfinished Runs, so that
the next device resumes there (`repro runs import`).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from repro import files
from repro.commands import priorities, reproduce, train
from repro.commands.runs import report_exported
from repro.engine import calibration, device, session
from repro.engine.speeds import Choice
from repro.errors import BudgetSpent, CheckpointGone, ReproError, RunFailed, UsageError
from repro.options import Options
from repro.plan import SLACK, cost, final_epochs, most_in_time, wave_shape
from repro.report import terminal
from repro.report.progress import TrainingProgress
from repro.report.tables import Table
from repro.run import Photos, Run, ancestors, start_epochs
from repro.store import archive
from repro.store.archive import Member
from repro.words import counted
from repro.workspace import Workspace

IN_HAND = 20.0
"""Seconds of the budget reserved for the export; at most a third of the budget."""
CALIBRATION = 1 / 20
"""Share of the budget for timing strategies; each network is timed once."""
LEAST = 5.0
"""Seconds below which nothing more is begun."""


def sprint(
    options: Options,
    export: Path,
    max_size: str,
    names: Sequence[str] = (),
    max_total: str | None = None,
    dry_run: bool = False,
) -> None:
    """Train within ``options.time_budget``, then write ``export``: files of ``max_size``, ``max_total`` together.
    With ``dry_run``, only show the order.

    A signal or an error ends the training, but not the export. Raises `RunFailed` after the export if a Run
    diverged.
    """
    if not options.time_budget and not dry_run:
        raise UsageError("--time-budget is missing: how long may the device be used? 10m, for instance")
    sizes = archive.parse_size(max_size), archive.parse_size(max_total, "--max-total") if max_total else math.inf
    work = Workspace(options, names)
    work = work.changed(without=reproduce.left_out(work))
    if dry_run:
        _show(work)
        return
    archive.check_target(export)
    files.check_writable(export.resolve().parent)
    files.check_lockable(work.out)
    plan = work.plan(work.asked())
    train.check_images(work, plan)
    train.check_room(work, plan)
    runner = Sprint(work, terminal.console(stderr=True))
    try:
        runner.train()
    except BaseException:  # for instance a preempted node's signal: use the remaining seconds for the export
        with contextlib.suppress(ReproError):
            _export(work, export, *sizes)
        raise
    _export(work, export, *sizes)
    if runner.failed:
        raise runner.failed


def _show(work: Workspace) -> None:
    """Print the parts of a sprint in their order, and what each would decide."""
    out, parts, rows, decides = terminal.console(), priorities.parts(work), list[list[str]](), list[str]()
    for (name, runs), ids in zip(parts.items(), priorities.decided(work, parts.values()), strict=True):
        price = cost(runs, work.store)
        rows.append([name, f"{price.runs:,}", f"{price.images / 1e6:,.1f}", str(len(ids))])
        decides += [f"- {name}: {', '.join(ids)}"] if ids else []
    title = f"profile {work.settings.name}: what is left, in the order in which a sprint trains it"
    out.print(Table(["part", "Runs left", "million images", "claims"], rows, title))
    if decides:
        out.print("\nTogether with those above it, each part completes what these claims rest on:")
        out.print("\n".join(decides), markup=False)


def _export(work: Workspace, to: Path, max_size: int, max_total: float) -> None:
    if members := _dearest_first(work):
        report_exported(*archive.export(members, to, max_size, work.out.name, max_total))
    else:
        print(f"nothing is missing that can be trained here: nothing was exported to {to}")


class Sprint:
    """Trains the Runs of ``work`` on one device until its time budget ends."""

    def __init__(self, work: Workspace, log: Console) -> None:
        options = work.options
        self._work, self._log = work, log
        self._device = device.choose(options.device)
        self._budget = options.deadline - options.started
        self._deadline = options.deadline - min(IN_HAND, self._budget / 3)
        self._to_time = CALIBRATION * self._budget  # seconds left for timing
        self.failed: RunFailed | None = None
        """The error of Runs that diverged."""

    @property
    def left(self) -> float:
        """Seconds left for training."""
        return self._deadline - time.monotonic()

    def train(self) -> None:
        """Train part by part, then begin Runs that remain unfinished."""
        self.train_parts()
        waiting = [run for runs in self._next_wave(()).values() for run in runs if run.epochs > 1]
        if waiting and self.left > LEAST:
            lanes = self._choice(waiting).lanes
            self._execute("left unfinished", waiting[:lanes], lanes, len(waiting))

    def train_parts(self) -> None:
        """Train, wave by wave, the Runs that end in time."""
        tried: set[str] = set()
        while self.left > LEAST and (wave := self._next_wave(tried)):
            runs = [run for of_part in wave.values() for run in of_part]
            choice, seconds = self._choice(runs), self.left
            if priorities.LAST in wave and choice.speeds:  # other Runs are trained again, for their checkpoints
                replays = [run for run in self._work.plan(runs).missing if run not in runs]
                seconds -= SLACK * cost(replays).images / choice.speed(1)
            count, lanes = self._packed(runs, choice, seconds)
            begun = {run.key for run in runs[:count]}
            names = [name for name, of_part in wave.items() if any(run.key in begun for run in of_part)]
            if begun and not self._execute("; ".join(names), runs[:count], lanes, len(runs)):
                continue
            tried |= begun
            if count < len(runs):  # its part does not go on behind a Run that would not end
                tried |= {run.key for of_part in wave.values() if runs[count] in of_part for run in of_part}

    def _next_wave(self, tried: Collection[str]) -> dict[str, list[Run]]:
        """Return the Runs that can train next in one wave, by part, apart from the keys ``tried``.

        Consecutive parts share a wave, up to the first in which Runs must wait for others."""
        found: dict[str, list[Run]] = {}
        shape = None
        record = self._work.store.record
        for name, runs in priorities.parts(self._work).items():
            left = [run for run in runs if run.key not in tried]
            ready = [run for run in left if all(record(parent.run) for parent in run.parents)]
            shape = shape or (wave_shape(ready[0]) if ready else None)
            fits = [run for run in ready if wave_shape(run) == shape]
            if found and (name == priorities.LAST or not fits):
                break
            if fits:
                found[name] = fits
            if found and len(fits) < len(left):
                break
        return found

    def _packed(self, runs: Sequence[Run], choice: Choice, seconds: float) -> tuple[int, int]:
        """Return how many of ``runs`` to begin, and in how many lanes: as many as end within ``seconds``, or all
        if the device's speed is unknown."""
        most = min(self._work.options.wave or choice.lanes, len(runs))
        if not choice.speeds:
            return len(runs), most
        images = [cost([run], self._work.store).images for run in runs]
        return most_in_time(images, most, choice.speed_of, seconds)

    def _choice(self, runs: Sequence[Run]) -> Choice:
        """Return the strategies for ``runs`` and their speeds here; with ``--strategy``, only that one.

        No speeds if the Runs are too short to be worth timing."""
        first = max(runs, key=lambda run: run.epochs * run.data.train)
        if not first.epochs:
            return Choice()
        # Photographs have one strategy.
        strategy = "auto" if isinstance(first.data, Photos) else self._work.options.strategy
        cache = self._work.store.runs_dir / calibration.CACHE
        choice = calibration.known(first, self._device, cache)
        large = cost(runs, self._work.store).images >= calibration.CALIBRATE_FROM
        if large and not choice.speeds and strategy == "auto":
            began = time.monotonic()
            until = began + max(self._to_time, LEAST / 2)
            choice = calibration.measure(first, self._device, cache, report=self._timing, until=until)
            self._to_time -= time.monotonic() - began
        if strategy == "auto":
            return choice
        only = {name: speeds for name, speeds in choice.speeds.items() if name == strategy}
        return Choice(only, (strategy, choice.lanes))

    def _timing(self, what: str) -> None:
        self._log.print(f"timing {what}", markup=False)

    def _execute(self, name: str, runs: Sequence[Run], lanes: int, of: int) -> bool:
        """Train ``runs`` and what they need, until all are done or the time is over. Return False if a checkpoint
        was missing: it is set aside now, so what needs it comes last."""
        work, options = self._work, self._work.options
        plan = work.plan(runs)
        spent, images = time.monotonic() - options.started, cost(plan.missing, work.store).images
        when = f"{terminal.duration(spent)} of {terminal.duration(self._budget)} spent"
        at_a_time = f", {lanes} at a time" if lanes > 1 else ""
        what = f"{name}, {len(runs)} of {counted(of, 'Run')}{at_a_time}, {images / 1e6:,.1f} million images"
        self._log.print(f"{when}: {what}", markup=False)
        how = (self._deadline, options.strategy, lanes, 0.0)  # strategies were timed before
        progress = TrainingProgress(self._log, work.store)
        try:
            session.Session(work.store, work.folders, self._device, progress, *how).execute(plan)
        except RunFailed as error:
            self.failed = error
        except BudgetSpent:
            pass
        except CheckpointGone as error:
            self._log.print(str(error), markup=False)
            return False
        return True


def _dearest_first(work: Workspace) -> list[Member]:
    """Return all that a sprint exports, in descending order of the cost to make it again: results; checkpoints of
    the profile's own seeds that whole Runs start from; states of unfinished Runs; such checkpoints of further
    seeds; those that only Runs of one epoch start from; final weights, with ``--keep-final``. Shipped checkpoints
    (in git) are not exported."""
    store, runs = work.store, ancestors(work.every_run())
    left = [run for run in runs if store.record(run) is None]
    long = start_epochs(run for run in left if run.epochs > 1)
    short = {key: epochs - long.get(key, set()) for key, epochs in start_epochs(left).items()}
    mine = [run for run in runs if store.folder(run).is_dir()]
    final = final_epochs(mine) if work.options.keep_final else {}
    last = {key: epochs - long.get(key, set()) - short.get(key, set()) for key, epochs in final.items()}
    own, others = (
        [run for run in mine if (run.seed < work.settings.profile.seeds) == wanted] for wanted in (True, False)
    )
    return [
        *archive.records(store, mine),
        *archive.checkpoints(store, own, long),
        *archive.states(store, mine),
        *archive.checkpoints(store, others, long),
        *archive.checkpoints(store, mine, short),
        *archive.checkpoints(store, mine, last),
    ]
