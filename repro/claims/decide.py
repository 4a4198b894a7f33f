"""Claims decided: *holds*, *fails*, *undecided*, *not run*; *unpublished* where the paper gives no number, *not
comparable* where the Runs are not the paper's setting."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from repro import published
from repro.claims import intervals
from repro.claims.expressions import Expression, Max, Min, OverLayers, Values, cells_of, noisy
from repro.claims.intervals import Sample
from repro.claims.noise import UnknownNoise
from repro.claims.statistics import expression_of
from repro.claims.tables import Cell, CellIndex, MissingCells, SeedTable
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


def withheld(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return the judgements without verdicts, for Runs that are not in the paper's setting: statistics for
    orientation."""
    return [
        judged if judged.verdict == NOT_RUN
        else replace(judged, verdict=NOT_COMPARABLE, needed=None, missing=judged.missing.removesuffix(REFUTED))
        for judged in judgements
    ]  # fmt: skip


def wanted(tables: Sequence[SeedTable], among: Collection[str] | None = None) -> dict[str, list[Cell]]:
    """Return the cells on which each claim rests, by its id, with or without a value.

    ``among`` restricts the claims. Claims of which a whole group of cells is absent from ``tables`` are left out.
    """
    index = CellIndex.of(tables)
    found: dict[str, list[Cell]] = {}
    for claim in published.claims():
        if among is not None and claim.id not in among:
            continue
        with contextlib.suppress(MissingCells):
            found[claim.id] = list(cells_of(expression_of(claim, index)))
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
    sample, cells = Sample(_complete(known, tables), noise), cells_of(known)
    judged = Judgement(claim, UNDECIDED, intervals.value(known, sample), n=sample.n, missing=why, cells=len(cells))
    try:
        low, high = intervals.interval(known, sample)
    except UnknownNoise as unknown:
        why = "; ".join(filter(None, [f"no replicate noise is known for {unknown}", why]))
        return replace(judged, missing=why) if known is expression else Judgement(claim, lacking, missing=why)
    judged = replace(judged, low=low, high=high, noise=_noise(known, sample))
    if index.printed and all(artifact == "text" for artifact, *_ in cells):
        # The sentence would support itself: no table or figure prints the numbers behind it.
        return replace(judged, verdict=UNPUBLISHED, missing="stated in the text alone")
    if known is not expression:
        # Some operands are missing, so the known ones give only a bound. It can refute the claim, not confirm it.
        low, high = (low, math.inf) if isinstance(known, Max) else (-math.inf, high)
        if decide(claim, low, high) != FAILS:
            return Judgement(claim, lacking, missing=why)
        return replace(judged, verdict=FAILS, low=low, high=high, missing=why + REFUTED)
    verdict = decide(claim, low, high)
    return replace(judged, verdict=verdict, needed=_needed(claim, known, sample) if verdict == UNDECIDED else None)


def _needed(claim: Claim, expression: Expression, sample: Sample) -> int | None:
    """Return the smallest number of seeds that would decide the same estimate; None beyond `MOST_SEEDS`."""
    for n in range(sample.n + 1, MOST_SEEDS + 1):
        if decide(claim, *intervals.interval(expression, sample.at(n))) != UNDECIDED:
            return n
    return None


def _noise(expression: Expression, sample: Sample) -> str:
    if not noisy(expression):
        return "as the text states it" if all(cell[0] == "text" for cell in cells_of(expression)) else "exact"
    if sample.measured:
        return f"Student's t over {sample.n} seeds"
    if isinstance(expression, OverLayers):
        return f"over {len(expression.layers)} layers"
    return f"replicate noise, n = {sample.n}"


def _complete(expression: Expression, tables: Sequence[SeedTable]) -> list[Values]:
    """Return the values of the seeds that have every cell."""
    cells = cells_of(expression)
    found = [{cell: table.cells.get(cell) for cell in cells} for table in tables]
    return [cast(Values, values) for values in found if None not in values.values()]


def _known(expression: Expression, tables: Sequence[SeedTable]) -> Expression | None:
    """Return the expression if a seed has all its cells; else a `Max` or `Min` of the parts of which one has."""
    if _complete(expression, tables) and not getattr(expression, "unknown", ()):
        return expression
    if not isinstance(expression, Max | Min):
        return None
    known = type(expression)([part for part in expression.parts if _complete(part, tables)])
    return known if known.parts and _complete(known, tables) else None


def _missing(expression: Expression, tables: Sequence[SeedTable]) -> str:
    """Say how many cells have no value, in the fullest seed if none is complete; else which seeds are left out."""
    cells = cells_of(expression)
    lacking = [[cell for cell in cells if table.cells.get(cell) is None] for table in tables]
    gaps = [_gap(table, gone, len(cells)) for table, gone in zip(tables, lacking, strict=True)]
    if all(lacking):
        told = [gaps[min(range(len(tables)), key=lambda i: len(lacking[i]))]]
    else:
        told = [f"seed {table.seed} left out: {gap}" for table, gap in zip(tables, gaps, strict=True) if gap]
    return "; ".join([*getattr(expression, "unknown", ()), *told])


def _gap(table: SeedTable, lacking: Sequence[Cell], of: int) -> str:
    if not lacking:
        return ""
    ended = sum(cell in table.diverged for cell in lacking)
    text = f"{len(lacking)} of {of} cells {'has' if len(lacking) == 1 else 'have'} no value"
    return f"{text} ({ended} diverged)" if ended else text
