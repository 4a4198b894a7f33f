"""Documents and claims of every kind for the page, and a reader of the page."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from figure_documents import from_values

from repro import cells as compare
from repro import published
from repro.claims.decide import VERDICTS
from repro.report import page as pages
from repro.report.document import Document

Found = dict[str, Any]
PILOT = Path(__file__).parents[1] / "results" / "pilot"
VOID = {"meta", "br", "link", "hr"}


class Tree(HTMLParser):
    """Reads a page and holds it to what HTML asks: every element closed in its order, no id twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.untold: list[str] = []  # marks that have a place and no <title>
        self.cells: list[dict[str, str]] = []  # the texts of each table cell by class, "" where there is none
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        ids = [a["id"] for _, a in self.elements if "id" in a]
        assert len(ids) == len(set(ids)), [name for name, n in Counter(ids).items() if n > 1]
        self.ids = set(ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute twice: {tag} {attrs}"
        self.elements.append((tag, dict(attrs)))
        if self.open and _is_mark(self.open[-1]):
            if tag != "title" and self.open[-1][1].get("told") is None:
                self.untold.append(str(self.open[-1]))
            self.open[-1][1]["told"] = tag
        if tag == "td":
            self.cells.append({})
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not any(name in ("style", "script") for name, _ in self.open):
            self.words.append(data)
        names = [name for name, _ in self.open]
        if "td" in names:
            inner = [str(a["class"]) for _, a in self.open[names.index("td") + 1 :] if "class" in a]
            name = inner[0] if inner else ""
            self.cells[-1][name] = self.cells[-1].get(name, "") + data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def having(self, class_: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.elements if class_ in (a.get("class") or "").split()]


def _is_mark(element: tuple[str, dict[str, str | None]]) -> bool:
    return "mark" in (element[1].get("class") or "").split()


def document(artifact: str, cells: list[compare.Cell], *, paper: bool = True, **changes: Any) -> Document:
    made = Document(
        artifact, f"what {artifact} shows", "top-1 accuracy, %", profile="paper" if paper else "pilot",
        comparable=paper, assumptions={"batch_size": "128"},
        provenance={
            "data": "cifar10: 50,000 training and 10,000 test images", "runs": 3, "seeds": [0, 1, 2],
            "packages": [{"torch": "2.11.0"}], "training_seconds": 7300.0, "ended": "2026-01-02T03:04:05+00:00",
            "schedule": "200 epochs, batch 128", "keys": ["ab12", "cd34", "ef56"],
        },
        cells=cells,
    )  # fmt: skip
    return replace(made, **changes)


def printed(artifact: str, shift: float = 0.1, **changes: Any) -> Document:
    """As large as the paper's own table: each number moved by ``shift``, every seventh not run, one diverged."""
    cells = [
        compare.cell(
            p.series, p.row, p.col, [] if index % 7 == 6 else [p.value + shift, p.value + shift + 0.02],
            published=p.value, replicate_sd=0.23, diverged=index == 3,
        )
        for index, p in enumerate(published.load(artifact))
    ]  # fmt: skip
    return document(artifact, cells, **changes)


def curves(artifact: str, series: tuple[str, ...], rows: tuple[str, ...], xs: range, **changes: Any) -> Document:
    cells = [
        compare.cell(s, r, str(x), [] if r == "resnet18" else [70 + x / 10 + len(s)])
        for s in series
        for r in rows
        for x in xs
    ]
    return document(artifact, cells, **changes)


def claim(name: str, verdict: str = "holds", **changes: Any) -> Found:
    return {
        "id": name, "section": "3.1", "artifact": ["fig1"],
        "quote": "a (s >= 100) quote", "claim": f"It is so: {name}.",
        "statistic": "x", "definition": f"Definition of {name}.", "above": -0.5, "below": 0.5, "published": 0.1508,
        "unit": "", "value": 0.2, "low": 0.1, "high": 0.3, "unbounded": [], "own_epochs": None, "n": 3,
        "noise": "replicate noise", "verdict": verdict, "needed": None, "missing": "", "cells": 72,
        "repeats": [["Fig. 1", "again"]], "next": None,
    } | changes  # fmt: skip


def claims(*found: Found, comparable: bool = True, **changes: Any) -> Found:
    return {
        "profile": "paper" if comparable else "pilot", "comparable": comparable, "source": "runs", "seeds": [0],
        "counts": dict.fromkeys(VERDICTS, 0) | Counter(entry["verdict"] for entry in found),
        "schedules": [], "claims": list(found),
        "contradictions": [{
            "id": "three-baselines", "says": "It is 92.5 and 92.05.", "value": 0.45,
            "computed": "largest minus smallest",
            "cells": [["fig1", "baseline", "baseline", "200", 92.05], ["text", "a", "resnet20", "b", 92.5]],
        }],
        "untested": [{"section": "1", "quote": "thousands of epochs", "why": "Of other papers."}],
    } | changes  # fmt: skip


@functools.cache
def everything() -> tuple[tuple[Document, ...], Found, Found]:
    """Every kind of drawing, every verdict, and a user's own artifact."""
    documents = (
        printed("fig1"), printed("fig3", 0.001, unit="share of weights", digits=4), printed("table2", 1.5),
        curves("fig2", ("w_std", "w_std predicted", "layer pruning rate", "w_mean"), ("a", "b"), range(21)),
        curves("fig4", ("ppr 0.1", "ppr 0.01", "baseline"), ("resnet20",), range(1, 41)),
        curves("fig5", ("memorization",), ("20", "100", "200"), range(1000, 4000, 1000)),
        curves("fig6", ("ppr 0.01", "baseline"), ("resnet56", "resnet18"), range(0, 50, 5)),
        printed("table1"), document("table3", [compare.cell("s", "r", "1", [])]), printed("table4"),
        curves("fig7", ("mine",), ("one",), range(3)),
    )  # fmt: skip
    verdicts = ("holds", "fails", "undecided", "not run", "unpublished")
    found = [
        claim(f"c-{name}-{v}".replace(" ", "-"), v, artifact=[name, "fig4"], value=None if v == "not run" else 0.2,
              needed=7 if v == "undecided" else None, missing="a Run is missing" if v == "not run" else "",
              next={"part": "PPR curves", "runs": 1, "images": 9} if v == "not run" else None)
        for name in ("fig1", "table2", "table3", "text") for v in verdicts
    ]  # fmt: skip
    theirs = claims(*[entry | {"verdict": "fails"} for entry in found], source="published")
    return documents, claims(*found), theirs


def page(documents: Sequence[Document], ours: Found | None = None, theirs: Found | None = None) -> str:
    """The page of a folder, its claims and the paper's own, by default none."""
    ours = ours or claims(comparable=all(document.comparable for document in documents))
    return pages.page(documents, ours, theirs or ours)


@functools.cache
def whole() -> tuple[str, Tree]:
    text = page(*everything())
    return text, Tree(text)


def pilot() -> list[Document]:
    return [
        from_values(json.loads((PILOT / f"{name}.json").read_text()))
        for name in ("fig1", "fig2", "fig3", "table2")
    ]
