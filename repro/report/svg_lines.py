"""Curves over epochs (or any number): one panel for each series or for each row of a document.

A curve carries its values in data attributes, for page.js to tell the one that is pointed at; a point a mark
would make a page of megabytes of a figure with twenty layers and two hundred epochs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repro.report.page_html import Markup, escape, join, tag
from repro.report.plots_page import Cell, Document, cells_of, comparable, number, place, seeds
from repro.report.svg import (
    Panel,
    Scale,
    canvas,
    circle,
    key,
    line,
    padded,
    rect,
    rotated,
    shown,
    text,
    x_axis,
    y_axis,
)  # fmt: skip

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 440.0, 300.0, 58.0, 12.0, 10.0, 42.0
BASELINE = "baseline"
PREDICTED = " predicted"  # "w_std predicted" is drawn into the panel of "w_std"
HIDDEN = frozenset({"w_mean"})  # stays in the table and in the CSV
LOG = frozenset({"w_std"})  # on a log scale, parallel movement is parallel
COLOURS, MOST_PREDICTIONS = 5, 24
TITLES = {
    "w_std": ("Standard deviation of weights", "of each layer, log scale"),
    "hamming": ("How far the mask has moved", ""),
    "layer pruning rate": ("Pseudo per-layer pruning rate", "share of each layer’s weights below the threshold"),
}
Point = tuple[float, float, Cell]


@dataclass(frozen=True)
class Curve:
    """Values over x in the look of ``class_`` and ``style``; ``name`` is how its legend calls it."""

    name: str
    points: Sequence[Point]
    class_: str
    style: str | None = None

    @property
    def values(self) -> list[float]:
        """The heights."""
        return [y for _, y, _ in self.points]


def lines(document: Document, by: str, x_name: str, prefix: str = "") -> list[Panel]:
    """A panel for each ``by``, "series" or "row"; its curves are those of the other, their names after ``prefix``.
    Published numbers are hollow dots beside ours, or a panel of their own where the two are not comparable."""
    cells = [_named(cell, prefix) for cell in cells_of(document) if str(cell.get("series")) not in HIDDEN]
    other = "row" if by == "series" else "series"
    names = dict.fromkeys(str(cell.get(by, "")) for cell in cells)
    pruned = {str(c.get("row")) for c in cells if c.get("series") == "layer pruning rate"}
    panels = []
    for name in names:
        if by == "series" and name.endswith(PREDICTED) and name.removesuffix(PREDICTED) in names:
            continue
        here = [cell for cell in cells if str(cell.get(by, "")) == name]
        curves = curves_of(here, other, "reproduced", pruned if document.get("artifact") == "fig2" else set())
        paper = _once(curves_of(here, other, "published", set()))
        expected = curves_of([c for c in cells if c.get("series") == name + PREDICTED], other, "reproduced", set())
        title, subtitle = TITLES.get(name, (name.replace("resnet", "ResNet"), ""))
        about = ", ".join(part for part in (subtitle, seeds(here) or "not run") if part)
        shared = paper if comparable(document) else []
        if curves or shared or not paper:
            drawing = _plot(document, name, curves, shared, expected, x_name, name in LOG)
            keys = _keys(curves, shared, expected, here, other, by == "series" and other == "row")
            panels.append(Panel(title, about, drawing, keys))
        if paper and not comparable(document):
            drawing = _plot(document, f"{name}, published", [], paper, [], x_name, name in LOG)
            panels.append(Panel(f"{title}: the paper’s", "orientation only", drawing))
    return panels


def _named(cell: Cell, prefix: str) -> Cell:
    return {**cell, "row": f"{prefix}{cell.get('row')}"} if prefix else cell


def curves_of(cells: Iterable[Cell], by: str, field: str, never: set[str]) -> list[Curve]:
    """A curve for each row or series: a few in colours of their own, as in the picture (plots_curves.py), many
    shaded by their order. Dense networks are grey, and rows that are not in ``never`` (where it is known who is):
    layers that are never pruned."""
    groups: dict[str, list[Point]] = {}
    order = list(dict.fromkeys(str(cell.get(by, "")) for cell in cells))
    for cell in cells:
        x, y = place(cell), number(cell, field)
        if x is not None and y is not None:
            groups.setdefault(str(cell.get(by, "")), []).append((x, y, cell))
    found = []
    single = by == "series" and len({*order} - {BASELINE}) == 1  # its colour is that of the small rate in Fig. 4
    for name, points in groups.items():
        index = order.index(name) + single
        if name == BASELINE or name.endswith("dense"):
            look, style = "dense", None
        elif never and name not in never:
            look, style = "aside", None
        elif len(order) > COLOURS:
            look, style = "deep", f"--t:{100 * order.index(name) / (len(order) - 1):.0f}%"
        else:
            look, style = f"c{index}", None
        found.append(Curve(name, sorted(points, key=lambda point: point[0]), look, style))
    return found


def _once(curves: list[Curve]) -> list[Curve]:
    """Curves that tell the same, as where the paper prints one number beside several of ours, are one: that which
    is compared."""
    told = {tuple((x, y) for x, y, _ in curve.points) for curve in curves}
    if len(curves) < 2 or len(told) > 1:
        return curves
    judged = max(curves, key=lambda curve: sum(number(cell, "band") is not None for _, _, cell in curve.points))
    return [Curve("printed", judged.points, "aside")]


def _plot(
    document: Document, name: str, ours: Sequence[Curve], paper: Sequence[Curve], expected: Sequence[Curve],
    x_name: str, log: bool,
) -> Markup:  # fmt: skip
    every = [point for curve in (*ours, *paper, *expected) for point in curve.points]
    banded = [point for curve in paper for point in curve.points if ours]
    frame = line(LEFT, HEIGHT - FOOT, WIDTH - RIGHT, HEIGHT - FOOT, "base")
    if not every:
        nothing = rect(LEFT, TOP, WIDTH - LEFT - RIGHT, 60, class_="lost")
        told = text((LEFT + WIDTH - RIGHT) / 2, TOP + 34, "not run", class_="haloed")
        return canvas(WIDTH, TOP + 62, f"{name}: not run", nothing, told)
    xs, ys = sorted({x for x, _, _ in every}), [*_ends(every, "sd"), *_ends(banded, "band")]
    log = log and min(ys) > 0
    low, high = (min(ys) / 1.06, max(ys) * 1.06) if log else padded(ys)
    if not log and min(ys) >= 0:
        low = max(low, 0.0)
    side = (xs[0], xs[-1]) if len(xs) > 1 else (xs[0] - 1, xs[0] + 1)
    x = Scale(*side, LEFT, WIDTH - RIGHT, geometric(xs))
    y = Scale(low, high, HEIGHT - FOOT, TOP, log)
    parts: list[Markup | None] = [
        y_axis(y, LEFT, WIDTH - RIGHT),
        rotated(13, (HEIGHT - FOOT + TOP) / 2, _unit(document, name)),
    ]
    parts += [_x_labels(x, x_name), frame]
    if expected:
        start = x(min(p[0] for c in expected for p in c.points))
        parts.append(line(start, TOP, start, HEIGHT - FOOT, "drop"))
    parts += [_band(point, x, y) for point in banded]
    parts += [_spread(curve, x, y) for curve in ours]
    parts += [_drawn(curve, x, y, document, x_name, "ours") for curve in ours]
    parts += [_drawn(curve, x, y, document, x_name, "Eq. 5") for curve in expected[:MOST_PREDICTIONS]]
    parts += [_drawn(curve, x, y, document, x_name, "paper") for curve in paper]
    return canvas(WIDTH, HEIGHT, f"{document.get('artifact')}: {name} by {x_name}", *parts, kind="curves")


def _ends(points: Sequence[Point], reach: str) -> list[float]:
    """What the scale has to hold: values with their spread over seeds, or with their band."""
    spread = [(y, number(cell, reach) or 0.0) for _, y, cell in points]
    return [y + sign * far for y, far in spread for sign in (-1, 1)]


def geometric(xs: Sequence[float]) -> bool:
    """Whether each x is at least half as large again as the one before: numbers meant for a log scale."""
    return len(xs) > 2 and xs[0] > 0 and all(b >= 1.5 * a for a, b in itertools.pairwise(xs))


def _x_labels(scale: Scale, name: str) -> Markup:
    return x_axis(scale, HEIGHT - FOOT, HEIGHT - FOOT - 0.1, name)


def _unit(document: Document, name: str) -> str:
    """The unit of one series: a document of several series names them all, separated by semicolons."""
    units = [part.strip() for part in str(document.get("unit") or "").split(";")]
    return units[0] if len(units) == 1 else {"w_std": "W_std", "layer pruning rate": "share removed"}.get(name, "")


def _drawn(curve: Curve, x: Scale, y: Scale, document: Document, x_name: str, whose: str) -> Markup:
    """One curve: a line, or hollow dots for what the paper printed."""
    places = [(x(px), y(py)) for px, py, _ in curve.points]
    d = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in places)
    values = [_value(cell, py, document, whose) for _, py, cell in curve.points]
    first, last = curve.points[0], curve.points[-1]
    about = f"{curve.name}, {whose}: {values[0]} at {x_name} {first[2].get('col')}"
    if len(values) > 1:
        low, high = (shown(pick(curve.values), document) for pick in (min, max))
        about += f", {values[-1]} at {x_name} {last[2].get('col')}; {len(values)} values from {low} to {high}"
    if whose == "paper" or len(values) == 1:
        marks: Sequence[Markup] = [circle(px, py, 3.4, "dot") for px, py in places]
    else:
        marks = [tag("path", d=d)]
    columns = "|".join(str(cell.get("col")) for _, _, cell in curve.points)
    attributes: Mapping[str, object] = {
        "data_name": f"{curve.name}\n{whose}", "data_axis": x_name, "data_x": columns, "data_v": "|".join(values),
        "data_d": d if whose == "paper" or len(values) == 1 else None,
    }  # fmt: skip
    kind = {"ours": "", "paper": " paper", "Eq. 5": " expected"}[whose]
    return tag(
        "g", tag("title", about), *marks, class_=f"curve {curve.class_}{kind}", style=curve.style, **attributes
    )


def _value(cell: Cell, value: float, document: Document, whose: str) -> str:
    sd = number(cell, "sd") if whose == "ours" else None
    return shown(value, document) + (f" ± {shown(sd, document)}" if sd is not None else "")


def _spread(curve: Curve, x: Scale, y: Scale) -> Markup | None:
    """A pale band of one standard deviation over the seeds on both sides."""
    known = [(px, py, sd) for px, py, cell in curve.points if (sd := number(cell, "sd")) is not None]
    if len(known) < 2:
        return None
    there = [f"{x(px):.1f} {y(py + sd):.1f}" for px, py, sd in known]
    back = [f"{x(px):.1f} {y(py - sd):.1f}" for px, py, sd in reversed(known)]
    return tag("path", d="M" + "L".join([*there, *back]) + "z", class_=f"spread {curve.class_}", style=curve.style)


def _band(point: Point, x: Scale, y: Scale) -> Markup | None:
    """The band of a repetition around what the paper printed."""
    px, py, cell = point
    if (band := number(cell, "band")) is None:
        return None
    return rect(x(px) - 6, y(py + band), 12, y(py - band) - y(py + band), class_="band")


def _keys(
    ours: Sequence[Curve], paper: Sequence[Curve], expected: Sequence[Curve], cells: Sequence[Cell], by: str,
    layers: bool,
) -> tuple[Markup, ...]:  # fmt: skip
    found = []
    if any(curve.class_ == "deep" for curve in ours):
        ramp = join(
            rect(1 + 4 * i, 3, 4.2, 8, class_="heat deep-sample", style=f"--t:{i * 25}%") for i in range(5)
        )
        found.append(key(ramp, "first to last" + (" layer" if layers else "")))
    else:
        found += [key(_sample(curve.class_), curve.name) for curve in ours]
    if any(curve.class_ == "aside" for curve in ours):
        found.append(key(_sample("aside"), "never pruned"))
    if expected:
        found.append(key(_sample("expected"), "Eq. 5, from the first drop of the learning rate on"))
    if paper:
        found.append(key(tag("g", circle(11, 7, 3.4, "dot"), class_="curve aside paper"), "the paper’s"))
    if paper and any(number(cell, "band") is not None for cell in cells):
        found.append(key(rect(2, 1, 18, 12, rx=2, class_="band"), "the 95 % band of a repetition"))
    drawn = {curve.name for curve in ours}
    missing = [n for n in dict.fromkeys(str(c.get(by, "")) for c in cells) if n not in drawn]
    if missing:
        found.append(key(rect(3, 1, 16, 12, class_="lost"), f"not run: {', '.join(missing)}"))
    return tuple(found)


def _sample(look: str) -> Markup:
    return Markup(f'<g class="curve {escape(look)}"><path d="M1 7L21 7"/></g>')
