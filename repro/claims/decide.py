"""Claims decided: *holds*, *fails*, *undecided*, *not run*; *unpublished* where the paper gives no number, *not
comparable* where the Runs are not the paper's setting."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from repro import published
from repro.claims.expressions import Expression, Extreme, OverLayers, Sample, Values
from repro.claims.index import CellIndex, MissingCells
from repro.claims.noise import UnknownNoise
from repro.claims.statistics import expression_of
from repro.claims.tables import Cell, SeedTable
from repro.options import MOST_SEEDS
from repro.published import Claim

HOLDS, FAILS, UNDECIDED, NOT_RUN, UNPUBLISHED = "holds", "fails", "undecided", "not run", "unpublished"
NOT_COMPARABLE = "not comparable"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_RUN, UNPUBLISHED)
REFUTED = "; what there is decides it"


@dataclass(frozen=True)
class Judgement:
    """A claim and what the tables say of it. ``low`` and ``high`` bound the statistic with 95 %, infinite where
    there is no bound; ``n`` counts the seeds used, ``cells`` the cells of each; ``noise`` says what the interval
    comes from, ``missing`` what stands in the way. ``needed``: the number of seeds at which the same estimate
    would be decided."""

    claim: Claim
    verdict: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    noise: str = ""
    needed: int | None = None
    missing: str = ""
    cells: int = 0


def judge(tables: Sequence[SeedTable], noise: Mapping[str, float]) -> list[Judgement]:
    """Judge every claim of the paper, in its order.

    Args:
        tables: one a seed, or the paper's own alone.
        noise: the declared standard deviation of one Run by kind (params.yaml: replicate_sd).
    """
    if not tables:
        return [Judgement(claim, NOT_RUN, missing="there is no seed") for claim in published.claims()]
    index = CellIndex.of(tables)
    return [_judge(claim, index, tables, noise) for claim in published.claims()]


def decide(claim: Claim, low: float, high: float) -> str:
    """Decide by the interval alone: inside the claim's bounds, wholly outside, or neither."""
    if (claim.above is not None and high <= claim.above) or (claim.below is not None and low >= claim.below):
        return FAILS
    inside = (claim.above is None or claim.above < low) and (claim.below is None or high < claim.below)
    return HOLDS if inside else UNDECIDED


def wanted(tables: Sequence[SeedTable], among: Collection[str] | None = None) -> dict[str, list[Cell]]:
    """Return the cells on which each claim rests, by its id, with or without a value.

    ``among`` restricts the claims. Claims of which a whole group of cells is absent from ``tables`` are left out.
    """
    index = CellIndex.of(tables)
    found: dict[str, list[Cell]] = {}
    for claim in published.claims():
        if among is None or claim.id in among:
            with contextlib.suppress(MissingCells):
                found[claim.id] = list(expression_of(claim, index).cells())
    return found


def _judge(claim: Claim, index: CellIndex, tables: Sequence[SeedTable], noise: Mapping[str, float]) -> Judgement:
    lacking = UNPUBLISHED if index.printed else NOT_RUN
    try:
        expression = expression_of(claim, index)
    except MissingCells as absent:
        waiting = [name for name in claim.artifact if index.untouched(name)]
        why = f"{' and '.join(waiting)} not run yet" if waiting else str(absent)
        return Judgement(claim, lacking, missing=why)
    known, why = _known(expression, tables), _missing(expression, tables)
    if known is None:
        return Judgement(claim, lacking, missing=why)
    sample, cells = Sample(_complete(known, tables), noise), known.cells()
    judged = Judgement(claim, UNDECIDED, known.value(sample), n=sample.n, missing=why, cells=len(cells))
    stated = all(artifact == "text" for artifact, *_ in cells)
    try:
        low, high = known.interval(sample)
    except UnknownNoise as unknown:
        why = "; ".join(filter(None, [f"no replicate noise is known for {unknown}", why]))
        return replace(judged, missing=why) if known is expression else Judgement(claim, lacking, missing=why)
    if not known.noisy():
        comes_from = "as the text states it" if stated else "exact"
    elif sample.measured:
        comes_from = f"Student's t over {sample.n} seeds"
    elif isinstance(known, OverLayers):
        comes_from = f"over {len(known.layers)} layers"
    else:
        comes_from = f"replicate noise, n = {sample.n}"
    judged = replace(judged, low=low, high=high, noise=comes_from)
    if index.printed and stated:
        # The sentence would support itself: no table or figure prints the numbers behind it.
        return replace(judged, verdict=UNPUBLISHED, missing="stated in the text alone")
    if isinstance(known, Extreme) and known is not expression:
        # Some operands are missing, so the known ones give only a bound. It can refute the claim, not confirm it.
        low, high = (low, math.inf) if known.pick is max else (-math.inf, high)
        if decide(claim, low, high) != FAILS:
            return Judgement(claim, lacking, missing=why)
        return replace(judged, verdict=FAILS, low=low, high=high, missing=why + REFUTED)
    verdict = decide(claim, low, high)
    return replace(judged, verdict=verdict, needed=_needed(claim, known, sample) if verdict == UNDECIDED else None)


def _needed(claim: Claim, expression: Expression, sample: Sample) -> int | None:
    """Return the smallest number of seeds that would decide the same estimate; None beyond `MOST_SEEDS`."""
    for n in range(sample.n + 1, MOST_SEEDS + 1):
        if decide(claim, *expression.interval(replace(sample, assumed=n))) != UNDECIDED:
            return n
    return None


def _complete(expression: Expression, tables: Sequence[SeedTable]) -> list[Values]:
    """Return the values of the seeds that have every cell."""
    cells = expression.cells()
    whole = [table for table in tables if all(table.cells.get(cell) is not None for cell in cells)]
    return [cast(Values, table.cells) for table in whole]


def _known(expression: Expression, tables: Sequence[SeedTable]) -> Expression | None:
    """Return the expression if a seed has all its cells; else an `Extreme` of the parts of which one has."""
    if not isinstance(expression, Extreme):
        return expression if _complete(expression, tables) else None
    if _complete(expression, tables) and not expression.unknown:
        return expression
    known = replace(expression, parts=[part for part in expression.parts if _complete(part, tables)])
    return known if known.parts and _complete(known, tables) else None


def _missing(expression: Expression, tables: Sequence[SeedTable]) -> str:
    """Say how many cells have no value, in the fullest seed if none is complete; else which seeds are left out."""
    cells = expression.cells()
    gaps = []
    for table in tables:
        lacking = [cell for cell in cells if table.cells.get(cell) is None]
        ended = sum(cell in table.diverged for cell in lacking)
        text = f"{len(lacking)} of {len(cells)} cells {'has' if len(lacking) == 1 else 'have'} no value"
        gaps.append((len(lacking), text + (f" ({ended} diverged)" if ended else "")))
    if all(count for count, _ in gaps):
        told = [min(gaps, key=lambda gap: gap[0])[1]]
    else:
        told = [f"seed {table.seed} left out: {gap}" for table, (n, gap) in zip(tables, gaps, strict=True) if n]
    return "; ".join([*(expression.unknown if isinstance(expression, Extreme) else ()), *told])
