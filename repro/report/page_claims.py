"""The paper's claims on the page, one a line to be opened; its contradictions; what no Run here decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repro.report import statistic
from repro.report.page_artifact import anchor, slug
from repro.report.page_html import Markup, details, join, link, tag
from repro.report.page_summary import TEXT, Claim, claim_verdict, claims_of, home, title, waits_for
from repro.report.plots_page import number
from repro.report.svg import brief
from repro.report.svg_claims import glyph, interval, state


def groups(claims: Mapping[str, Any] | None, published: Mapping[str, Any] | None, order: Sequence[str]) -> Markup:
    """Every claim under the artifact that it is about."""
    found = claims_of(claims)
    theirs = {str(claim.get("id")): claim for claim in claims_of(published)}
    parts = []
    for name in order:
        here = [claim for claim in found if home(claim) == name]
        if not here:
            continue
        words = "In the text" if name == TEXT else title(name)
        to = None if name == TEXT else link(anchor(name), "drawing and numbers", class_="to")
        parts.append(tag(
            "section", tag("h3", words, " ", to), *(_claim(c, theirs.get(str(c.get("id")))) for c in here),
            id=f"claims-{slug(name)}", class_="group",
        ))  # fmt: skip
    return join(parts)


def _claim(claim: Claim, theirs: Claim | None) -> Markup:
    verdict, name = claim_verdict(claim), slug(str(claim.get("id", "")))
    look = state(verdict)
    own = None
    if theirs is not None:
        told = claim_verdict(theirs)
        own = tag("span", "paper’s own numbers: ", glyph(state(told)), f" {told}", class_="own")
    says = tag(
        "span", tag("span", typeset(claim.get("claim")), class_="sentence"),
        tag("q", typeset(claim.get("quote"))), tag("span", section_name(claim.get("section")), class_="where"),
        class_="says",
    )  # fmt: skip
    summary = join([
        tag("span", tag("span", glyph(look), tag("b", verdict), class_="word"), own, class_="state"),
        says, tag("span", interval(claim, look), _statistic(claim), class_="measure"),
    ])  # fmt: skip
    return details(
        summary, tag("dl", *_facts(claim, theirs), class_="facts"),
        id=f"claim-{name}", class_=f"claim is-{look}", data_verdict=verdict,
    )  # fmt: skip


def _statistic(claim: Claim) -> Markup:
    if not statistic.has_value(claim):
        told = waits_for(claim)
        waits = tag("span", told, class_="needed") if told else None
        return tag("span", str(claim.get("missing") or "no value"), waits, class_="statistic quiet")
    value, range_ = statistic.typeset(statistic.value(claim)), statistic.typeset(f"({statistic.interval(claim)})")
    return tag(
        "span",
        tag("b", value),
        " ",
        tag("span", statistic.with_unit(range_, claim), class_="range"),
        _needed(claim),
        class_="statistic",
    )


def _needed(claim: Claim) -> Markup | None:
    """How many seeds would decide it."""
    needed = number(claim, "needed")
    if needed is None or claim_verdict(claim) != "undecided":
        return None
    return tag("span", f"about {needed:.0f} {'seed' if needed == 1 else 'seeds'} would decide", class_="needed")


def _facts(claim: Claim, theirs: Claim | None) -> list[Markup]:
    """What stands behind a claim, for who opens it."""
    n, cells, needed = (number(claim, field) for field in ("n", "cells", "needed"))
    noise, printed = claim.get("noise"), statistic.printed(claim)
    facts: list[tuple[str, object]] = [
        ("Measured as", typeset(claim.get("definition"))),
        ("Bounds", statistic.typeset(statistic.bounds(claim))),
        ("Ours, with its 95 % interval", statistic.typeset(statistic.told(claim))),
        ("The paper’s numbers", (f"{statistic.typeset(printed)}: " if printed else "")
            + (claim_verdict(theirs) if theirs is not None else "not put to the test")),
        ("From", _from(n, cells)),
        ("Noise", statistic.amount(noise) if isinstance(noise, float) else noise),
        ("To decide it", waits_for(claim) if needed is None else f"about {needed:.0f} seeds"),
        ("Missing", claim.get("missing")),
        ("Said again", join([_again(entry) for entry in claim.get("repeats") or []], " ") or None),
        ("About", join([about(str(name)) for name in claim.get("artifact") or []], ", ") or None),
    ]  # fmt: skip
    return [tag("div", tag("dt", name), tag("dd", _child(told))) for name, told in facts if told]


def _child(told: object) -> Markup | str:
    return told if isinstance(told, Markup) else str(told)


def _from(n: float | None, cells: float | None) -> str:
    parts = [
        f"{cells:.0f} cells" if cells is not None else "",
        f"{n:.0f} {'seed' if n == 1 else 'seeds'}" if n else "",
    ]
    return ", ".join(part for part in parts if part)


def _again(entry: Sequence[object]) -> Markup:
    where, quote = (*entry, "", "")[:2]
    return tag(
        "span", tag("q", typeset(quote)), " ", tag("span", section_name(where), class_="where"), class_="again"
    )


def about(artifact: str) -> Markup:
    """A link to an artifact's section; the text has none."""
    return tag("span", "the text") if artifact == TEXT else link(anchor(artifact), title(artifact))


