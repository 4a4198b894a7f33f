"""Prepare what the page and the README of a results folder show: plain values for their templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repro import cells as compare
from repro.report import hypotheses_table, statistic, svg_hypotheses
from repro.report import page_summary as summary
from repro.report.document import Table, both, tables
from repro.report.numbers import brief, fixed, shown
from repro.report.page_summary import CELL_VERDICTS, CLAIM_VERDICTS, TEXT, claim_verdict, home, title
from repro.report.reading import (
    Cell,
    Document,
    cells_of,
    comparable,
    label,
    number,
    paper_epochs,
    seeds,
    verdict,
)
from repro.report.svg_claims import interval, state
from repro.report.templates import slug
from repro.report.terminal import duration
from repro.words import counted, machines

Found = Mapping[str, Any]
Values = dict[str, Any]
ALWAYS = ("holds", "fails", "undecided", "not run")  # verdicts that are counted even where no claim has them


def content(documents: Sequence[Document], claims: Found | None, published: Found | None = None) -> Values:
    """Return everything that the page and the README show, apart from hypotheses and drawings."""
    by_name, found = summary.shown_of(documents), claims or {}
    shown_ = list(by_name.values())
    theirs = {str(one.get("id")): claim_verdict(one) for one in summary.claims_of(published)}
    every = [_claim(one, theirs.get(str(one.get("id")), "")) for one in summary.claims_of(claims)]
    artifacts = [
        _artifact(name, by_name.get(name), [one for one in every if name in one["artifacts"]])
        for name in summary.order(shown_, claims)
    ]
    for one in artifacts:
        one["own"] = [claim for claim in every if claim["home"] == one["name"]]
        one["own_ruled"] = _ruled(one["own"])
    decisive, counts = summary.decisive(shown_, claims), summary.counts(claims)
    verdicts = [name for name in CLAIM_VERDICTS if counts[name] or (decisive and name in ALWAYS)]
    return {
        "answer": summary.answer(shown_, claims),
        "decisive": decisive,
        "comparable": bool(found.get("comparable")),
        "profile": summary.profile(shown_, claims),
        "claims": every,
        "artifacts": artifacts,
        "counts": [(name, counts[name]) for name in (*verdicts, *sorted(set(counts) - set(CLAIM_VERDICTS)))],
        "theirs": summary.words(summary.counts(published), CLAIM_VERDICTS) if theirs else "",
        "epochs": statistic.epochs(claims),
        "contradictions": [_contradiction(entry) for entry in _entries(claims or published, "contradictions")],
        "untested": [
            (section_name(entry.get("section")), typeset(entry.get("quote")), str(entry.get("why") or ""))
            for entry in _entries(claims or published, "untested")
        ],
        "colophon": _colophon(shown_),
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
    """``3.1`` -> ``Section 3.1``; names of other places stay."""
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
    """One claim; ``theirs`` is its verdict from the paper's own numbers."""
    ruling, needed = claim_verdict(given), number(given, "needed")
    told, bounds, printed = (
        statistic.typeset(of(given)) for of in (statistic.told, statistic.bounds, statistic.printed)
    )
    waits, missing = summary.waits_for(given), str(given.get("missing") or "")
    seeds_ = f"about {needed:.0f} {'seed' if needed == 1 else 'seeds'}" if needed is not None else ""
    facts = [
        ("Measured as", typeset(given.get("definition"))),
        ("Bounds", bounds),
        ("Ours, with its 95 % interval", told),
        ("The paper’s numbers", (f"{printed}: " if printed else "") + (theirs or "not put to the test")),
        ("From", _from(given)),
        ("Noise", statistic.amount(noise) if isinstance(noise := given.get("noise"), float) else noise),
        ("To decide it", seeds_ or waits),
        ("Missing", missing),
    ]
    repeats = [(*entry, "", "")[:2] for entry in given.get("repeats") or []]
    return {
        "id": f"claim-{slug(given.get('id', ''))}",
        "home": home(given),
        "artifacts": [str(name) for name in given.get("artifact") or []],
        "verdict": ruling,
        "theirs": theirs,
        "plain": str(given.get("claim", "")),
        "sentence": typeset(given.get("claim")),
        "quote": typeset(given.get("quote")),
        "where": section_name(given.get("section")),
        "plot": interval(given, state(ruling)),
        "value": statistic.typeset(statistic.value(given)),
        "range": statistic.with_unit(statistic.typeset(f"({statistic.interval(given)})"), given),
        "told": told,
        "bounds": bounds,
        "printed": printed,
        "missing": missing,
        "waits": waits,
        "needed": f"{seeds_} would decide" if seeds_ and ruling == "undecided" else "",
        "facts": [(name, fact) for name, fact in facts if fact],
        "about": [
            ("" if name == TEXT else anchor(name), title(name)) for name in map(str, given.get("artifact") or [])
        ],
        "repeats": [(section_name(where), typeset(quote)) for where, quote in repeats],
    }


def _from(claim: Found) -> str:
    cells, n = number(claim, "cells"), number(claim, "n")
    parts = [f"{cells:.0f} cells" if cells is not None else "", counted(int(n), "seed") if n else ""]
    return ", ".join(filter(None, parts))


def _contradiction(entry: Found) -> Values:
    value = number(entry, "value")
    return {
        "id": f"contradiction-{slug(entry.get('id', ''))}",
        "value": "–" if value is None else brief(float(f"{value:.4g}")),
        "says": typeset(entry.get("says")),
        "computed": typeset(entry.get("computed")),
        "cells": [[title(str(cell[0])), *map(_part, cell[1:])] for cell in entry.get("cells") or []],
    }


