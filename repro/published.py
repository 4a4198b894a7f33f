"""The paper's published numbers, cell by cell, and its sentences as claims that can fail.

Read from ``paper_tables/``: a file for each figure or table with printed numbers, laid out as in the paper;
``text.yaml`` contains the numbers of the running text, ``claims.yaml`` the sentences. Pure: nothing here trains or
measures.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from repro.config.fields import Check, build
from repro.config.yaml_loader import Verbatim, mapping
from repro.errors import UsageError
from repro.places import tables_dir

CLAIMS, EMPTY = "claims", "~"

Key = tuple[str, str, str]
"""The name of a cell within its artifact: series, row, column."""


def _number(text: object) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(str(text))):
            return number
    raise ValueError(f"{text!r} is no number")


Text = Annotated[str, Check(bool, "is empty")]
Number = Annotated[float, _number]


@dataclass(frozen=True)
class Published:
    """A number of the paper, with the digits that are ``printed``."""

    artifact: str
    series: str
    row: str
    col: str
    printed: str

    @property
    def key(self) -> Key:
        """The cell's name within its artifact."""
        return self.series, self.row, self.col

    @property
    def value(self) -> float:
        """The number."""
        return float(self.printed)


@dataclass(frozen=True)
class Sentence:
    """A sentence of the paper, word for word."""

    section: Text
    quote: Text


@dataclass(frozen=True)
class Untested(Sentence):
    """A sentence of the paper that could be false but that no Run here can decide, with the reason."""

    why: Text


@dataclass(frozen=True)
class Claim(Sentence):
    """A sentence of the paper and the statistic that decides it.

    The claim holds if ``statistic`` lies strictly above ``above`` and strictly below ``below`` (None: no bound).
    ``published`` is the statistic of the paper's own numbers, None if it does not print them.
    """

    id: Text
    artifact: tuple[Text, ...]
    claim: Text
    statistic: Text
    definition: Text
    unit: Text
    """The statistic's unit: points, %, ratio, "epochs of 200" (on the paper's schedule)."""
    of: str = ""
    """The statistic's subject: a network, a rate."""
    above: Number | None = None
    below: Number | None = None
    published: Number | None = None
    repeats: tuple[Sentence, ...] = ()
    """Further sentences with the same content."""

    def __post_init__(self) -> None:
        if self.above is None and self.below is None:
            raise ValueError("above: a claim needs `above`, `below` or both")

    @property
    def full_statistic(self) -> str:
        """The statistic's name with its subject: ``baseline_accuracy_resnet20``."""
        return "_".join(filter(None, (self.statistic, self.of.replace(".", ""))))


def _named(raw: Any) -> Published:
    """Look up a cell by [artifact, series, row, column]."""
    for cell in load(raw[0]):
        if [cell.artifact, *cell.key] == raw:
            return cell
    raise ValueError(f"the paper prints no cell {raw!r}")


@dataclass(frozen=True)
class Contradiction:
    """Numbers of the paper that contradict each other or a sentence."""

    id: Text
    says: Text
    """The contradiction in plain words."""
    value: Number
    """The number that shows it, computed from ``cells`` as described in ``computed``."""
    computed: Text
    cells: tuple[Annotated[Published, _named], ...]


@dataclass(frozen=True)
class Sentences:
    """What ``claims.yaml`` contains, each in the paper's order: the sentences that Runs can decide, those that no
    Run here can decide, and the contradictions between the paper's numbers."""

    claims: tuple[Claim, ...]
    untested: tuple[Untested, ...]
    contradictions: tuple[Contradiction, ...]


@dataclass(frozen=True)
class _Series:
    """A table (``columns`` and ``rows``, with ~ for an empty cell), or a list of ``cells``: row, column, value,
    and for readers of the file unit and section."""

    name: Text
    columns: tuple[Text, ...] = ()
    rows: tuple[tuple[Text, ...], ...] = ()
    cells: tuple[tuple[Text, Text, Text, Text, Text], ...] = ()

    def __post_init__(self) -> None:
        for i, (_, *values) in enumerate(self.rows):
            if len(values) != len(self.columns):
                raise ValueError(f"rows[{i}]: {len(values)} values under {len(self.columns)} columns")
            for value in values:
                build(Number, "0" if value == EMPTY else value, f"rows[{i}]")
        for i, (_, _, value, *_) in enumerate(self.cells):
            build(Number, value, f"cells[{i}]")

    def printed(self, artifact: str) -> list[Published]:
        """Return the cells that have a value."""
        places = [cell[:3] for cell in self.cells]
        for row, *values in self.rows:
            places += [(row, col, text) for col, text in zip(self.columns, values, strict=True) if text != EMPTY]
        return [Published(artifact, self.name, *place) for place in places]


@dataclass(frozen=True)
class Table:
    """The printed numbers of one figure or table, or of the running text, with its title and their unit."""

    title: Text
    unit: Text
    series: tuple[_Series, ...]


@functools.cache
def tables() -> Mapping[str, Table]:
    """Return what the paper prints by the artifact's name, in its order; ``text`` is its running text.

    Raises `UsageError` if there are no tables, or if one is not as declared, with its place.
    """
    found = {path.stem: path for path in sorted(tables_dir().glob("*.yaml"))}
    if CLAIMS not in found:
        raise UsageError(f"cannot read {tables_dir() / CLAIMS}.yaml: the paper's tables are not there")
    return {name: _read(Table, path) for name, path in found.items() if name != CLAIMS}


@functools.cache
def sentences() -> Sentences:
    """Return the paper's sentences. Raises `UsageError` if they are not as declared, with the place."""
    found: Sentences = _read(Sentences, tables_dir() / f"{CLAIMS}.yaml")
    return found


def _read(kind: type, path: Path) -> Any:
    try:
        return build(kind, mapping(path, path.read_bytes(), Verbatim), "")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{path.parent.name}/{path.name}: {error}") from None


def load(artifact: str | None = None) -> list[Published]:
    """Return the printed cells of `artifact` (none of one that is only drawn), or of all, in the paper's order."""
    among = {name: table for name, table in tables().items() if artifact in (None, name)}
    return [cell for name, table in among.items() for series in table.series for cell in series.printed(name)]


def lookup(artifact: str) -> dict[Key, float]:
    """Return the printed values of `artifact` by (series, row, col)."""
    return {cell.key: cell.value for cell in load(artifact)}


def claims() -> list[Claim]:
    """Return the sentences that Runs can decide, in the paper's order."""
    return list(sentences().claims)
