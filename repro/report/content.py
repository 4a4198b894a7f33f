"""Prepare what the page and the README of a results folder show: plain values for their templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repro import cells as compare
from repro.cells import Cell
from repro.report import hypotheses_table, statistic, svg_hypotheses
from repro.report import page_summary as summary
from repro.report.document import Document
from repro.report.numbers import brief, fixed
from repro.report.page_summary import CELL_VERDICTS, CLAIM_VERDICTS, TEXT, home, title
from repro.report.reading import label, seeds
from repro.report.svg_claims import interval, state
from repro.report.tables import Table, tables
from repro.report.templates import slug
from repro.report.terminal import duration
from repro.words import counted, machines

Found = Mapping[str, Any]
Values = dict[str, Any]
ALWAYS = ("holds", "fails", "undecided", "not run")  # verdicts that are counted even where no claim has them


def content(documents: Sequence[Document], claims: Found | None, published: Found | None = None) -> Values:
    """Return everything that the page and the README show, apart from hypotheses and drawings."""
    theirs = {one["id"]: one["verdict"] for one in summary.claims_of(published)}
    every = [_claim(one, theirs.get(one["id"], "")) for one in summary.claims_of(claims)]
    by_name = {document.artifact: document for document in documents}
    artifacts = [
        _artifact(name, by_name.get(name), [one for one in every if name in one["artifacts"]])
        for name in summary.order(documents, claims)
    ]
    for one in artifacts:
        one["own"] = [claim for claim in every if claim["home"] == one["name"]]
        one["own_ruled"] = _ruled(one["own"])
    said = claims or published
    decisive, counts = summary.decisive(documents, claims), summary.counts(claims)
    verdicts = [name for name in CLAIM_VERDICTS if counts[name] or (decisive and name in ALWAYS)]
    return {
        "answer": summary.answer(documents, claims),
        "decisive": decisive,
        "comparable": bool(claims and claims["comparable"]),
        "profile": summary.profile(documents, claims),
        "claims": every,
        "artifacts": artifacts,
        "counts": [(name, counts[name]) for name in (*verdicts, *sorted(set(counts) - set(CLAIM_VERDICTS)))],
        "theirs": summary.words(summary.counts(published), CLAIM_VERDICTS) if theirs else "",
        "epochs": statistic.epochs(claims),
        "contradictions": [_contradiction(entry) for entry in said["contradictions"]] if said else [],
        "untested": [(section_name(one["section"]), typeset(one["quote"]), one["why"]) for one in said["untested"]]
        if said
        else [],
        "colophon": _colophon(documents),
    }


def hypotheses(found: Found | None) -> Values | None:
    """Return what both show of profiles side by side (repro/commands/hypotheses.py); None where there are none."""
    if not found:
        return None
    profiles: list[str] = list(found["profiles"])
    first = next(iter(found["assumptions"]), None)
    scores: dict[str, list[tuple[int, list[str]]]] = {}
    for artifact, profile, *row in hypotheses_table.rows(found):
        name = "All artifacts" if artifact == "total" else label(artifact)
        scores.setdefault(name, []).append((profiles.index(profile), [profile, *row]))
    return {
        "heading": f"The open assumption: which {_words(first)}?" if first else "Profiles that follow the paper",
        "profiles": profiles,
        "supposed": [
            (_words(name), [(profile, texts[profile]) for profile in profiles])
            for name, texts in found["assumptions"].items()
        ],
        "set": hypotheses_table.values(found),
        "conclusion": found["conclusion"],
        "panel": svg_hypotheses.drawing(found),
        "signs": [svg_hypotheses.shape(index, 11, 7) for index in range(len(profiles))],
        "scores": scores,
        "header": hypotheses_table.HEADER,
        "rows": hypotheses_table.rows(found),
        "notes": hypotheses_table.notes(found),
        "cells": [_common(found, one) for one in found["artifacts"] if one["common"]],
        "rests": hypotheses_table.rests(found),
    }


def _common(found: Found, one: Found) -> Values:
    header, rows = hypotheses_table.cell_rows(found, one)
    rms = ", ".join(
        f"{name} {hypotheses_table.amount(own['common_rms'])}" for name, own in one["profiles"].items()
    )
    return {"caption": f"{label(one['artifact'])}: RMS {rms}", "header": header, "rows": rows}


# ---- words ---------------------------------------------------------------------------------------------------


def typeset(words: object) -> str:
    """Replace the plain signs of claims.yaml by those that the paper prints."""
    return str(words or "").replace(">=", "≥").replace("<=", "≤").replace(" - ", " − ")


def section_name(where: object) -> str:
    """Return ``Section 3.1`` for ``3.1``; names of other places stay."""
    words = str(where or "")
    return f"Section {words}" if words[:1].isdigit() else words


def anchor(artifact: str) -> str:
    """Return the id of an artifact's section."""
    return f"artifact-{slug(artifact)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _listed(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


