"""Judgements as one JSON document: what the pages and the command line show."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from repro import published
from repro.claims.decide import NOT_COMPARABLE, NOT_RUN, VERDICTS, Judgement, withheld

Schedules = Sequence[tuple[str, int, int]]
"""(images, epochs of the paper's schedule, epochs of the profile's)."""


def document(
    judgements: Sequence[Judgement],
    *,
    profile: str,
    comparable: bool,
    source: str,
    seeds: Sequence[int],
    waits: Mapping[str, Mapping[str, Any]] | None = None,
    schedules: Schedules = (),
) -> dict[str, Any]:
    """Return the judgements as JSON values.

    ``source`` is "runs" or "published". An interval's end without a bound is null, and named in ``unbounded``.
    ``waits`` gives, by id, what a claim that was not run waits for: its ``next``. If ``comparable`` is false there
    are statistics and no verdicts. ``own_epochs`` is a statistic in epochs along the profile's own schedule.
    """
    judgements = judgements if comparable else withheld(judgements)
    verdicts = [judgement.verdict for judgement in judgements]
    possible = VERDICTS if comparable else (NOT_COMPARABLE, NOT_RUN)
    return {
        "profile": profile,
        "comparable": comparable,
        "source": source,
        "seeds": list(seeds),
        "schedules": [dict(zip(("images", "paper", "own"), one, strict=True)) for one in schedules],
        "counts": {verdict: verdicts.count(verdict) for verdict in possible},
        "claims": [_claim(judged, (waits or {}).get(judged.claim.id), schedules) for judged in judgements],
        "contradictions": [
            {
                **_fields(entry, "id", "says", "value", "computed"),
                "cells": [[c.artifact, c.series, c.row, c.col, c.value] for c in entry.cells],
            }
            for entry in published.sentences().contradictions
        ],
        "untested": [_fields(entry, "section", "quote", "why") for entry in published.sentences().untested],
    }


def _claim(judgement: Judgement, waits: Mapping[str, Any] | None, schedules: Schedules) -> dict[str, Any]:
    claim = judgement.claim
    ends = {name: getattr(judgement, name) for name in ("value", "low", "high")}
    return {
        **_fields(claim, "id", "section"),
        "artifact": list(claim.artifact),
        **_fields(claim, "quote", "claim"),
        "statistic": claim.full_statistic,
        **_fields(claim, "definition", "unit", "above", "below", "published"),
        **{name: end if end is None or math.isfinite(end) else None for name, end in ends.items()},
        "unbounded": [name for name, end in ends.items() if end is not None and not math.isfinite(end)],
        "own_epochs": _own_epochs(judgement, schedules),
        **_fields(judgement, "n", "noise", "verdict", "needed", "missing"),
        "next": dict(waits) if waits else None,
        "cells": judgement.cells,
        "repeats": [[repeat.section, repeat.quote] for repeat in claim.repeats],
    }


def _fields(of: object, *names: str) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


def _own_epochs(judgement: Judgement, schedules: Schedules) -> dict[str, float] | None:
    """Return the value along the profile's own schedule; None where that is the paper's, or where the unit is not
    an epoch of it."""
    counted = re.fullmatch(r"epochs? of (\d+)", judgement.claim.unit)
    if not counted or judgement.value is None or not math.isfinite(judgement.value):
        return None
    own = {paper: own for _, paper, own in schedules}.get(paper := int(counted[1]), paper)
    return {"value": judgement.value * own / paper, "of": own} if own != paper else None
