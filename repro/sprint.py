"""`repro sprint`: a device for a short time, used to its end, and a file to take home.

What is missing is trained part by part, in the order of what it decides (`prospects`). Of each part as many Runs
are begun as end in time, in as many lanes as let most of them end. When no whole Run fits any more the next are
begun and left half-way. In the end everything is exported: results, checkpoints that others need, and where
unfinished Runs stand, so that the next device goes on from there (`repro runs import`).
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from repro import actions, files, moving, packing, pipeline, prospects, transfer
from repro.config.params import MicroBatchRecipe
from repro.engine.speed_cache import Choice
from repro.errors import BudgetSpent, CheckpointGone, ReproError, RunFailed, UsageError
from repro.options import Options
from repro.plan import cost, final_epochs, waves
from repro.prospects import Part
from repro.report import terminal
from repro.run import Photos, Run, ancestors, start_epochs
from repro.transfer import Member
from repro.words import counted
from repro.workspace import Workspace

IN_HAND = 20.0
"""Seconds of the budget kept for the export; a third of a budget that is shorter than a minute."""
CALIBRATION = 1 / 20
"""Share of the budget for timing strategies; what is begun within it is ended, and each network is timed once."""
NEARLY = 0.8
"""Runs that will be left half-way take no more lanes than it needs for this share of the best speed."""
LEAST = 5.0
"""Seconds under which nothing more is begun."""


def sprint(options: Options, names: Sequence[str], to: Path, max_size: str, max_total: str | None) -> None:
    """Train within ``options.time_budget``, then write ``to``, in volumes of at most ``max_size``, ``max_total``
    together; a signal or an error on the way ends the training, not the export. Raises `RunFailed`, after the
    export, where a Run diverged."""
    sizes = transfer.parse_size(max_size), transfer.parse_size(max_total, "--max-total") if max_total else None
    transfer.check_target(to)
    work = _workspace(options, names)
    files.check_writable(to.resolve().parent)
    work.check_results_folder()
    actions.check_inputs(work, work.plan_for(work.asked()))
    runner = Sprint(work, terminal.console(stderr=True))
    try:
        failed = runner.train()
    except BaseException:  # a preempted node's signal above all: what was done is worth the seconds that are left
        with contextlib.suppress(ReproError):
            _bring_home(work, to, *sizes)
        raise
    _bring_home(work, to, *sizes)
    if failed:
        raise failed


def show(options: Options, names: Sequence[str]) -> None:
    """What a sprint would do here, and what each part would decide; nothing is trained or timed."""
    work, out = _workspace(options, names), terminal.console()
    runner, parts = Sprint(work, terminal.console(stderr=True)), prospects.parts(work)
    left, rows, decides = runner.left, [], []
    for part, ids in zip(parts, prospects.decided(work, parts), strict=True):
        price = cost(part.runs, work.store)
        ends, spent = runner.foreseen(part, left)
        left -= spent or 0.0
        fits = "?" if spent is None else f"{ends:,}"
        rows.append([part.name, f"{price.runs:,}", fits, f"{price.images / 1e6:,.1f}", str(len(ids))])
        decides += [f"{part.name}: {', '.join(ids)}"] if ids else []
    header = ["part", "Runs left", "end in time", "million images", "claims"]
    title = f"profile {work.settings.name}: what is left, in the order in which a sprint trains it"
    out.print(terminal.table(header, rows, title))
    if any(row[2] == "?" for row in rows):
        out.print("? this device has not been timed on these Runs; a sprint does that first", markup=False)
    if decides:
        out.print("\nWith what stands above it, each part gives these claims all that they rest on:")
    for line in decides:
        out.print(f"- {line}", markup=False)


def _bring_home(work: Workspace, to: Path, max_size: int, max_total: int | None) -> None:
    members = _dearest_first(work)
    if members:
        moving.say_exported(transfer.export(members, to, max_size, work.out.name, max_total))
    else:
        print(f"nothing was missing that can be trained here: there is nothing to bring home in {to}")


def _workspace(options: Options, names: Sequence[str]) -> Workspace:
    if options.pooled:
        raise UsageError("a sprint is one process on one device: leave --gpus, --workers and --launcher away")
    if not options.time_budget:
        raise UsageError("--time-budget is missing: how long is the device yours? 10m, for instance")
    work = Workspace(options, names)
    absent = pipeline.left_out(work.settings.profile, work.folders)
    return Workspace(replace(options, without=absent), names)


class Sprint:
    """The Runs of ``work`` on one device until its time budget ends."""

    def __init__(self, work: Workspace, log: Console) -> None:
        from repro.engine import device

        options = work.options
        assert options.deadline is not None
        self._work, self._log = work, log
        self._device = device.choose(options.device)
        self._budget = options.deadline - options.started
        self._deadline = options.deadline - min(IN_HAND, self._budget / 3)
        self._to_time = CALIBRATION * self._budget  # seconds that are left for it

    @property
    def left(self) -> float:
        """Seconds to train in."""
        return self._deadline - time.monotonic()

    def train(self) -> RunFailed | None:
        """Part by part, then what is left half-way; returns what to say of Runs that diverged."""
        failed, store = None, self._work.store
        while self.left > LEAST:
            before = len(store.records())
            failed = self._train_parts() or failed
            if len(store.records()) == before:  # else there may be more to train: Table 1's results ask for Runs
                break
        waiting = [run for part in prospects.parts(self._work) for run in self._ready(part.runs) if run.epochs > 1]
        if waiting and self.left > LEAST:
            runs = waves(waiting)[0]
            lanes = _lanes_to_leave(self._choice(runs))
            self._execute("left half-way", runs[:lanes], lanes, len(waiting))
        return failed

    def _train_parts(self) -> RunFailed | None:
        """Every part once, with what is missing of it by then."""
        failed, done = None, set[str]()
        while self.left > LEAST:
            part = next((p for p in prospects.parts(self._work) if p.name not in done), None)
            if part is None:
                break
            done.add(part.name)
            try:
                for wave in waves(part.runs):
                    self._train_wave(part.name, self._ready(wave))
            except RunFailed as error:
                failed = error
        return failed

    def foreseen(self, part: Part, seconds: float) -> tuple[int, float | None]:
        """How many Runs of ``part`` would end within ``seconds``, and how long they would take, by what is known
        of this device's speed; None where that is nothing."""
        ends, spent = 0, 0.0
        for runs in waves(part.runs):
            choice = self._choice(runs)
            if not choice.speeds and any(run.epochs for run in runs):
                return 0, None
            count, lanes = self._packed(runs, choice, seconds - spent)
            ends += count
            if choice.speeds:
                left = [cost([run], self._work.store).images for run in runs[:count]]
                spent += packing.SLACK * packing.seconds_for(left, lanes, functools.partial(_speed, choice))
        return ends, spent

    def _ready(self, runs: Sequence[Run]) -> list[Run]:
        """Those whose parents are finished."""
        return [run for run in runs if all(self._work.store.record(parent.run) for parent in run.parents)]

    def _train_wave(self, name: str, runs: Sequence[Run]) -> None:
        if not runs or self.left < LEAST:
            return
        choice = self._choice(runs, time_it=True)
        again = [run for run in self._work.plan_for(runs).missing if run not in runs]  # for their checkpoints
        seconds = self.left
        if again and choice.speeds:
            seconds -= packing.SLACK * cost(again).images / _speed(choice, len(again))
        count, lanes = self._packed(runs, choice, seconds)
        if count:
            self._execute(name, runs[:count], lanes, len(runs))

    def _packed(self, runs: Sequence[Run], choice: Choice, seconds: float) -> tuple[int, int]:
        """How many of ``runs`` to begin, and in how many lanes: all of them where this device's speed is not
        known, else as many as end within ``seconds``."""
        most = min(self._work.options.wave or choice.lanes, len(runs))
        if not choice.speeds:
            return len(runs), most
        images = [cost([run], self._work.store).images for run in runs]
        ends = {n: packing.finished(images, n, _speed(choice, n), seconds) for n in range(1, most + 1)}
        lanes = max(ends, key=lambda n: (ends[n], _speed(choice, n), -n))
        return ends[lanes], lanes

    def _choice(self, runs: Sequence[Run], time_it: bool = False) -> Choice:
        """Strategies for ``runs`` and their speeds here, of ``--strategy`` alone where it is given; no speeds for
        Runs so short that timing them is not worth it."""
        from repro.engine import calibrate, tuning

        first, asked = max(runs, key=lambda run: run.epochs * run.data.train), self._work.options.strategy
        large = cost(runs, self._work.store).images >= tuning.CALIBRATE_FROM
        store, device = self._work.store.runs_dir, self._device
        if isinstance(first.data, Photos) and isinstance(first.recipe, MicroBatchRecipe):
            if not (large and time_it):
                return Choice()
            cache, crop = store / calibrate.CACHE, first.data.crop
            return calibrate.measure(
                first.arch, first.recipe, first.precision, device, cache, crop=crop, observe=self._timing
            )
        if not first.epochs:
            return Choice()
        choice = tuning.known(first, device, store / tuning.CACHE)
        if time_it and large and asked == "auto" and not choice.speeds:
            began = time.monotonic()
            until = began + max(self._to_time, LEAST / 2)
            names = tuning.quick(device)
            choice = tuning.measure(first, device, store / tuning.CACHE, names, self._timing, until=until)
            self._to_time -= time.monotonic() - began
        if asked == "auto":
            return choice
        return Choice({asked: own} if (own := choice.speeds.get(asked)) else {}, (asked, choice.lanes))

    def _timing(self, what: str) -> None:
        self._log.print(f"timing {what}", markup=False)

    def _execute(self, name: str, runs: Sequence[Run], lanes: int, of: int) -> None:
        """Train ``runs`` and what they need, until all are done or the time is over."""
        from repro.engine import session
        from repro.report.training_progress import TrainingProgress

        work, options = self._work, self._work.options
        plan = work.plan_for(runs)
        spent, images = time.monotonic() - options.started, cost(plan.missing, work.store).images
        when = f"{terminal.duration(spent)} of {terminal.duration(self._budget)} gone"
        at_a_time = f", {lanes} at a time" if lanes > 1 else ""
        what = f"{name}, {len(runs)} of {counted(of, 'Run')}{at_a_time}, {images / 1e6:,.1f} million images"
        self._log.print(f"{when}: {what}", markup=False)
        how = session.SessionOptions(self._deadline, options.loader, options.strategy, lanes, time_until=0.0)
        progress = TrainingProgress(self._log, work.store)
        try:
            session.execute(plan, work.store, work.folders, self._device, progress, how)
        except BudgetSpent:
            pass
        except CheckpointGone as error:  # set aside by now: what needs it comes last
            self._log.print(str(error), markup=False)


def _speed(choice: Choice, lanes: int) -> float:
    """Images a second of so many lanes by the strategy that is fastest with them."""
    return choice.speed(lanes, choice.names_at(lanes)[0])


def _lanes_to_leave(choice: Choice) -> int:
    """The fewest lanes that are nearly as fast as the best: what is left half-way should be as far as can be."""
    if not choice.speeds:
        return choice.lanes
    best = NEARLY * _speed(choice, choice.lanes)
    return next(lanes for lanes in range(1, choice.lanes + 1) if _speed(choice, lanes) >= best)


def _dearest_first(work: Workspace) -> list[Member]:
    """All that a sprint brings home, what would cost most to make again first: results; the checkpoints of the
    profile's own seeds from which whole Runs grow; where Runs under way stand; such checkpoints of further seeds;
    those that only Runs of one epoch need; final weights, with ``--keep-final``. Checkpoints that are shipped (in
    git) stay where they are."""
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
        *transfer.records(store, mine),
        *transfer.checkpoints(store, own, long),
        *transfer.states(store, mine),
        *transfer.checkpoints(store, others, long),
        *transfer.checkpoints(store, mine, short),
        *transfer.checkpoints(store, mine, last),
    ]
