"""A results folder's README: the same answer as the page, in Markdown that a forge can show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import page_documents
from figure_documents import from_values

from repro.report.document import Document
from repro.report.page import claims_markdown, readme
from repro.report.templates import markdown
from repro.words import machines

PILOT = Path(__file__).parents[1] / "results" / "pilot"


def documents() -> list[Document]:
    return [
        from_values(json.loads((PILOT / f"{name}.json").read_text()))
        for name in ("fig1", "fig2", "fig3", "table2")
    ]


def claims() -> dict[str, Any]:
    def claim(name: str, verdict: str, **changes: Any) -> dict[str, Any]:
        return {
            "id": name, "section": "3.1", "artifact": ["fig1"], "quote": "so | it is", "claim": f"Claim {name}",
            "definition": "d", "unit": "", "above": 0, "below": None, "published": 0.12345, "value": 1.5,
            "unbounded": [], "own_epochs": None,
            "low": 1.0, "high": 2.0, "n": 1, "verdict": verdict, "needed": None, "missing": "", "repeats": [],
            "cells": 3, "noise": "exact", "next": None,
        } | changes  # fmt: skip

    found = [
        claim("one", "holds"),
        claim("two", "fails", artifact=["table2", "fig1"]),
        claim("three", "undecided", needed=9),
        claim(
            "four",
            "not run",
            value=None,
            missing="fig4 was not run",
            artifact=["text"],
            next={"part": "gradual pruning", "runs": 71, "images": 9},
        ),
    ]
    return {
        "profile": "pilot", "comparable": False, "schedules": [], "counts": {"holds": 1, "not run": 3},
        "claims": found, "contradictions": [
            {"id": "c", "says": "92.5 and 92.05", "value": 0.45, "computed": "their difference", "cells": []}],
        "untested": [{"section": "1", "quote": "q", "why": "w"}],
    }  # fmt: skip


def test_the_answer_the_caveat_and_every_claim() -> None:
    text = readme(documents(), claims())
    assert text.startswith("# Does") and "**This pilot run cannot say.**" in text.splitlines()[2]
    assert "> **Not comparable with the paper.**" in text and "(index.html)" in text
    rows = [line for line in text.splitlines() if "| Claim " in line]
    assert len(rows) == 4
    assert rows[0].startswith("| ● holds") and "1.50 (1.00 to 2.00)" in rows[0] and "0.123" in rows[0]
    assert "about 9 seeds would decide" in rows[1] and rows[2].startswith("| **◆ fails**")
    assert "fig4 was not run; waits for: gradual pruning (71 Runs)" in rows[3]
    assert "92.5 and 92.05" in text and "## Not tested" in text


def test_every_artifact_tells_the_device_that_it_was_trained_on() -> None:
    text, found = readme(documents(), claims()), documents()
    assert all(document.provenance["devices"] for document in found)
    for document in found:
        assert f"on {markdown(machines(document.provenance['devices']))} " in text.replace(".", " ")


def test_tables_are_whole_and_links_lead_to_files_beside_it() -> None:
    text = readme(documents(), claims())
    widths: list[int] = []
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not cells or not widths or cells == widths[-1], line
        widths = [*widths, cells] if cells else []
    files = re.findall(r"\]\(([^)#]+)\)", text)
    assert {"fig1.png", "fig1.md", "fig1.csv", "fig1.json", "table2.png"} <= set(files)
    assert not [name for name in files if not (PILOT / name).exists()]
    for target in re.findall(r"\]\(#([^)]+)\)", text):
        headings = [h.lower().replace(".", "").replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)]
        assert target in headings, target


def test_markup_in_a_document_is_text() -> None:
    assert markdown("a|b\n<b>_c_") == "a\\|b &lt;b&gt;\\_c\\_"
    bad = replace(documents()[0], title="<script>x</script> | y")
    assert "<script>" not in readme([bad], claims())


def test_markup_in_a_claim_is_text_in_the_claims_too() -> None:
    evil = "<script>x</script> | *y*"
    one = page_documents.claim("a", claim=evil, quote=evil, definition=evil, missing=evil, next=None)
    found = page_documents.claims(one, untested=[{"section": "1", "quote": evil, "why": evil}])
    text = claims_markdown(found)
    assert "<script>" not in text and text.count(markdown(evil)) == 6
    assert "**a** (3.1): " in text and "**three-baselines** (0.450): It is 92.5 and 92.05." in text
