"""The paper's experiments as Runs, for one profile. Pure: no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from repro.params import Settings
from repro.run import Checkpoint, Data, Mask, Run
from repro.schedule import gradual_steps


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

    def ticket(self, arch: str, seed: int, s: int, v: int) -> Run:
        """Ticket (s, v), section 3.1: the dense weights of epoch v under the mask of epoch s, whole schedule."""
        dense = self.dense(arch, seed)
        mask = Mask(Checkpoint(dense, s), self.settings.profile.sparsity)
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

    def published_epoch(self, epoch: int) -> str | None:
        """The paper's epoch at the same share of its 200-epoch schedule, where that is a whole number."""
        scaled, rest = divmod(epoch * 200, self.schedule)
        return None if rest else str(scaled)

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
    ) -> Run:
        profile = self.settings.profile
        # The baseline row of Fig. 1 asks for the dense accuracy at any epoch.
        recipe = replace(profile.recipe, evaluate_every=1) if family == "dense" else profile.recipe
        data = Data(profile.data.name, profile.data.train, profile.data.test, self.fingerprint)
        return Run(
            experiment=f"{family}-{arch}",
            arch=arch,
            data=data,
            recipe=recipe,
            precision=profile.precision,
            seed=seed,
            first_epoch=first,
            last_epoch=last,
            weights=weights,
            mask=mask,
            prune_at=prune_at,
            probe=probe,
        )
