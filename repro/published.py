"""What the paper printed: its numbers cell by cell, and its sentences as claims that can fail.

Read from ``paper_tables/``. One file holds one artifact, laid out like the paper's table; ``text.yaml``
holds the numbers of the running text, ``claims.yaml`` the sentences. Pure: nothing here trains or measures.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from repro.errors import UsageError
from repro.places import tables_dir
from repro.yaml_values import Strict, parse

PRINTED = ("fig1", "fig3", "table1", "table2", "table3", "table4", "text")
"""The artifacts with numbers, in the paper's order; ``text`` is its running text and appendix."""

CURVES = ("fig2", "fig4", "fig5", "fig6")
"""The artifacts that are drawn only: their numbers are not in the text, sentences describe them."""

Key = tuple[str, str, str]
"""Names a cell within its artifact: series, row, column."""


@dataclass(frozen=True)
class Published:
    """One number that the paper printed, ``printed`` with its digits."""

    artifact: str
    series: str
    row: str
    col: str
    value: float
    printed: str = field(default="", compare=False)

    @property
    def key(self) -> Key:
        """The cell's name within its artifact."""
        return self.series, self.row, self.col


@dataclass(frozen=True)
class About:
    """What an artifact is: its title, its place in the paper, the unit of its numbers."""

    artifact: str
    title: str
    place: str
    unit: str


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and the contrast that decides it.

    The claim holds where ``statistic`` lies strictly above ``above`` and strictly below ``below`` (None: no
    bound). ``published`` is the statistic as the paper's own numbers give it, or None where it prints none.
    """

    id: str
    section: str
    artifact: tuple[str, ...]
    quote: str
    claim: str
    statistic: str
    definition: str
    unit: str
    """Of the statistic: points, %, ratio, "epochs of 200" (along the paper's schedule)."""
    above: float | None = None
    below: float | None = None
    published: float | None = None
    repeats: tuple[tuple[str, str], ...] = ()
    """Further sentences that say the same, as (section, quote)."""

    @property
    def direction(self) -> str:
        """``above``, ``below`` or ``between``."""
        if self.below is None:
            return "above"
        return "below" if self.above is None else "between"

    def admits(self, value: float) -> bool:
        """Whether the claim holds where its statistic is `value` (never for NaN)."""
        low = -math.inf if self.above is None else self.above
        return low < value < (math.inf if self.below is None else self.below)


@dataclass(frozen=True)
class Untested:
    """A sentence of the paper that could be false but that no Run here can decide, and why."""

    section: str
    quote: str
    why: str


@dataclass(frozen=True)
class Contradiction:
    """Numbers of the paper that disagree with each other, or with a sentence."""

    id: str
    says: str
    """The disagreement in plain words."""
    value: float
    """The figure that shows it, computed from ``cells`` as ``computed`` says."""
    computed: str
    cells: tuple[Published, ...]


def load(artifact: str | None = None) -> list[Published]:
    """The printed cells of `artifact` (none for a curve), or of all, in the paper's reading order."""
    if artifact is None:
        return [cell for name in PRINTED for cell in _table(name)[1]]
    return [] if _known(artifact) in CURVES else list(_table(artifact)[1])


def lookup(artifact: str) -> dict[Key, float]:
    """The printed values of `artifact` by (series, row, col)."""
    return {cell.key: cell.value for cell in load(artifact)}


def about(artifact: str) -> About:
    """Title, place and unit of `artifact`."""
    return _curves()[artifact] if _known(artifact) in CURVES else _table(artifact)[0]


def claims() -> list[Claim]:
    """The paper's sentences that Runs can decide, in the paper's order."""
    return list(_sentences()[0])


def untested() -> list[Untested]:
    """The paper's sentences that no Run here decides, each with the reason."""
    return list(_sentences()[1])


def contradictions() -> list[Contradiction]:
    """Where the paper's numbers disagree among themselves."""
    return list(_sentences()[2])


def _known(artifact: str) -> str:
    if artifact not in PRINTED + CURVES:
        raise UsageError(f"unknown artifact {artifact!r}: one of {', '.join(sorted(PRINTED + CURVES))}")
    return artifact


# ---- reading the files: anything that is not as declared is refused with its place -------------------------


@functools.cache
def _document(name: str) -> _Node:
    path = tables_dir() / f"{name}.yaml"
    try:
        return _Node(parse(path.read_text(encoding="utf-8"), _Digits), f"{path.parent.name}/{path.name}")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{path}{error}") from None


@functools.cache
def _table(artifact: str) -> tuple[About, tuple[Published, ...]]:
    node = _document(artifact)
    node.allow("artifact", "title", "place", "unit", "series", *(["curves"] if artifact == "text" else []))
    if node["artifact"].text() != artifact:
        raise UsageError(f"{node.place}: artifact is {node['artifact'].text()!r}, not {artifact!r}")
    cells: dict[Key, Published] = {}
    for series in node["series"].items():
        for cell in _cells(artifact, series):
            if cell.key in cells:
                raise UsageError(f"{series.place}: cell {cell.key} stands twice")
            cells[cell.key] = cell
    return _about(node), tuple(cells.values())


def _about(node: _Node) -> About:
    return About(*(node[key].text() for key in ("artifact", "title", "place", "unit")))


@functools.cache
def _curves() -> dict[str, About]:
    found = {}
    for node in _document("text")["curves"].items():
        node.allow("artifact", "title", "place", "unit")
        found[node["artifact"].text()] = _about(node)
    if tuple(found) != CURVES:
        raise UsageError(f"paper_tables/text.yaml: curves are {', '.join(found)}, not {', '.join(CURVES)}")
    return found


def _cells(artifact: str, series: _Node) -> Iterator[Published]:
    """A series is a table (``columns`` and ``rows``, ~ where nothing is printed) or a list of ``cells``."""
    name = series["name"].text()
    if "cells" in series:
        series.allow("name", "cells")
        for cell in series["cells"].items():
            cell.allow("row", "col", "value", "unit", "section")
            for key in ("unit", "section"):  # for the reader of the file, and checked for that
                cell[key].text()
            value = cell["value"]
            yield Published(artifact, name, cell["row"].text(), cell["col"].text(), value.number(), str(value.raw))
        return
    series.allow("name", "columns", "rows")
    columns = [column.text() for column in series["columns"].items()]
    for row in series["rows"].items():
        head, *values = row.items()
        if len(values) != len(columns):
            raise UsageError(f"{row.place}: {len(values)} values under {len(columns)} columns")
        for column, value in zip(columns, values, strict=True):
            if value.raw is not None:
                yield Published(artifact, name, head.text(), column, value.number(), str(value.raw))


@functools.cache
def _sentences() -> tuple[tuple[Claim, ...], tuple[Untested, ...], tuple[Contradiction, ...]]:
    node = _document("claims")
    node.allow("claims", "untested", "contradictions")
    found = (
        tuple(_claim(entry) for entry in node["claims"].items()),
        tuple(_untested(entry) for entry in node["untested"].items()),
        tuple(_contradiction(entry) for entry in node["contradictions"].items()),
    )
    ids = [claim.id for claim in found[0]] + [entry.id for entry in found[2]]
    for twice in {name for name in ids if ids.count(name) > 1}:
        raise UsageError(f"{node.place}: id {twice!r} stands twice")
    return found


def _claim(node: _Node) -> Claim:
    node.allow("id", "section", "artifact", "quote", "claim", "statistic", "unit",
               "definition", "above", "below", "published", "repeats")  # fmt: skip
    if "above" not in node and "below" not in node:
        raise UsageError(f"{node.place}: a claim needs `above`, `below` or both")
    bounds = {key: node[key].number() if key in node else None for key in ("above", "below", "published")}
    repeats = node["repeats"].items() if "repeats" in node else []
    for repeat in repeats:
        repeat.allow("section", "quote")
    return Claim(
        id=node["id"].text(),
        section=node["section"].text(),
        artifact=tuple(_known(name.text()) for name in node["artifact"].items()),
        quote=node["quote"].text(),
        claim=node["claim"].text(),
        statistic=node["statistic"].text(),
        definition=node["definition"].text(),
        unit=node["unit"].text(),
        **bounds,
        repeats=tuple((repeat["section"].text(), repeat["quote"].text()) for repeat in repeats),
    )


def _untested(node: _Node) -> Untested:
    node.allow("section", "quote", "why")
    return Untested(node["section"].text(), node["quote"].text(), node["why"].text())


def _contradiction(node: _Node) -> Contradiction:
    node.allow("id", "says", "value", "computed", "cells")
    cells = []
    for entry in node["cells"].items():
        name = [part.text() for part in entry.items()]
        if len(name) != 4:
            raise UsageError(f"{entry.place}: a cell is [artifact, series, row, column], not {name}")
        value = lookup(name[0]).get((name[1], name[2], name[3]))
        if value is None:
            raise UsageError(f"{entry.place}: the paper prints no cell {name}")
        cells.append(Published(name[0], name[1], name[2], name[3], value))
    return Contradiction(node["id"].text(), node["says"].text(), node["value"].number(),
                         node["computed"].text(), tuple(cells))  # fmt: skip


class _Written(float):
    """A number that knows how it was written: 94.00 is as much as 94, but says more."""

    text: str

    def __str__(self) -> str:
        return self.text


class _Digits(Strict):
    """Keeps the digits of numbers with a point."""

    def written(self, node: yaml.ScalarNode) -> float:
        found = _Written(self.number(node))
        found.text = node.value
        return found


_Digits.add_constructor("tag:yaml.org,2002:float", _Digits.written)


@dataclass(frozen=True)
class _Node:
    """A value in a YAML file, and its place for messages."""

    raw: Any
    place: str

    def __contains__(self, key: str) -> bool:
        return isinstance(self.raw, dict) and key in self.raw

    def __getitem__(self, key: str) -> _Node:
        if key not in self:
            raise UsageError(f"{self.place}: needs {key!r}")
        return _Node(self.raw[key], f"{self.place}: {key}")

    def allow(self, *keys: str) -> None:
        for key in self.raw if isinstance(self.raw, dict) else ():
            if key not in keys:
                raise UsageError(f"{self.place}: unknown {key!r}; known are {', '.join(keys)}")

    def items(self) -> list[_Node]:
        if not isinstance(self.raw, list) or not self.raw:
            raise UsageError(f"{self.place}: must be a list, not {self.raw!r}")
        return [_Node(item, f"{self.place}[{number}]") for number, item in enumerate(self.raw)]

    def text(self) -> str:
        """A non-empty text; an epoch written as a whole number is one too."""
        if isinstance(self.raw, int) and not isinstance(self.raw, bool):
            return str(self.raw)
        if not isinstance(self.raw, str) or not self.raw.strip():
            raise UsageError(f"{self.place}: must be a text, not {self.raw!r}")
        return self.raw.strip()

    def number(self) -> float:
        if isinstance(self.raw, bool) or not isinstance(self.raw, int | float) or not math.isfinite(self.raw):
            raise UsageError(f"{self.place}: must be a number, not {self.raw!r}")
        return float(self.raw)
