"""Describe how an artifact is drawn: one of four shapes, and what it needs to know. Pure data, no matplotlib.

`repro.report.figures` draws each shape. An artifact that names none gets curves or dots, as suits its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Heat:
    """Coloured tables side by side: reproduced, published, and their difference."""

    apart: str = ""
    """A row that is set apart above the others and does not span the colours."""
    apart_name: str = ""
    """What this row is called."""
    relative: bool = False
    """Whether a profile that is not comparable shows the difference to its own last cell instead."""


@dataclass(frozen=True)
class CurvePanel:
    """One panel of curves: a series with a title and a unit of its own."""

    series: str
    title: str
    unit: str
    expected: str = ""
    """A series that is drawn dashed over this one."""
    log: bool = False
    percent: bool = False
    """Whether values are shares, shown in percent."""


@dataclass(frozen=True)
class Curves:
    """Values along numeric columns: a panel for each ``panel`` and a curve for each other label of a cell."""

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


@dataclass(frozen=True)
class Layers:
    """Many curves coloured by their order: a panel for each of ``panels``, a curve for each row."""

    panels: tuple[CurvePanel, ...]
    bar: str
    """The label of the colour bar, which counts the rows."""
    start: str
    """What happens at the first column of the expected series."""
    expected: str
    """What the expected series are."""
    missing: str
    """Which rows have no curve in every panel."""


@dataclass(frozen=True)
class Dots:
    """A dot at every column, reproduced beside published."""

    ladder: str = ""
    """A series whose columns are numbers, drawn as a curve, and calibrated on the first column of the others.

    With one, the others share a panel, in pairs; without one, each series has a panel of its own.
    """
    ladder_columns: str = ""
    """What its columns are."""
    series: Mapping[str, str] | None = None
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


Drawing = Heat | Curves | Layers | Dots | Bars
