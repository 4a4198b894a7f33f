"""find_ticket: train dense with PPR checks, prune once that is safe, retrain, and train the baselines."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import nn

from repro import files, machine
from repro.config.fields import FRACTION
from repro.config.recipe import Recipe
from repro.engine import device as devices
from repro.engine.network import masks_of
from repro.engine.run_progress import RunProgress
from repro.errors import CheckpointGone, RunFailed, UsageError
from repro.experiments import gradual_window, iterative_round, ppr_check, retraining
from repro.experiments import ticket as ticket_of
from repro.pruning import Masks, sparsity_of
from repro.record import Record
from repro.run import Data, Run
from repro.schedule import iterative_sparsity, learning_rate
from repro.store import Store
from repro.ticket.datasets import kind_of, restored, samples
from repro.ticket.network import Setup, choose_prunable, copied, fill, fingerprint, inspect_model, unusual
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
from repro.ticket.trainer import Trainer

NOT_SHOWN = ("data", "parents", "ended")  # of a Record's provenance


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
        notes = [*(f"Not pruned: {what}" for what in unusual(left_out)), *sizes]
        for sentence in filter(None, (moved_cache, *notes)):
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
        due = range(spec.check_every, end + 1, spec.check_every)
        known = {epoch: record for epoch in due if (record := self.store.record(self._ppr(epoch)))}
        self.checks = {epoch: record.top1 or 0.0 for epoch, record in known.items()}  # PPR by dense epoch
        self._epochs = {record.key: 1 for record in known.values()}  # epochs trained, by the Run's key

    def result(self) -> Result:
        """Train what is missing, and return the Result."""
        while True:
            try:
                return self._search()
            except CheckpointGone as lost:  # train its Run again, to the same bits
                assert lost.run
                self._again.add(lost.run.key)
                self._epochs.pop(lost.run.key, None)
                for path in self.store.folder(lost.run).glob("*.safetensors"):
                    path.unlink()

    def _search(self) -> Result:
        spec, recipe, end = self.spec, self.spec.recipe, self.spec.schedule
        dense = self._train(self.dense, {spec.rewind, end}, self._check)
        plateau = self.plateau
        window = None if plateau.safe is None else spec.window_from(plateau.safe)
        one_shot = ticket_of(self.dense, ONE_SHOT, recipe, end, end, spec.sparsity)
        # The ticket comes before the baselines: it is what was asked for.
        if window is None:
            self._say("unsettled", "dense", end, end)
            run = one_shot
        else:
            self._say("safe", "dense", window[0], end)
            pruning = gradual_window(self.dense, recipe, *window, spec.sparsity)
            self._train(pruning, {window[1]})
            run = retraining(self.dense, "ticket", recipe, pruning)
        ticket = self._train(run, {end})
        model, masks = self._pruned(run)
        sparsity = sparsity_of(masks)  # of every strategy: all prune exactly to the same one

        def outcome(name: str, record: Record, dense: int, checks: int, window: int, retraining: int) -> Outcome:
            top1, best = record.top1 or 0.0, record.best_top1 or 0.0
            return Outcome(name, top1, best, sparsity, dense, checks, window, retraining)

        baselines: dict[str, Outcome] = {}
        if self.baselines:
            dense = self._train(self.dense, {spec.rewind, end}, functools.partial(self._check, to_end=True))
        if ONE_SHOT in self.baselines:
            baselines[ONE_SHOT] = outcome(ONE_SHOT, self._train(one_shot, {end}), end, 0, 0, end)
        if ITERATIVE in self.baselines:
            pruned = self.dense
            rates = [iterative_sparsity(PRUNED_PER_ROUND, number) for number in range(1, spec.rounds)]
            # The last pruning is to the sparsity itself, so that all strategies are compared at the same one.
            for rate in (*rates, spec.sparsity):
                pruned = iterative_round(self.dense, recipe, pruned, spec.rewind, rate)
                record = self._train(pruned, {end})
            baselines[ITERATIVE] = outcome(ITERATIVE, record, end, 0, 0, spec.rounds * end)
        pruning_epochs = window[1] - window[0] if window else 0
        return Result(
            spec=spec,
            safe_epoch=plateau.safe,
            known_at=plateau.known_at,
            window=window,
            checks=self.checks,
            dense=dict(zip(map(int, dense.curve["test_epoch"]), dense.curve["test_top1"], strict=True)),
            # Alone, the ticket needs the dense training only up to where pruning was known to be safe.
            ticket=outcome("ticket", ticket, plateau.known_at or end, len(self.checks), pruning_epochs, end),
            baselines=baselines,
            epochs_trained=self._spent,
            provenance={name: value for name, value in ticket.provenance.items() if name not in NOT_SHOWN},
            folder=self.folder,
            model=model,
            masks=masks,
        )

    def _pruned(self, run: Run) -> tuple[nn.Module, Masks]:
        """Return the network at the end of the schedule of ``run``, in eval mode, and its masks."""
        loaded = self.store.load_checkpoint(run, self.spec.schedule)
        if loaded is None:
            raise CheckpointGone("the ticket is gone or was damaged", run)
        model, masks = copied(self.setup.model).eval(), masks_of(loaded[0]) or {}
        fill(model, loaded[0])
        return model, {name: masks[name] for name in self.spec.prunable}

    def _train(
        self, run: Run, keep: Iterable[int] = (), stop: Callable[[int, Trainer], bool] | None = None
    ) -> Record:
        """Train ``run`` from its last saved state, and return its Record, which is stored if the Run ended.

        The network is kept at the epochs ``keep``. ``stop`` is called before every epoch and at the end, with the
        number of epochs trained and their network; if it returns True, training ends early: the Record so far is
        returned, and the state stays. Every epoch is on disk before it is told. Raises `RunFailed` if the loss is
        not finite, `CheckpointGone` if a parent's checkpoint is missing.
        """
        known = self.store.record(run)
        if known and run.key not in self._again:
            self._epochs[run.key] = run.epochs
            return known
        phase = run.experiment if run.experiment in ("dense", "ticket") else f"{run.experiment} pruning"
        if run.experiment == ITERATIVE:
            phase += f" {run.rounds + 1}/{self.spec.rounds + 1}"
        told = run.experiment != "ppr"  # `_check` tells of a check
        trainer = Trainer(self.setup, self.spec.prunable)
        progress = RunProgress(run, trainer, self.store, set(keep), self.setup.device, "own")
        self._epochs[run.key] = progress.epoch - run.first_epoch
        while not (stop and stop(progress.epoch, trainer)):
            if progress.over:
                record = progress.record()
                self.store.finish([(run, record)])
                self._again.discard(run.key)
                if told:
                    self._say("done", phase, run.last_epoch, run.last_epoch, record.top1)
                return record
            began = time.perf_counter()
            totals = trainer.epoch(run, progress.epoch)
            progress.finish_epoch(totals, trainer.evaluate)
            if "diverged_at" in progress.history:
                raise RunFailed(
                    f"{run.experiment}: the loss is not finite in epoch {progress.epoch + 1} at a learning rate "
                    f"of {learning_rate(run.recipe, progress.epoch):g}; a smaller recipe.lr may help"
                )
            seconds = time.perf_counter() - began
            progress.history["wall_s"] += seconds
            progress.save()
            self._epochs[run.key] += 1
            if told:
                report = progress.report(totals.seen, seconds)
                self._say("epoch", phase, report.epoch, run.last_epoch, report.test_top1, totals.seen / seconds)
        return progress.record()

    def _check(self, epoch: int, trainer: Trainer, to_end: bool = False) -> bool:
        """Check PPR when due, until there is a plateau, and keep the network that pruning may start from.

        Returns whether the dense training may stop there; never if it goes ``to_end``.
        """
        spec = self.spec
        if epoch and epoch % spec.check_every == 0 and epoch <= (self.plateau.known_at or spec.schedule):
            # Kept first, since the check starts from it like any other Run.
            self.store.save_checkpoint(self.dense, epoch, trainer.checkpoint())
            if epoch not in self.checks:
                self.checks[epoch] = self._train(self._ppr(epoch)).top1 or 0.0
                self.checks = dict(sorted(self.checks.items()))  # one that was lost may come behind later ones
                self._say("check", "PPR check", epoch, spec.schedule, self.checks[epoch])
            needed = {self.plateau.epoch, spec.rewind, spec.schedule}
            for path in self.store.folder(self.dense).glob("epoch-*.safetensors"):
                if int(path.name.split("-")[1]) not in needed:
                    path.unlink()
        return not to_end and self.plateau.known_at is not None and epoch >= self.plateau.known_at

    @property
    def plateau(self) -> Plateau:
        """The plateau in the checks so far."""
        spec = self.spec
        return find_plateau([*self.checks.items()], spec.patience, spec.tolerance, spec.chance)

    def _ppr(self, epoch: int) -> Run:
        return ppr_check(self.dense, self.spec.recipe, epoch, self.spec.ppr_rate, self.spec.sparsity)

    @property
    def _spent(self) -> int:
        return sum(self._epochs.values())

    def _left(self) -> int:
        """Return the most epochs that may still be needed."""
        spec, end, plateau = self.spec, self.spec.schedule, self.plateau
        dense = plateau.known_at if plateau.known_at and not self.baselines else end
        checks = len(self.checks) if plateau.known_at else end // spec.check_every
        first, last = spec.window_from(plateau.safe or 0)
        retrained = 1 + (ONE_SHOT in self.baselines) + (ITERATIVE in self.baselines) * spec.rounds
        return max(0, dense + checks + last - first + retrained * end - self._spent)

    def _say(
        self, kind: Kind, phase: str, epoch: int, last: int, top1: float | None = None, speed: float | None = None
    ) -> None:
        self._tell(Event(kind, phase, epoch, last, top1, self._spent, self._left(), speed))
