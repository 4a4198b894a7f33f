"""How a global batch goes through the network: in equal parts, shared out among ranks. Pure: no torch.

A recipe has `micro_batches` parts a batch, each with BatchNorm statistics of its own. One GPU takes them one after
another, eight take one each: the same arithmetic, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from repro.config.params import MicroBatchRecipe
from repro.errors import UsageError

LEAST = 2  # images in a part: BatchNorm has no variance over one value


@dataclass(frozen=True)
class Part:
    """Images ``start`` to ``stop`` of an epoch's order; ``last`` of this rank's parts of its batch."""

    start: int
    stop: int
    last: bool


@dataclass(frozen=True)
class Batch:
    """Global batch ``number`` of an epoch: images ``start`` to ``stop`` of its order."""

    number: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Its images, on all ranks together."""
        return self.stop - self.start


def batches(images: int, recipe: MicroBatchRecipe) -> list[Batch]:
    """The batches of an epoch of ``images``. The last one is left out if a part of it had under two images."""
    found = []
    for number, start in enumerate(range(0, images, recipe.batch_size)):
        batch = Batch(number, start, min(start + recipe.batch_size, images))
        if batch.size >= LEAST * recipe.micro_batches:
            found.append(batch)
    return found


def parts(batch: Batch, recipe: MicroBatchRecipe, rank: int, count: int) -> Iterator[Part]:
    """The parts of ``batch`` that ``rank`` of ``count`` trains. Their sizes differ by one at most."""
    share = recipe.micro_batches // count
    for number in range(rank * share, (rank + 1) * share):
        start, stop = (batch.start + batch.size * n // recipe.micro_batches for n in (number, number + 1))
        yield Part(start, stop, number == (rank + 1) * share - 1)


def check_ranks(count: int, recipe: MicroBatchRecipe) -> None:
    """Raise `UsageError` unless the parts of a batch divide among ``count`` ranks."""
    if recipe.micro_batches % count:
        fitting = " or ".join(str(n) for n in range(1, recipe.micro_batches + 1) if recipe.micro_batches % n == 0)
        raise UsageError(
            f"{count} GPUs for one Run: a batch of {recipe.micro_batches} parts divides among {fitting}"
        )