def typeset(words: object) -> str:
    """The paper's signs as it prints them: claims.yaml writes them plainly."""
    return str(words or "").replace(">=", "≥").replace("<=", "≤").replace(" - ", " − ")


def section_name(where: object) -> str:
    """``3.1`` -> ``Section 3.1``; names of other places stay."""
    words = str(where or "")
    return f"Section {words}" if words[:1].isdigit() else words


def contradictions(claims: Mapping[str, Any] | None) -> Markup | None:
    """Where the paper's own numbers disagree."""
    found = [entry for entry in (claims or {}).get("contradictions") or [] if isinstance(entry, Mapping)]
    if not found:
        return None
    return tag("div", *map(_contradiction, found), class_="contradictions")


def _contradiction(entry: Mapping[str, Any]) -> Markup:
    value = number(entry, "value")
    rows = [
        tag(
            "tr", *(tag("td", _where(i, part), class_="figure" if i == 4 else None) for i, part in enumerate(cell))
        )
        for cell in entry.get("cells") or []
    ]
    head = tag("tr", *(tag("th", name, scope="col") for name in ("where", "series", "row", "column", "printed")))
    table = tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="wide", tabindex=0,
                role="region", aria_label="numbers behind it")  # fmt: skip
    return tag(
        "article", tag("p", tag("b", brief(float(f"{value:.4g}")) if value is not None else "–"), class_="value"),
        tag("div", tag("p", typeset(entry.get("says"))), tag("p", typeset(entry.get("computed")), class_="where"),
            details(f"The {len(rows)} numbers", table) if rows else None),
        id=f"contradiction-{slug(str(entry.get('id', '')))}",
    )  # fmt: skip


def _where(index: int, part: object) -> Markup | str:
    if index == 0:
        return title(str(part))
    return (
        statistic.typeset(statistic.amount(float(part)))
        if isinstance(part, int | float)
        else "–"
        if part is None
        else str(part)
    )


def untested(claims: Mapping[str, Any] | None) -> Markup | None:
    """Sentences that could be false, and why no Run here decides them."""
    found = [entry for entry in (claims or {}).get("untested") or [] if isinstance(entry, Mapping)]
    if not found:
        return None
    items = [
        tag("li", tag("q", typeset(entry.get("quote"))), " ",
            tag("span", section_name(entry.get("section")), class_="where"), tag("p", str(entry.get("why") or "")))
        for entry in found
    ]  # fmt: skip
    return tag("ul", *items, class_="untested")
