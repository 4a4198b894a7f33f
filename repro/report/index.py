"""`as_markdown`: a results folder's README.md, for who reads on a forge; in the page's order (`page.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repro.report import hypotheses_table, page_hypotheses, statistic
from repro.report.page_claims import section_name, typeset
from repro.report.page_summary import (
    CELL_VERDICTS,
    CLAIM_VERDICTS,
    TEXT,
    Claim,
    answer,
    cell_counts,
    claim_verdict,
    claims_of,
    counts,
    home,
    order,
    shown_of,
    title,
    waits_for,
    words,
)  # fmt: skip
from repro.report.plots_page import Document, cells_of, comparable, number, seeds
from repro.report.svg import brief
from repro.report.terminal import duration
from repro.words import counted, machines

HOW = "A claim holds where its statistic lies inside its bounds with its whole 95 % interval."
ORIENTATION = (
    "Nothing is decided here: statistics and their 95 % intervals stand beside the bounds for orientation."
)
# The page's shapes, as far as a character set has them.
SIGNS = {"holds": "●", "fails": "◆", "undecided": "◐", "not comparable": "◌", "not run": "○", "unpublished": "–"}


def as_markdown(
    documents: Sequence[Mapping[str, Any]],
    claims: Mapping[str, Any] | None = None,
    page: str | None = None,
    hypotheses: Mapping[str, Any] | None = None,
) -> str:
    """The README of a results folder. ``page`` is the file name of the HTML page beside it, to be pointed to;
    ``hypotheses`` is its profile beside others (repro/hypotheses.py)."""
    by_name = shown_of(documents)
    names, found = order(list(by_name.values()), claims), claims_of(claims)
    told = answer(list(by_name.values()), claims)
    lines = ["# Does *The Sooner the Better* hold?", "", f"**{told.short}.** {told.long}", ""]
    if told.caveat:
        lines += [f"> **Not comparable with the paper.** {plain(told.caveat)}", ""]
    if page:
        lines += [f"[The same with drawings that tell their values]({page}), one file for any browser.", ""]
    lines += _overview(by_name, names, found)
    if found:
        how = HOW if (claims or {}).get("comparable") else ORIENTATION
        lines += ["## The claims", "", " ".join(filter(None, [how, statistic.epochs(claims)])), ""]
        for name in names:
            lines += _group(name, [claim for claim in found if home(claim) == name])
    lines += _hypotheses(hypotheses)
    lines += ["## Figures and tables", ""]
    for name in names:
        if name != TEXT:
            lines += _artifact(name, by_name.get(name), [c for c in found if name in (c.get("artifact") or [])])
    lines += _contradictions(claims) + _untested(claims)
    return "\n".join(lines).rstrip() + "\n"


def plain(words: object) -> str:
    """Words as one line of Markdown in which nothing is markup, fit for a table's cell."""
    text = " ".join(str(words if words is not None else "").split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\|*_`[]":
        text = text.replace(sign, "\\" + sign)
    return text


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, its cells as narrow as they are: padding would make long lines of long sentences."""
    ruled = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(row) + " |" for row in ruled] + [""]


def _overview(by_name: Mapping[str, Document], names: Sequence[str], found: Sequence[Claim]) -> list[str]:
    rows = []
    for name in names:
        here = [claim for claim in found if home(claim) == name]
        document = by_name.get(name)
        cells = "no cells" if name == TEXT else "not run"
        if document is not None:
            cells = ", ".join(f"{n:,} {plain(v)}" for v, n in _ordered(cell_counts(document))) or "no cells"
        signs = " ".join(SIGNS.get(claim_verdict(claim), "?") for claim in here)
        told = words(counts({"claims": here}), CLAIM_VERDICTS) if here else ""
        rows.append([f"[{title(name)}](#{_anchor(name)})" if name != TEXT else title(name),
                     f"{signs} {told}".strip(), cells])  # fmt: skip
    there = counts({"claims": found})
    key = " · ".join(f"{sign} {name}" for name, sign in SIGNS.items() if there[name])
    return [*table(["artifact", "claims", "cells"], rows), *([key, ""] if found else [])]


def _ordered(found: Mapping[str, int]) -> list[tuple[str, int]]:
    names = [*CLAIM_VERDICTS, *CELL_VERDICTS]
    known = [name for name in dict.fromkeys([*names, *sorted(found)]) if found.get(name)]
    return [(name, found[name]) for name in known]


def _anchor(name: str) -> str:
    """The anchor that a forge makes of an artifact's heading."""
    return title(name).lower().replace(".", "").replace(" ", "-")


def _group(name: str, claims: Sequence[Claim]) -> list[str]:
    if not claims:
        return []
    heading = "In the text" if name == TEXT else f"On {title(name)}"
    header = ["verdict", "claim", "ours (95 % interval)", "bounds", "paper", "where"]
    return [f"### {heading}", "", *table(header, [_claim(claim) for claim in claims])]


def _claim(claim: Claim) -> list[str]:
    verdict = claim_verdict(claim)
    ours = [statistic.typeset(statistic.told(claim)) or str(claim.get("missing") or "")]
    if verdict == "undecided" and (needed := number(claim, "needed")) is not None:
        ours.append(f"about {needed:.0f} {'seed' if needed == 1 else 'seeds'} would decide")
    told = "; ".join(filter(None, [*ours, waits_for(claim)]))
    shown = f"{SIGNS.get(verdict, '?')} {plain(verdict)}"
    sentence = f"{plain(typeset(claim.get('claim')))} *“{plain(typeset(claim.get('quote')))}”*"
    paper, bounds = statistic.printed(claim), statistic.bounds(claim)
    numbers = [plain(words) or "–" for words in (told, statistic.typeset(bounds), statistic.typeset(paper))]
    where = plain(section_name(claim.get("section")))
    return [f"**{shown}**" if verdict == "fails" else shown, sentence, *numbers, where]


def _hypotheses(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    lines = [f"## {plain(page_hypotheses.heading(found))}", "", plain(found["conclusion"]), ""]
    supposed = [
        [plain(name.replace("_", " ")), *(plain(own[profile]) for profile in found["profiles"])]
        for name, own in found["assumptions"].items()
    ]
    if supposed:
        lines += table(["", *map(plain, found["profiles"])], supposed)
    scores = [[plain(word) for word in row] for row in hypotheses_table.rows(found)]
    lines += table(list(hypotheses_table.HEADER), scores)
    rests = [f"- {plain(profile)}: {plain(told)}" for profile, told in hypotheses_table.rests(found)]
    return [*lines, plain(" ".join(hypotheses_table.notes(found))), "", *rests, *([""] if rests else [])]


def _artifact(name: str, document: Document | None, claims: Sequence[Claim]) -> list[str]:
    lines = [f"### {title(name)}", ""]
    rest = f"Claims that rest on it: {words(counts({'claims': claims}), CLAIM_VERDICTS)}." if claims else ""
    if document is None:
        return [*lines, f"Not run. {rest}".strip(), ""]
    about = document.get("provenance") or {}
    spent = about.get("training_seconds")
    cells = cells_of(document)
    facts = [
        f"{len(cells):,} cells: {plain(words(cell_counts(document), CELL_VERDICTS))}", seeds(cells),
        counted(about["runs"], "Run") if about.get("runs") else "",
        f"{duration(float(spent))} of training" if isinstance(spent, int | float) and spent else "",
        f"on {plain(machines(devices))}" if (devices := about.get("devices")) else "",
    ]  # fmt: skip
    lines += [f"{plain(document.get('title'))}.", ""]
    if not comparable(document):
        lines += [f"> {plain(document.get('profile'))} profile: orientation only.", ""]
    lines += [f"![{title(name)}: {plain(document.get('title'))}]({name}.png)", ""]
    lines += [" · ".join(fact for fact in facts if fact) + f". {rest}".rstrip(), ""]
    kinds = {"md": "tables, assumptions, provenance", "csv": "cells", "json": "everything"}
    return [*lines, " · ".join(f"[{name}.{kind}]({name}.{kind}) ({what})" for kind, what in kinds.items()), ""]


def _contradictions(claims: Mapping[str, Any] | None) -> list[str]:
    found = (claims or {}).get("contradictions") or []
    if not found:
        return []
    rows = []
    for entry in found:
        value = number(entry, "value")
        shown = "–" if value is None else brief(float(f"{value:.4g}"))
        rows.append([shown, plain(typeset(entry.get("says"))), plain(typeset(entry.get("computed")))])
    lead = "Printed numbers that disagree with one another or with a sentence, whatever a run gives."
    return ["## Contradictions in the paper", "", lead, "", *table(["", "what disagrees", "computed as"], rows)]


def _untested(claims: Mapping[str, Any] | None) -> list[str]:
    found = (claims or {}).get("untested") or []
    if not found:
        return []
    rows = [
        [plain(section_name(e.get("section"))), f"“{plain(typeset(e.get('quote')))}”", plain(e.get("why"))]
        for e in found
    ]
    return ["## Not tested", "", *table(["where", "sentence", "why"], rows)]
