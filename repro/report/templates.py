"""Fill the templates of this folder (``*.j2``): the page, the README and the claims of a results folder."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from repro.report import statistic
from repro.report.numbers import brief
from repro.report.page_summary import counts
from repro.report.reading import label, words
from repro.words import counted, machines, tally


def render(name: str, **values: Any) -> str:
    """Fill a template. HTML is escaped, and so is Markdown, each in its own way; a missing value is an error."""
    return _environment(name.endswith(".html.j2")).get_template(name).render(values).strip() + "\n"


@functools.cache
def _environment(html: bool) -> Environment:
    found = Environment(
        loader=PackageLoader("repro.report", ""),
        autoescape=html,
        finalize=None if html else markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = (state, slug, row, header, typeset, section, spaced, listed)
    found.filters |= {function.__name__: function for function in (*own, brief, counted, label, machines, tally)}
    of_claim = (
        "told", "value", "interval", "with_unit", "bounds", "printed", "needed", "waits", "decided_by", "basis",
        "places", "amount",
    )  # fmt: skip
    found.filters |= {name: getattr(statistic, name) for name in of_claim}
    found.filters["verdicts"] = lambda claims: words(counts(claims)) if claims else ""
    found.filters["words"] = words
    return found


def markdown(words: object) -> Markup:
    """Turn words into one line of Markdown in which nothing is markup, fit for a table's cell."""
    if isinstance(words, Markup):
        return words
    text = " ".join(str(words if words is not None else "").split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\|*_`[]":
        text = text.replace(sign, "\\" + sign)
    return Markup(text)


def row(cells: Sequence[object]) -> Markup:
    """Return a row of a Markdown table."""
    return Markup("| " + " | ".join(map(markdown, cells)) + " |")


def header(cells: Sequence[object]) -> Markup:
    """Return the header of a Markdown table and the rule below it."""
    return Markup(f"{row(cells)}\n{row([Markup('---')] * len(cells))}")


def slug(words: object) -> str:
    """Turn words into an id."""
    return re.sub(r"[^A-Za-z0-9]+", "-", str(words)).strip("-").lower() or "nameless"


def state(verdict: str) -> str:
    """Return a verdict's class and sign, which cells and claims share: ``not run`` -> ``not-run``."""
    names = {"within": "holds", "outside": "fails"}
    known = ("holds", "fails", "undecided", "not run", "not comparable", "diverged")
    return names.get(verdict) or slug(verdict if verdict in known else "unpublished")


def typeset(words: object) -> str:
    """Replace the plain signs of claims.yaml by those that the paper prints."""
    return str(words or "").replace(">=", "≥").replace("<=", "≤").replace(" - ", " − ")


def section(where: object) -> str:
    """Return ``Section 3.1`` for ``3.1``; names of other places stay."""
    return f"Section {where}" if str(where)[:1].isdigit() else str(where)


def spaced(name: str) -> str:
    """Write a name as words: ``batch_size`` -> ``batch size``."""
    return name.replace("_", " ")


def listed(value: object) -> str:
    """Write a value of a document's provenance."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)
