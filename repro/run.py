"""Run: one training, as a frozen value with a content key. Pure: no torch, no files.

Everything in the paper is a Run: these weights, under this mask, on this data, by this recipe, for these epochs.
Weights and mask may come from another Run at an epoch, its parent. Runs therefore form a graph, and a Run's key
covers its parents' keys.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from repro.config.recipe import Recipe

# Part of every key. Increase it when the meaning of a training changes (augmentation, initialisation, the order of
# random numbers, the steps of an epoch), so that old results are not reused for it.
SEMANTICS = 1
USUAL = 0.8  # the paper's sparsity; labels mention any other


@dataclass(frozen=True)
class Data:
    """The images of a Run: the first ``train`` and ``test`` images of a data set, balanced over classes.

    ``fingerprint`` is a hash of all images and labels that does not depend on the order of files. ``labels`` are
    ``true``, or ``random-0``, ``random-1``, ...: uniform over the classes, drawn from that name. A Run on random
    labels is evaluated on its training examples, so that its accuracy is what it memorized.
    """

    name: str
    train: int
    test: int
    fingerprint: str
    labels: str = "true"


@dataclass(frozen=True, kw_only=True)
class Photos(Data):
    """Photographs of any size (ImageNet), read from disk during training instead of 32x32 images in memory.

    Training crops are ``crop`` pixels wide and high. For evaluation the shorter side is resized to ``resize`` and
    the centre is cropped. ``stored`` is the shorter side of the resized images that are read, 0 for the original
    files.
    """

    crop: int
    resize: int
    stored: int


@dataclass(frozen=True)
class Checkpoint:
    """The network of ``run`` after ``epoch`` epochs of its schedule (0: as initialised)."""

    run: Run
    epoch: int


@dataclass(frozen=True)
class Mask:
    """The weights that remain: global magnitude pruning of ``of`` at rate ``sparsity`` (paper section 3.1).

    With ``sparsity`` None, the mask of ``of`` itself is used (retraining after gradual pruning).
    """

    of: Checkpoint
    sparsity: float | None


@dataclass(frozen=True)
class Run:
    """One training. Every field is in the key, defaults included.

    ``weights`` None means freshly initialised from ``seed``. The Run trains epochs ``first_epoch`` to
    ``last_epoch`` of the recipe's schedule; if both are equal it trains nothing and only measures its initial
    network. ``prune_at`` lists (epoch, sparsity) pairs: after that epoch, prune to that sparsity by global
    magnitude. ``probe`` is a pruning rate: after every epoch, record the standard deviation of each layer's
    weights and the layer's rate in a pruning at that rate (Fig. 2), without pruning.
    """

    experiment: str
    arch: str
    data: Data
    recipe: Recipe
    precision: str
    seed: int
    first_epoch: int
    last_epoch: int
    weights: Checkpoint | None = None
    mask: Mask | None = None
    prune_at: tuple[tuple[int, float], ...] = ()
    probe: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.first_epoch <= self.last_epoch <= self.recipe.epochs:
            raise ValueError(
                f"epochs {self.first_epoch} to {self.last_epoch} do not lie in a schedule of {self.recipe.epochs}"
            )
        for parent in self.parents:
            if not parent.run.first_epoch <= parent.epoch <= parent.run.last_epoch:
                first, last = parent.run.first_epoch, parent.run.last_epoch
                raise ValueError(f"{parent.run.label} has no epoch {parent.epoch}, only {first} to {last}")

    @functools.cached_property
    def key(self) -> str:
        """16 hex digits: a hash of everything that can change the result."""
        return key_of(self.spec())

    def spec(self) -> dict[str, Any]:
        """Return the Run as JSON values, with parents by key and epoch."""
        spec: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Data | Recipe):
                value = dict(vars(value))  # their fields are plain values
            elif isinstance(value, Checkpoint):
                value = {"run": value.run.key, "epoch": value.epoch}
            elif isinstance(value, Mask):
                value = {"run": value.of.run.key, "epoch": value.of.epoch, "sparsity": value.sparsity}
            spec[item.name] = value
        return spec

    @property
    def parents(self) -> tuple[Checkpoint, ...]:
        """The checkpoints from which it starts, without repetition."""
        parents = [self.weights] if self.weights else []
        if self.mask and self.mask.of not in parents:
            parents.append(self.mask.of)
        return tuple(parents)

    @property
    def epochs(self) -> int:
        """The number of epochs trained."""
        return self.last_epoch - self.first_epoch

    @property
    def rounds(self) -> int:
        """How often the network was trained and then pruned before this Run."""
        return 0 if self.mask is None else 1 + self.mask.of.run.rounds

    @property
    def stream(self) -> str:
        """The name of its random numbers (data order, crops, flips).

        It is made from the Run's purpose, not its key: the same cell in another precision sees the same batches,
        so that the two can be compared as a pair, while no two cells of a grid share their noise.
        """
        parts = [
            self.experiment,
            self.arch,
            f"seed={self.seed}",
            f"epochs={self.first_epoch}-{self.last_epoch}",
        ]
        for name, parent in (("weights", self.weights), ("mask", self.mask and self.mask.of)):
            if parent:
                parts.append(f"{name}@{parent.epoch}/{parent.run.first_epoch}-{parent.run.last_epoch}")
        if self.rounds > 1:  # rounds of iterative pruning differ in nothing else
            parts.append(f"rounds={self.rounds}")
        if self.experiment.startswith("ppr"):
            parts.append(f"rate={self.recipe.lr:g}")
        if self.experiment.startswith("batch-probe"):
            parts.append(f"batch={self.recipe.batch_size}")
        if self.data.labels != "true":  # the same network with another number of examples or sparsity
            parts.append(f"examples={self.data.train} sparsity={self.mask and self.mask.sparsity}")
        return " ".join(parts)

    @property
    def label(self) -> str:
        """A readable name: ``tickets resnet20 s=100 v=5 seed 0``."""
        words = [self.experiment.removesuffix(f"-{self.arch}"), self.arch]
        if self.prune_at:
            words.append(f"prune {self.first_epoch}-{self.last_epoch}")
        elif self.mask and self.mask.sparsity is None:
            words.append(f"retrain after {self.mask.of.run.first_epoch}-{self.mask.of.epoch}")
        elif self.rounds > 1:
            words.append(f"round {self.rounds}")
        elif self.mask:
            words += [f"s={self.mask.of.epoch}"]
            words += [f"v={self.weights.epoch}"] if self.weights else []
            if self.data.labels == "true" and self.mask.sparsity != USUAL:
                words.append(f"at {self.mask.sparsity:.0%}")
        elif self.weights:
            words.append(f"{self.first_epoch}-{self.last_epoch}")
        if self.data.labels != "true":
            at = f" at {self.mask.sparsity:.0%}" if self.mask and self.mask.sparsity else ""
            words.append(f"N={self.data.train}{at}")
        if self.experiment.startswith("ppr"):
            words.append(f"rate {self.recipe.lr:g}")
        if self.experiment.startswith("batch-probe"):
            words.append(f"batch {self.recipe.batch_size}")
        return " ".join([*words, f"seed {self.seed}"])

    def evaluates_after(self, epoch: int) -> bool:
        """Return whether the test set is evaluated after ``epoch`` epochs."""
        return epoch == self.last_epoch or epoch % self.recipe.evaluate_every == 0


def key_of(spec: Mapping[str, Any]) -> str:
    """Return the key of the Run that has this `Run.spec`, also one that was read back from JSON."""
    text = json.dumps({"semantics": SEMANTICS, **spec}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ancestors(runs: list[Run]) -> list[Run]:
    """Return ``runs`` and all their ancestors, each once, parents before children."""
    order: dict[str, Run] = {}

    def visit(run: Run) -> None:
        if run.key not in order:
            for parent in run.parents:
                visit(parent.run)
            order[run.key] = run

    for run in runs:
        visit(run)
    return list(order.values())


def start_epochs(runs: Iterable[Run]) -> dict[str, set[int]]:
    """Map a Run's key to the epochs at which ``runs`` themselves start from it."""
    wanted: dict[str, set[int]] = {}
    for run in runs:
        for parent in run.parents:
            wanted.setdefault(parent.run.key, set()).add(parent.epoch)
    return wanted
