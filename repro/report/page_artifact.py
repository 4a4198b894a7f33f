"""An artifact on the page: its drawing, the numbers beside the published ones, assumptions, provenance, cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from repro import compare
from repro.report.document import both
from repro.report.page_html import Markup, details, escape, join, link, tag
from repro.report.page_summary import (
    CELL_VERDICTS,
    CLAIM_VERDICTS,
    Claim,
    cell_counts,
    claim_verdict,
    counts,
    home,
    title,
    words,
)  # fmt: skip
from repro.report.plots_page import Cell, Document, cells_of, comparable, number, paper_epochs, seeds, verdict
from repro.report.svg import Panel, fixed, shown
from repro.report.svg_artifact import AXES, panels
from repro.report.svg_claims import glyph, state
from repro.report.terminal import duration
from repro.words import counted

MOST_COLUMNS, THINNED = 16, 11


def anchor(artifact: str) -> str:
    """The id of an artifact's section."""
    return "artifact-" + slug(artifact)


def slug(words: str) -> str:
    """Words as an id: a user may call an artifact what he likes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-").lower() or "nameless"


def section(document: Document, claims: Sequence[Claim]) -> Markup:
    """The whole section of one artifact; ``claims`` are those that rest on it."""
    name = str(document.get("artifact", ""))
    drawn, ran = panels(document), any(number(cell, "reproduced") is not None for cell in cells_of(document))
    pale = None if ran else tag("span", "not run", class_="tag quiet")
    if ran and not comparable(document):
        pale = tag("span", f"{document.get('profile')}: orientation only", class_="tag")
    head = tag(
        "header",
        tag("h3", tag("span", title(name), class_="name"), " ", str(document.get("title") or ""), " ", pale),
        tag("p", _fared(document), class_="fared"),
        _rests(name, claims),
    )
    row = 3 if len(drawn) > 2 and all(own.narrow for own in drawn) else min(len(drawn), 2)
    figure = tag("figure", *map(panel, drawn), class_=f"panels of-{row}") if drawn else None
    return tag(
        "section", head, figure, _tables(document, ran and not drawn), _about(document),
        id=anchor(name), class_="artifact",
    )  # fmt: skip


def absent(artifact: str, claims: Sequence[Claim]) -> Markup:
    """An artifact of the paper without a document."""
    head = tag("h3", tag("span", title(artifact), class_="name"), " ", tag("span", "not run", class_="tag quiet"))
    return tag(
        "section", tag("header", head, _rests(artifact, claims)), id=anchor(artifact), class_="artifact absent"
    )


def marks(claims: Sequence[Claim]) -> Markup:
    """A sign for each claim, leading to it."""
    found = [
        link(f"claim-{slug(str(claim.get('id', '')))}", glyph(state(claim_verdict(claim))),
             tag("span", f"{claim_verdict(claim)}: {claim.get('claim', '')}", class_="unseen"),
             class_="sign", title=f"{claim_verdict(claim)}: {claim.get('claim', '')}")
        for claim in claims
    ]  # fmt: skip
    return tag("span", *found, class_="signs")


def cells_bar(document: Document) -> Markup:
    """How the cells fared: a stacked bar; the numbers stand beside it in words."""
    found = cell_counts(document)
    parts = [
        tag(
            "span",
            class_=f"part is-{state(name)}",
            style=f"flex-grow:{found[name]}",
            title=f"{found[name]} {name}",
        )
        for name in (*CELL_VERDICTS, *sorted(set(found) - set(CELL_VERDICTS)))
        if found[name]
    ]
    return tag("span", *parts, class_="bar", aria_hidden="true")


def _fared(document: Document) -> Markup:
    cells = cells_of(document)
    if not cells:
        return escape("This profile asks for nothing of it.")
    provenance = document.get("provenance") or {}
    spent = provenance.get("training_seconds")
    parts = [
        f"{len(cells):,} {'cell' if len(cells) == 1 else 'cells'}: {words(cell_counts(document), CELL_VERDICTS)}",
        seeds(cells),
        counted(provenance["runs"], "Run") if provenance.get("runs") else "",
        f"{duration(float(spent))} of training" if isinstance(spent, int | float) and spent else "",
    ]
    return join([part for part in parts if part], " · ")


def _rests(name: str, claims: Sequence[Claim]) -> Markup | None:
    if not claims:
        return None
    found = counts({"claims": claims})
    told = words(found, CLAIM_VERDICTS)
    many = "1 claim rests" if len(claims) == 1 else f"{len(claims)} claims rest"
    listed = any(home(claim) == name for claim in claims)
    first: Markup | str = link(f"claims-{slug(name)}", f"{many} on it") if listed else f"{many} on it"
    return tag("p", first, f": {told} ", marks(claims), class_="rests")


def panel(drawn: Panel) -> Markup:
    """A drawing with its headings and its legend."""
    keys = tag("div", *drawn.keys, class_="keys") if drawn.keys else None
    caption = tag("div", tag("h4", drawn.title), tag("p", drawn.subtitle), class_="caption")
    return tag("div", caption, drawn.drawing, keys, class_="panel")


# ---- numbers -------------------------------------------------------------------------------------------------


def _tables(document: Document, is_open: bool) -> Markup | None:
    cells = cells_of(document)
    if not cells:
        return None
    printed = any(number(cell, "published") is not None for cell in cells)
    found = [
        _table(document, name, [cell for cell in cells if str(cell.get("series", "")) == name])
        for name in dict.fromkeys(str(cell.get("series", "")) for cell in cells)
    ]
    how = "Numbers: ours, and below them the paper’s" if printed else "Numbers"
    how += " (its epochs in brackets)" if printed and paper_epochs(document) else ""
    return details(how, *found, class_="numbers", open=is_open)


def _table(document: Document, series: str, cells: Sequence[Cell]) -> Markup:
    columns = list(dict.fromkeys(str(cell.get("col", "")) for cell in cells))
    caption = series
    if len(columns) > MOST_COLUMNS:
        step = -(-len(columns) // THINNED)
        columns, caption = columns[::step], f"{series} (every {step}th column; all are in the CSV)"
    rows = list(dict.fromkeys(str(cell.get("row", "")) for cell in cells))
    by_place = {(str(cell.get("row", "")), str(cell.get("col", ""))): cell for cell in cells}
    corner = " \\ ".join(part for part in AXES.get(str(document.get("artifact")), ("", "")) if part)
    head = tag(
        "tr", tag("th", corner, scope="col"), *(tag("th", both(col, document), scope="col") for col in columns)
    )
    decimals = {
        col: _decimals(document, [cell for cell in cells if str(cell.get("col", "")) == col]) for col in columns
    }
    body = [
        tag("tr", tag("th", both(row, document), scope="row"),
            *(_cell(by_place.get((row, col)), document, decimals[col]) for col in columns))
        for row in rows
    ]  # fmt: skip
    table = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", table, class_="wide", tabindex=0, role="region", aria_label=f"table: {caption}")


def _decimals(document: Document, column: Sequence[Cell]) -> int | None:
    """Decimals of a column where the document's unit is a list of units, as in Table 4: as few as it needs."""
    if "%" not in (unit := str(document.get("unit", ""))) or unit.endswith("%"):
        return None
    known = [v for cell in column for f in ("reproduced", "published") if (v := number(cell, f)) is not None]
    return next((d for d in (0, 1) if all(round(v, d) == round(v, 2) for v in known)), 2)


