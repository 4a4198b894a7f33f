"""The paper's experiments as Runs, for one profile. Pure: no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from repro.params import Recipe, Settings
from repro.run import Checkpoint, Data, Mask, Run
from repro.schedule import gradual_steps, iterative_sparsity


@dataclass(frozen=True)
class Study:
    """A profile on a data set whose ``fingerprint`` is known: makes the Runs that artifacts ask for."""

    settings: Settings
    fingerprint: str
    official: bool = True

    @property
    def comparable(self) -> bool:
        """Whether its numbers may stand against the published ones: the paper profile, on the official images."""
        return self.settings.comparable and self.official

    @property
    def schedule(self) -> int:
        """Epochs of the whole schedule."""
        return self.settings.profile.recipe.epochs

    def dense(self, arch: str, seed: int) -> Run:
        """The dense baseline: fresh weights, no mask, the whole schedule, probed for Fig. 2 as it goes."""
        return self._run("dense", arch, seed, 0, self.schedule, probe=self.settings.profile.sparsity)

    def ticket(self, arch: str, seed: int, s: int, v: int, sparsity: float | None = None) -> Run:
        """Ticket (s, v), section 3.1: the dense weights of epoch v under the mask of epoch s, whole schedule.

        ``sparsity`` is the profile's where none is given (80 %)."""
        dense = self.dense(arch, seed)
        mask = Mask(Checkpoint(dense, s), self.settings.profile.sparsity if sparsity is None else sparsity)
        return self._run("tickets", arch, seed, 0, self.schedule, weights=Checkpoint(dense, v), mask=mask)

    def gradual(self, arch: str, seed: int, first: int, last: int) -> Run:
        """Gradual pruning over a window (section 3.4, Eq. 6), then retraining for the whole schedule."""
        steps = gradual_steps(first, last, self.settings.profile.sparsity)
        start = Checkpoint(self.dense(arch, seed), first)
        window = self._run("gradual", arch, seed, first, last, weights=start, prune_at=steps)
        end = Checkpoint(window, last)
        return self._run("gradual", arch, seed, 0, self.schedule, weights=end, mask=Mask(end, None))

    def structure(self, arch: str, seed: int, x: int, y: int) -> Run:
        """The mask of epoch x on the weights of epoch y, untrained: observes how far the two masks are apart."""
        dense = self.dense(arch, seed)
        mask = Mask(Checkpoint(dense, x), self.settings.profile.sparsity)
        return self._run("structures", arch, seed, 0, 0, weights=Checkpoint(dense, y), mask=mask)

    def ppr(self, arch: str, seed: int, epoch: int, rate: float) -> Run:
        """PPR (section 3.3): the dense weights of an epoch, pruned, trained for one epoch at a constant rate."""
        start = Checkpoint(self.dense(arch, seed), epoch)
        recipe = replace(self.settings.profile.recipe, epochs=1, milestones=(), lr=rate, evaluate_every=1)
        mask = Mask(start, self.settings.profile.sparsity)
        return self._run("ppr", arch, seed, 0, 1, weights=start, mask=mask, recipe=recipe)

    def beyond(self, arch: str, seed: int, epoch: int) -> Checkpoint:
        """The dense network at ``epoch``, also beyond the schedule, where its rate falls once more (Table 1)."""
        dense = self.dense(arch, seed)
        if epoch <= self.schedule:
            return Checkpoint(dense, epoch)
        start, last = Checkpoint(dense, self.schedule), self.settings.profile.table1.steps[-1][0]
        more = self._run("dense", arch, seed, self.schedule, last, weights=start, recipe=self._longer)
        return Checkpoint(more, epoch)

    def stepwise(self, arch: str, seed: int) -> Run:
        """Table 1's gradual pruning: the first step on the dense weights, the others as training goes on."""
        (first, rate), *others = self.settings.profile.table1.steps
        start = self.beyond(arch, seed, first)
        last = others[-1][0]
        return self._run(
            "gradual", arch, seed, first, last, weights=start, mask=Mask(start, rate),
            prune_at=tuple(others), recipe=self._longer,
        )  # fmt: skip

    def memorization(self, arch: str, seed: int, mask: Mask, size: int) -> Run:
        """What a structure can memorize (section 3.3): its own weights, trained on ``size`` random labels."""
        profile = self.settings.profile
        data = Data(profile.data.name, size, size, self.fingerprint, f"random-{seed}")
        recipe = profile.memorization_recipe
        return self._run(
            "memorization", arch, seed, 0, recipe.epochs, weights=mask.of, mask=mask, recipe=recipe, data=data
        )

    def iterative(self, arch: str, seed: int, training: int) -> Run:
        """The n-th training of iterative pruning (Table 4); the first is the dense one."""
        if training == 1:
            return self.dense(arch, seed)
        own = self.settings.profile.table4
        before = Checkpoint(self.iterative(arch, seed, training - 1), self.schedule)
        start = Checkpoint(self.dense(arch, seed), own.rewind)
        mask = Mask(before, iterative_sparsity(own.share, training - 1))
        return self._run("iterative", arch, seed, 0, self.schedule, weights=start, mask=mask)

    def published_epoch(self, epoch: int) -> str | None:
        """The paper's epoch at the same share of its 200-epoch schedule, where that is a whole number."""
        scaled, rest = divmod(epoch * 200, self.schedule)
        return None if rest else str(scaled)

    @property
    def _longer(self) -> Recipe:
        """The dense recipe, going on to the last step of Table 1."""
        own = self.settings.profile.table1
        last = max(own.steps[-1][0], self.schedule)
        recipe = self.settings.profile.recipe
        return replace(recipe, epochs=last, milestones=(*recipe.milestones, *own.further_milestones))

    def _run(
        self,
        family: str,
        arch: str,
        seed: int,
        first: int,
        last: int,
        *,
        weights: Checkpoint | None = None,
        mask: Mask | None = None,
        prune_at: tuple[tuple[int, float], ...] = (),
        probe: float | None = None,
        recipe: Recipe | None = None,
        data: Data | None = None,
    ) -> Run:
        profile = self.settings.profile
        recipe = recipe or profile.recipe
        if family == "dense":  # the baseline row of Fig. 1 asks for the dense accuracy at any epoch
            recipe = replace(recipe, evaluate_every=1)
        data = data or Data(profile.data.name, profile.data.train, profile.data.test, self.fingerprint)
        return Run(
            experiment=f"{family}-{arch}",
            arch=arch,
            data=data,
            recipe=recipe,
            precision=profile.precision_of.get(arch, profile.precision),
            seed=seed,
            first_epoch=first,
            last_epoch=last,
            weights=weights,
            mask=mask,
            prune_at=prune_at,
            probe=probe,
        )
