"""Splits a global batch into equal micro-batches and divides them among ranks. Pure: no torch.

A recipe has `micro_batches` a batch, each with BatchNorm statistics of its own. One GPU trains them one after
another, eight train one each: the arithmetic is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from repro.config.recipe import MicroBatchRecipe
from repro.errors import UsageError

LEAST = 2  # images in a micro-batch: BatchNorm has no variance over one value


@dataclass(frozen=True)
class MicroBatch:
    """Images ``start`` to ``stop`` of an epoch's order; ``last``: this rank's last of the global batch."""

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
    """The batches of an epoch of ``images``, less a last one that has a micro-batch of fewer than two."""
    starts = range(0, images, recipe.batch_size)
    every = (Batch(number, start, min(start + recipe.batch_size, images)) for number, start in enumerate(starts))
    return [batch for batch in every if batch.size >= LEAST * recipe.micro_batches]


def microbatches(batch: Batch, recipe: MicroBatchRecipe, rank: int, count: int) -> Iterator[MicroBatch]:
    """Those of ``batch`` that ``rank`` of ``count`` trains. Their sizes differ by one at most."""
    each = recipe.micro_batches // count
    for number in range(rank * each, (rank + 1) * each):
        start, stop = (batch.start + batch.size * n // recipe.micro_batches for n in (number, number + 1))
        yield MicroBatch(start, stop, number == (rank + 1) * each - 1)


def check_ranks(count: int, recipe: MicroBatchRecipe) -> None:
    """Raise `UsageError` unless the micro-batches of a batch divide evenly among ``count`` ranks."""
    if recipe.micro_batches % count:
        divisors = " or ".join(str(n) for n in range(1, recipe.micro_batches + 1) if recipe.micro_batches % n == 0)
        raise UsageError(
            f"{count} GPUs for one Run: a batch of {recipe.micro_batches} parts divides among {divisors}"
        )
