"""The paper's experiments as Runs, for one profile. Pure: no torch."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from repro.config.fields import build
from repro.config.params import Settings
from repro.config.recipe import IMAGENET_ARCHS, PhotoParams, Recipe
from repro.run import Checkpoint, Data, Mask, Photos, Run
from repro.schedule import gradual_steps

Block = TypeVar("Block")
Made = TypeVar("Made", bound=Callable[..., Any])


def made_once(method: Made) -> Made:
    """Have a `Study` make a Run once for all artifacts that share it: a key is a hash over its parents' keys."""

    @functools.wraps(method)
    def cached(self: Study, *asked: Any, **named: Any) -> Any:
        name = (method.__name__, *asked, *named.items())
        if name not in self.made:
            self.made[name] = method(self, *asked, **named)
        return self.made[name]

    return cast(Made, cached)


def paper_epochs(arch: str) -> int:
    """Return the epochs of the paper's schedule for ``arch`` (appendix A.1 and A.2)."""
    return 90 if arch in IMAGENET_ARCHS else 200


# Trainings that start from a dense one, for `Study` and the ticket tool (repro/ticket/search.py). Network,
# data, precision and seed are those of ``dense``; ``recipe`` is that of the whole schedule.


def branch(
    dense: Run, family: str, recipe: Recipe, weights: Checkpoint, mask: Mask | None = None, **changes: Any
) -> Run:
    """Return a Run of ``family`` from ``weights`` under ``mask``, which is like ``dense`` but for ``changes``."""
    experiment = family + dense.experiment.removeprefix("dense")
    return replace(dense, experiment=experiment, recipe=recipe, weights=weights, mask=mask, probe=None, **changes)


def ticket(dense: Run, family: str, recipe: Recipe, s: int, v: int, sparsity: float) -> Run:
    """Return ticket (s, v) (section 3.1): the weights of epoch v under the mask of epoch s, for a whole
    schedule."""
    return branch(dense, family, recipe, Checkpoint(dense, v), Mask(Checkpoint(dense, s), sparsity))


def ppr_check(dense: Run, recipe: Recipe, epoch: int, rate: float, sparsity: float) -> Run:
    """Return PPR's training (section 3.3): the weights of an epoch, pruned, for one epoch at a constant rate."""
    start = Checkpoint(dense, epoch)
    recipe = replace(recipe, epochs=1, milestones=(), lr=rate, evaluate_every=1)
    return branch(dense, "ppr", recipe, start, Mask(start, sparsity), last_epoch=1)


def gradual_window(dense: Run, recipe: Recipe, first: int, last: int, sparsity: float) -> Run:
    """Return the gradual pruning (section 3.4, Eq. 6) along the schedule, one step an epoch."""
    steps = gradual_steps(first, last, sparsity)
    start = Checkpoint(dense, first)
    return branch(dense, "gradual", recipe, start, prune_at=steps, first_epoch=first, last_epoch=last)


def retraining(dense: Run, family: str, recipe: Recipe, window: Run) -> Run:
    """Return the training for a whole schedule from the end of ``window``, under its mask."""
    end = Checkpoint(window, window.last_epoch)
    return branch(dense, family, recipe, end, Mask(end, None))


def iterative_round(dense: Run, recipe: Recipe, before: Run, rewind: int, sparsity: float) -> Run:
    """Return the training under the mask of ``before``, pruned further, from the weights of epoch ``rewind``."""
    mask = Mask(Checkpoint(before, before.last_epoch), sparsity)
    return branch(dense, "iterative", recipe, Checkpoint(dense, rewind), mask)


