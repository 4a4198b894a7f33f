"""Judgements as one JSON document: what the pages and the command line show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from repro import published
from repro.claims.judging import VERDICTS, Judgement


def document(
    judgements: Sequence[Judgement],
    *,
    profile: str,
    comparable: bool,
    source: str,
    seeds: Sequence[int],
    waits: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """``source`` is "runs" or "published". An end without a bound is null, and named in ``unbounded``. ``waits``
    says by id what a claim that was not run waits for: its ``next``."""
    verdicts = [judgement.verdict for judgement in judgements]
    return {
        "profile": profile,
        "comparable": comparable,
        "source": source,
        "seeds": list(seeds),
        "counts": {verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "claims": [_claim(judgement, (waits or {}).get(judgement.claim.id)) for judgement in judgements],
        "contradictions": [
            {
                "id": entry.id,
                "says": entry.says,
                "value": entry.value,
                "computed": entry.computed,
                "cells": [[c.artifact, c.series, c.row, c.col, c.value] for c in entry.cells],
            }
            for entry in published.contradictions()
        ],
        "untested": [
            {"section": entry.section, "quote": entry.quote, "why": entry.why} for entry in published.untested()
        ],
    }


def _claim(judgement: Judgement, waits: Mapping[str, Any] | None) -> dict[str, Any]:
    claim = judgement.claim
    ends = {"value": judgement.value, "low": judgement.low, "high": judgement.high}
    return {
        "id": claim.id,
        "section": claim.section,
        "artifact": list(claim.artifact),
        "quote": claim.quote,
        "claim": claim.claim,
        "statistic": claim.statistic,
        "definition": claim.definition,
        "above": claim.above,
        "below": claim.below,
        "published": claim.published,
        **{name: end if end is None or math.isfinite(end) else None for name, end in ends.items()},
        "unbounded": [name for name, end in ends.items() if end is not None and not math.isfinite(end)],
        "n": judgement.n,
        "noise": judgement.noise,
        "verdict": judgement.verdict,
        "needed": judgement.needed,
        "missing": judgement.missing,
        "next": dict(waits) if waits else None,
        "cells": judgement.cells,
        "repeats": [list(repeat) for repeat in claim.repeats],
    }
