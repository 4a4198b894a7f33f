"""Write a results folder's `page`, one HTML file that needs nothing else, and its `readme` in Markdown.

Both show the same: first the answer, then the claims, then each artifact with its picture. The page reads on a
phone, in dark mode and in print (page.css), and without a script; page.js adds tooltips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from markupsafe import Markup

from repro.report import figures
from repro.report.content import content, hypotheses
from repro.report.document import Document
from repro.report.inline import inline_svg
from repro.report.svg_claims import SHAPES
from repro.report.templates import render, slug

Found = Mapping[str, Any]
PAPER = "The Sooner the Better"
# The page's shapes, as far as a character set has them.
SIGNS = {"holds": "●", "fails": "◆", "undecided": "◐", "not comparable": "◌", "not run": "○", "unpublished": "–"}


def page(
    documents: Sequence[Document], claims: Found | None = None, published: Found | None = None,
    others: Found | None = None,
) -> str:  # fmt: skip
    """Return the HTML of a results folder. The same arguments give the same text.

    Args:
        documents: its artifacts.
        claims: the claims, decided from its Runs.
        published: the same claims, decided from the paper's own numbers.
        others: its profile beside others (repro/commands/hypotheses.py).
    """
    pictures = {document.artifact: picture(document, slug(document.artifact)) for document in documents}
    return render(
        "page.html.j2",
        **content(documents, claims, published),
        hypotheses=hypotheses(others),
        pictures=pictures,
        paper=PAPER,
        shapes=SHAPES,
        css=_file("page.css"),
        js=_file("page.js"),
    )


def picture(document: Document, name: str) -> Markup:
    """Return an artifact's figure as SVG, ids starting with ``name``; nothing where no cell has a number."""
    if all(cell.reproduced is None and cell.published is None for cell in document.cells):
        return Markup("")
    with figures.styled():
        return inline_svg(figures.draw(document), name)


def readme(
    documents: Sequence[Document], claims: Found | None = None, page: str | None = None,
    others: Found | None = None,
) -> str:  # fmt: skip
    """Return the README of a results folder; ``page`` is the file name of the HTML page beside it, if any."""
    values = content(documents, claims)
    there = {verdict for verdict, count in values["counts"] if count}
    key = " · ".join(f"{sign} {name}" for name, sign in SIGNS.items() if name in there)
    return render("readme.md.j2", **values, page=page, hypotheses=hypotheses(others), signs=SIGNS, key=key)


def _file(name: str) -> Markup:
    return Markup(resources.files("repro.report").joinpath(name).read_text(encoding="utf-8"))
