"""Cells: a reproduced number, the published one, the band between them and a verdict. Pure.

Verdicts: ``within`` and ``outside`` the band; ``not run``; ``not comparable`` (the setting differs from the
paper's, or no seed-to-seed noise is known: the published number is shown for orientation only); ``unpublished``
(the paper does not print this number); ``diverged``.
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
    """One number of an artifact.

    ``reproduced`` is the mean over ``n`` seeds, ``sd`` their standard deviation (None for a single one),
    ``best_epoch`` the mean accuracy of the best epochs. ``band`` is the half-width of the interval around
    ``published`` that contains 95 % of exact replications (None if the two are not compared).
    """

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
        """Reproduced minus published, also if the published number is shown for orientation only."""
        if self.reproduced is None or self.published is None:
            return None
        return self.reproduced - self.published

    @property
    def shown(self) -> float | None:
        """The value to show: none where a seed diverged, since the mean of the others is not the cell's. The
        verdict of a cell without one says why: not run, or diverged."""
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
        """The difference in units of its noise, sd sqrt(1 + 1/n); None if the two numbers are not compared.

        It is computed from the band, so that |z| = 1.96 at its edge: exactly with declared noise, and by equal
        probability with Student's t (noise measured on three seeds). A number without noise (a count of epochs,
        the distance of a structure from itself) has a band of 0 and no z.
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
    """Make a cell from one value per seed. ``replicate_sd`` is the declared seed-to-seed noise, if any."""
    n = len(values)
    mean = statistics.fmean(values) if n else None
    sd = statistics.stdev(values) if n > 1 else None
    width = band(n, sd, replicate_sd) if n and comparable and published is not None else None
    if diverged:  # also if other seeds did not: their mean is not the artifact's number
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
    """Return the half-width of a 95 % prediction interval between a published value and the mean of ``n`` seeds.

    1.96 sd sqrt(1 + 1/n) with the declared ``replicate_sd``; without it, Student's t with the measured ``sd`` if
    there are at least three seeds; else None.
    """
    if replicate_sd is not None:
        return NORMAL * replicate_sd * math.sqrt(1 + 1 / n)
    if sd is not None and n >= 3:
        return student(n - 1, 0.025) * sd * math.sqrt(1 + 1 / n)
    return None


def count(cells: Iterable[Cell]) -> dict[str, int]:
    """Count the cells of each verdict, in a fixed order of verdicts."""
    order = [WITHIN, OUTSIDE, NOT_RUN, NOT_COMPARABLE, UNPUBLISHED, DIVERGED]
    verdicts = [cell.verdict for cell in cells]
    return {verdict: verdicts.count(verdict) for verdict in order if verdict in verdicts}
