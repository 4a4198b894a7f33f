"""Judgements as one JSON document: what the pages and the command line show."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from repro import published
from repro.claims.decide import NOT_COMPARABLE, NOT_RUN, REFUTED, VERDICTS, Judgement


def document(
    judgements: Sequence[Judgement],
    *,
    profile: str,
    comparable: bool,
    source: str,
    seeds: Sequence[int],
    waits: Mapping[str, Mapping[str, Any]] | None = None,
    schedules: Sequence[tuple[str, int, int]] = (),
) -> dict[str, Any]:
    """Return the judgements as JSON values.

    ``source`` is "runs" or "published". An interval's end without a bound is null, and named in ``unbounded``.
    ``waits`` gives, by id, what a claim that was not run waits for: its ``next``. If ``comparable`` is false there
    are statistics for orientation and no verdicts. ``schedules``: (images, epochs of the paper's schedule, epochs
    of the profile's), along which ``own_epochs`` is a statistic in epochs.
    """
    possible = VERDICTS if comparable else (NOT_COMPARABLE, NOT_RUN)
    own = {paper: own for _, paper, own in schedules}
    claims = [_claim(judged, comparable, (waits or {}).get(judged.claim.id), own) for judged in judgements]
    verdicts = [claim["verdict"] for claim in claims]
    return {
        "profile": profile,
        "comparable": comparable,
        "source": source,
        "seeds": list(seeds),
        "schedules": [dict(zip(("images", "paper", "own"), one, strict=True)) for one in schedules],
        "counts": {verdict: verdicts.count(verdict) for verdict in possible},
        "claims": claims,
        "contradictions": [
            {
                **_fields(entry, "id", "says", "value", "computed"),
                "cells": [[c.artifact, c.series, c.row, c.col, c.value] for c in entry.cells],
            }
            for entry in published.sentences().contradictions
        ],
        "untested": [asdict(entry) for entry in published.sentences().untested],
    }


def _claim(
    judged: Judgement, comparable: bool, waits: Mapping[str, Any] | None, own: Mapping[int, int]
) -> dict[str, Any]:
    if not comparable and judged.verdict != NOT_RUN:
        missing = judged.missing.removesuffix(REFUTED)
        judged = replace(judged, verdict=NOT_COMPARABLE, needed=None, missing=missing)
    claim, value = judged.claim, judged.value
    numbers = {name: getattr(judged, name) for name in ("value", "low", "high")}
    infinite = [name for name, number in numbers.items() if number is not None and not math.isfinite(number)]
    counted = re.fullmatch(r"epochs? of (\d+)", claim.unit)
    paper = int(counted[1]) if counted else 0
    of = own.get(paper, paper)
    scaled = of != paper and "value" not in infinite
    return {
        **_fields(claim, "id", "section"),
        "artifact": list(claim.artifact),
        **_fields(claim, "quote", "claim"),
        "statistic": claim.full_statistic,
        **_fields(claim, "definition", "unit", "above", "below", "published"),
        **{name: None if name in infinite else number for name, number in numbers.items()},
        "unbounded": infinite,
        "own_epochs": {"value": value * of / paper, "of": of} if scaled and value is not None else None,
        **_fields(judged, "n", "noise", "verdict", "needed", "missing"),
        "next": dict(waits) if waits else None,
        "cells": judged.cells,
        "repeats": [[repeat.section, repeat.quote] for repeat in claim.repeats],
    }


def _fields(of: object, *names: str) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}
