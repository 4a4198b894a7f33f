"""Write a results folder's `page`, one HTML file that needs nothing else, and in Markdown its `readme` and claims.

Page and README show the same: first the answer, then the claims, then each artifact with its picture. The page
reads on a phone, in dark mode and in print (page.css), and without a script; page.js adds tooltips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from repro.claims.decide import FAILS, HOLDS, UNPUBLISHED
from repro.report import figures, reading
from repro.report.claims_table import Claim, Claims, epochs, table
from repro.report.document import Document
from repro.report.figures.hypotheses import draw as draw_hypotheses
from repro.report.inline import inline_svg
from repro.report.templates import SIGNS, render, slug
from repro.report.terminal import duration
from repro.words import counted


def page(documents: Sequence[Document], claims: Claims, published: Claims, others: Claims | None = None) -> str:
    """Return the HTML of a results folder. The same arguments give the same text.

    Args:
        documents: all artifacts.
        claims: the claims, decided from its Runs.
        published: the same claims, decided from the paper's own numbers.
        others: its profile beside others (repro/commands/hypotheses.py).
    """
    beside = draw_hypotheses(others) if others else None
    return render(
        "page.html.j2",
        **_values(documents, claims, others),
        theirs={claim["id"]: claim["verdict"] for claim in published["claims"]},
        their_counts=published["counts"],
        panel=inline_svg(beside, "profiles") if beside else "",
        pictures={document.artifact: picture(document) for document in documents},
    )


def readme(documents: Sequence[Document], claims: Claims, others: Claims | None = None) -> str:
    """Return the README of a results folder."""
    return render("readme.md.j2", **_values(documents, claims, others), signs=SIGNS)


def claims_markdown(claims: Claims) -> str:
    """Return every claim with what its statistic rests on, in Markdown."""
    return render("claims.md.j2", shown=table(claims), epochs=epochs(claims), found=claims)


def picture(document: Document) -> Markup:
    """Return an artifact's figure as SVG; nothing where no cell has a number."""
    if all(cell.reproduced is None and cell.published is None for cell in document.cells):
        return Markup("")
    return inline_svg(figures.draw(document, titled=False), slug(document.artifact))


def _values(documents: Sequence[Document], claims: Claims, others: Claims | None) -> dict[str, Any]:
    """Return what the templates of page and README share."""
    keys = {key for document in documents for key in document.provenance.get("keys", ())}
    ended = max((str(d.provenance["ended"]) for d in documents if d.provenance.get("ended")), default="")
    return {
        "claims": claims,
        "short": short_answer(claims),
        "caveat": "" if claims["comparable"] else _caveat(documents[0]),
        "counts": {name: n for name, n in claims["counts"].items() if n or name != UNPUBLISHED},
        "epochs": epochs(claims),
        "sections": [_section(document, claims["claims"]) for document in (*documents, None)],
        "runs": len(keys),
        "ended": ended.replace("T", " ")[:16],
        "hypotheses": others,
    }


def _section(document: Document | None, claims: Sequence[Claim]) -> dict[str, Any]:
    """Return a figure or table, all ``claims`` that rest on it, and its own, which name it first. Numbers in the
    text have no document."""
    name = document.artifact if document else "text"
    found: dict[str, Any] = {
        "name": name,
        "document": document,
        "claims": [claim for claim in claims if name in claim["artifact"]],
        "own": [claim for claim in claims if claim["artifact"][0] == name],
    }
    if not document:
        return found | {"label": "Text", "id": "claims-text", "verdicts": {}}
    runs, seconds = (document.provenance.get(field) for field in ("runs", "training_seconds"))
    facts = [
        reading.summary(document),
        reading.seeds(document.cells),
        counted(runs, "Run") if runs else "",
        f"{duration(seconds)} of training" if seconds else "",
    ]
    return found | {
        "label": reading.label(name),
        "id": f"artifact-{slug(name)}",
        "verdicts": document.verdicts,
        "facts": [*filter(None, facts)],
    }


def short_answer(claims: Claims) -> str:
    """Answer whether the paper holds, no more than the decided claims support."""
    if not claims["comparable"]:
        return f"This {claims['profile']} run cannot say"
    holds, fails, total = claims["counts"][HOLDS], claims["counts"][FAILS], sum(claims["counts"].values())
    if not holds + fails:
        return "Nothing is decided yet"
    if holds == total:
        return "Yes, every claim holds"
    if (holds + fails) * 2 < total:
        return f"Too little is decided; {'not everything' if fails else 'so far it'} holds"
    if not fails:
        return "Yes, as far as it was decided"
    return "For the most part" if holds > 2 * fails else "Only in part" if holds else "No"


def _caveat(document: Document) -> str:
    """Say why numbers like those of this document decide nothing, and what the setting is."""
    about, changed = document.provenance, document.overrides
    why = f"The {document.profile} profile is not the paper's setting"
    if document.profile_comparable and not changed:
        why = "The images are not the official ones"
    setting = [about.get("schedule"), about.get("data"), *(f"{key} = {value}" for key, value in changed.items())]
    return (
        f"{why}: {', '.join(filter(None, setting))}. It decides nothing about the paper: published numbers stand "
        "beside it for orientation only."
    )