def _cell(cell: Cell | None, document: Document, decimals: int | None) -> Markup:
    if cell is None:
        return tag("td")

    def told_as(value: float) -> str:
        return shown(value, document) if decimals is None else fixed(value, decimals)

    value, printed, sd, fate = (
        number(cell, "reproduced"),
        number(cell, "published"),
        number(cell, "sd"),
        verdict(cell),
    )
    ours: Markup | str = fate if value is None else told_as(value)
    if value is not None and sd is not None:
        ours = join([ours, tag("span", f" ± {told_as(sd)}", class_="sd")])
    told = None
    if value is not None and fate in (compare.OUTSIDE, compare.DIVERGED):
        told = join([" ", glyph(state(fate)), tag("span", fate, class_="unseen")])
    paper = None if printed is None else tag("span", told_as(printed), class_="paper")
    return tag("td", tag("span", ours, told, class_="ours"), paper, class_=f"is-{state(fate)}")


# ---- assumptions, provenance ---------------------------------------------------------------------------------


def _about(document: Document) -> Markup:
    assumed = document.get("assumptions") or {}
    about = document.get("provenance") or {}
    changed = document.get("overrides") or {}
    shown_fields = {name: value for name, value in about.items() if name not in ("keys", "packages")}
    facts = [_fact(name.replace("_", " "), value) for name, value in shown_fields.items()]
    facts += [
        _fact("packages", ", ".join(f"{name} {version}" for name, version in packages.items()))
        for packages in about.get("packages") or []
        if isinstance(packages, Mapping)
    ]
    facts += [_fact(f"changed: {name}", value) for name, value in changed.items()]
    facts.append(
        _fact("Runs", tag("span", " ".join(map(str, about.get("keys") or [])) or "none", class_="hashes"))
    )
    return tag(
        "div",
        details("Assumptions where the paper is silent", tag("dl", *(_fact(n, v) for n, v in assumed.items())))
        if assumed else None,
        details("Provenance and cost", tag("dl", *facts)),
        class_="about",
    )  # fmt: skip


def _fact(name: str, value: Any) -> Markup:
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    told = value if isinstance(value, Markup) else escape("unknown" if value is None else value)
    return tag("div", tag("dt", name.replace("_", " ")), tag("dd", told))
