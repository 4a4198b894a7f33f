"""The paper's published numbers, cell by cell, and its sentences as claims that can fail.

Read from ``paper_tables/``: one file per artifact, laid out like the paper's table; ``text.yaml`` contains the
numbers of the running text, ``claims.yaml`` the sentences. Pure: nothing here trains or measures.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from repro.config.fields import build
from repro.config.yaml_loader import Exact, mapping
from repro.errors import UsageError
from repro.places import tables_dir

PRINTED = ("fig1", "fig3", "table1", "table2", "table3", "table4", "text")
"""Artifacts with printed numbers, in the paper's order; ``text`` is its running text and appendix."""

CURVES = ("fig2", "fig4", "fig5", "fig6")
"""Artifacts that are only drawn: the paper prints none of their numbers, but describes them in sentences."""

Key = tuple[str, str, str]
"""The name of a cell within its artifact: series, row, column."""


@dataclass(frozen=True)
class Published:
    """A number printed in the paper; ``printed`` keeps its digits."""

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
    """An artifact's title, its place in the paper, and the unit of its numbers."""

    artifact: str
    title: str
    place: str
    unit: str


@dataclass(frozen=True)
class Sentence:
    """A sentence of the paper, word for word."""

    section: Text
    quote: str


@dataclass(frozen=True)
class Untested(Sentence):
    """A sentence of the paper that could be false but that no Run here can decide, with the reason."""

    why: str


@dataclass(frozen=True)
class Claim(Sentence):
    """A sentence of the paper and the statistic that decides it.

    The claim holds if ``statistic`` lies strictly above ``above`` and strictly below ``below`` (None: no bound).
    ``published`` is the statistic of the paper's own numbers, None if it does not print them.
    """

    id: str
    artifact: tuple[Annotated[str, _known], ...]
    claim: str
    statistic: str
    definition: str
    unit: str
    """The statistic's unit: points, %, ratio, "epochs of 200" (on the paper's schedule)."""
    of: str = ""
    """The statistic's subject: a network, a rate."""
    above: float | None = None
    below: float | None = None
    published: float | None = None
    repeats: tuple[Sentence, ...] = ()
    """Further sentences with the same content."""

    def __post_init__(self) -> None:
        if self.above is None and self.below is None:
            raise ValueError("above: a claim needs `above`, `below` or both")

    @property
    def full_statistic(self) -> str:
        """The statistic's name with its subject: ``baseline_accuracy_resnet20``."""
        return "_".join(filter(None, (self.statistic, self.of.replace(".", ""))))


@dataclass(frozen=True)
class Contradiction:
    """Numbers of the paper that contradict each other or a sentence."""

    id: str
    says: str
    """The contradiction in plain words."""
    value: float
    """The number that shows it, computed from ``cells`` as described in ``computed``."""
    computed: str
    cells: tuple[Annotated[Published, _named], ...]


def load(artifact: str | None = None) -> list[Published]:
    """Return the printed cells of `artifact` (none for a curve), or of all, in the paper's order."""
    if artifact is None:
        return [cell for name in PRINTED for cell in _file(name).cells]
    return [] if _known(artifact) in CURVES else list(_file(artifact).cells)


def lookup(artifact: str) -> dict[Key, float]:
    """Return the printed values of `artifact` by (series, row, col)."""
    return {cell.key: cell.value for cell in load(artifact)}


def about(artifact: str) -> About:
    """Return title, place and unit of `artifact`."""
    entry: About = _file("text").curves[CURVES.index(artifact)] if _known(artifact) in CURVES else _file(artifact)
    return entry


def claims() -> list[Claim]:
    """Return the sentences that Runs can decide, in the paper's order."""
    return list(_file("claims").claims)


def untested() -> list[Untested]:
    """Return the sentences that no Run here can decide."""
    return list(_file("claims").untested)