def _part(part: object) -> str:
    if isinstance(part, int | float):
        return statistic.typeset(statistic.amount(float(part)))
    return "–" if part is None else str(part)


def _entries(found: Found | None, name: str) -> list[Found]:
    return [entry for entry in (found or {}).get(name) or [] if isinstance(entry, Mapping)]


# ---- artifacts -----------------------------------------------------------------------------------------------


def _artifact(name: str, document: Document | None, claims: Sequence[Values]) -> Values:
    """One figure or table; ``claims`` are those that rest on it."""
    given: Document = document or {}
    cells, about = cells_of(given), given.get("provenance") or {}
    counts = summary.cell_counts(given)
    parts = [(v, counts[v]) for v in (*CELL_VERDICTS, *sorted(set(counts) - set(CELL_VERDICTS))) if counts[v]]
    return {
        "name": name,
        "id": f"claims-{slug(name)}" if name == TEXT else anchor(name),
        "label": title(name),
        "title": str(given.get("title") or ""),
        "there": document is not None,
        "ran": any(number(cell, "reproduced") is not None for cell in cells),
        "orientation": f"{given.get('profile')}" if given and not comparable(given) else "",
        "claims": claims,
        "ruled": _ruled(claims),
        "parts": parts,
        "told": ", ".join(f"{n:,} {v}" for v, n in parts) or "no cells",
        "facts": _facts(given, about, cells),
        "devices": machines(about.get("devices") or []),
        "printed": any(number(cell, "published") is not None for cell in cells),
        "renamed": bool(paper_epochs(given)),
        "tables": [_table(table, given) for table in tables(cells)],
        "assumptions": [(_words(k), _listed(v)) for k, v in (given.get("assumptions") or {}).items()],
        "origin": _origin(given, about),
        "runs": " ".join(map(str, about.get("keys") or [])) or "none",
    }


def _ruled(claims: Sequence[Values]) -> str:
    return summary.words(summary.counts({"claims": claims}), CLAIM_VERDICTS) if claims else ""


def _facts(document: Document, about: Found, cells: Sequence[Cell]) -> list[str]:
    if not cells:
        return ["This profile asks for nothing of it"]
    spent = about.get("training_seconds")
    found = [
        f"{counted(len(cells), 'cell')}: {summary.words(summary.cell_counts(document), CELL_VERDICTS)}",
        seeds(cells),
        counted(about["runs"], "Run") if about.get("runs") else "",
        f"{duration(float(spent))} of training" if isinstance(spent, int | float) and spent else "",
    ]
    return [fact for fact in found if fact]


def _origin(document: Document, about: Found) -> list[tuple[str, str]]:
    found = [(_words(k), _listed(v)) for k, v in about.items() if k not in ("keys", "packages")]
    packages = [each for each in about.get("packages") or [] if isinstance(each, Mapping)]
    found += [("packages", ", ".join(f"{name} {version}" for name, version in each.items())) for each in packages]
    changed = document.get("overrides") or {}
    return found + [(_words(f"changed: {name}"), _listed(value)) for name, value in changed.items()]


def _table(table: Table, document: Document) -> Values:
    columns = {col: [cell for (_, own), cell in table.cells.items() if own == col] for col in table.cols}
    digits = {col: _decimals(document, cells) for col, cells in columns.items()}
    every = f" (every {table.step}th column; all are in the CSV)" if table.step > 1 else ""
    return {
        "caption": table.series + every,
        "corner": " \\ ".join(filter(None, summary.axes(str(document.get("artifact"))))),
        "columns": [both(col, document) for col in table.cols],
        "rows": [
            (
                both(row, document),
                [_shown(table.cells.get((row, col)), document, digits[col]) for col in table.cols],
            )
            for row in table.rows
        ],
    }


def _decimals(document: Document, column: Sequence[Cell]) -> int | None:
    """Return as few decimals as a column needs where the unit is a list of units, as in Table 4; else None."""
    if "%" not in (unit := str(document.get("unit", ""))) or unit.endswith("%"):
        return None
    known = [v for cell in column for f in ("reproduced", "published") if (v := number(cell, f)) is not None]
    return next((d for d in (0, 1) if all(round(v, d) == round(v, 2) for v in known)), 2)


def _shown(cell: Cell | None, document: Document, decimals: int | None) -> Values | None:
    """One cell of a table; ``fate`` is a verdict that stands beside its number."""
    if cell is None:
        return None

    def told(field: str) -> str:
        if (value := number(cell, field)) is None:
            return ""
        return shown(value, document) if decimals is None else fixed(value, decimals)

    ours, fate = told("reproduced"), verdict(cell)
    return {
        "verdict": fate,
        "ours": ours or fate,
        "sd": told("sd") if ours else "",
        "fate": fate if ours and fate in (compare.OUTSIDE, compare.DIVERGED) else "",
        "paper": told("published"),
    }


def _colophon(documents: Sequence[Document]) -> list[str]:
    about = [document.get("provenance") or {} for document in documents]
    runs = {key for one in about for key in one.get("keys") or []}
    ended = max((str(when) for one in about if (when := one.get("ended"))), default="")
    shared = "those that artifacts share are counted with each of them"
    found = [
        f"{counted(len(runs), 'Run')} in all; {shared}." if runs else "",
        f"The last ended {ended.replace('T', ' ')[:16]} UTC." if ended else "",
        "Our choice where the paper is silent stands with each artifact; nothing is tuned to agree.",
    ]
    return [line for line in found if line]
