"""How much of a plan is done, and how long the rest takes, judged by what has been trained so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from repro.plan import cost
from repro.run import Photos, Run
from repro.store import Store

# Multiply-adds of an image, in those of ResNet20 on 32 pixels; of ResNet18 and ResNet50 on NATIVE pixels.
WORK = {"resnet20": 1.0, "resnet56": 3.1, "resnet18": 44.5, "resnet50": 100.0}
NATIVE = 224


class TimeLeft:
    """The work of a plan, by network.

    A network that has trained is taken at the speed that it showed; until then it is taken to be slower than those
    that have by its multiply-adds. What happens between epochs (tests, files) is spread over the rest.
    """

    def __init__(self, runs: Iterable[Run], store: Store | None = None) -> None:
        """Count the work of ``runs``, less the epochs that ``store`` has of them."""
        self._left: Counter[str] = Counter()
        self._work: dict[str, float] = {}
        for run in runs:
            self._left[run.arch] += cost([run], store).images
            self._work[run.arch] = work_per_image(run)
        self._seen: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self.total = self._sum(self._left)

    def add(self, run: Run, images: int, seconds: float = 0.0) -> None:
        """Add ``images`` of ``run`` to those done. They took ``seconds`` of the device; 0 if unknown."""
        self._left[run.arch] -= images
        self._seen[run.arch] += images
        self._seconds[run.arch] = self._seconds.get(run.arch, 0.0) + seconds

    def done(self, within: Counter[str] | None = None) -> float:
        """Return the work done, of `total`. ``within``: images not yet added, by network."""
        return self._sum(self._seen + (within or Counter()))

    def seconds(self, spent: float, within: Counter[str] | None = None) -> float:
        """Estimate the seconds left after ``spent`` seconds in all; ``within`` as in `done`."""
        busy = sum(self._seconds.values())
        if not busy:
            return spent * (self.total / max(self.done(within), 1e-9) - 1)
        of_work = busy / self._sum(self._seen)
        left = self._left - (within or Counter())
        rest = sum(
            count * (self._seconds[arch] / self._seen[arch] if arch in self._seen else of_work * self._work[arch])
            for arch, count in left.items()
        )
        return rest * max(1.0, spent / busy)

    def _sum(self, images: Counter[str]) -> float:
        return sum(count * self._work[arch] for arch, count in images.items())


def work_per_image(run: Run) -> float:
    """Return the multiply-adds of one of its images, in those of ResNet20 on CIFAR-10."""
    side = run.data.crop / NATIVE if isinstance(run.data, Photos) else 1.0
    return WORK[run.arch] * side**2
