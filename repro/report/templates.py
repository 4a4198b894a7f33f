"""Fill the templates of this folder (``*.j2``): the page, the README and the claims of a results folder."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from repro.report.claims_table import basis, places, told
from repro.report.document import listed
from repro.report.hypotheses_table import common, open_assumption, parts
from repro.report.numbers import amount, brief
from repro.report.reading import label
from repro.report.tables import Table, markdown_table, pivots
from repro.words import counted, machines, tally

# Verdicts of claims in their order, with the page's shapes, as far as a character set has them.
SIGNS = {"holds": "●", "fails": "◆", "undecided": "◐", "not comparable": "◌", "not run": "○", "unpublished": "–"}


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
    filters = (
        amount, basis, brief, common, counted, label, listed, machines, open_assumption, parts, pivots, places,
        section, slug, state, table, tally, told, typeset, verdicts,
    )  # fmt: skip
    found.filters |= {function.__name__: function for function in filters}
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


def table(shown: Table) -> Markup:
    """Return a table in Markdown."""
    rows = [[str(markdown(text)) for text in row] for row in (shown.header, *shown.rows)]
    return Markup(markdown_table(rows[0], rows[1:]))


def verdicts(claims: Sequence[Mapping[str, Any]]) -> str:
    """Count claims by verdict, in words."""
    found = Counter(claim["verdict"] for claim in claims)
    return tally({verdict: found[verdict] for verdict in SIGNS})


def slug(words: object) -> str:
    """Turn words into an id."""
    return re.sub(r"[^A-Za-z0-9]+", "-", str(words)).strip("-").lower() or "nameless"


def state(verdict: str) -> str:
    """Return a verdict's class and sign, which cells and claims share: ``not run`` -> ``not-run``."""
    return {"within": "holds", "outside": "fails"}.get(verdict) or slug(verdict)


def typeset(words: str) -> str:
    """Replace the plain signs of claims.yaml by those that the paper prints."""
    return words.replace(">=", "≥").replace("<=", "≤").replace(" - ", " − ")


def section(where: str) -> str:
    """Return ``Section 3.1`` for ``3.1``; names of other places stay."""
    return f"Section {where}" if where[:1].isdigit() else where
