"""Fill the templates of this folder (``*.j2``): the page, the README and the claims of a results folder."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from repro.report.svg_claims import state


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
    found.filters |= {"state": state, "slug": slug, "row": row, "header": header}
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