@dataclass(frozen=True)
class Study:
    """The experiments of a profile on data sets with known fingerprints: makes the Runs that artifacts need.

    ``fingerprint`` and ``official`` describe CIFAR-10's images, ``photos`` and ``photos_official`` ImageNet's.
    """

    settings: Settings
    fingerprint: str
    official: bool = True
    photos: str = "unknown"
    photos_official: bool = True
    made: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @made_once
    def block(self, artifact: str, kind: type[Block]) -> Block:
        """Return what the profile sets for an artifact, as ``kind``. Raises ValueError with the place of an error.

        What the block does not set, or the profile without one, has its default.
        """
        name = artifact.replace("-", "_")
        raw = self.settings.profile.blocks.get(name, {})
        found: Block = build(kind, raw, f"profiles.{self.settings.name}.{name}")
        return found

    @property
    def comparable(self) -> bool:
        """Whether all results may be compared with published numbers: a comparable profile on official images."""
        return self.settings.comparable and self.official and self.photos_official

    def comparable_for(self, arch: str) -> bool:
        """Return whether results of ``arch`` may be compared with published numbers."""
        official = self.photos_official if arch in IMAGENET_ARCHS else self.official
        return self.settings.comparable and official

    @property
    def schedule(self) -> int:
        """Epochs of CIFAR-10's whole schedule."""
        return self.settings.profile.recipe.epochs

    def schedule_of(self, arch: str) -> int:
        """Return the epochs of the whole schedule of ``arch``."""
        return self.settings.profile.recipe_of(arch).epochs

    @made_once
    def dense(self, arch: str, seed: int) -> Run:
        """Return the dense baseline: fresh weights, no mask, the whole schedule, with Fig. 2's statistics.

        It is evaluated after every epoch, since Fig. 1's baseline row may ask for any. On ImageNet without the
        statistics: no figure needs them, and each epoch would rank millions of weights."""
        profile, own = self.settings.profile, self.settings.profile.data_of(arch)
        photos = isinstance(own, PhotoParams)
        return Run(
            experiment=f"dense-{arch}",
            arch=arch,
            data=Photos(**vars(own), fingerprint=self.photos)
            if photos
            else Data(**vars(own), fingerprint=self.fingerprint),
            recipe=replace(profile.recipe_of(arch), evaluate_every=1),
            precision=profile.precision_of.get(arch, profile.precision),
            seed=seed,
            first_epoch=0,
            last_epoch=self.schedule_of(arch),
            probe=None if photos else profile.sparsity,
        )

    @made_once
    def ticket(self, arch: str, seed: int, s: int, v: int, sparsity: float | None = None) -> Run:
        """Return ticket (s, v), section 3.1: the dense weights of epoch v under the mask of epoch s.

        ``sparsity`` defaults to the profile's (80 %)."""
        sparsity = self.settings.profile.sparsity if sparsity is None else sparsity
        return ticket(self.dense(arch, seed), "tickets", self.settings.profile.recipe_of(arch), s, v, sparsity)

    @made_once
    def gradual(self, arch: str, seed: int, first: int, last: int) -> Run:
        """Return gradual pruning over a window (section 3.4, Eq. 6), then retraining for the whole schedule."""
        dense, recipe = self.dense(arch, seed), self.settings.profile.recipe_of(arch)
        window = gradual_window(dense, recipe, first, last, self.settings.profile.sparsity)
        return retraining(dense, "gradual", recipe, window)

    @made_once
    def mask_distance(self, arch: str, seed: int, x: int, y: int) -> Run:
        """Return the mask of epoch x on the weights of epoch y, untrained: the distance of their masks."""
        dense, profile = self.dense(arch, seed), self.settings.profile
        mask = Mask(Checkpoint(dense, x), profile.sparsity)
        return branch(dense, "structures", profile.recipe_of(arch), Checkpoint(dense, y), mask, last_epoch=0)

    @made_once
    def ppr(self, arch: str, seed: int, epoch: int, rate: float) -> Run:
        """Return PPR (section 3.3): the weights of an epoch, pruned, trained for an epoch at a constant rate."""
        profile = self.settings.profile
        return ppr_check(self.dense(arch, seed), profile.recipe_of(arch), epoch, rate, profile.sparsity)

    def memorization(self, arch: str, seed: int, mask: Mask, size: int) -> Run:
        """Return memorization by a structure (section 3.3): its own weights, trained on ``size`` random labels.

        The accuracy is evaluated at the end only. Raises ValueError if there are not so many images.
        """
        own, profile = self.settings.profile.memorization, self.settings.profile
        if size > profile.data.train:
            raise ValueError(f"{size} examples, but data.train is {profile.data.train}")
        recipe = replace(profile.recipe, **vars(own), augment=False, evaluate_every=own.epochs)
        data = Data(profile.data.name, size, size, self.fingerprint, f"random-{seed}")
        return branch(
            self.dense(arch, seed), "memorization", recipe, mask.of, mask, data=data, last_epoch=own.epochs
        )

    def published_epochs(self, label: int | str, arch: str) -> str | None:
        """Return what the paper calls an epoch or a window (``5-10``) of the schedule of ``arch``, the same
        fraction of its own; None if that is no whole epoch. Other labels stay as they are."""
        return _scaled(str(label), paper_epochs(arch), self.schedule_of(arch))


@functools.cache  # asked for each of Fig. 2's 13,000 cells
def _scaled(label: str, paper: int, own: int) -> str | None:
    if not re.fullmatch(r"\d+(-\d+)?", label):
        return label
    scaled = [divmod(int(part) * paper, own) for part in label.split("-")]
    return None if any(rest for _, rest in scaled) else "-".join(str(epoch) for epoch, _ in scaled)