# ---- claims --------------------------------------------------------------------------------------------------


def _claim(given: Found, theirs: str) -> Values:
    """Return the values of one claim; ``theirs`` is its verdict from the paper's own numbers."""
    ruling, needed = given["verdict"], given["needed"]
    told, bounds, printed = (of(given) for of in (statistic.told, statistic.bounds, statistic.printed))
    waits, missing = summary.waits_for(given), given["missing"]
    enough = f"about {counted(needed, 'seed')}" if needed is not None else ""
    facts = [
        ("Measured as", typeset(given["definition"])),
        ("Bounds", bounds),
        ("Ours, with its 95 % interval", told),
        ("The paper’s numbers", (f"{printed}: " if printed else "") + (theirs or "not put to the test")),
        ("From", _from(given)),
        ("Noise", given["noise"]),
        ("To decide it", enough or waits),
        ("Missing", missing),
    ]
    return {
        "id": f"claim-{slug(given.get('id', ''))}",
        "home": home(given),
        "artifacts": given["artifact"],
        "verdict": ruling,
        "theirs": theirs,
        "plain": given["claim"],
        "sentence": typeset(given["claim"]),
        "quote": typeset(given["quote"]),
        "where": section_name(given["section"]),
        "plot": interval(given, state(ruling)),
        "value": statistic.value(given),
        "range": statistic.with_unit(f"({statistic.interval(given)})", given),
        "told": told,
        "bounds": bounds,
        "printed": printed,
        "missing": missing,
        "waits": waits,
        "needed": f"{enough} would decide" if enough and ruling == "undecided" else "",
        "facts": [(name, fact) for name, fact in facts if fact],
        "about": [("" if name == TEXT else anchor(name), title(name)) for name in given["artifact"]],
        "repeats": [(section_name(where), typeset(quote)) for where, quote in given["repeats"]],
    }


def _from(claim: Found) -> str:
    return ", ".join(filter(None, [f"{claim['cells']} cells", counted(claim["n"], "seed") if claim["n"] else ""]))


def _contradiction(entry: Found) -> Values:
    return {
        "id": f"contradiction-{slug(entry['id'])}",
        "value": brief(float(f"{entry['value']:.4g}")),
        "says": typeset(entry["says"]),
        "computed": typeset(entry["computed"]),
        "cells": [[title(cell[0]), *map(_part, cell[1:])] for cell in entry["cells"]],
    }


def _part(part: object) -> str:
    if isinstance(part, int | float):
        return statistic.amount(float(part))
    return "–" if part is None else str(part)


# ---- artifacts -----------------------------------------------------------------------------------------------


