"""Sum up the documents and the claims: the one-sentence answer, counts, their order. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro import cells as compare
from repro.artifacts import PAPER
from repro.report.document import Document
from repro.report.reading import label
from repro.words import counted

Claim = Mapping[str, Any]
HOLDS, FAILS, UNDECIDED, NOT_RUN, UNPUBLISHED = "holds", "fails", "undecided", "not run", "unpublished"
CLAIM_VERDICTS = (HOLDS, FAILS, UNDECIDED, compare.NOT_COMPARABLE, NOT_RUN, UNPUBLISHED)
CELL_VERDICTS = (
    compare.WITHIN, compare.OUTSIDE, compare.NOT_COMPARABLE,
    compare.UNPUBLISHED, compare.DIVERGED, compare.NOT_RUN,
)  # fmt: skip
TEXT = "text"  # the artifact of sentences about numbers that stand in no figure or table


@dataclass(frozen=True)
class Answer:
    """The answer to "does the paper hold?", short and long; no ``caveat`` where the runs may decide."""

    short: str
    long: str
    caveat: str


def claims_of(claims: Mapping[str, Any] | None) -> list[Claim]:
    """Return the claims of a document; none where there is no document."""
    return list(claims["claims"]) if claims else []


def waits_for(claim: Claim) -> str:
    """Return ``waits for: gradual pruning (71 Runs)``, the part of a sprint for which a claim waits, if any."""
    part = claim.get("next")
    if not part:
        return ""
    return f"waits for: {part['part']} ({counted(part['runs'], 'Run')})"


def counts(claims: Mapping[str, Any] | None) -> Counter[str]:
    """Count claims by verdict."""
    return Counter(claim["verdict"] for claim in claims_of(claims))


def decisive(documents: Sequence[Document], claims: Mapping[str, Any] | None) -> bool:
    """Return whether all results have the paper's own setting, so that they may decide its claims."""
    return all(document.comparable for document in documents) and (not claims or claims["comparable"])


def home(claim: Claim) -> str:
    """Return the artifact under which a claim is listed: the first that it names."""
    return str(claim["artifact"][0])


def order(documents: Sequence[Document], claims: Mapping[str, Any] | None) -> list[str]:
    """Return every artifact to list: the paper's, a user's own, and last "text", if a claim is about it."""
    names = [*PAPER, *(document.artifact for document in documents), *map(home, claims_of(claims))]
    found = [name for name in dict.fromkeys(names) if name != TEXT]
    return [*found, TEXT] if TEXT in names else found


def title(artifact: str) -> str:
    """Return an artifact's title: ``fig1`` -> ``Fig. 1``, ``text`` -> ``Text``."""
    return "Text" if artifact == TEXT else label(artifact)


def profile(documents: Sequence[Document], claims: Mapping[str, Any] | None) -> str:
    """Return the profile's name; several names where the documents differ."""
    names = dict.fromkeys(document.profile for document in documents)
    return ", ".join(names) or (str(claims["profile"]) if claims else "unknown")


def answer(documents: Sequence[Document], claims: Mapping[str, Any] | None) -> Answer:
    """Answer whether the paper holds."""
    found, name = counts(claims), profile(documents, claims)
    total, decided = sum(found.values()), found[HOLDS] + found[FAILS]
    tally = words(found, CLAIM_VERDICTS)
    if not documents and not total:
        return Answer("Nothing has been run", "There is no artifact and no claim in this folder yet.", "")
    if not decisive(documents, claims):
        caveat = _caveat(name, documents)
        short = "This run cannot say" if _as_published(documents) else f"This {name} run cannot say"
        if not total:
            return Answer(short, "No claim was evaluated.", caveat)
        return Answer(short, f"Of {total} claims {tally}.", caveat)
    cells = Counter[str]()
    for document in documents:
        cells.update(document.verdicts)
    if not total:
        return Answer(
            "No claim was evaluated", f"Of {sum(cells.values()):,} cells {words(cells, CELL_VERDICTS)}.", ""
        )
    return Answer(_short(found, total, decided), f"Of {total} claims {tally}.", "")


def _short(found: Counter[str], total: int, decided: int) -> str:
    """Answer for the paper's own setting, no more than its decided claims support."""
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


def _caveat(name: str, documents: Sequence[Document]) -> str:
    """Say why these numbers decide nothing, and what the setting is."""
    about = documents[0].provenance if documents else {}
    setting = ", ".join(str(about[key]) for key in ("schedule", "data") if about.get(key))
    changed: Mapping[str, Any] = next((d.overrides for d in documents if d.overrides), {})
    setting += "".join(f", {key} = {value}" for key, value in changed.items())
    what = "The images are not the official ones" if _as_published(documents) and not changed else ""
    text = what or f"The {name} profile is not the paper's setting"
    text += f": {setting}." if setting else "."
    return text + " It decides nothing about the paper: published numbers stand beside it for orientation only."


def _as_published(documents: Sequence[Document]) -> bool:
    """Return whether the profile follows the paper, on any images."""
    return any(document.profile_comparable for document in documents)


NONE = {
    "were not run": "none was run", "are not comparable": "none is comparable",
    "have no published number": "none has a published number",
}  # fmt: skip


def words(found: Mapping[str, int], names: Sequence[str]) -> str:
    """Return counts in words: ``31 hold, 4 fail and 8 are undecided``."""
    several = {
        HOLDS: ("holds", "hold"), FAILS: ("fails", "fail"), UNDECIDED: ("is undecided", "are undecided"),
        NOT_RUN: ("was not run", "were not run"),
        UNPUBLISHED: ("has no published number", "have no published number"),
        compare.WITHIN: ("is within its band", "are within their bands"),
        compare.OUTSIDE: ("is outside its band", "are outside their bands"),
        compare.NOT_COMPARABLE: ("is not comparable", "are not comparable"),
        compare.DIVERGED: ("diverged", "diverged"),
    }  # fmt: skip
    every = sum(found.values())
    parts = []
    for name in (*names, *sorted(set(found) - set(names))):
        if n := found.get(name, 0):
            told = several.get(name, (name, name))[n != 1]
            parts.append(NONE.get(told, f"all {told}") if n == every > 1 else f"{n:,} {told}")
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts) or "none"
