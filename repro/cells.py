"""Cells: a published number beside the reproduced one, with a band and a verdict. Pure.

Verdicts: ``within`` and ``outside`` the band; ``not run``; ``not comparable`` (another setting than the
paper's, or no replicate noise is known: the published number stands beside it for orientation only);
``unpublished`` (the paper prints no number for it); ``diverged``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repro.quantiles import student

WITHIN, OUTSIDE, NOT_RUN = "within", "outside", "not run"
NOT_COMPARABLE, UNPUBLISHED, DIVERGED = "not comparable", "unpublished", "diverged"

NORMAL = 1.96


@dataclass(frozen=True)
class Cell:
    """One number of an artifact. ``reproduced`` is the mean over ``n`` seeds, ``sd`` their standard deviation
    (None below two), ``best_epoch`` the mean of the best epochs' accuracies, ``band`` half the width of the
    interval around ``published`` inside which an honest repetition falls with 95 % (None where the two are not
    compared)."""

    series: str
    row: str
    col: str
    published: float | None
    reproduced: float | None
    n: int
    sd: float | None
    best_epoch: float | None
    band: float | None
    verdict: str

    @property
    def difference(self) -> float | None:
        """Reproduced less published, also where the published number is there for orientation only."""
        if self.reproduced is None or self.published is None:
            return None
        return self.reproduced - self.published

    @property
    def shown(self) -> float | None:
        """The value to show: none where a seed diverged, since the mean of the others is not the cell's."""
        return None if self.verdict == DIVERGED else self.reproduced

    @property
    def x(self) -> float | None:
        """The column as a number; None where it is none."""
        try:
            return float(self.col)
        except ValueError:
            return None

    @property
    def judged(self) -> bool:
        """Whether the cell is compared with the paper's."""
        return self.verdict in (WITHIN, OUTSIDE)

    def value(self, field: str) -> float | None:
        """Return the ``published`` value, or the ``reproduced`` one as it is `shown`."""
        return self.published if field == "published" else self.shown

    @property
    def z(self) -> float | None:
        """The difference in units of its noise, sd sqrt(1 + 1/n); None where the two are not compared.

        It is read off the band, whose edge is 1.96 such units with declared noise. A band of Student's t (three
        seeds measure the noise) is read alike: its edge is |z| = 1.96 as well, since what is as improbable should
        count as much. A number without noise (a count of epochs, the distance of a structure from itself over
        three seeds) has a band of 0, no unit, and no z.
        """
        if not self.judged or self.difference is None or not self.band:
            return None
        return self.difference * NORMAL / self.band


def cell(
    series: str,
    row: str,
    col: str,
    values: Sequence[float],
    *,
    published: float | None = None,
    best: Sequence[float] = (),
    replicate_sd: float | None = None,
    comparable: bool = True,
    diverged: bool = False,
) -> Cell:
    """Make a cell from one value a seed. ``replicate_sd`` is the seed-to-seed noise if fewer than three measure
    it."""
    n = len(values)
    mean = statistics.fmean(values) if n else None
    sd = statistics.stdev(values) if n > 1 else None
    width = band(n, sd, replicate_sd) if n and comparable and published is not None else None
    if diverged:  # of several seeds, too: the mean of the others is not the artifact's number
        verdict = DIVERGED
    elif mean is None:
        verdict = NOT_RUN
    elif published is None:
        verdict = UNPUBLISHED
    elif width is None:
        verdict = NOT_COMPARABLE
    else:
        verdict = WITHIN if abs(mean - published) <= width else OUTSIDE
    return Cell(series, row, col, published, mean, n, sd, statistics.fmean(best) if best else None, width, verdict)


def band(n: int, sd: float | None, replicate_sd: float | None) -> float | None:
    """Half-width of a 95 % prediction interval between one published value and the mean of ``n``:
    1.96 sd sqrt(1 + 1/n) with the declared replicate noise; from three seeds on, without one, Student's t
    with the measured sd. None where neither is known."""
    if replicate_sd is not None:
        return NORMAL * replicate_sd * math.sqrt(1 + 1 / n)
    if sd is not None and n >= 3:
        return student(n - 1, 0.025) * sd * math.sqrt(1 + 1 / n)
    return None


def count(cells: Iterable[Cell]) -> dict[str, int]:
    """Count the cells by verdict, the common verdicts first."""
    order = [WITHIN, OUTSIDE, NOT_RUN, NOT_COMPARABLE, UNPUBLISHED, DIVERGED]
    found = [cell.verdict for cell in cells]
    return {verdict: found.count(verdict) for verdict in order if verdict in found}
