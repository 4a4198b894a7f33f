"""Write a results folder's `page`, one HTML file that needs nothing else, and its `readme` in Markdown.

Both show the same: first the answer, then the claims, then each artifact with its picture. The page reads on a
phone, in dark mode and in print (page.css), and without a script; page.js adds tooltips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from markupsafe import Markup

from repro.artifacts import PAPER
from repro.report import figures, hypotheses_table, reading, statistic
from repro.report import page_summary as summary
from repro.report.document import Document
from repro.report.figures.hypotheses import draw as draw_hypotheses
from repro.report.inline import inline_svg
from repro.report.page_summary import Claims
from repro.report.reading import label
from repro.report.tables import tables
from repro.report.templates import render, slug
from repro.report.terminal import duration
from repro.words import counted, tally

# The page's shapes, as far as a character set has them.
SIGNS = {"holds": "●", "fails": "◆", "undecided": "◐", "not comparable": "◌", "not run": "○", "unpublished": "–"}
TEXT = "text"  # the artifact of sentences about numbers that stand in no figure or table


@dataclass(frozen=True)
class Section:
    """A figure or table, and all claims that rest on it. Without a document it was not run."""

    name: str
    document: Document | None
    claims: Sequence[Mapping[str, Any]]

    @property
    def label(self) -> str:
        """The paper's name: ``Fig. 1``."""
        return "Text" if self.name == TEXT else label(self.name)

    @property
    def id(self) -> str:
        """The id of its part of the page."""
        return f"{'claims' if self.name == TEXT else 'artifact'}-{slug(self.name)}"

    @property
    def own(self) -> list[Mapping[str, Any]]:
        """The claims that are listed under it: it is the first artifact that they name."""
        return [claim for claim in self.claims if claim["artifact"][0] == self.name]

    @property
    def ran(self) -> bool:
        """Whether any cell has a reproduced number."""
        return any(cell.reproduced is not None for cell in self.document.cells) if self.document else False

    @property
    def counted(self) -> str:
        """Count its cells by verdict."""
        if self.name != TEXT and not self.document:
            return "not run"
        return (tally(self.document.verdicts) if self.document else "") or "no cells"

    @property
    def facts(self) -> list[str]:
        """Say how many cells, seeds and Runs it has, and what they took."""
        if not self.document or not self.document.cells:
            return ["This profile asks for nothing of it"]
        about = self.document.provenance
        found = [
            reading.summary(self.document),
            reading.seeds(self.document.cells),
            counted(about["runs"], "Run") if about.get("runs") else "",
            f"{duration(about['training_seconds'])} of training" if about.get("training_seconds") else "",
        ]
        return [fact for fact in found if fact]


def page(
    documents: Sequence[Document], claims: Claims | None = None, published: Claims | None = None,
    others: Claims | None = None,
) -> str:  # fmt: skip
    """Return the HTML of a results folder. The same arguments give the same text.

    Args:
        documents: its artifacts.
        claims: the claims, decided from its Runs.
        published: the same claims, decided from the paper's own numbers.
        others: its profile beside others (repro/commands/hypotheses.py).
    """
    return render(
        "page.html.j2",
        **_values(documents, claims, published, others),
        panel=_hypotheses(others) if others else "",
        pictures={document.artifact: picture(document, slug(document.artifact)) for document in documents},
        tables=tables,
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
    documents: Sequence[Document], claims: Claims | None = None, page: str | None = None,
    others: Claims | None = None,
) -> str:  # fmt: skip
    """Return the README of a results folder; ``page`` is the file name of the HTML page beside it, if any."""
    values = _values(documents, claims, None, others)
    key = " · ".join(f"{sign} {name}" for name, sign in SIGNS.items() if values["counts"].get(name))
    return render("readme.md.j2", **values, page=page, signs=SIGNS, key=key)


def _values(
    documents: Sequence[Document], claims: Claims | None, published: Claims | None, others: Claims | None
) -> dict[str, Any]:
    """Return what the templates of page and README share."""
    answer = summary.answer(documents, claims)
    listed, theirs = (found["claims"] if found else [] for found in (claims, published))
    by_name = {document.artifact: document for document in documents}
    names = dict.fromkeys([*PAPER, *by_name, *(claim["artifact"][0] for claim in listed)])
    counts = summary.counts(listed)
    # Counted even where no claim has them.
    always = () if answer.caveat else ("holds", "fails", "undecided", "not run")
    return {
        "answer": answer,
        "comparable": bool(claims and claims["comparable"]),
        "profile": summary.profile(documents, claims),
        "claims": listed,
        "theirs": {claim["id"]: claim["verdict"] for claim in theirs},
        "their_verdicts": reading.words(summary.counts(theirs)),
        "counts": {
            name: counts.get(name, 0)
            for name in dict.fromkeys((*summary.ORDER, *counts))
            if name in (*counts, *always)
        },
        "epochs": statistic.epochs(claims),
        "sections": [
            Section(name, by_name.get(name), [claim for claim in listed if name in claim["artifact"]])
            for name in sorted(names, key=lambda name: name == TEXT)
        ],
        "said": claims or published or {"contradictions": [], "untested": []},
        "colophon": _colophon(documents),
        "hypotheses": hypotheses_table.content(others) if others else None,
    }


def _colophon(documents: Sequence[Document]) -> list[str]:
    about = [document.provenance for document in documents]
    runs = {key for one in about for key in one.get("keys", ())}
    ended = max((str(one["ended"]) for one in about if one.get("ended")), default="")
    shared = "those that artifacts share are counted with each of them"
    found = [
        f"{counted(len(runs), 'Run')} in all; {shared}." if runs else "",
        f"The last ended {ended.replace('T', ' ')[:16]} UTC." if ended else "",
        "Our choice where the paper is silent stands with each artifact; nothing is tuned to agree.",
    ]
    return [line for line in found if line]


def _hypotheses(others: Claims) -> Markup:
    """Return the picture of profiles beside one another; nothing where no cell tells them apart."""
    with figures.styled():
        figure = draw_hypotheses(others)
        return inline_svg(figure, "profiles") if figure else Markup("")


def _file(name: str) -> Markup:
    return Markup(resources.files("repro.report").joinpath(name).read_text(encoding="utf-8"))
