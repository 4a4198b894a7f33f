"""find_ticket: train dense with PPR checks, prune once that is safe, retrain, and train the baselines."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import nn

from repro import files, machine
from repro.config.fields import FRACTION
from repro.config.recipe import Recipe
from repro.engine import device as devices
from repro.engine.events import EpochReport
from repro.engine.network import masks_of
from repro.errors import CheckpointGone, UsageError
from repro.experiments import gradual_window, iterative_round, ppr_check, retraining
from repro.experiments import ticket as ticket_of
from repro.pruning import sparsity_of
from repro.record import Record
from repro.run import Data, Run
from repro.schedule import iterative_sparsity
from repro.store import Store
from repro.ticket.datasets import kind_of, restored, samples
from repro.ticket.network import Setup, choose_prunable, copied, fill, fingerprint, inspect_model, notes_on
from repro.ticket.result import Event, Kind, Observer, Outcome, Result
from repro.ticket.search_spec import (
    BASELINES,
    ITERATIVE,
    ONE_SHOT,
    PRUNED_PER_ROUND,
    Plateau,
    SearchOptions,
    SearchSpec,
    checked,
    find_plateau,
)  # fmt: skip
from repro.ticket.trainer import Stop, Trainer, train

NOT_SHOWN = ("data", "parents", "ended")  # of a Record's provenance
PHASES = {"dense": "dense", "ppr": "PPR check", "gradual": "gradual pruning", "ticket": "ticket"}


def find_ticket(
    model: nn.Module,
    train_set: Any,
    test_set: Any,
    recipe: Recipe,
    sparsity: float = 0.8,
    *,
    baselines: str | Sequence[str] = (),
    folder: str | Path = "runs/ticket",
    on_event: Observer | None = None,
    options: SearchOptions | None = None,
) -> Result:
    """Find an early winning ticket of a classifier by the paper's strategy (section 4).

    Train dense and check PPR on the way: a copy is pruned, retrained for one epoch and tested. Once PPR has
    reached its plateau (`find_plateau`), prune the network of the epoch at which the plateau begins gradually
    along the dense schedule (Eq. 6), and retrain under that mask for a whole schedule. If there is no plateau,
    prune at the end. Every epoch is kept in ``folder``: the same call resumes, with the same bits on one device.

    Args:
        model: the network as initialised, inputs [N, ...] to logits [N, classes]. It stays unchanged, as do the
            caller's random state and torch's settings.
        train_set, test_set: torch Datasets of (tensor, label), or pairs of tensors: inputs float [N, ...], labels
            int [N]. Both are read once before training, to check every item.
        recipe: the schedule. ``augment`` crops and flips images [N, C, H, W]; turn it off for a Dataset with
            random transforms of its own.
        sparsity: the share of prunable weights to remove, between 0 and 1.
        baselines: what to train for comparison, from the same dense training: ``"one-shot"`` (pruned at the end,
            retrained) and ``"iterative"`` (20 % of the remaining weights at a time, rewound).
        folder: where the search is kept, and the ticket (``ticket.safetensors``, ``masks.safetensors``).
        on_event: called with each `Event`; ``print`` shows a line for each.
        options: further settings; default: `SearchOptions()`.

    Raises:
        UsageError: an argument is wrong, or ``folder`` holds another search.
        RunFailed: the loss is not finite.
        MissingInput: the disk is full, or a process that reads a Dataset died.
    """
    if not isinstance(model, nn.Module):
        hint = "build the network, and load weights into it with load_state_dict"
        raise UsageError(f"model: a torch.nn.Module was expected, not {kind_of(model)}: {hint}")
    recipe = checked(Recipe, recipe, "recipe")
    sparsity = checked(Annotated[float, FRACTION], sparsity, "sparsity")
    options = checked(SearchOptions, options or {}, "options")
    one = isinstance(baselines, str) or not isinstance(baselines, Iterable)
    names: tuple[Any, ...] = (baselines,) if one else tuple(baselines)
    if unknown := [name for name in names if name not in BASELINES]:
        raise UsageError(f"baselines {unknown}: choose from {', '.join(BASELINES)}")
    if not isinstance(folder, str | os.PathLike):
        raise UsageError(f"folder: a path was expected, not {kind_of(folder)}")
    folder, tell = Path(folder), on_event or (lambda event: None)

    def note(sentence: str) -> None:
        tell(Event("note", sentence, 0, recipe.epochs, None, 0, 0))

    moved_cache = machine.settle_compiler_cache()
    with _untouched():
        device = devices.choose(options.device)
        training = samples(train_set, "train_set", device.torch, options.workers)
        testing = samples(test_set, "test_set", device.torch, options.workers)
        precision = devices.resolve_precision(options.precision, device)
        setup = Setup(model, recipe, device, devices.use_precision(precision), training, testing)
        classes, called, sizes = inspect_model(setup)
        prunable, left_out = choose_prunable(model, options.prunable, called)
        numbers = options.resolved(recipe, len(testing))
        files.check_writable(folder)
        notes = [*notes_on(left_out), *sizes]
        for sentence in [*([moved_cache] if moved_cache else []), *notes]:
            note(sentence)
        for side in (training, testing):  # last, since it may take as long as an epoch
            for sentence in side.check(classes, note):
                note(sentence)
                notes.append(sentence)
        spec = SearchSpec(
            network=fingerprint(model),
            prunable=prunable,
            data=Data("own", len(training), len(testing), f"{training.fingerprint}+{testing.fingerprint}"),
            recipe=recipe,
            precision=options.precision,
            sparsity=sparsity,
            chance=100 / classes,
            **numbers,
        )
        busy = f"{folder} is in use by another process: wait for it, or pass another folder"
        with files.locked(folder / ".lock", busy):
            spec.check_folder(folder)
            setup = dataclasses.replace(setup, prunable=prunable)
            result = _Search(spec, setup, folder, names, tell).result()
            result = dataclasses.replace(result, notes=tuple(notes), left_out=left_out)
            result.save()
            return result


@contextlib.contextmanager
def _untouched() -> Iterator[None]:
    """Restore the caller's random state and torch's global settings at the end. Enable gradients inside."""
    threads, matmul = torch.get_num_threads(), torch.backends.cuda.matmul
    tf32 = matmul.allow_tf32
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.backends.cudnn.flags(torch.backends.cudnn.enabled),
            restored(range(torch.cuda.device_count())),
        ):
            yield
    finally:
        torch.set_num_threads(threads)
        matmul.allow_tf32 = tf32


class _Search:
    """One call of `find_ticket`: which Runs it trains, in which order, and what the observer is told.

    The Runs are values like those of the paper's experiments (repro/run.py), on the user's network and data.
    """

    def __init__(
        self, spec: SearchSpec, setup: Setup, folder: Path, baselines: tuple[str, ...], tell: Observer
    ) -> None:
        self.spec, self.setup, self.baselines, self.folder = spec, setup, baselines, folder
        recipe, end = dataclasses.replace(spec.recipe, evaluate_every=1), spec.schedule
        self.dense = Run("dense", spec.network, spec.data, recipe, spec.precision, spec.seed, 0, end)
        self.store = Store(folder / "runs", folder / "runs.jsonl")
        self._tell = tell
        self._again: set[str] = set()  # keys of Runs whose files are lost: train them although they have Records
        self._epochs: dict[str, int] = {}  # epochs trained, by the Run's key

    def result(self) -> Result:
        """Train what is missing, and return the Result."""
        while True:
            try:
                return self._search()
            except CheckpointGone as lost:  # train its Run again, to the same bits
                assert lost.run
                self._again.add(lost.run.key)
                for path in self.store.folder(lost.run).glob("*.safetensors"):
                    path.unlink()

    def _search(self) -> Result:
        spec, recipe, end = self.spec, self.spec.recipe, self.spec.schedule
        dense = self._train(self.dense, {spec.rewind, end}, self._check)
        plateau = self._plateau(end)
        one_shot = ticket_of(self.dense, ONE_SHOT, recipe, end, end, spec.sparsity)
        # The ticket comes before the baselines: it is what was asked for.
        if plateau.safe is None:
            self._say("unsettled", "dense", end, end)
            run = one_shot
        else:
            self._say("safe", "dense", plateau.safe, end)
            last = spec.window_end(plateau.safe)
            window = gradual_window(self.dense, recipe, plateau.safe, last, spec.sparsity)
            self._train(window, {last})
            run = retraining(self.dense, "ticket", recipe, window)
        ticket = self._train(run, {end})
        others: dict[str, Record] = {}
        if self.baselines:
            dense = self._train(self.dense, {spec.rewind, end}, functools.partial(self._check, to_end=True))
        if ONE_SHOT in self.baselines:
            others[ONE_SHOT] = self._train(one_shot, {end})
        if ITERATIVE in self.baselines:
            pruned = self.dense
            for number in range(1, spec.rounds + 1):
                # The last pruning is to the sparsity itself, so that all strategies are compared at the same one.
                last_one = number == spec.rounds
                rate = spec.sparsity if last_one else iterative_sparsity(PRUNED_PER_ROUND, number)
                pruned = iterative_round(self.dense, recipe, pruned, spec.rewind, rate)
                others[ITERATIVE] = self._train(pruned, {end})
        return self._result(plateau, dense, run, ticket, others)

    def _result(
        self, plateau: Plateau, dense: Record, run: Run, ticket: Record, others: dict[str, Record]
    ) -> Result:
        """Make the Result from the Records of the search and the checkpoint of the ticket's ``run``."""
        spec, end, safe = self.spec, self.spec.schedule, plateau.safe
        loaded = self.store.load_checkpoint(run, end)
        if loaded is None:
            raise CheckpointGone("the ticket is gone or was damaged", run)
        model, kept = copied(self.setup.model).eval(), masks_of(loaded[0]) or {}
        fill(model, loaded[0])
        masks = {name: kept[name] for name in spec.prunable}
        sparsity = sparsity_of(masks)  # of every strategy: all prune exactly to the same one

        def outcome(name: str, record: Record, *epochs: int) -> Outcome:
            return Outcome(name, record.top1 or 0.0, record.best_top1 or 0.0, sparsity, *epochs)

        window = None if safe is None else (safe, spec.window_end(safe))
        checks = self._checks(end)
        # Alone, the ticket needs the dense training only up to where pruning was known to be safe.
        epochs = (plateau.known_at or end, len(checks), window[1] - window[0] if window else 0, end)
        trainings = {ONE_SHOT: end, ITERATIVE: spec.rounds * end}
        return Result(
            spec=spec,
            safe_epoch=safe,
            known_at=plateau.known_at,
            window=window,
            checks=checks,
            dense=dict(zip(map(int, dense.curve["test_epoch"]), dense.curve["test_top1"], strict=True)),
            ticket=outcome("ticket", ticket, *epochs),
            baselines={name: outcome(name, record, end, 0, 0, trainings[name]) for name, record in others.items()},
            epochs_trained=self._spent,
            provenance={name: value for name, value in ticket.provenance.items() if name not in NOT_SHOWN},
            folder=self.folder,
            model=model,
            masks=masks,
        )

    def _train(self, run: Run, keep: set[int], stop: Stop | None = None) -> Record:
        known = self.store.record(run)
        if known and run.key not in self._again:
            self._epochs[run.key] = run.epochs
            return known
        self._epochs[run.key] = self.store.progress(run)
        phase = PHASES.get(run.experiment, f"{run.experiment} pruning")
        if run.experiment == ITERATIVE:
            phase += f" {run.rounds + 1}/{self.spec.rounds + 1}"

        def epoch_done(report: EpochReport) -> None:
            self._epochs[run.key] = report.epoch - run.first_epoch
            speed = report.images / report.seconds
            self._say("epoch", phase, report.epoch, run.last_epoch, report.test_top1, speed)

        record = train(run, self.setup, self.store, keep, epoch_done, stop)
        if self._epochs[run.key] == run.epochs:
            self._again.discard(run.key)
        if self.store.record(run):
            self._say("done", phase, run.last_epoch, run.last_epoch, record.top1)
        return record

    def _check(self, epoch: int, trainer: Trainer, to_end: bool = False) -> bool:
        """Check PPR when due, until there is a plateau, and keep the network that pruning may start from.

        Returns whether the dense training may stop there; never if it goes ``to_end``.
        """
        spec = self.spec
        if epoch and epoch % spec.check_every == 0 and not self._plateau(epoch - 1).known_at:
            # Kept first, since the check starts from it like any other Run.
            self.store.save_checkpoint(self.dense, epoch, trainer.checkpoint())
            if self.store.record(self._ppr(epoch)) is None:
                record = train(self._ppr(epoch), self.setup, self.store, set(), lambda report: None)
                self._say("check", "PPR check", epoch, spec.schedule, record.top1)
            needed = {self._plateau(epoch).epoch, spec.rewind, spec.schedule}
            for path in self.store.folder(self.dense).glob("epoch-*.safetensors"):
                if int(path.name.split("-")[1]) not in needed:
                    path.unlink()
        return not to_end and self._plateau(epoch).known_at is not None

    def _plateau(self, epoch: int) -> Plateau:
        """Find the plateau in the checks of the first ``epoch`` epochs."""
        checks = [*self._checks(epoch).items()]
        return find_plateau(checks, self.spec.patience, self.spec.tolerance, self.spec.chance)

    def _checks(self, epoch: int) -> dict[int, float]:
        """Return PPR in per cent of those of the first ``epoch`` epochs that were checked."""
        due = range(self.spec.check_every, epoch + 1, self.spec.check_every)
        return {e: record.top1 or 0.0 for e in due if (record := self.store.record(self._ppr(e)))}

    def _ppr(self, epoch: int) -> Run:
        return ppr_check(self.dense, self.spec.recipe, epoch, self.spec.ppr_rate, self.spec.sparsity)

    @property
    def _spent(self) -> int:
        return sum(self._epochs.values()) + len(self._checks(self.spec.schedule))

    def _left(self) -> int:
        """Return the most epochs that may still be needed."""
        spec, end, plateau = self.spec, self.spec.schedule, self._plateau(self.spec.schedule)
        dense = plateau.known_at if plateau.known_at and not self.baselines else end
        checks = len(self._checks(end)) if plateau.known_at else end // spec.check_every
        window = spec.window_end(plateau.safe or 0) - (plateau.safe or 0)
        retrained = 1 + (ONE_SHOT in self.baselines) + (ITERATIVE in self.baselines) * spec.rounds
        return max(0, dense + checks + window + retrained * end - self._spent)

    def _say(
        self, kind: Kind, phase: str, epoch: int, last: int, top1: float | None = None, speed: float | None = None
    ) -> None:
        self._tell(Event(kind, phase, epoch, last, top1, self._spent, self._left(), speed))
