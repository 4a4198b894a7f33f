"""`repro sprint`: use a device for a limited time, and write a file to take home.

Missing Runs are trained part by part, in the order of what they decide (`priorities`); consecutive parts whose
Runs can train in the same wave do so. Of each part, as many Runs are begun as end in time, in the number of lanes
that lets most of them end. When no whole Run fits any more, the next ones are begun and left unfinished. In the
end everything is exported: results, checkpoints that other Runs need, and the states of unfinished Runs, so that
the next device resumes there (`repro runs import`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from repro import files
from repro.commands import priorities, reproduce, train, transfer
from repro.commands.priorities import Part
from repro.engine.speeds import Choice
from repro.errors import BudgetSpent, CheckpointGone, ReproError, RunFailed, UsageError
from repro.options import Options
from repro.plan import SLACK, cost, end_times, final_epochs, most_in_time, wave_shape, waves
from repro.report import terminal
from repro.run import Photos, Run, ancestors, start_epochs
from repro.store import archive
from repro.store.archive import Member
from repro.words import counted
from repro.workspace import Workspace

IN_HAND = 20.0
"""Seconds of the budget reserved for the export; at most a third of the budget."""
CALIBRATION = 1 / 20
"""Share of the budget for timing strategies; each network is timed once."""
NEARLY = 0.8
"""Runs that will be left unfinished use the fewest lanes that reach this share of the best speed."""
LEAST = 5.0
"""Seconds below which nothing more is begun."""


def sprint(options: Options, names: Sequence[str], to: Path, max_size: str, max_total: str | None) -> None:
    """Train within ``options.time_budget``, then write ``to``: files of ``max_size``, ``max_total`` together.

    A signal or an error ends the training, but not the export. Raises `RunFailed` after the export if a Run
    diverged.
    """
    sizes = archive.parse_size(max_size), archive.parse_size(max_total, "--max-total") if max_total else None
    archive.check_target(to)
    work = _workspace(options, names)
    files.check_writable(to.resolve().parent)
    work.check_results_folder()
    train.check_inputs(work, work.plan_for(work.asked()))
    runner = Sprint(work, terminal.console(stderr=True))
    try:
        failed = runner.train()
    except BaseException:  # for instance a preempted node's signal: use the remaining seconds for the export
        with contextlib.suppress(ReproError):
            _export(work, to, *sizes)
        raise
    _export(work, to, *sizes)
    if failed:
        raise failed


def show(options: Options, names: Sequence[str]) -> None:
    """Print what a sprint would do here, and what each part would decide, without training or timing anything."""
    work, out = _workspace(options, names), terminal.console()
    runner, parts = Sprint(work, terminal.console(stderr=True)), priorities.parts(work)
    rows, decides = [], []
    foreseen = runner.foreseen(parts)
    for part, ids in zip(parts, priorities.decided(work, parts), strict=True):
        price, ends = cost(part.runs, work.store), foreseen[part.name]
        fits = "?" if ends is None else f"{ends:,}"
        rows.append([part.name, f"{price.runs:,}", fits, f"{price.images / 1e6:,.1f}", str(len(ids))])
        decides += [f"{part.name}: {', '.join(ids)}"] if ids else []
    header = ["part", "Runs left", "end in time", "million images", "claims"]
    title = f"profile {work.settings.name}: what is left, in the order in which a sprint trains it"
    out.print(terminal.table(header, rows, title))
    if any(row[2] == "?" for row in rows):
        out.print("? this device has not been timed on these Runs; a sprint does so first", markup=False)
    if decides:
        out.print("\nTogether with those above it, each part completes what these claims rest on:")
    for line in decides:
        out.print(f"- {line}", markup=False)


def _export(work: Workspace, to: Path, max_size: int, max_total: int | None) -> None:
    members = _dearest_first(work)
    if members:
        transfer.report_exported(archive.export(members, to, max_size, work.out.name, max_total))
    else:
        print(f"nothing is missing that can be trained here: nothing was exported to {to}")


def _workspace(options: Options, names: Sequence[str]) -> Workspace:
    if options.pooled:
        raise UsageError("a sprint is one process on one device: omit --gpus, --workers and --launcher")
    if not options.time_budget:
        raise UsageError("--time-budget is missing: how long may the device be used? 10m, for instance")
    work = Workspace(options, names)
    absent = reproduce.left_out(work.settings.profile, work.folders)
    return Workspace(replace(options, without=absent), names)


class Sprint:
    """Trains the Runs of ``work`` on one device until its time budget ends."""

    def __init__(self, work: Workspace, log: Console) -> None:
        from repro.engine import device

        options = work.options
        assert options.deadline is not None
        self._work, self._log = work, log
        self._device = device.choose(options.device)
        self._budget = options.deadline - options.started
        self._deadline = options.deadline - min(IN_HAND, self._budget / 3)
        self._to_time = CALIBRATION * self._budget  # seconds left for timing

    @property
    def left(self) -> float:
        """Seconds left for training."""
        return self._deadline - time.monotonic()

    def train(self) -> RunFailed | None:
        """Train part by part, then begin Runs that remain unfinished; return the error if Runs diverged."""
        failed, store = None, self._work.store
        while self.left > LEAST:
            before = len(store.records())
            failed = self._train_parts() or failed
            if len(store.records()) == before:  # new results may require more Runs (Table 1)
                break
        waiting = [
            run for part in priorities.parts(self._work) for run in self._ready(part.runs) if run.epochs > 1
        ]
        if waiting and self.left > LEAST:
            runs = waves(waiting)[0]
            lanes = _lanes_to_leave(self._choice(runs))
            self._execute("left unfinished", runs[:lanes], lanes, len(waiting))
        return failed

    def _train_parts(self) -> RunFailed | None:
        """Train what is missing of each part, once."""
        failed, tried = None, set[str]()
        while self.left > LEAST:
            parts = [part for part in priorities.parts(self._work) if part.name not in tried]
            if not parts:
                break
            taken = self._first_group(parts, self.left)
            tried |= {part.name for part in taken}
            try:
                for wave in self._waves(parts, len(taken)):
                    self._train_wave(parts, self._ready(wave))
            except RunFailed as error:
                failed = error
        return failed

    def foreseen(self, parts: Sequence[Part]) -> dict[str, int | None]:
        """Return how many Runs of each part would end in the time left, None if the device's speed is unknown."""
        tried, untimed = set[str](), set[str]()
        ended, left = set[str](), self.left
        while left > LEAST and (rest := [part for part in parts if part.name not in tried]):
            taken = self._first_group(rest, left)
            tried |= {part.name for part in taken}
            for wave in self._waves(rest, len(taken), ended):
                runs = [run for run in self._ready(wave, ended) if run.key not in ended]
                choice = self._choice(runs) if runs else Choice()
                if any(run.epochs for run in runs) and not choice.speeds:
                    untimed |= {part.name for part in taken}
                    continue
                count, spent = self._spent(runs, choice, left)
                left -= spent
                ended |= {run.key for run in runs[:count]}
        return {
            part.name: None if part.name in untimed else sum(run.key in ended for run in part.runs)
            for part in parts
        }

    def _first_group(self, parts: Sequence[Part], seconds: float) -> Sequence[Part]:
        """Return the first of ``parts``, and those after it that fit its waves and end within ``seconds``."""
        count = 1
        while count < len(parts) and parts[count].name != priorities.LAST:
            runs, spent = _runs(parts[: count + 1]), 0.0
            if len({wave_shape(run) for run in runs}) > 1:
                break
            for wave in waves(runs):
                if not (choice := self._choice(wave)).speeds:
                    return parts[:count]
                ends, took = self._spent(wave, choice, seconds - spent)
                spent += took if ends == len(wave) else seconds
            if spent >= seconds:
                break
            count += 1
        return parts[:count]

    def _waves(self, parts: Sequence[Part], count: int, ended: Collection[str] = ()) -> list[list[Run]]:
        """Return the waves of the first ``count`` parts; the Runs of the following parts join the last wave while
        all of a part's Runs are ready and fit."""
        found = waves(_runs(parts[:count]))
        for part in parts[count:]:
            more = [*found[-1], *part.runs]
            ready = len(self._ready(part.runs, ended)) == len(part.runs)
            if part.name == priorities.LAST or not ready or len({wave_shape(run) for run in more}) > 1:
                break
            found[-1] = more
        return found

    def _ready(self, runs: Sequence[Run], ended: Collection[str] = ()) -> list[Run]:
        """Return the Runs whose parents are finished, or among the keys ``ended``."""

        def finished(run: Run) -> bool:
            return run.key in ended or self._work.store.record(run) is not None

        return [run for run in runs if all(finished(parent.run) for parent in run.parents)]

    def _train_wave(self, parts: Sequence[Part], runs: Sequence[Run]) -> None:
        """Train those of ``runs`` that end in time; ``parts`` name them."""
        runs = [run for run in runs if self._work.store.record(run) is None]
        if not runs or self.left < LEAST:
            return
        choice = self._choice(runs, time_it=True)
        replays = [run for run in self._work.plan_for(runs).missing if run not in runs]  # for their checkpoints
        seconds = self.left
        if replays and choice.speeds:
            seconds -= SLACK * cost(replays).images / choice.speed_of(len(replays), len(replays))
        count, lanes = self._packed(runs, choice, seconds)
        if count:
            taken = {run.key for run in runs[:count]}
            names = [part.name for part in parts if any(run.key in taken for run in part.runs)]
            self._execute("; ".join(names), runs[:count], lanes, len(runs))

    def _packed(self, runs: Sequence[Run], choice: Choice, seconds: float) -> tuple[int, int]:
        """Return how many of ``runs`` to begin, and in how many lanes: as many as end within ``seconds``, or all
        if the device's speed is unknown."""
        most = min(self._work.options.wave or choice.lanes, len(runs))
        if not choice.speeds:
            return len(runs), most
        return most_in_time(self._images(runs), most, choice.speed_of, seconds)

    def _spent(self, runs: Sequence[Run], choice: Choice, seconds: float) -> tuple[int, float]:
        """Return how many of ``runs`` end within ``seconds``, and how long they take if the speed is known."""
        count, lanes = self._packed(runs, choice, seconds)
        if not (count and choice.speeds):
            return count, 0.0
        return count, max(end_times(self._images(runs[:count]), lanes, choice.speed_of))

    def _images(self, runs: Sequence[Run]) -> list[int]:
        """Return the images left of each Run."""
        return [cost([run], self._work.store).images for run in runs]

    def _choice(self, runs: Sequence[Run], time_it: bool = False) -> Choice:
        """Return the strategies for ``runs`` and their speeds here; with ``--strategy``, only that one.

        No speeds if the Runs are too short to be worth timing."""
        from repro.engine import calibration

        first, strategy = max(runs, key=lambda run: run.epochs * run.data.train), self._work.options.strategy
        large = cost(runs, self._work.store).images >= calibration.CALIBRATE_FROM
        cache, device = self._work.store.runs_dir / calibration.CACHE, self._device
        if isinstance(first.data, Photos):
            return calibration.measure(first, device, cache, [], self._timing) if large and time_it else Choice()
        if not first.epochs:
            return Choice()
        choice = calibration.known(first, device, cache)
        if time_it and large and strategy == "auto" and not choice.speeds:
            began = time.monotonic()
            until = began + max(self._to_time, LEAST / 2)
            names = calibration.quick(device)
            choice = calibration.measure(first, device, cache, names, self._timing, until=until)
            self._to_time -= time.monotonic() - began
        if strategy == "auto":
            return choice
        speeds = {strategy: speed} if (speed := choice.speeds.get(strategy)) else {}
        return Choice(speeds, (strategy, choice.lanes))

    def _timing(self, what: str) -> None:
        self._log.print(f"timing {what}", markup=False)

    def _execute(self, name: str, runs: Sequence[Run], lanes: int, of: int) -> None:
        """Train ``runs`` and what they need, until all are done or the time is over."""
        from repro.engine import session
        from repro.report.training_progress import TrainingProgress

        work, options = self._work, self._work.options
        plan = work.plan_for(runs)
        spent, images = time.monotonic() - options.started, cost(plan.missing, work.store).images
        when = f"{terminal.duration(spent)} of {terminal.duration(self._budget)} spent"
        at_a_time = f", {lanes} at a time" if lanes > 1 else ""
        what = f"{name}, {len(runs)} of {counted(of, 'Run')}{at_a_time}, {images / 1e6:,.1f} million images"
        self._log.print(f"{when}: {what}", markup=False)
        how = session.SessionOptions(self._deadline, options.strategy, lanes, time_until=0.0)
        progress = TrainingProgress(self._log, work.store)
        try:
            session.execute(plan, work.store, work.folders, self._device, progress, how)
        except BudgetSpent:
            pass
        except CheckpointGone as error:  # it is set aside now, so what needs it comes last
            self._log.print(str(error), markup=False)


def _runs(parts: Sequence[Part]) -> list[Run]:
    return [run for part in parts for run in part.runs]


def _lanes_to_leave(choice: Choice) -> int:
    """Return the fewest lanes that are nearly as fast as the best: unfinished Runs should get far."""
    if not choice.speeds:
        return choice.lanes
    best = NEARLY * choice.speed_of(choice.lanes, choice.lanes)
    return next(lanes for lanes in range(1, choice.lanes + 1) if choice.speed_of(lanes, lanes) >= best)


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
