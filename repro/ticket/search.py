"""find_ticket: the dense training with its PPR checks, the branch that becomes the ticket, and what is beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from repro import files, machine
from repro.config.params import PRECISIONS, Recipe
from repro.engine import device as devices
from repro.engine.events import EpochReport
from repro.errors import CheckpointGone, UsageError
from repro.files import Lock
from repro.options import DEVICES, choice
from repro.record import Record
from repro.run import Data, Run
from repro.store import Store
from repro.ticket import arguments, inspect_model
from repro.ticket.datasets import samples
from repro.ticket.events import Event, Kind
from repro.ticket.plateau import Plateau, default_patience, default_tolerance, find_plateau
from repro.ticket.prunable import choose_prunable
from repro.ticket.randomness import untouched
from repro.ticket.result import Check, Result, assemble
from repro.ticket.search_spec import ITERATIVE, ONE_SHOT, SearchSpec
from repro.ticket.train import Stop, train
from repro.ticket.trainer import Setup, Trainer

Observer = Callable[[Event], object]
# What people read for a Run's experiment.
PHASES = {"dense": "dense", "ppr": "PPR check", "gradual": "gradual pruning", "ticket": "ticket"}


def find_ticket(
    model: nn.Module,
    train_set: Any,
    test_set: Any,
    *,
    recipe: Recipe,
    sparsity: float = 0.8,
    check_every: int = 1,
    ppr_rate: float | None = None,
    patience: int | None = None,
    tolerance: float | None = None,
    window: float = 0.25,
    rewind: int | None = None,
    prunable: Sequence[str] | None = None,
    beside: str | Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    precision: str = "float32",
    workers: int = 0,
    folder: str | Path = "runs/ticket",
    on_event: Observer | None = None,
) -> Result:
    """Find an early winning ticket of ``model``, a classifier as initialised, by the paper's strategy (section 4).

    The network is trained dense by ``recipe``; every ``check_every`` epochs a copy is pruned to ``sparsity`` and
    trained for one epoch at ``ppr_rate`` (default: a tenth of the recipe's rate), and its test accuracy taken.
    Once these accuracies have settled (`find_plateau`: ``patience`` checks without a gain of more than
    ``tolerance`` points; defaults `default_patience` and `default_tolerance`), the network of the epoch where
    the plateau began is pruned gradually along the dense schedule (Eq. 6) for ``window`` times the schedule,
    at most to its end, and retrained under that mask for a whole schedule. If they never settle, it is pruned at
    the end.

    ``beside`` names what is trained for comparison: ``"one-shot"`` (dense to the end, pruned, retrained) and
    ``"iterative"`` (20 % of what is left at a time, rewound to epoch ``rewind``; default: a fortieth of the
    schedule, 5 of 200, at least 1). The dense training is shared.

    ``train_set`` and ``test_set`` are torch Datasets of (tensor, label) or pairs of tensors, inputs float
    [N, ...] and labels int [N]. ``prunable`` names the weights to prune (default: `choose_prunable`).
    ``recipe`` is a `Recipe`, or its values by name; ``recipe.augment`` crops and flips images [N, C, H, W], and a
    Dataset with random transforms of its own wants it off. ``workers`` processes read a Dataset. All of it is read
    once before anything is trained: an item that cannot be used is said by its number.

    Every epoch is kept in ``folder``, and the same call goes on from there; so is the ticket
    (``ticket.safetensors``, ``masks.safetensors``). The given model, the global random state and torch's settings
    stay as they are. The same call gives the same bits on one device.

    Raises `UsageError` for what cannot be, in ``folder`` another search for instance, `RunFailed` for a loss
    that is not finite, `MissingInput` for a full disk or a process of ``workers`` that died.
    """
    if str(device) not in DEVICES:
        raise UsageError(f"device {device}: choose {choice(DEVICES)}")
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision}: choose {choice(PRECISIONS)}")
    model, recipe = arguments.network(model), arguments.checked_recipe(recipe)
    numbers = arguments.numbers(
        sparsity=sparsity, check_every=check_every, ppr_rate=ppr_rate, patience=patience, tolerance=tolerance,
        window=window, rewind=rewind, seed=seed,
    )  # fmt: skip
    readers, others = arguments.whole("workers", workers), arguments.strategies(beside)
    folder, tell = arguments.path("folder", folder), on_event or (lambda event: None)
    settled = machine.settle_compiler_cache()
    with untouched():
        chosen = devices.choose(str(device))
        training, testing = (
            samples(data, name, chosen.torch, readers)
            for data, name in ((train_set, "train_set"), (test_set, "test_set"))
        )
        resolved = devices.resolve_precision(precision, chosen)
        devices.use_tf32(resolved)
        kind = devices.dtype_of(resolved)
        seen = inspect_model.look(model, training, testing, chosen.torch, kind, recipe)
        pruned = choose_prunable(model, prunable, seen.called)
        spec = SearchSpec(
            network=inspect_model.fingerprint(model),
            prunable=pruned.names,
            data=Data("own", len(training), len(testing), ""),
            recipe=recipe,
            precision=precision,
            chance=100 / seen.classes,
            **_with_defaults(numbers, recipe, len(testing)),
        )
        files.check_writable(folder)
        notes = [*pruned.notes, *inspect_model.unlike(training, testing), *training.notes, *testing.notes]
        for sentence in [*([settled] if settled else []), *notes, *training.ahead, *testing.ahead]:
            tell(Event("note", sentence, 0, spec.schedule, None, 0, 0))
        for side in (training, testing):  # last, since it may take as long as an epoch
            side.check(seen.classes)
        hashes = f"{training.fingerprint}+{testing.fingerprint}"
        spec = replace(spec, data=replace(spec.data, fingerprint=hashes))
        with Lock(folder / ".lock") as lock:
            if not lock.take():
                raise UsageError(f"{folder} is in use by another process: wait for it, or pass another folder")
            spec.check_folder(folder)
            setup = Setup(model, pruned.names, chosen, kind, seen.layout, recipe, training, testing)
            found = _Search(spec, setup, folder, others, tell).result()
            found = replace(found, notes=tuple(notes), left_out=pruned.left_out)
            found.save()
            return found


def _with_defaults(numbers: dict[str, Any], recipe: Recipe, tested: int) -> dict[str, Any]:
    """``numbers``, with what was not asked for as the schedule and the number of test images suggest it."""
    defaults = {
        "ppr_rate": recipe.lr / 10,
        "patience": default_patience(recipe.epochs, numbers["check_every"]),
        "tolerance": default_tolerance(tested),
        "rewind": min(max(1, round(recipe.epochs / 40)), recipe.epochs),
    }
    return {name: defaults[name] if value is None else value for name, value in numbers.items()}


class _Search:
    """One call of `find_ticket`: which Runs, in which order, and what the observer hears."""

    def __init__(
        self, spec: SearchSpec, setup: Setup, folder: Path, beside: tuple[str, ...], tell: Observer
    ) -> None:
        self.spec, self.setup, self.beside, self.folder = spec, setup, beside, folder
        self.store = Store(folder / "runs", folder / "runs.jsonl")
        self._tell = tell
        self._again: set[str] = set()  # keys of Runs whose files are lost: their Records do not count
        self._epochs: dict[str, int] = {}  # epochs trained, by the Run's key

    def result(self) -> Result:
        while True:
            try:
                return self._search()
            except CheckpointGone as lost:  # set aside by now: trained again, to the same bits
                assert lost.run
                self._again.add(lost.run.key)
                for path in self.store.folder(lost.run).glob("*.safetensors"):
                    path.unlink()

    def _search(self) -> Result:
        spec, end = self.spec, self.spec.schedule
        dense = self._train(spec.dense(), {spec.rewind, end}, self._until_settled)
        found = self._plateau(end)
        safe = found.epoch if found.known_at else None
        # The ticket before what stands beside it: it is what was asked for.
        if safe is None:
            self._say("unsettled", "dense", end, end)
        else:
            self._say("safe", "dense", safe, end)
            self._train(spec.gradual(safe), {spec.window_end(safe)})
        ticket = self._train(spec.ticket(safe), {end})
        others: dict[str, Record] = {}
        if self.beside:
            dense = self._train(spec.dense(), {spec.rewind, end}, self._check)
        if ONE_SHOT in self.beside:
            others[ONE_SHOT] = self._train(spec.one_shot(), {end})
        if ITERATIVE in self.beside:
            for number in range(1, spec.rounds + 1):
                others[ITERATIVE] = self._train(spec.iterative(number), {end})
        checks = [Check(epoch, record.top1 or 0.0) for epoch, record in self._checks(end)]
        loaded = self.store.load_checkpoint(spec.ticket(safe), end)
        if loaded is None:
            raise CheckpointGone("the ticket is gone or was damaged", spec.ticket(safe))
        return assemble(
            spec, self.setup, self.folder, found, checks, dense, ticket, others, loaded[0], self._spent
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

    def _until_settled(self, epoch: int, trainer: Trainer) -> bool:
        """Asked along the dense training: check PPR where due, and stop once it has settled."""
        return self._check(epoch, trainer) or self._plateau(epoch).known_at is not None

    def _check(self, epoch: int, trainer: Trainer) -> bool:
        """Check PPR where due and not settled yet, and keep the network that pruning may start from. No stop."""
        spec, dense = self.spec, self.spec.dense()
        if not spec.due(epoch) or self._plateau(epoch - 1).known_at is not None:
            return False
        # Kept first, since the check starts from it like any other Run.
        self.store.save_checkpoint(dense, epoch, trainer.checkpoint())
        if self.store.record(spec.ppr(epoch)) is None:
            record = train(spec.ppr(epoch), self.setup, self.store, set(), lambda report: None)
            self._say("check", "PPR check", epoch, spec.schedule, record.top1)
        needed = {self._plateau(epoch).epoch, spec.rewind, spec.schedule}
        for path in self.store.folder(dense).glob("epoch-*.safetensors"):
            if int(path.name.split("-")[1]) not in needed:
                path.unlink()
        return False

    def _plateau(self, epoch: int) -> Plateau:
        """What the checks of the first ``epoch`` epochs tell."""
        checks = [(e, record.top1 or 0.0) for e, record in self._checks(epoch)]
        return find_plateau(checks, self.spec.patience, self.spec.tolerance, self.spec.chance)

    def _checks(self, epoch: int) -> list[tuple[int, Record]]:
        due = [e for e in range(1, epoch + 1) if self.spec.due(e)]
        return [(e, record) for e in due if (record := self.store.record(self.spec.ppr(e)))]

    @property
    def _spent(self) -> int:
        return sum(self._epochs.values()) + len(self._checks(self.spec.schedule))

    def _left(self) -> int:
        """Epochs still to come, at most."""
        spec = self.spec
        found = self._plateau(spec.schedule)
        if found.known_at:
            dense = spec.schedule if self.beside else found.known_at
            checks = len(self._checks(spec.schedule))
            ticket = spec.window_end(found.epoch) - found.epoch + spec.schedule
        else:
            dense, checks = spec.schedule, spec.schedule // spec.check_every
            ticket = spec.window_end(0) + spec.schedule
        trainings = (ONE_SHOT in self.beside) + (ITERATIVE in self.beside) * spec.rounds
        return max(0, dense + checks + ticket + trainings * spec.schedule - self._spent)

    def _say(
        self, kind: Kind, phase: str, epoch: int, last: int, top1: float | None = None, speed: float | None = None
    ) -> None:
        self._tell(Event(kind, phase, epoch, last, top1, self._spent, self._left(), speed))
