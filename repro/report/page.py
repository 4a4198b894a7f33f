"""`page`: the whole reproduction as one HTML file that needs nothing else, neither files nor a network.

First the answer on one screen, then the claims, then each artifact with its drawing. It reads on a phone, in dark
mode and in print (page.css), and without a script; page.js adds tooltips for pointers, keys and touch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from repro.report import page_artifact, page_claims, page_hypotheses, statistic
from repro.report.page_html import Markup, details, join, link, tag
from repro.report.page_summary import (
    CELL_VERDICTS,
    CLAIM_VERDICTS,
    TEXT,
    Answer,
    Claim,
    answer,
    cell_counts,
    claims_of,
    counts,
    decisive,
    home,
    order,
    profile,
    shown_of,
    title,
    words,
)  # fmt: skip
from repro.report.plots_page import Document
from repro.report.svg_claims import glyph, shapes, state
from repro.words import counted

PAPER = "The Sooner the Better"
VERDICTS = ("holds", "fails", "undecided", "not run")  # counted where there is none, too


def page(
    documents: Sequence[Mapping[str, Any]],
    claims: Mapping[str, Any] | None = None,
    published_claims: Mapping[str, Any] | None = None,
    hypotheses: Mapping[str, Any] | None = None,
) -> str:
    """The HTML of a results folder: its artifact documents, the claims' verdicts, the same verdicts made from the
    paper's own numbers, and its profile beside others (repro/hypotheses.py). Each but the first may be missing.
    The same arguments give the same text."""
    by_name = shown_of(documents)
    shown = list(by_name.values())
    names = order(shown, claims)
    told, able = answer(shown, claims), decisive(shown, claims)
    body = [
        shapes(),
        _bar(names, told, claims, shown, hypotheses),
        tag(
            "main",
            _verdict(by_name, names, told, claims, published_claims, able),
            _claims(names, claims, published_claims),
            page_hypotheses.section(hypotheses),
            _artifacts(by_name, names, claims),
            _contradictions(claims or published_claims),
            _untested(claims or published_claims),
            _colophon(shown),
        ),
        tag("div", id="tip", role="status", hidden=True),
        tag("script", Markup(_file("page.js"))),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{PAPER}, reproduced: {told.short}"),
        tag("style", Markup(_file("page.css") + (_file("page_hypotheses.css") if hypotheses else ""))),
    ]
    root = tag("html", tag("head", *head), tag("body", *body, class_=None if able else "orientation"), lang="en")
    return f"<!DOCTYPE html>\n{root}\n"


def _file(name: str) -> str:
    return resources.files("repro.report").joinpath(name).read_text(encoding="utf-8")


def _bar(
    names: Sequence[str], told: Answer, claims: Mapping[str, Any] | None, shown: Sequence[Document],
    hypotheses: Mapping[str, Any] | None,
) -> Markup:  # fmt: skip
    """Stays at the top: the caveat, where there is one, and the way to every section."""
    caveat = None
    if told.caveat:
        caveat = tag("a", tag("b", f"{profile(shown, claims)} profile"), " decides nothing about the paper",
                     href="#caveat", class_="caveat-line")  # fmt: skip
    links = [link("verdict", "Verdict"), link("claims", "Claims") if claims_of(claims) else None]
    links.append(link("hypotheses", "Open assumption") if hypotheses else None)
    links += [link(page_artifact.anchor(name), title(name)) for name in names if name != TEXT]
    links.append(link("contradictions", "Contradictions") if (claims or {}).get("contradictions") else None)
    return tag("div", caveat, tag("nav", *links, aria_label="sections"), class_="top")


def _verdict(
    by_name: Mapping[str, Document], names: Sequence[str], told: Answer, claims: Mapping[str, Any] | None,
    published: Mapping[str, Any] | None, able: bool,
) -> Markup:  # fmt: skip
    caveat = None
    if told.caveat:
        caveat = tag(
            "div",
            tag("b", "Not comparable with the paper. "),
            told.caveat,
            id="caveat",
            class_="caveat",
            role="note",
        )
    answer_ = [
        tag("p", "Does ", tag("cite", PAPER), " hold?", class_="question"),
        tag("h1", told.short),
        caveat,
        tag("p", told.long, class_="lead"),
    ]
    return tag(
        "section", tag("div", *answer_, _tiles(claims, published, able), class_="answer"),
        _matrix(by_name, names, claims), id="verdict",
    )  # fmt: skip


def _tiles(claims: Mapping[str, Any] | None, published: Mapping[str, Any] | None, able: bool) -> Markup | None:
    """How many claims hold, fail, are undecided, were not run: each leads to those."""
    found = counts(claims)
    if not found:
        return None
    verdicts = [name for name in CLAIM_VERDICTS if found[name] or (able and name in VERDICTS)]
    verdicts += sorted(set(found) - set(CLAIM_VERDICTS))
    tiles = [
        link("claims", glyph(state(name)), tag("b", str(found[name])), tag("span", name),
             class_=f"tile is-{state(name)}", data_filter=name)
        for name in verdicts
    ]  # fmt: skip
    parts = [
        tag("span", class_=f"part is-{state(name)}", style=f"flex-grow:{found[name]}")
        for name in verdicts
        if found[name]
    ]
    own = None
    if claims_of(published):
        told = words(counts(published), CLAIM_VERDICTS)
        own = tag("p", f"The paper’s own printed numbers, put to the same tests: {told}.", class_="own-line")
    heading = "Claims" if able else "Claims: statistics for orientation, no verdicts"
    return tag(
        "div", tag("h2", heading), tag("div", *tiles, class_="tiles"),
        tag("div", *parts, class_="bar", aria_hidden="true"), own, class_="tally",
    )  # fmt: skip


def _matrix(by_name: Mapping[str, Document], names: Sequence[str], claims: Mapping[str, Any] | None) -> Markup:
    """A line for each artifact: its claims as signs, its cells as a bar."""
    found = claims_of(claims)
    rows = []
    for name in names:
        document, here = by_name.get(name), [claim for claim in found if home(claim) == name]
        target = f"claims-{page_artifact.slug(name)}" if name == TEXT else page_artifact.anchor(name)
        cells: list[Markup | str | None]
        if document is not None:
            cells = [page_artifact.cells_bar(document), tag("span", _short(document), class_="told")]
        else:
            cells = [tag("span", "no cells" if name == TEXT else "not run", class_="told")]
        rows.append(tag(
            "tr", tag("th", link(target, title(name)), scope="row"),
            tag("td", page_artifact.marks(here), class_="of-claims") if found else None,
            tag("td", tag("span", *cells, class_="cells"), class_="of-cells"),
        ))  # fmt: skip
    head = tag("tr", tag("th", "Artifact", scope="col"), tag("th", "Claims", scope="col") if found else None,
               tag("th", "Cells", scope="col"))  # fmt: skip
    table = tag(
        "table",
        tag("caption", "Every artifact of the paper", class_="unseen"),
        tag("thead", head),
        tag("tbody", *rows),
    )
    return tag("div", table, class_="matrix")


def _short(document: Document) -> str:
    found = cell_counts(document)
    names = (*CELL_VERDICTS, *sorted(set(found) - set(CELL_VERDICTS)))
    return ", ".join(f"{found[name]:,} {name}" for name in names if found[name]) or "no cells"


def _claims(
    names: Sequence[str], claims: Mapping[str, Any] | None, published: Mapping[str, Any] | None
) -> Markup | None:
    if not claims_of(claims):
        return None
    how = "A claim holds where its statistic lies inside the tinted zone with its whole 95 % interval."
    if not (claims or {}).get("comparable"):
        how = (
            "Nothing is decided here: statistics and 95 % intervals stand beside the tinted zone for orientation."
        )
    key = tag(
        "p", how, " Solid: ours. Hollow: the paper’s numbers. Open a claim for its definition. ",
        statistic.epochs(claims) or None, class_="lead small",
    )  # fmt: skip
    every = tag(
        "p",
        tag("span", "", class_="which"),
        " ",
        link("claims", "show all", data_filter=""),
        class_="filtered",
        hidden=True,
    )
    return tag(
        "section", tag("h2", "The claims"), key, every, page_claims.groups(claims, published, names), id="claims"
    )


def _artifacts(by_name: Mapping[str, Document], names: Sequence[str], claims: Mapping[str, Any] | None) -> Markup:
    parts = []
    for name in names:
        if name == TEXT:
            continue
        resting: list[Claim] = [c for c in claims_of(claims) if name in (c.get("artifact") or [])]
        document = by_name.get(name)
        parts.append(page_artifact.section(document, resting) if document else page_artifact.absent(name, resting))
    return tag("section", tag("h2", "Figures and tables"), *parts, id="artifacts")


def _contradictions(claims: Mapping[str, Any] | None) -> Markup | None:
    found = page_claims.contradictions(claims)
    if found is None:
        return None
    lead = "Printed numbers that disagree with one another or with a sentence, whatever a run gives."
    return tag(
        "section",
        tag("h2", "Contradictions in the paper"),
        tag("p", lead, class_="lead small"),
        found,
        id="contradictions",
    )


def _untested(claims: Mapping[str, Any] | None) -> Markup | None:
    found = page_claims.untested(claims)
    return (
        tag(
            "section", tag("h2", "Not tested"), details("Sentences that no Run here decides", found), id="untested"
        )
        if found
        else None
    )


def _colophon(shown: Sequence[Document]) -> Markup:
    runs = {key for document in shown for key in (document.get("provenance") or {}).get("keys") or []}
    ended = max((str(when) for d in shown if (when := (d.get("provenance") or {}).get("ended"))), default="")
    parts = [
        f"{counted(len(runs), 'Run')} in all; those that artifacts share are counted with each of them."
        if runs
        else None,
        f"The last ended {ended.replace('T', ' ')[:16]} UTC." if ended else None,
        "Our choice where the paper is silent stands with each artifact; nothing is tuned to agree.",
    ]
    return tag("footer", join([tag("p", part) for part in parts if part]))
