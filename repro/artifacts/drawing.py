"""Describe how an artifact is drawn: one of four shapes, and what it needs to know. Pure data, no matplotlib.

`repro.report.figures` draws each shape. An artifact that names none gets curves or dots, as suits its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heat:
    """Coloured tables side by side: reproduced, published, and their difference."""

    apart: Mapping[str, str] = field(default_factory=dict)
    """Rows that are set apart above the others and do not span the colours, and what they are called."""
    relative: bool = False
    """Whether a profile that is not comparable shows the difference to its own last cell instead."""


@dataclass(frozen=True)
class Curves:
    """Values along numeric columns: a panel for each ``panel`` and a curve for each other label of a cell.

    More curves than there are looks are coloured by their order.
    """

    panel: str = "row"
    """``row`` or ``series``."""
    name: Callable[[str], str] = str
    """What a curve is called, from its series or row."""
    order: tuple[str, ...] = ()
    """Curves that take the first colours, drawn or not, so that two artifacts give them the same ones."""
    levels: bool = False
    """Whether the mean over the later half of the columns is drawn with each curve."""
    source: str = ""
    """Where the paper prints the numbers of single points, for instance ``Fig. 3``."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """The panels to draw and what each shows, where they differ in their unit."""
    units: Mapping[str, str] = field(default_factory=dict)
    """What the values of a panel are, where it is not the artifact's ``unit``."""
    log: str = ""
    """The panel that has a logarithmic scale."""
    predicted: str = ""
    """What the series ``<panel> predicted`` is, which is drawn dashed over a panel."""
    partial: str = ""
    """Which curves, drawn grey, are not in every panel."""


@dataclass(frozen=True)
class Dots:
    """A dot at every column, reproduced beside published: a panel for each series and row."""

    ladder: str = ""
    """A series whose columns are numbers, calibrated on the first column of the others, which share a panel."""
    series: Mapping[str, str] = field(default_factory=dict)
    """What the columns of a series are, where it is not the artifact's ``columns``."""


@dataclass(frozen=True)
class Bars:
    """Columns that add up as stacked bars, reproduced and published, with the others written above them."""

    parts: Mapping[str, str]
    """The columns that add up, and what each is called in the legend."""
    unit: str
    """Of these columns."""
    texts: Mapping[str, str]
    """The other columns, and the unit behind their number."""


Drawing = Heat | Curves | Dots | Bars