def contradictions() -> list[Contradiction]:
    """Return the contradictions between the paper's numbers."""
    return list(_file("claims").contradictions)


def _known(artifact: str) -> str:
    if artifact not in PRINTED + CURVES:
        raise UsageError(f"unknown artifact {artifact!r}: one of {', '.join(sorted(PRINTED + CURVES))}")
    return artifact


# ---- the files: every violation of a declaration is an error that names its place ---------------------------


def _named(raw: Any) -> Published:
    """Look up a cell by [artifact, series, row, column]."""
    if not isinstance(raw, list) or len(raw) != 4:
        raise ValueError(f"a cell is [artifact, series, row, column], not {raw!r}")
    cells = [cell for cell in load(raw[0]) if cell.key == tuple(map(str, raw[1:]))]
    if not cells:
        raise ValueError(f"the paper prints no cell {raw!r}")
    return cells[0]


def _unique(what: str, names: Sequence[object]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} {name!r} occurs twice")


Text = Annotated[str, lambda raw: str(raw) if type(raw) is int else raw]
"""A text, or an epoch written as an integer."""


@dataclass(frozen=True)
class _Cell:
    row: Text
    col: Text
    value: object
    unit: str  # for readers of the file, as is the section
    section: Text


@dataclass(frozen=True)
class _Series:
    """A table (``columns`` and ``rows``, with ~ for an empty cell) or a list of ``cells``."""

    name: Text
    columns: tuple[Text, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()
    cells: tuple[_Cell, ...] = ()

    def printed(self, artifact: str, place: str) -> Iterator[Published]:
        """Yield the cells that have a value."""
        if bool(self.cells) == bool(self.rows) or bool(self.rows) != bool(self.columns):
            raise ValueError(f"{place}: needs either `cells`, or `columns` and `rows`")
        printed = [(cell.row, cell.col, cell.value, f"cells[{i}].value") for i, cell in enumerate(self.cells)]
        for i, (row, *values) in enumerate(self.rows):
            if len(values) != len(self.columns):
                raise ValueError(f"{place}.rows[{i}]: {len(values)} values under {len(self.columns)} columns")
            name, cells = build(Text, row, f"{place}.rows[{i}][0]"), zip(self.columns, values, strict=True)
            printed += [(name, col, v, f"rows[{i}][{k}]") for k, (col, v) in enumerate(cells, 1) if v is not None]
        for row, col, value, where in printed:
            number = build(float, value, f"{place}.{where}")
            yield Published(artifact, self.name, row, col, number, str(value))


@dataclass(frozen=True)
class _Table(About):
    series: tuple[_Series, ...]
    curves: tuple[About, ...] = ()

    def __post_init__(self) -> None:
        _unique("series: cell", [cell.key for cell in self.cells])
        names, known = [curve.artifact for curve in self.curves], CURVES if self.artifact == "text" else ()
        if names != list(known):
            raise ValueError(f"curves: {', '.join(known) or 'none'} expected, not {', '.join(names) or 'none'}")

    @functools.cached_property
    def cells(self) -> list[Published]:
        printed = (one.printed(self.artifact, f"series[{i}]") for i, one in enumerate(self.series))
        return [cell for cells in printed for cell in cells]


@dataclass(frozen=True)
class _Sentences:
    claims: tuple[Claim, ...]
    untested: tuple[Untested, ...]
    contradictions: tuple[Contradiction, ...]

    def __post_init__(self) -> None:
        _unique("id", [claim.id for claim in self.claims] + [entry.id for entry in self.contradictions])


@functools.cache
def _file(name: str) -> Any:
    path = tables_dir() / f"{name}.yaml"
    try:
        content = build(_Sentences if name == "claims" else _Table, mapping(path, path.read_bytes(), Exact), "")
        if getattr(content, "artifact", name) != name:
            raise ValueError(f"artifact: {content.artifact!r}, not {name!r}")
        return content
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{path.parent.name}/{path.name}: {error}") from None