def _artifact(name: str, document: Document | None, claims: Sequence[Values]) -> Values:
    """Return the values of one figure or table; ``claims`` are those that rest on it."""
    given = document or Document(name)
    about, cells = given.provenance, given.cells
    counts = given.verdicts
    parts = [(verdict, counts[verdict]) for verdict in CELL_VERDICTS if verdict in counts]
    return {
        "name": name,
        "id": f"claims-{slug(name)}" if name == TEXT else anchor(name),
        "label": title(name),
        "title": given.title,
        "there": document is not None,
        "ran": any(cell.reproduced is not None for cell in cells),
        "orientation": given.profile if document and not document.comparable else "",
        "claims": claims,
        "ruled": _ruled(claims),
        "parts": parts,
        "told": ", ".join(f"{n:,} {v}" for v, n in parts) or "no cells",
        "facts": _facts(given),
        "devices": machines(about.get("devices", ())),
        "printed": any(cell.published is not None for cell in cells),
        "renamed": bool(given.paper_epochs),
        "tables": [_table(series, table, given) for series, table in tables(given).items()],
        "assumptions": [(_words(name), text) for name, text in given.assumptions.items()],
        "origin": _origin(given),
        "runs": " ".join(about.get("keys", ())) or "none",
    }


def _ruled(claims: Sequence[Values]) -> str:
    return summary.words(summary.counts({"claims": claims}), CLAIM_VERDICTS) if claims else ""


def _facts(document: Document) -> list[str]:
    if not document.cells:
        return ["This profile asks for nothing of it"]
    about, cells = document.provenance, document.cells
    found = [
        f"{counted(len(cells), 'cell')}: {summary.words(document.verdicts, CELL_VERDICTS)}",
        seeds(cells),
        counted(about["runs"], "Run") if about.get("runs") else "",
        f"{duration(about['training_seconds'])} of training" if about.get("training_seconds") else "",
    ]
    return [fact for fact in found if fact]


def _origin(document: Document) -> list[tuple[str, str]]:
    about = document.provenance
    found = [(_words(k), _listed(v)) for k, v in about.items() if k not in ("keys", "packages")]
    found += [("packages", ", ".join(f"{n} {v}" for n, v in each.items())) for each in about.get("packages", ())]
    return found + [(_words(f"changed: {name}"), _listed(value)) for name, value in document.overrides.items()]


def _table(series: str, table: Table, document: Document) -> Values:
    cols = table.cols[:: table.step]
    digits = {col: _decimals(document, [c for c in table.cells.values() if c.col == col]) for col in cols}
    every = f" (every {table.step}th column; all are in the CSV)" if table.step > 1 else ""
    return {
        "caption": series + every,
        "corner": " \\ ".join(filter(None, document.long_axes)),
        "columns": [document.both(col) for col in cols],
        "rows": [
            (document.both(row), [_shown(table.cells.get((row, col)), digits[col]) for col in cols])
            for row in table.rows
        ],
    }


def _decimals(document: Document, column: Sequence[Cell]) -> int:
    """Return the decimals of a column: the document's, or no more than it needs where units differ (Table 4)."""
    if "%" not in document.unit or document.percent:
        return document.digits
    known = [v for cell in column for v in (cell.reproduced, cell.published) if v is not None]
    return next((d for d in (0, 1) if all(round(v, d) == round(v, 2) for v in known)), 2)


def _shown(cell: Cell | None, decimals: int) -> Values | None:
    """Return the values of one cell of a table; ``fate`` is a verdict that is shown beside its number."""
    if cell is None:
        return None
    ours, sd, paper = (
        "" if value is None else fixed(value, decimals) for value in (cell.reproduced, cell.sd, cell.published)
    )
    return {
        "verdict": cell.verdict,
        "ours": ours or cell.verdict,
        "sd": sd if ours else "",
        "fate": cell.verdict if ours and cell.verdict in (compare.OUTSIDE, compare.DIVERGED) else "",
        "paper": paper,
    }


def _colophon(documents: Sequence[Document]) -> list[str]:
    about = [document.provenance for document in documents]
    runs = {key for one in about for key in one.get("keys", ())}
    ended = max((str(one["ended"]) for one in about if one.get("ended")), default="")
    shared = "those that artifacts share are counted with each of them"
    found = [
        f"{counted(len(runs), 'Run')} in all; {shared}." if runs else "",
        f"The last ended {ended.replace('T', ' ')[:16]} UTC." if ended else "",
        "Our choice where the paper is silent stands with each artifact; nothing is tuned to agree.",
    ]
    return [line for line in found if line]
