"""Sum up the documents and the claims: the one-sentence answer, and counts in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.claims import FAILS, HOLDS, NOT_COMPARABLE, NOT_RUN, UNDECIDED, UNPUBLISHED
from repro.report.document import Document
from repro.report.reading import words

Claims = Mapping[str, Any]
"""The claims' document (repro/claims/report.py)."""
ORDER = (HOLDS, FAILS, UNDECIDED, NOT_COMPARABLE, NOT_RUN, UNPUBLISHED)


@dataclass(frozen=True)
class Answer:
    """The answer to "does the paper hold?", short and long; no ``caveat`` where the runs may decide."""

    short: str
    long: str
    caveat: str = ""


def counts(claims: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count claims by verdict."""
    found = Counter(claim["verdict"] for claim in claims)
    return {verdict: found[verdict] for verdict in dict.fromkeys((*ORDER, *sorted(found))) if found[verdict]}


def profile(documents: Sequence[Document], claims: Claims | None) -> str:
    """Return the profile's name; several names where the documents differ."""
    names = dict.fromkeys(document.profile for document in documents)
    return ", ".join(names) or (str(claims["profile"]) if claims else "unknown")


def answer(documents: Sequence[Document], claims: Claims | None) -> Answer:
    """Answer whether the paper holds."""
    found = counts(claims["claims"] if claims else [])
    total = sum(found.values())
    if not documents and not total:
        return Answer("Nothing has been run", "There is no artifact and no claim in this folder yet.")
    tally = f"Of {total} claims {words(found)}." if total else "No claim was evaluated."
    if not all(document.comparable for document in documents) or (claims and not claims["comparable"]):
        name, same = profile(documents, claims), any(document.profile_comparable for document in documents)
        short = "This run cannot say" if same else f"This {name} run cannot say"
        return Answer(short, tally, _caveat(name, documents, same))
    if not total:
        cells = Counter(cell.verdict for document in documents for cell in document.cells)
        return Answer("No claim was evaluated", f"Of {sum(cells.values()):,} cells {words(cells)}.")
    return Answer(_short(Counter(found), total), tally)


def _short(found: Counter[str], total: int) -> str:
    """Answer for the paper's own setting, no more than its decided claims support."""
    decided = found[HOLDS] + found[FAILS]
    if not decided:
        return "Nothing is decided yet"
    if found[HOLDS] == total:
        return "Yes, every claim holds"
    early = decided * 2 < total
    if not found[FAILS]:
        return "Too little is decided; so far it holds" if early else "Yes, as far as it was decided"
    if early:
        return "Too little is decided; not everything holds"
    if not found[HOLDS]:
        return "No"
    return "For the most part" if found[HOLDS] > 2 * found[FAILS] else "Only in part"


def _caveat(name: str, documents: Sequence[Document], as_published: bool) -> str:
    """Say why these numbers decide nothing, and what the setting is."""
    about = documents[0].provenance if documents else {}
    changed: Mapping[str, Any] = next((d.overrides for d in documents if d.overrides), {})
    setting = ", ".join(str(about[key]) for key in ("schedule", "data") if about.get(key))
    setting += "".join(f", {key} = {value}" for key, value in changed.items())
    text = f"The {name} profile is not the paper's setting"
    if as_published and not changed:
        text = "The images are not the official ones"
    text += f": {setting}." if setting else "."
    return text + " It decides nothing about the paper: published numbers stand beside it for orientation only."
